//! Folders, friendly and hostile, and back.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hearken_proto::definition::{Bundle, BundleFile};
use tempfile::TempDir;

use super::{FILE_BYTES_MAX, Sealed, Upkeep, is_ignored, prune, read_folder, unpack};
use crate::Error;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }
    folder
}

fn paths(folder: &Path) -> (Vec<String>, Vec<(String, bool)>) {
    let (bundle, problems) = read_folder("shop", folder).unwrap();
    let told = problems.into_iter().map(|problem| (problem.file, problem.fatal)).collect();
    (bundle.files.into_iter().map(|file| file.path).collect(), told)
}

fn digest(folder: &Path) -> String {
    Sealed::new(read_folder("shop", folder).unwrap().0).unwrap().digest().to_owned()
}

#[test]
fn the_digest_tells_content_and_nothing_else() {
    let one = folder(&[("pack.yaml", "a"), ("actions/b.sh", "b"), ("actions/a.yaml", "c")]);
    let other = folder(&[("actions/a.yaml", "c"), ("actions/b.sh", "b"), ("pack.yaml", "a")]);
    let same = digest(one.path());
    assert_eq!(same, digest(other.path()), "the order of creation shows");
    for ignored in [".git/config", "actions/__pycache__/x.py", "actions/a.yaml~", "rules/.x.swp"] {
        let place = other.path().join(ignored);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, "x").unwrap();
        assert_eq!(same, digest(other.path()), "{ignored} shows");
    }
    let script = other.path().join("actions/b.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(same, digest(other.path()), "the mode of a script does not show");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o664)).unwrap();
    assert_eq!(same, digest(other.path()), "the other bits of a mode show");
    fs::write(script, "B").unwrap();
    assert_ne!(same, digest(other.path()), "content does not show");
}

#[test]
fn names_that_are_no_content() {
    for name in [".git", "__pycache__", "a.pyc", "a~", ".#a", "#a#", ".a.swp", "a.orig", "4913"] {
        assert!(is_ignored(name), "{name}");
    }
    for name in ["a.py", "pyc", "a#", "49130", "a.yaml", "~a", "__init__.py"] {
        assert!(!is_ignored(name), "{name}");
    }
}

#[test]
fn links_stay_inside() {
    let outside = folder(&[("secret", "s")]);
    let pack = folder(&[("lib/a.py", "a"), ("actions/b.py", "b")]);
    let link = |to: &Path, from: &str| symlink(to, pack.path().join(from)).unwrap();
    link(&outside.path().join("secret"), "secret");
    link(outside.path(), "elsewhere");
    link(Path::new("../../../../../../../../etc/passwd"), "passwd");
    link(Path::new("nowhere"), "dangling");
    link(Path::new("../lib"), "actions/lib");
    link(Path::new("lib/a.py"), "alias.py");
    link(Path::new(".."), "actions/up");
    link(Path::new("loop"), "loop");
    let (paths, told) = paths(pack.path());
    assert_eq!(paths, ["actions/b.py", "actions/lib/a.py", "alias.py", "lib/a.py"]);
    let refused = ["actions/up", "dangling", "elsewhere", "loop", "passwd", "secret"];
    assert_eq!(told, refused.map(|name| (name.to_owned(), true)));
}

#[test]
fn folders_that_link_to_each_other_end() {
    let pack = TempDir::new().unwrap();
    for name in ["a", "b", "c", "d", "e", "f"] {
        fs::create_dir(pack.path().join(name)).unwrap();
        fs::write(pack.path().join(name).join("file"), "x").unwrap();
        for other in ["a", "b", "c", "d", "e", "f"] {
            let link = pack.path().join(name).join(format!("to-{other}"));
            symlink(format!("../{other}"), link).unwrap();
        }
    }
    // Every way through six folders without meeting one twice.
    let (bundle, problems) = read_folder("shop", pack.path()).unwrap();
    assert_eq!(bundle.files.len(), 6 + 30 + 120 + 360 + 720 + 720);
    assert!(!problems.is_empty() && problems.len() <= 200);
}

#[test]
fn what_is_no_ordinary_file_is_left_out_and_told() {
    let pack = folder(&[("actions/a.yaml", "a")]);
    let at = |name: &str| pack.path().join(name);
    let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), 0o600.into()).unwrap();
    let huge = fs::File::create(at("huge")).unwrap();
    huge.set_len(FILE_BYTES_MAX + 1).unwrap();
    fs::write(pack.path().join(std::ffi::OsStr::from_bytes(b"bad-\xff")), "x").unwrap();
    fs::write(at("line\nbreak"), "x").unwrap();
    let deep = vec!["d"; 40].join("/");
    fs::create_dir_all(at(&deep)).unwrap();
    fs::write(at(&deep).join("file"), "x").unwrap();
    let (paths, told) = paths(pack.path());
    assert_eq!(paths, ["actions/a.yaml"]);
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["bad-\u{fffd}", &vec!["d"; 24].join("/"), "huge", "line\nbreak", "pipe", "socket"];
    assert_eq!(names, expected);
    drop(socket);
}

#[test]
fn a_folder_beyond_the_limits_is_refused_whole() {
    let pack = TempDir::new().unwrap();
    for index in 0..5 {
        let file = fs::File::create(pack.path().join(format!("{index}"))).unwrap();
        file.set_len(FILE_BYTES_MAX - 1).unwrap();
    }
    assert!(matches!(read_folder("shop", pack.path()), Err(Error::TooLarge { .. })));
    let missing = read_folder("shop", &pack.path().join("none"));
    assert!(matches!(missing, Err(Error::Io { .. })));
}

fn sealed(files: &[(&str, bool, &str)]) -> Sealed {
    let file = |(path, executable, content): &(&str, bool, &str)| BundleFile {
        path: (*path).to_owned(),
        executable: *executable,
        content: content.as_bytes().to_vec(),
    };
    let files = files.iter().map(file).collect();
    Sealed::new(Bundle { name: "shop".to_owned(), files }).unwrap()
}

#[test]
fn what_is_unpacked_is_what_was_packed() {
    let data = TempDir::new().unwrap();
    let sealed =
        sealed(&[("actions/a.sh", true, "a"), ("actions/b/c", false, ""), ("z", false, "z")]);
    let place = unpack(&sealed, data.path()).unwrap();
    assert_eq!(place, data.path().join("content/shop").join(sealed.digest()));
    assert_eq!(&read_folder("shop", &place).unwrap().0, sealed.bundle());
    let mode = fs::metadata(place.join("actions/a.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);

    // A second time it is used as it is, with what running content has put there.
    fs::write(place.join("cache"), "x").unwrap();
    assert_eq!(unpack(&sealed, data.path()).unwrap(), place);
    assert!(place.join("cache").exists());

    let opened = Sealed::open(sealed.encoded().to_vec(), sealed.digest()).unwrap();
    assert_eq!(opened, sealed);
    let wrong = Sealed::open(sealed.encoded().to_vec(), &"0".repeat(64));
    assert!(matches!(wrong, Err(Error::Digest { .. })));
}

/// A program may delete what it was started from, and everything beside it.
#[test]
fn content_that_has_lost_files_is_made_whole() {
    let data = TempDir::new().unwrap();
    let sealed = sealed(&[("actions/a.sh", true, "a"), ("actions/lib/b", false, "b")]);
    let place = unpack(&sealed, data.path()).unwrap();
    let upkeep = Upkeep::new(sealed.bundle(), &place);
    assert!(upkeep.is_whole() && upkeep.is_whole());
    // What is changed or added is the program's own affair.
    fs::write(place.join("actions/lib/cache"), "x").unwrap();
    fs::write(place.join("actions/a.sh"), "changed").unwrap();
    assert!(upkeep.is_whole());
    let lose: [&dyn Fn(); 5] = [
        &|| fs::remove_file(place.join("actions/lib/b")).unwrap(),
        &|| fs::remove_dir_all(place.join("actions/lib")).unwrap(),
        &|| fs::remove_dir_all(&place).unwrap(),
        &|| fs::remove_dir_all(data.path().join("content")).unwrap(),
        &|| {
            fs::remove_dir_all(&place).unwrap();
            fs::create_dir(&place).unwrap();
        },
    ];
    for lose in lose {
        lose();
        assert!(!upkeep.is_whole());
        assert_eq!(unpack(&sealed, data.path()).unwrap(), place);
        assert!(upkeep.is_whole());
        assert_eq!(&read_folder("shop", &place).unwrap().0, sealed.bundle());
        let left: Vec<_> = fs::read_dir(data.path().join("content/shop")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

#[test]
fn unpacking_races_give_one_folder() {
    let data = TempDir::new().unwrap();
    let sealed = sealed(&[("a/b/c", false, "x"), ("d", true, "y")]);
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..8).map(|_| scope.spawn(|| unpack(&sealed, data.path()).unwrap())).collect();
        for run in runs {
            assert!(run.join().unwrap().join("a/b/c").exists());
        }
    });
    let left: Vec<_> = fs::read_dir(data.path().join("content/shop")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_interrupted_unpacking_is_not_mistaken_for_a_pack() {
    let data = TempDir::new().unwrap();
    let sealed = sealed(&[("a", false, "x")]);
    let pack = data.path().join("content/shop");
    // A crash of another process, and one whose number and count we get again.
    for beside in [".unpacking-1-0".to_owned(), format!(".unpacking-{}-0", std::process::id())] {
        fs::create_dir_all(pack.join(&beside)).unwrap();
        fs::write(pack.join(&beside).join("a"), "half").unwrap();
    }
    let place = unpack(&sealed, data.path()).unwrap();
    assert_eq!(fs::read(place.join("a")).unwrap(), b"x");
    prune(data.path(), &HashSet::from([sealed.digest().to_owned()])).unwrap();
    assert!(!pack.join(".unpacking-1-0").exists());
    assert!(place.exists());
}

#[test]
fn pruning_keeps_what_is_named_and_what_is_not_ours() {
    let data = TempDir::new().unwrap();
    let old = sealed(&[("a", false, "old")]);
    let new = sealed(&[("a", false, "new")]);
    let old_place = unpack(&old, data.path()).unwrap();
    let new_place = unpack(&new, data.path()).unwrap();
    let own = data.path().join("content/mine/actions");
    fs::create_dir_all(&own).unwrap();
    let outside = folder(&[("precious", "p")]);
    symlink(outside.path(), data.path().join("content/shop").join("0".repeat(64))).unwrap();
    let keep = HashSet::from([new.digest().to_owned()]);
    assert_eq!(prune(data.path(), &keep).unwrap(), 1);
    assert!(!old_place.exists() && new_place.exists() && own.exists());
    assert!(outside.path().join("precious").exists());
    assert_eq!(prune(data.path(), &HashSet::new()).unwrap(), 1);
    assert_eq!(prune(&data.path().join("none"), &HashSet::new()).unwrap(), 0);
}

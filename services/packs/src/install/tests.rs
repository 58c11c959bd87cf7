//! What is refused, what is chosen, and what is left of what was interrupted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hearken_proto::Timestamp;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::archive::Room;
use super::place::Place;
use super::{Error, Installed, Installer, Record, Register, Spec, Wanted, archive, choose, tree};
use crate::source::{Roots, discover};

/// A member of an archive: its name, its kind, where it leads, what it holds.
type Member<'a> = (&'a str, EntryType, &'a str, &'a [u8]);

fn write(root: &Path, path: &str, content: &str) -> PathBuf {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, content).unwrap();
    place
}

fn install(data: &Path, spec: &Path, register: Register) -> Result<Vec<Installed>, Error> {
    let spec = Spec::parse(spec.to_str().unwrap())?;
    let mut say = |_line: &str| {};
    let mut installer = Installer::open(data, "", None, Timestamp::EPOCH, &mut say)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(installer.install(Wanted {
        spec: &spec,
        only: &[],
        register,
        is_forced: false,
        is_alone: false,
    }))
}

/// Names in the folder of installed packs, without what is always there.
fn packs(data: &Path) -> Vec<String> {
    let listing = fs::read_dir(data.join("packs")).unwrap().flatten();
    let mut names: Vec<String> =
        listing.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".lock" && name != ".records");
    names.sort();
    names
}

/// An archive with these entries: path, kind, where it leads, content.
fn archived(entries: &[(&str, EntryType, &str, &[u8])]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("shop.tar");
    let mut builder = Builder::new(fs::File::create(&place).unwrap());
    for (path, kind, leads, content) in entries {
        let mut header = Header::new_gnu();
        // Written as bytes, since the writer refuses what is tested here.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..leads.len()].copy_from_slice(leads.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.finish().unwrap();
    (folder, place)
}

#[test]
fn hostile_archives_are_refused_and_write_nothing_outside() {
    use EntryType::{Block, Fifo, Link, Regular, Symlink};
    let long = vec![b'a'; 9000];
    let rows: [(&str, Vec<Member<'_>>); 11] = [
        ("is absolute", vec![("/tmp/evil", Regular, "", b"x")]),
        ("leads out", vec![("../evil", Regular, "", b"x")]),
        ("leads out", vec![("a/../../evil", Regular, "", b"x")]),
        ("leads out", vec![("a", Symlink, "../..", b"")]),
        ("leads out", vec![("a", Symlink, "/etc", b"")]),
        ("leads out", vec![("a", Link, "../../evil", b"")]),
        ("cannot be unpacked", vec![("a", Link, "missing", b"")]),
        // Through a link that is there already: nothing is written through it.
        ("the link a", vec![("a", Symlink, "b", b""), ("a/evil", Regular, "", b"x")]),
        ("neither a file", vec![("a", Fifo, "", b"")]),
        ("neither a file", vec![("a", Block, "", b"")]),
        ("longer than", vec![("a", EntryType::GNULongName, "", &long)]),
    ];
    for (why, entries) in rows {
        let (folder, place) = archived(&entries);
        let target = folder.path().join("in/side");
        let said = archive::unpack(&place, &target).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
        assert!(!folder.path().join("evil").exists() && !folder.path().join("in/evil").exists());
        let data = TempDir::new().unwrap();
        let refused = install(data.path(), &place, Register::All).unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
        assert_eq!(packs(data.path()), [""; 0], "{why}");
    }
}

#[test]
fn two_links_that_lead_out_together_are_refused() {
    let folder = TempDir::new().unwrap();
    let pack = folder.path().join("pack");
    fs::create_dir_all(pack.join("a/b")).unwrap();
    fs::create_dir_all(pack.join("top")).unwrap();
    symlink("../../top", pack.join("a/b/up")).unwrap();
    tree::check(&pack).unwrap();
    // On the face of it this is a/b; through the link above it is the folder around the pack.
    symlink("a/b/up/../..", pack.join("out")).unwrap();
    let said = tree::check(&pack).unwrap_err();
    assert!(said.contains("leads out"), "{said}");
}

#[test]
fn a_bomb_is_refused_before_it_fills_anything() {
    let room = Room { entries: 100, bytes: 4 << 20 };
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("bomb.tar.gz");
    let file = fs::File::create(&place).unwrap();
    let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut builder = Builder::new(gzip);
    let mut header = Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_mode(0o644);
    header.set_size(room.bytes + 1);
    header.set_cksum();
    builder.append(&header, std::io::Read::take(std::io::repeat(0), room.bytes + 1)).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    assert!(fs::metadata(&place).unwrap().len() < 1 << 20);
    let said = archive::unpack_within(&place, &folder.path().join("in"), room).unwrap_err();
    assert!(said.contains("more than 4 MiB"), "{said}");
    let many: Vec<(String, EntryType, &str, &[u8])> = (0..=room.entries)
        .map(|at| (format!("d{at}"), EntryType::Directory, "", b"".as_slice()))
        .collect();
    let many: Vec<_> = many.iter().map(|(a, b, c, d)| (a.as_str(), *b, *c, *d)).collect();
    let (_folder, place) = archived(&many);
    let said = archive::unpack_within(&place, &folder.path().join("many"), room).unwrap_err();
    assert!(said.contains("100 entries"), "{said}");
}

#[test]
fn what_is_no_archive_is_told() {
    let folder = TempDir::new().unwrap();
    for (name, content) in [("a.tar.gz", "no archive at all"), ("b.tar", ""), ("c.tgz", "\u{1f}")] {
        let place = write(folder.path(), name, content);
        let said = archive::unpack(&place, &folder.path().join("in").join(name)).unwrap_err();
        assert!(said.contains("tar archive"), "{said}");
    }
}

#[test]
fn packs_are_found_at_the_top_in_packs_and_in_a_wrapper() {
    let root = TempDir::new().unwrap();
    write(root.path(), "one/pack.yaml", "name: Shop things\n");
    write(root.path(), "named/pack.yaml", "name: csv\n");
    write(root.path(), "many/packs/docker/actions/a.yaml", "name: a");
    write(root.path(), "many/packs/sensu/pack.yaml", "");
    write(root.path(), "many/README.md", "");
    write(root.path(), "wrapped/csv-1.0.0/pack.yaml", "ref: csv\n");
    write(root.path(), "none/README.md", "");
    let names = |folder: &str, only: &[&str]| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        let found = choose::packs(&root.path().join(folder), "hello-st2", &only, "there");
        found.map(|found| found.into_iter().map(|pack| pack.name).collect::<Vec<_>>())
    };
    assert_eq!(names("one", &[]).unwrap(), ["hello-st2"]);
    assert_eq!(names("named", &[]).unwrap(), ["csv"]);
    assert_eq!(names("many", &[]).unwrap(), ["docker", "sensu"]);
    assert_eq!(names("many", &["sensu"]).unwrap(), ["sensu"]);
    assert_eq!(names("wrapped", &[]).unwrap(), ["csv"]);
    for (folder, only) in [("none", &[][..]), ("many", &["nagios"])] {
        assert!(matches!(names(folder, only), Err(Error::NoPack { .. })), "{folder}");
    }
    write(root.path(), "bad/pack.yaml", "ref: ../../evil\n");
    assert!(matches!(names("bad", &[]), Err(Error::Refused { .. })));
}

#[test]
fn what_is_registered_is_what_is_in_force() {
    let root = TempDir::new().unwrap();
    let data = TempDir::new().unwrap();
    let shop = root.path().join("shop");
    write(&shop, "actions/a.yaml", "name: a\nrunner_type: noop\n");
    write(&shop, "rules/r.yaml", "name: r\n");
    let found = |data: &Path| {
        let roots = Roots { bundled: false, folders: vec![data.join("packs")] };
        let found = discover(&roots).packs.into_iter().next();
        let files = found.map(|found| found.bundle.files).unwrap_or_default();
        files.into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    for (register, files) in [
        (Register::None, &[][..]),
        (Register::Content, &["actions/a.yaml"]),
        (Register::All, &["actions/a.yaml", "rules/r.yaml"]),
    ] {
        let installed = install(data.path(), &shop, register).unwrap();
        assert_eq!(installed[0].is_replaced, register != Register::None);
        assert_eq!(found(data.path()), files, "{register:?}");
    }
    // A record that cannot be read is no reason to run rules; a pack without one is loaded whole.
    write(data.path(), "packs/.records/shop.json", "{");
    assert_eq!(found(data.path()), ["actions/a.yaml"]);
    fs::remove_file(data.path().join("packs/.records/shop.json")).unwrap();
    assert_eq!(found(data.path()).len(), 2);
    assert_eq!(packs(data.path()), ["shop"]);
    for (text, register) in [
        ("rules", Register::All),
        ("actions,rules", Register::All),
        ("all", Register::All),
        ("actions,aliases,sensors,triggers", Register::Content),
        ("", Register::Content),
    ] {
        assert_eq!(Register::from_text(text), register, "{text}");
    }
}

/// What is on disk after a process died at each step of putting a pack in place.
#[test]
fn an_interrupted_installation_is_finished_or_forgotten() {
    let data = TempDir::new().unwrap();
    let root = TempDir::new().unwrap();
    let shop = root.path().join("shop");
    write(&shop, "actions/a.yaml", "old");
    write(&shop, "config.yaml", "kept: true");
    install(data.path(), &shop, Register::All).unwrap();
    let record = Record {
        pack: "shop".to_owned(),
        source: "elsewhere".to_owned(),
        version: None,
        commit: None,
        installed: Timestamp::EPOCH,
        register: Register::Content,
    };
    let open = || Place::open(data.path(), &mut |_line: &str| {}).unwrap();
    let content = || fs::read_to_string(data.path().join("packs/shop/actions/a.yaml")).unwrap();
    // While it is fetched: nothing has happened.
    write(data.path(), "packs/.installing-1-0/clone/pack.yaml", "");
    drop(open());
    assert_eq!((packs(data.path()), content().as_str()), (vec!["shop".to_owned()], "old"));
    // When it is ready: it happens.
    let ready = data.path().join("packs/.ready-shop");
    for step in ["before", "after"] {
        fs::create_dir_all(ready.join("tree/actions")).unwrap();
        fs::write(ready.join("tree/actions/a.yaml"), step).unwrap();
        super::record::write_file(&ready.join("record.json"), &record).unwrap();
        // After the exchange, the folder in place is the one that is noted.
        let noted =
            if step == "before" { ready.join("tree") } else { data.path().join("packs/shop") };
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(noted).unwrap());
        fs::write(ready.join("inode"), inode.to_string()).unwrap();
        drop(open());
        assert_eq!((packs(data.path()), content().as_str()), (vec!["shop".to_owned()], "before"));
        let known = super::read_record(&data.path().join("packs"), "shop").unwrap().unwrap();
        assert_eq!(known, record);
    }
    // While it is taken away: it goes, with everything of it.
    write(data.path(), "virtualenvs/shop/0123456789abcdef/x", "");
    fs::rename(data.path().join("packs/shop"), data.path().join("packs/.removing-shop")).unwrap();
    super::sweep(data.path()).unwrap();
    assert_eq!(packs(data.path()), [""; 0]);
    assert!(!data.path().join("virtualenvs/shop").exists());
    assert_eq!(super::read_record(&data.path().join("packs"), "shop").unwrap(), None);
}

/// Programs outlive an installation that is killed, and would go on writing.
#[test]
fn what_a_killed_installation_started_is_ended() {
    let data = TempDir::new().unwrap();
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let mut orphan = std::process::Command::new("sleep");
    orphan.arg("600").env("HEARKEN_RUN", format!("packs:install-{}", gone.id()));
    for is_server in [false, true] {
        let mut orphan = orphan.spawn().unwrap();
        write(data.path(), "packs/.lock", &gone.id().to_string());
        if is_server {
            super::sweep(data.path()).unwrap();
        } else {
            drop(Place::open(data.path(), &mut |_line: &str| {}).unwrap());
            let noted = fs::read_to_string(data.path().join("packs/.lock")).unwrap();
            assert_eq!(noted, std::process::id().to_string());
        }
        // Without the blow this would wait for ten minutes.
        assert!(!orphan.wait().unwrap().success());
    }
}

#[test]
fn a_configuration_of_the_first_generation_outlives_its_pack() {
    let data = TempDir::new().unwrap();
    let root = TempDir::new().unwrap();
    let shop = root.path().join("shop");
    write(&shop, "pack.yaml", "");
    install(data.path(), &shop, Register::All).unwrap();
    let config = write(data.path(), "packs/shop/config.yaml", "mine: 1");
    install(data.path(), &shop, Register::All).unwrap();
    assert_eq!(fs::read_to_string(config).unwrap(), "mine: 1");
}

#[test]
fn one_installation_at_a_time() {
    let data = TempDir::new().unwrap();
    let held = Place::open(data.path(), &mut |_line: &str| {}).unwrap();
    write(data.path(), "packs/.installing-1-0/x", "");
    // Whoever cannot have the lock touches nothing.
    super::sweep(data.path()).unwrap();
    assert_eq!(packs(data.path()), [".installing-1-0"]);
    drop(held);
    super::sweep(data.path()).unwrap();
    assert_eq!(packs(data.path()), [""; 0]);
}

/// Writes a pack with this manifest.
fn manifest(root: &Path, name: &str, more: &str) -> PathBuf {
    let folder = root.join(name);
    write(&folder, "pack.yaml", &format!("ref: {name}\nname: {name}\nversion: 1.0\n{more}"));
    folder
}

fn install_all(data: &Path, spec: &str, is_forced: bool, is_alone: bool) -> Result<String, Error> {
    let spec = Spec::parse(spec)?;
    let mut say = |_line: &str| {};
    let mut installer = Installer::open(data, "", None, Timestamp::EPOCH, &mut say)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wanted = Wanted { spec: &spec, only: &[], register: Register::All, is_forced, is_alone };
    let installed = runtime.block_on(installer.install(wanted))?;
    let names: Vec<String> = installed.into_iter().map(|one| one.record.pack).collect();
    Ok(names.join(" "))
}

/// The text of an error with its causes.
fn whole(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn what_a_pack_needs_is_installed_before_it() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| format!("file://{}", root.path().join(name).display());
    // Two ways to one pack, and two packs that need each other.
    let both = format!("dependencies: ['{}', '{}=1.0.0']\n", at("left"), at("right"));
    manifest(root.path(), "top", &both);
    manifest(root.path(), "left", &format!("dependencies: ['{}']\n", at("base")));
    let circle = format!("dependencies: ['{}=v1.0', '{}', core]\n", at("base"), at("right"));
    manifest(root.path(), "right", &circle);
    manifest(root.path(), "base", &format!("dependencies: '{}'\n", at("right")));
    // A version of a folder is one of its repository, which these do not have.
    for name in ["right", "base"] {
        let told = |arguments: &[&str]| {
            let mut git = std::process::Command::new("git");
            git.current_dir(root.path().join(name)).env("GIT_CONFIG_GLOBAL", "/dev/null");
            git.args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(arguments);
            assert!(git.output().unwrap().status.success(), "git {arguments:?}");
        };
        told(&["init", "--quiet"]);
        told(&["add", "--all"]);
        told(&["commit", "--quiet", "--message", "1"]);
        told(&["tag", "v1.0.0"]);
    }
    let data = TempDir::new().unwrap();
    let order = install_all(data.path(), &at("top"), false, false).unwrap();
    assert_eq!(order, "right base left top");
    // What is there is left as it is.
    assert_eq!(install_all(data.path(), &at("top"), false, false).unwrap(), "top");
    let alone = TempDir::new().unwrap();
    assert_eq!(install_all(alone.path(), &at("top"), false, true).unwrap(), "top");
}

#[test]
fn what_cannot_be_had_leaves_everything_as_it_was() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| format!("file://{}", root.path().join(name).display());
    manifest(root.path(), "base", "");
    let data = TempDir::new().unwrap();
    install_all(data.path(), &at("base"), false, false).unwrap();
    for (name, more, why) in [
        ("new", "dependencies: [base=2.0.0]\n", "base is wanted in version 2.0.0, and installed"),
        ("lost", "dependencies: [nowhere]\n", "lost needs, \"nowhere\": the index of packs"),
        ("bad", "dependencies: ['ext::sh -c id']\n", "it would make git run a program"),
        ("near", "dependencies: [./base]\n", "there is no such file or folder"),
        ("late", "stackstorm_version: '>=99.0.0'\n", "late cannot run here: it needs StackStorm"),
        ("old", "python_versions: ['2']\n", "old cannot run here: it needs Python 2"),
    ] {
        // The fault is found behind a dependency that could be installed.
        manifest(root.path(), "fine", "");
        manifest(root.path(), name, more);
        let both = format!("dependencies: ['{}', '{}']\n", at("fine"), at(name));
        manifest(root.path(), "top", &both);
        let refused = install_all(data.path(), &at("top"), false, false).unwrap_err();
        assert!(whole(&refused).contains(why), "{name}: {}", whole(&refused));
        assert!(refused.hint().is_some(), "{name}");
        assert_eq!(packs(data.path()), ["base"], "{name}");
        let forced = install_all(data.path(), &at(name), true, true).unwrap();
        assert_eq!(forced, name);
        let mut say = |_line: &str| {};
        let opened = Installer::open(data.path(), "", None, Timestamp::EPOCH, &mut say);
        opened.unwrap().remove(name).unwrap();
    }
}

#[test]
fn dependencies_are_followed_ten_times() {
    let root = TempDir::new().unwrap();
    let at = |number: usize| format!("file://{}", root.path().join(format!("p{number}")).display());
    for number in 0..=11 {
        manifest(
            root.path(),
            &format!("p{number}"),
            &format!("dependencies: ['{}']\n", at(number + 1)),
        );
    }
    manifest(root.path(), "p12", "");
    let data = TempDir::new().unwrap();
    let refused = install_all(data.path(), &at(0), false, false).unwrap_err();
    assert!(whole(&refused).contains("followed 10 times"), "{}", whole(&refused));
    assert_eq!(packs(data.path()), [""; 0]);
    // From the third one on it is ten.
    let order = install_all(data.path(), &at(2), false, false).unwrap();
    assert_eq!(order, "p12 p11 p10 p9 p8 p7 p6 p5 p4 p3 p2");
}

/// What a pack that was brought from elsewhere says is not believed about this machine.
#[test]
fn a_dependency_is_no_place_on_this_machine_for_a_pack_from_elsewhere() {
    let root = TempDir::new().unwrap();
    let folder = manifest(root.path(), "near", "");
    for text in [folder.display().to_string(), format!("file://{}", folder.display())] {
        assert!(Spec::parse_dependency(&text, true).is_ok(), "{text}");
        assert!(matches!(Spec::parse_dependency(&text, false), Err(Error::Spec { .. })), "{text}");
    }
}

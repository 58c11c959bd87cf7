//! Finding files without following anybody's tricks.
//!
//! Every step is taken from an open folder by a single name, without following links: nobody who
//! may write below can lead the walk elsewhere, whatever is renamed meanwhile. Only regular files
//! are opened, never devices, pipes or sockets; one file system is not left; depth and entries are
//! bounded. What is not taken is told as a gap.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::Errno;

use crate::glob::{Glob, is_pattern};
use crate::plan::{Files, Pick};

/// Names of one folder that are put in order. Larger folders come as the disk has them: the names
/// of a hundred thousand files take 12 MB.
const SORTED_MAX: usize = 10_000;
/// How a file of unknown kind is opened.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Something that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A regular file, open.
    File {
        /// Where.
        path: PathBuf,
        /// To be read.
        file: OwnedFd,
        /// What the open file says of itself.
        stat: Stat,
        /// Who owns the folder it is in, where that matters: the file has other names too.
        folder_uid: Option<u32>,
    },
    /// Something that is not taken.
    Gap {
        /// Where.
        path: PathBuf,
        /// One word: `missing`, `denied`, `link` …
        flag: &'static str,
        /// More about it.
        reason: String,
    },
}

/// What a walk may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) depth: usize,
    /// Entries that are left, over all walks.
    pub(crate) entries: usize,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    On,
    Stop,
}

/// Walks over everything that `files` means. Answers whether the end was reached.
pub(crate) fn walk(
    files: &Files,
    bounds: &mut Bounds,
    visit: &mut dyn FnMut(Found) -> Next,
) -> Next {
    let mut walk = Walk { bounds, visit, filter: None };
    match &files.pick {
        Pick::Folders(names) => walk.folders(&files.folder, names),
        Pick::Files(names) => walk.files(&files.folder, names),
        Pick::Matching { include, exclude } => {
            walk.filter = Some(Filter { root: &files.folder, include, exclude });
            walk.tree(&files.folder)
        }
    }
}

struct Walk<'a> {
    bounds: &'a mut Bounds,
    visit: &'a mut dyn FnMut(Found) -> Next,
    filter: Option<Filter<'a>>,
}

/// Patterns for paths below a folder.
struct Filter<'a> {
    root: &'a Path,
    include: &'a [Glob],
    exclude: &'a [Glob],
}

impl Filter<'_> {
    fn takes(&self, path: &Path) -> bool {
        let path = path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_bytes();
        let is_in = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(path));
        (self.include.is_empty() || is_in(self.include)) && !is_in(self.exclude)
    }
}

impl Walk<'_> {
    fn folders(&mut self, folder: &Path, names: &[String]) -> Next {
        for name in names {
            let roots = match name.as_str() {
                "." => vec![folder.to_owned()],
                name if is_pattern(name) => matching(folder, name),
                name => vec![folder.join(name)],
            };
            for root in roots {
                if self.tree(&root) == Next::Stop {
                    return Next::Stop;
                }
            }
        }
        Next::On
    }

    fn files(&mut self, folder: &Path, names: &[String]) -> Next {
        for name in names {
            let paths =
                if is_pattern(name) { matching(folder, name) } else { vec![folder.join(name)] };
            for path in paths {
                if self.file(&path) == Next::Stop {
                    return Next::Stop;
                }
            }
        }
        Next::On
    }

    /// One file by its path. The folder it is in may be a link; it may not.
    fn file(&mut self, path: &Path) -> Next {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return self.gap(
                path.to_owned(),
                "missing",
                format!("File {} not found", path.display()),
            );
        };
        let opened =
            open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let Ok(name) = CString::new(name.as_bytes()) else { return Next::On };
        match opened {
            Ok(folder) => self.entry(&folder, &name, path, None),
            Err(_) => {
                self.gap(path.to_owned(), "missing", format!("File {} not found", path.display()))
            }
        }
    }

    /// A folder and everything in it.
    fn tree(&mut self, root: &Path) -> Next {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(root, flags, Mode::empty());
        let folder = match opened {
            Ok(folder) => folder,
            Err(Errno::ACCESS | Errno::PERM) => {
                return self.gap(root.to_owned(), "denied", "it may not be read".to_owned());
            }
            Err(_) => {
                let reason = format!("Directory {}/ not found", root.display());
                return self.gap(root.to_owned(), "missing", reason);
            }
        };
        let device = fstat(&folder).map(|stat| stat.st_dev).ok();
        let mut open = vec![self.level(folder, root.to_owned())];
        while let Some(level) = open.last_mut() {
            let Some(name) = level.names.next() else {
                open.pop();
                continue;
            };
            let path = level.path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            if self.bounds.entries == 0 {
                return self.gap(path, "limit", "more entries than a run may look at".to_owned());
            }
            self.bounds.entries -= 1;
            let folder = match self.step(&level.folder, &name, &path, device) {
                Step::Folder(folder) => folder,
                Step::Done(Next::On) => continue,
                Step::Done(Next::Stop) => return Next::Stop,
            };
            if open.len() >= self.bounds.depth {
                if self.gap(path, "limit", "deeper than a run may look".to_owned()) == Next::Stop {
                    return Next::Stop;
                }
                continue;
            }
            let level = self.level(folder, path);
            open.push(level);
        }
        Next::On
    }

    fn level(&mut self, folder: OwnedFd, path: PathBuf) -> Level {
        let names = Names::of(&folder);
        if names.is_none() {
            // Opened and not to be listed: told, and taken as empty.
            self.gap(path.clone(), "denied", "it cannot be listed".to_owned());
        }
        Level { folder, path, names: names.unwrap_or_default() }
    }

    /// One name of a folder: a folder to go into, or done with.
    fn step(&mut self, folder: &OwnedFd, name: &CString, path: &Path, device: Option<u64>) -> Step {
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
        else {
            return Step::Done(self.gap(path.to_owned(), "vanished", "it went away".to_owned()));
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let is_wanted = self.filter.as_ref().is_none_or(|filter| filter.takes(path));
            let done =
                if is_wanted { self.entry(folder, name, path, Some(stat)) } else { Next::On };
            return Step::Done(done);
        }
        if device.is_some_and(|device| device != stat.st_dev) {
            let reason = "another file system is mounted here".to_owned();
            return Step::Done(self.gap(path.to_owned(), "outside", reason));
        }
        match openat(folder, name, FLAGS | OFlags::DIRECTORY, Mode::empty()) {
            Ok(folder) => Step::Folder(folder),
            Err(error) => Step::Done(self.failed(path, error)),
        }
    }

    /// One name that is no folder.
    fn entry(&mut self, folder: &OwnedFd, name: &CString, path: &Path, stat: Option<Stat>) -> Next {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = match stat.map_or_else(|| statat(folder, name, flags), Ok) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let reason = format!("File {} not found", path.display());
                return self.gap(path.to_owned(), "missing", reason);
            }
            Err(error) => return self.failed(path, error),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            let (flag, reason) = special(kind, folder, name);
            return self.gap(path.to_owned(), flag, reason);
        }
        if let Some(reason) = never(path) {
            return self.gap(path.to_owned(), "secret", reason.to_owned());
        }
        let opened = openat(folder, name, FLAGS, Mode::empty());
        match opened.and_then(|file| fstat(&file).map(|stat| (file, stat))) {
            // What was a file a moment ago may be a pipe by now.
            Ok((file, stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                let folder_uid = (stat.st_nlink > 1).then(|| fstat(folder).ok()).flatten();
                let folder_uid = folder_uid.map(|folder| folder.st_uid);
                (self.visit)(Found::File { path: path.to_owned(), file, stat, folder_uid })
            }
            Ok(_) => self.gap(path.to_owned(), "special", "it is no file any more".to_owned()),
            Err(error) => self.failed(path, error),
        }
    }

    fn failed(&mut self, path: &Path, error: Errno) -> Next {
        let (flag, reason) = match error {
            Errno::ACCESS | Errno::PERM => ("denied", "it may not be read".to_owned()),
            Errno::NOENT => ("vanished", "it went away".to_owned()),
            Errno::LOOP => ("link", "it has become a link".to_owned()),
            error => ("unreadable", error.to_string()),
        };
        self.gap(path.to_owned(), flag, reason)
    }

    fn gap(&mut self, path: PathBuf, flag: &'static str, reason: String) -> Next {
        (self.visit)(Found::Gap { path, flag, reason })
    }
}

enum Step {
    Folder(OwnedFd),
    Done(Next),
}

/// An open folder of a walk.
struct Level {
    folder: OwnedFd,
    path: PathBuf,
    names: Names,
}

/// The names of a folder, in order where they are few.
#[derive(Default)]
struct Names {
    first: std::vec::IntoIter<CString>,
    rest: Option<Dir>,
}

impl Names {
    fn of(folder: &OwnedFd) -> Option<Self> {
        let mut dir = Dir::read_from(folder.as_fd()).ok()?;
        let mut first: Vec<CString> = Vec::new();
        while let Some(name) = next_name(&mut dir) {
            first.push(name);
            if first.len() > SORTED_MAX {
                return Some(Self { first: first.into_iter(), rest: Some(dir) });
            }
        }
        first.sort();
        Some(Self { first: first.into_iter(), rest: None })
    }

    fn next(&mut self) -> Option<CString> {
        self.first.next().or_else(|| next_name(self.rest.as_mut()?))
    }
}

fn next_name(dir: &mut Dir) -> Option<CString> {
    loop {
        let entry = dir.next()?.ok()?;
        let name = entry.file_name();
        if ![b".".as_slice(), b".."].contains(&name.to_bytes()) {
            return Some(name.to_owned());
        }
    }
}

fn special(kind: FileType, folder: &OwnedFd, name: &CString) -> (&'static str, String) {
    match kind {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(folder, name, Vec::new());
            let target = target.map(|target| target.to_string_lossy().into_owned());
            ("link", format!("-> {}", target.unwrap_or_default()))
        }
        FileType::Fifo => ("special", "a pipe".to_owned()),
        FileType::Socket => ("special", "a socket".to_owned()),
        FileType::CharacterDevice | FileType::BlockDevice => ("special", "a device".to_owned()),
        FileType::Directory => ("folder", "a folder where a file was expected".to_owned()),
        FileType::RegularFile | FileType::Unknown => ("special", "of unknown kind".to_owned()),
    }
}

/// Why a file is never taken, by its name: it holds nothing but secrets, or has no end.
fn never(path: &Path) -> Option<&'static str> {
    let text = path.to_string_lossy();
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let starts = ["shadow", "gshadow", "id_"].iter().any(|start| name.starts_with(start));
    let ends = ["_key", ".pem", ".key", ".p12", ".pfx", ".jks", ".kdbx", ".keytab"];
    let ends = ends.iter().any(|end| name.ends_with(end));
    let names = [".netrc", ".pgpass", ".git-credentials", ".my.cnf"].contains(&name.as_ref());
    let paths = [".aws/credentials", ".kube/config", ".docker/config.json"];
    if starts || ends || names || paths.iter().any(|end| text.ends_with(end)) {
        return Some("files of this name hold secrets");
    }
    let endless = text.starts_with("/proc/")
        && ["environ", "mem", "kcore", "kmsg", "pagemap"].contains(&name.as_ref());
    let debug = ["/sys/kernel/debug/", "/sys/kernel/tracing/", "/dev/"];
    if endless || debug.iter().any(|start| text.starts_with(start)) {
        return Some("the kernel answers there without end, or with secrets");
    }
    None
}

/// What a pattern means in a folder: as many levels down as it has names.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for part in pattern.split('/') {
        let Ok(glob) = Glob::parse(part) else { return Vec::new() };
        let mut next = Vec::new();
        for folder in found {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.take(SORTED_MAX).flatten() {
                // A link could lead anywhere.
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                if !is_link && glob.matches(entry.file_name().as_bytes()) {
                    next.push(entry.path());
                }
            }
        }
        next.sort();
        next.truncate(SORTED_MAX);
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(files: &Files, entries: usize) -> Vec<String> {
        let mut told = Vec::new();
        let mut bounds = Bounds { depth: 4, entries };
        walk(files, &mut bounds, &mut |found| {
            told.push(match found {
                Found::File { path, .. } => {
                    path.strip_prefix(&files.folder).unwrap().display().to_string()
                }
                Found::Gap { path, flag, .. } => {
                    format!(
                        "{flag} {}",
                        path.strip_prefix(&files.folder).unwrap_or(&path).display()
                    )
                }
            });
            Next::On
        });
        told
    }

    fn files(folder: &Path, pick: Pick) -> Files {
        let label = "x".to_owned();
        Files { label, folder: folder.to_owned(), pick, file_bytes: None, since: None }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_files_are_taken_and_everything_else_is_told() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir_all(path("b/deep/deeper/deepest/too")).unwrap();
        for name in ["a.log", "b/c.log", "b/shadow", "b/deep/deeper/x", "z_key"] {
            std::fs::write(path(name), name).unwrap();
        }
        symlink("/dev/zero", path("endless")).unwrap();
        symlink(root.path(), path("b/loop")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), Mode::RWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let all = found(&files(root.path(), Pick::Folders(names(&["."]))), 100);
        let expected = [
            "a.log",
            "b/c.log",
            "b/deep/deeper/x",
            "link b/loop",
            "link endless",
            "secret b/shadow",
            "secret z_key",
            "special pipe",
            "special socket",
            "limit b/deep/deeper/deepest",
        ];
        let mut sorted = all.clone();
        sorted.sort();
        let mut expected = expected.map(ToOwned::to_owned).to_vec();
        expected.sort();
        assert_eq!(sorted, expected);
        let some = found(&files(root.path(), Pick::Folders(names(&["b", "none"]))), 100);
        assert_eq!(some.last().map(String::as_str), Some("missing none"));
        let one = Pick::Files(names(&["a.log", "no", "b", "b/*.log"]));
        assert_eq!(
            found(&files(root.path(), one), 100),
            ["a.log", "missing no", "folder b", "b/c.log"]
        );
        let include = vec![Glob::parse("**/*.log").unwrap()];
        let exclude = vec![Glob::parse("a*").unwrap()];
        let pick = Pick::Matching { include, exclude };
        assert_eq!(
            found(&files(root.path(), pick), 100),
            ["b/c.log", "limit b/deep/deeper/deepest"]
        );
    }

    #[test]
    fn a_folder_of_many_files_ends_at_the_bound() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..SORTED_MAX + 20 {
            std::fs::write(root.path().join(number.to_string()), "").unwrap();
        }
        let pick = || Pick::Folders(names(&["."]));
        assert_eq!(found(&files(root.path(), pick()), 100_000).len(), SORTED_MAX + 20);
        let some = found(&files(root.path(), pick()), 10);
        assert_eq!((some.len(), some[10].starts_with("limit")), (11, true));
    }
}

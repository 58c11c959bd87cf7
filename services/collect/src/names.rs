//! The files that a run leaves, under names that nobody had before.
//!
//! What is written has another name until it is whole, and is renamed without replacing anything: a
//! run that is ended leaves at most `.…partial` files behind, and two runs within one second have
//! two archives. Nobody but the owner may read them.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::plan::Output;

/// How many runs may want one name.
const TRIES_MAX: u32 = 1000;
/// Letters of a host's name that are kept in names of files.
const HOST_CHARS_MAX: usize = 64;

/// Names of one run, without endings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    folder: PathBuf,
    archive: String,
    json: String,
    commands: String,
    ending: &'static str,
}

impl Names {
    /// The names that `output` asks for on `host` at `started`, in seconds since 1970.
    pub(crate) fn new(output: &Output, host: &str, started: u64) -> Self {
        let usual = format!("{}-{}-{started}", output.stem, plain(host));
        let filled = |name: &Option<String>| {
            name.as_ref().map_or_else(
                || usual.clone(),
                |name| name.replace("{host}", &plain(host)).replace("{time}", &started.to_string()),
            )
        };
        Self {
            folder: output.folder.clone(),
            archive: filled(&output.archive),
            json: filled(&output.json),
            commands: filled(&output.commands),
            ending: output.compression.ending(),
        }
    }

    /// The name of the facts' document.
    pub(crate) fn json(&self) -> String {
        format!("{}.json", self.json)
    }

    /// The name of the commands' log.
    pub(crate) fn commands(&self) -> String {
        format!("{}-commands.log", self.commands)
    }

    /// The name of the archive.
    pub(crate) fn archive(&self) -> String {
        format!("{}{}", self.archive, self.ending)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    is_done: bool,
}

impl Partial {
    /// A new file in `folder` that nobody else knows.
    pub(crate) fn create(folder: &Path) -> io::Result<(Self, File)> {
        let path = folder.join(format!(".hearken-{}.partial", hearken_kit::random::hex(8)?));
        let file =
            File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((Self { path, is_done: false }, file))
    }

    /// Gives it the name `name`, or `name-2` and so on where somebody has that; answers the path.
    pub(crate) fn publish(mut self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        for attempt in 1..=TRIES_MAX {
            let path = folder.join(numbered(name, attempt));
            match renameat_with(CWD, &self.path, CWD, &path, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    self.is_done = true;
                    File::open(if folder.as_os_str().is_empty() {
                        Path::new(".")
                    } else {
                        folder
                    })?
                    .sync_all()?;
                    return Ok(path);
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{name} and its numbers are taken"),
        ))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_done {
            // What is not whole is nothing; when it cannot be removed its name tells what it is.
            std::fs::remove_file(&self.path).unwrap_or(());
        }
    }
}

/// `a.tar.gz` as `a-2.tar.gz`.
fn numbered(name: &str, attempt: u32) -> String {
    if attempt == 1 {
        return name.to_owned();
    }
    let endings = ["-commands.log", ".json", ".tar.gz", ".tar.zst"];
    let ending = endings.into_iter().find(|ending| name.ends_with(ending)).unwrap_or_default();
    let stem = name.strip_suffix(ending).unwrap_or(name);
    format!("{stem}-{attempt}{ending}")
}

/// A host's name as it can stand in a file's.
fn plain(host: &str) -> String {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || ".-".contains(*letter);
    let name: String = host.chars().filter(is_plain).take(HOST_CHARS_MAX).collect();
    let name = name.trim_start_matches('.').to_owned();
    if name.is_empty() { "host".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Compression;

    fn output(archive: Option<&str>) -> Output {
        Output {
            folder: PathBuf::from("/out"),
            stem: "CaLink",
            archive: archive.map(ToOwned::to_owned),
            json: None,
            commands: Some("CaLink-commands-log".to_owned()),
            keeps_plain: true,
            compression: Compression::GZIP,
        }
    }

    #[test]
    fn names_are_those_of_calink() {
        let names = Names::new(&output(None), "ws/../1", 1_414_531_750);
        assert_eq!(names.json(), "CaLink-ws..1-1414531750.json");
        assert_eq!(names.archive(), "CaLink-ws..1-1414531750.tar.gz");
        assert_eq!(names.commands(), "CaLink-commands-log-commands.log");
        let named = Names::new(&output(Some("x-{host}-{time}")), "h", 7);
        assert_eq!(named.archive(), "x-h-7.tar.gz");
    }

    #[test]
    fn nothing_is_replaced_and_nothing_half_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let publish = || {
            let (partial, _) = Partial::create(folder.path()).unwrap();
            let path = partial.publish(folder.path(), "a.tar.gz").unwrap();
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(publish(), "a.tar.gz");
        assert_eq!(publish(), "a-2.tar.gz");
        drop(Partial::create(folder.path()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

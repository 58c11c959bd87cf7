//! A folder on disk into a bundle.
//!
//! The folder may be hostile: links that lead out or round in circles, devices, names that are no
//! text, more than anyone needs. Each is left out and told; only a pack beyond the limits of
//! bundles as a whole is refused as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hearken_proto::definition::{
    Bundle, BundleFile, CONTENT_BYTES_MAX, FILES_MAX, PATH_DEPTH_MAX, is_safe_path,
};
use rustix::fs::OFlags;

use crate::{Error, Located};

/// Bytes of one file: a pack brings programs and tables, not archives.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Entries looked at in one folder, ignored ones included.
const ENTRIES_MAX: usize = 100_000;

/// Problems told of one folder; whoever sees so many has the wrong folder.
const PROBLEMS_MAX: usize = 200;

/// Whether a file or folder of this name is never part of a pack: hidden, compiled, or what an
/// editor leaves behind.
#[must_use]
pub fn is_ignored(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    name.starts_with('.')
        || name == "__pycache__"
        || name.ends_with('~')
        || (name.starts_with('#') && name.ends_with('#'))
        || matches!(ending, "pyc" | "pyo" | "swp" | "swo" | "swx" | "orig" | "rej" | "bak")
        // What vim writes to see whether it may.
        || name == "4913"
}

/// Reads the pack called `name` from `folder`, with what is wrong with single files.
///
/// # Errors
/// [`Error::Io`] when the folder itself cannot be read, [`Error::TooLarge`] when it holds more than
/// a bundle may.
pub fn read_folder(name: &str, folder: &Path) -> Result<(Bundle, Vec<Located>), Error> {
    let root = fs::canonicalize(folder).map_err(Error::io("read the pack folder", folder))?;
    let mut walk = Walk {
        pack: name,
        chain: vec![root.clone()],
        root,
        files: Vec::new(),
        bytes: 0,
        entries: 0,
        problems: Vec::new(),
    };
    let start = walk.root.clone();
    walk.folder(&start, "")?;
    let mut files = walk.files;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((Bundle { name: name.to_owned(), files }, walk.problems))
}

/// A folder being read.
struct Walk<'name> {
    /// The pack.
    pack: &'name str,
    /// Its folder, without links.
    root: PathBuf,
    /// The folders around the current place, without links: whoever meets one again goes in
    /// circles.
    chain: Vec<PathBuf>,
    /// What has been read.
    files: Vec<BundleFile>,
    /// Its bytes.
    bytes: u64,
    /// Entries seen.
    entries: usize,
    /// What is wrong.
    problems: Vec<Located>,
}

impl Walk<'_> {
    /// Reads what is in `folder`, which stands at `prefix` in the pack.
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), Error> {
        let listing = match fs::read_dir(folder) {
            Ok(listing) => listing,
            Err(error) if prefix.is_empty() => {
                return Err(Error::io("read the pack folder", folder)(error));
            }
            Err(error) => {
                self.fault(prefix, format!("this folder cannot be read: {error}"));
                return Ok(());
            }
        };
        let mut names = Vec::new();
        for entry in listing {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(self.too_large(format!("{ENTRIES_MAX} files and folders")));
            }
            let Ok(entry) = entry else { continue };
            match entry.file_name().into_string() {
                Ok(name) if is_ignored(&name) => {}
                Ok(name) => names.push(name),
                Err(name) => {
                    let shown = format!("{prefix}{}", name.to_string_lossy());
                    self.notice(&shown, "left out: the file name is not UTF-8");
                }
            }
        }
        // The file system's order is not ours: problems, too, come in the order of the names.
        names.sort();
        for name in names {
            self.entry(folder, prefix, &name)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &Path, prefix: &str, name: &str) -> Result<(), Error> {
        let path = format!("{prefix}{name}");
        if !is_safe_path(&path) {
            self.notice(
                &path,
                "left out: the path is too long or too deep, or has control characters",
            );
            return Ok(());
        }
        // Without links, so that what is checked here is what is opened below.
        let place = match fs::canonicalize(folder.join(name)) {
            Ok(place) if place.starts_with(&self.root) => place,
            Ok(_) => {
                self.fault(&path, "refused: this link leads out of the pack");
                return Ok(());
            }
            Err(error) => {
                self.fault(&path, format!("left out: {error}"));
                return Ok(());
            }
        };
        let Ok(metadata) = fs::symlink_metadata(&place) else {
            // Gone since it was listed: an editor's temporary file.
            return Ok(());
        };
        if metadata.is_dir() {
            return self.subfolder(place, &path);
        }
        if !metadata.is_file() {
            self.notice(&path, "left out: neither a file nor a folder");
            return Ok(());
        }
        self.file(&place, path)
    }

    fn subfolder(&mut self, place: PathBuf, path: &str) -> Result<(), Error> {
        if self.chain.contains(&place) {
            self.fault(path, "refused: this link leads back to a folder around it");
            return Ok(());
        }
        if self.chain.len() >= PATH_DEPTH_MAX {
            self.fault(path, format!("left out: more than {PATH_DEPTH_MAX} folders deep"));
            return Ok(());
        }
        self.chain.push(place.clone());
        let result = self.folder(&place, &format!("{path}/"));
        self.chain.pop();
        result
    }

    fn file(&mut self, place: &Path, path: String) -> Result<(), Error> {
        let (content, executable) = match read_file(place) {
            Ok(Some(read)) => read,
            Ok(None) => {
                let limit = FILE_BYTES_MAX >> 20;
                self.fault(&path, format!("left out: larger than {limit} MiB"));
                return Ok(());
            }
            Err(error) => {
                self.fault(&path, format!("left out: it cannot be read: {error}"));
                return Ok(());
            }
        };
        self.bytes += content.len() as u64;
        if self.bytes > CONTENT_BYTES_MAX {
            return Err(self.too_large(format!("{} MiB", CONTENT_BYTES_MAX >> 20)));
        }
        if self.files.len() >= FILES_MAX {
            return Err(self.too_large(format!("{FILES_MAX} files")));
        }
        self.files.push(BundleFile { path, executable, content });
        Ok(())
    }

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Located::fault(self.pack, path.trim_end_matches('/'), message));
        }
    }

    fn notice(&mut self, path: &str, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Located::notice(self.pack, path, message));
        }
    }

    fn too_large(&self, limit: String) -> Error {
        Error::TooLarge { folder: self.root.clone(), limit }
    }
}

/// The bytes of a file and whether it is executable; nothing when it is too large.
///
/// Opened so that a link put in its place is refused and a pipe does not make us wait.
fn read_file(place: &Path) -> std::io::Result<Option<(Vec<u8>, bool)>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(place)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is no longer a file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    let fits = content.len() as u64 <= FILE_BYTES_MAX;
    let executable = metadata.permissions().mode() & 0o100 != 0;
    Ok(fits.then_some((content, executable)))
}

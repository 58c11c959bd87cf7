//! Our Python modules, from the program to the disk.
//!
//! `<data>/python/<digest>/` appears whole or not at all: it is written beside and renamed. The
//! folders of other versions are left to those who may still run from them, and removed when they
//! are older than a day.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Error;

/// Path, executable or not, bytes; made by `build.rs`.
type Files = &'static [(&'static str, bool, &'static [u8])];

/// The files, `layer/…` and `last/…`.
const FILES: Files = include!(concat!(env!("OUT_DIR"), "/python.rs"));
/// Folder under the data folder.
const FOLDER: &str = "python";
/// How old the folder of another version is before it goes.
const OTHERS_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts the folders this process has begun, so that two threads never share one.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Our modules on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layer {
    /// The folder that holds both parts.
    folder: PathBuf,
}

impl Layer {
    /// What comes before everything that is installed: to be put on `PYTHONPATH`.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.folder.join("layer")
    }

    /// The program that runs actions.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.modules().join("hearken_python/__main__.py")
    }
}

/// The data folder into which the content in `folder` was unpacked: that is `<data>/content/<name>/
/// <digest>`.
#[must_use]
pub fn data_folder(folder: &Path) -> Option<&Path> {
    let content = folder.parent()?.parent()?;
    content.parent().filter(|_| content.ends_with("content"))
}

/// The name of this version of the modules: 64 hex digits.
#[must_use]
pub fn digest() -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, _executable, content) in FILES {
        // Lengths, so that no two lists of files read the same.
        for part in [path.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Puts the modules under `data` unless they are there.
///
/// # Errors
/// [`Error::Io`] with the path that could not be written.
pub fn unpack(data: &Path) -> Result<Layer, Error> {
    let all = data.join(FOLDER);
    let folder = all.join(digest());
    if folder.is_dir() {
        return Ok(Layer { folder });
    }
    fs::create_dir_all(&all).map_err(Error::io("create the folder", &all))?;
    let count = BEGUN.fetch_add(1, Ordering::Relaxed);
    let beside = all.join(format!(".unpacking-{}-{count}", std::process::id()));
    let written = write(&beside).and_then(|()| {
        fs::rename(&beside, &folder).map_err(Error::io("put the modules in place at", &folder))
    });
    if let Err(error) = written {
        // What cannot be removed now goes with the old versions.
        drop(fs::remove_dir_all(&beside));
        // Another thread was faster.
        return if folder.is_dir() { Ok(Layer { folder }) } else { Err(error) };
    }
    remove_others(&all, &folder);
    Ok(Layer { folder })
}

fn write(folder: &Path) -> Result<(), Error> {
    for (path, _executable, content) in FILES {
        let place = folder.join(path);
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::io("create the folder", parent))?;
        fs::write(&place, content).map_err(Error::io("write the file", &place))?;
    }
    Ok(())
}

/// Removes the folders of other versions, and what crashes left, once nobody can need them.
fn remove_others(all: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten().filter(|entry| entry.path() != own) {
        let age = entry.metadata().and_then(|m| m.modified()).map(|at| at.elapsed());
        if matches!(age, Ok(Ok(age)) if age > OTHERS_AGE) {
            // It costs some room until the next version tries again.
            let _removed: io::Result<()> = fs::remove_dir_all(entry.path());
        }
    }
}

//! What the kernel has been asked to watch: each root whole, or the way to where it will be.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::source::pack_folders;

/// How often a root is looked at again because the way to it changed meanwhile.
const TRIES_MAX: usize = 8;

/// Folders that are watched.
#[derive(Debug, Default)]
pub(super) struct Armed {
    /// Which folder it was (device and inode), by path: a folder that was put in place of another
    /// is another.
    folders: BTreeMap<PathBuf, (u64, u64)>,
}

impl Armed {
    /// Watches every root, or the nearest folder around one that does not exist.
    pub(super) fn arm(
        &mut self,
        roots: &[PathBuf],
        watcher: &mut RecommendedWatcher,
    ) -> Result<(), notify::Error> {
        let mut wanted = Vec::new();
        for root in roots {
            wanted.extend(self.arm_root(root, watcher)?);
            for link in linked_packs(root) {
                wanted.extend(self.arm_root(&link, watcher)?);
            }
        }
        let outdated: Vec<PathBuf> =
            self.folders.keys().filter(|folder| !wanted.contains(folder)).cloned().collect();
        for folder in outdated {
            self.folders.remove(&folder);
            // Fails when the folder is gone, and its watch with it.
            drop(watcher.unwatch(&folder));
        }
        Ok(())
    }

    /// The folder that is watched for `root`.
    fn arm_root(
        &mut self,
        root: &Path,
        watcher: &mut RecommendedWatcher,
    ) -> Result<Option<PathBuf>, notify::Error> {
        for _ in 0..TRIES_MAX {
            let Some((folder, identity)) = nearest(root) else { return Ok(None) };
            if self.folders.get(&folder) != Some(&identity) {
                drop(watcher.unwatch(&folder));
                let whole = folder == root;
                let mode =
                    if whole { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
                match watcher.watch(&folder, mode) {
                    Ok(()) => {}
                    Err(error) if is_gone(&error) => continue,
                    Err(error) => return Err(error),
                }
                self.folders.insert(folder.clone(), identity);
            }
            // What was made before the watch was there has not been told.
            if nearest(root).is_some_and(|(now, same)| now == folder && same == identity) {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }
}

/// The deepest folder on the way to `root` that exists, and which one it is.
fn nearest(root: &Path) -> Option<(PathBuf, (u64, u64))> {
    root.ancestors().find_map(|folder| {
        let metadata = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?;
        Some((folder.to_owned(), (metadata.dev(), metadata.ino())))
    })
}

/// The packs in `root` that are links to folders elsewhere.
fn linked_packs(root: &Path) -> Vec<PathBuf> {
    let is_link = |place: &PathBuf| place.symlink_metadata().is_ok_and(|found| found.is_symlink());
    pack_folders(root).into_iter().filter(is_link).collect()
}

/// Whether the folder went away before it could be watched.
fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        ErrorKind::Generic(_)
        | ErrorKind::WatchNotFound
        | ErrorKind::InvalidConfig(_)
        | ErrorKind::MaxFilesWatch => false,
    }
}

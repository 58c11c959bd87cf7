//! Whether unpacked content still has all its files.
//!
//! Programs write into the folder that they run from, and some delete there, their own program
//! included. What was pinned must run all the same, so whoever is about to run it asks here first.
//! A file cannot go without its folder changing: while no folder has changed since all files were
//! seen, nothing is looked at but the folders, which are few. Folders tell the time of their last
//! change in ticks, so what is seen counts only when the last change was some ticks ago.
//!
//! What a program changes in its files is its own affair, as with StackStorm: packs keep caches and
//! states there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hearken_proto::definition::{Bundle, BundleFile};

/// Longer than a tick of any file system's clock that we know.
const TICKS: Duration = Duration::from_millis(50);

/// Looks after one folder of content.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// The files that have to be there.
    files: Vec<PathBuf>,
    /// The folders that they are in.
    folders: Vec<PathBuf>,
    /// What the last look saw; nothing before the first, and when something was missing.
    seen: Mutex<Option<Seen>>,
}

/// What a look saw.
#[derive(Debug)]
struct Seen {
    /// When each folder had changed last.
    changed: Vec<SystemTime>,
    /// When that was seen for the first time.
    since: Instant,
    /// Whether all files were seen so long after that no change can hide behind it.
    is_settled: bool,
}

impl Upkeep {
    /// Looks after `bundle`, which was unpacked to `folder`.
    pub(crate) fn new(bundle: &Bundle, folder: &Path) -> Self {
        let files: Vec<PathBuf> = bundle.files.iter().map(|file| folder.join(&file.path)).collect();
        let mut folders = BTreeSet::from([folder]);
        for file in &files {
            let above = file.ancestors().skip(1);
            folders.extend(above.take_while(|parent| parent.starts_with(folder)));
        }
        let folders = folders.into_iter().map(Path::to_owned).collect();
        Self { files, folders, seen: Mutex::new(None) }
    }

    /// Whether nothing is missing.
    pub(crate) fn is_whole(&self) -> bool {
        let changed = |folder: &PathBuf| fs::metadata(folder).ok()?.modified().ok();
        // Taken before the files are looked at, so that what goes meanwhile shows the next time.
        let now: Option<Vec<SystemTime>> = self.folders.iter().map(changed).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.take().filter(|seen| Some(&seen.changed) == now.as_ref());
        let Some(changed) = now else { return false };
        if let Some(known) = known.as_ref().filter(|known| known.is_settled) {
            let since = known.since;
            *seen = Some(Seen { changed, since, is_settled: true });
            return true;
        }
        let since = known.map_or_else(Instant::now, |known| known.since);
        let is_settled = since.elapsed() > TICKS;
        let is_whole = self.files.iter().all(|file| fs::symlink_metadata(file).is_ok());
        *seen = is_whole.then_some(Seen { changed, since, is_settled });
        is_whole
    }
}

/// Whether all of `files` are in `folder`.
pub(super) fn has_all(folder: &Path, files: &[BundleFile]) -> bool {
    let is_there = |file: &BundleFile| fs::symlink_metadata(folder.join(&file.path)).is_ok();
    folder.is_dir() && files.iter().all(is_there)
}

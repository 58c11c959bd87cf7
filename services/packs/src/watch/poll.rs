//! What folders look like without reading files: names, sizes, times of change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bundle::is_ignored;

/// Entries looked at in one turn; what is beyond them is seen when something before them changes.
const ENTRIES_MAX: usize = 100_000;

/// Folders deep, as in bundles; also what ends links that go in circles.
const DEPTH_MAX: usize = 24;

/// The look of all roots; equal when nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(blake3::Hash);

impl Fingerprint {
    /// Looks now. Blocks.
    pub(super) fn of(roots: &[PathBuf]) -> Self {
        let mut look = Look { hasher: blake3::Hasher::new(), entries: 0 };
        for root in roots {
            look.entry(root, 0);
        }
        Self(look.hasher.finalize())
    }
}

/// Looks without blocking the caller.
pub(super) async fn fingerprint(roots: Arc<[PathBuf]>) -> Option<Fingerprint> {
    tokio::task::spawn_blocking(move || Fingerprint::of(&roots)).await.ok()
}

/// A look in progress.
struct Look {
    /// Takes in what is seen.
    hasher: blake3::Hasher,
    /// Entries seen so far.
    entries: usize,
}

impl Look {
    fn entry(&mut self, place: &Path, depth: usize) {
        self.entries += 1;
        if self.entries > ENTRIES_MAX || depth > DEPTH_MAX {
            return;
        }
        self.hasher.update(place.as_os_str().as_encoded_bytes()).update(&[0]);
        let Ok(metadata) = fs::metadata(place) else { return };
        self.hasher.update(&metadata.ino().to_le_bytes()).update(&metadata.mode().to_le_bytes());
        if !metadata.is_dir() {
            // A folder's own time changes with every ignored file in it.
            self.hasher
                .update(&metadata.len().to_le_bytes())
                .update(&metadata.mtime().to_le_bytes())
                .update(&metadata.mtime_nsec().to_le_bytes())
                .update(&metadata.ctime().to_le_bytes())
                .update(&metadata.ctime_nsec().to_le_bytes());
            return;
        }
        let Ok(listing) = fs::read_dir(place) else { return };
        let mut names: Vec<_> = listing
            .flatten()
            .take(ENTRIES_MAX)
            .map(|entry| entry.file_name())
            .filter(|name| !is_ignored(&name.to_string_lossy()))
            .collect();
        names.sort();
        for name in names {
            self.entry(&place.join(name), depth + 1);
        }
    }
}

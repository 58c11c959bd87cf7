//! Checkpoints: the names a stream remembers, in a file, so that opening need not read all entries.
//!
//! A checkpoint is only a shortcut: it says up to which sequence it is complete, and opening reads
//! the entries after it. A file that is missing, damaged, of another stream or ahead of the log is
//! ignored, and everything within `subjects_age` and `dedup_window` is read instead.
//!
//! Layout, numbers little-endian:
//!
//! ```text
//! version u8 = 1 · incarnation (16) · sequence u64 · subjects · ids (both: see `recent`)
//! · blake3 of all before (32)
//! ```

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::bits::Cursor;
use crate::chain::Incarnation;
use crate::error::Error;
use crate::recent::Recent;
use crate::view::View;

const VERSION: u8 = 1;
/// A checkpoint is written when this many entries, or as many as there are names, came since the
/// last: reading them again takes a tenth of a second, writing costs 24 bytes per entry at most.
pub(crate) const ENTRIES_MIN: u64 = 64 * 1024;

/// A checkpoint on its way to disk.
pub(crate) struct Checkpoint {
    /// The file.
    pub(crate) path: PathBuf,
    /// What to write.
    pub(crate) bytes: Vec<u8>,
}

/// The file of a stream's checkpoint.
pub(crate) fn path(folder: &Path, stream: u16) -> PathBuf {
    folder.join(format!("names-{stream:05}"))
}

/// Takes down the names of a stream, complete up to `sequence`.
pub(crate) fn take(folder: &Path, view: &View, ids: &Recent, sequence: u64) -> Checkpoint {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&view.incarnation);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    view.subjects().put(&mut bytes);
    ids.put(&mut bytes);
    let sum = *blake3::hash(&bytes).as_bytes();
    bytes.extend_from_slice(&sum);
    Checkpoint { path: path(folder, view.number), bytes }
}

impl Checkpoint {
    /// Writes the file; the old one stays until this one is complete.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let unfinished = self.path.with_extension("unfinished");
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(&self.bytes)?;
            file.sync_data()?;
            fs::rename(&unfinished, &self.path)
        };
        write().map_err(|e| Error::io(format!("write {}", self.path.display()), e))
    }
}

/// Restores what a checkpoint holds into `names`, subjects and ids; the sequence up to which it is
/// complete. One that is of no use is removed: later it could be mistaken for one that is.
pub(crate) fn restore(
    path: &Path,
    incarnation: &Incarnation,
    last: u64,
    names: (&mut Recent, &mut Recent),
) -> Result<Option<u64>, Error> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| Error::io(format!("read {}", path.display()), e))?,
    };
    let sequence = parse(&bytes, incarnation, last, names);
    if sequence.is_none() {
        tracing::warn!(file = %path.display(), "checkpoint is of no use: reading all entries");
        fs::remove_file(path).map_err(|e| Error::io(format!("remove {}", path.display()), e))?;
    }
    Ok(sequence)
}

fn parse(
    bytes: &[u8],
    incarnation: &Incarnation,
    last: u64,
    (subjects, ids): (&mut Recent, &mut Recent),
) -> Option<u64> {
    let (summed, sum) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(summed).as_bytes() != sum {
        return None;
    }
    let mut cursor = Cursor::new(summed);
    (cursor.u8()? == VERSION && cursor.array()? == *incarnation).then_some(())?;
    let sequence = cursor.u64().filter(|sequence| *sequence <= last)?;
    // Both or none: half a checkpoint would be mistaken for a whole one.
    let (old_subjects, old_ids) = (subjects.clone(), ids.clone());
    if subjects.restore(&mut cursor).and_then(|()| ids.restore(&mut cursor)).is_none() {
        (*subjects, *ids) = (old_subjects, old_ids);
        return None;
    }
    Some(sequence)
}

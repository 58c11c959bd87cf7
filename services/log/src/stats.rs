//! Figures about a log, for `doctor`, metrics and tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::shared::Shared;
use crate::view::Position;

/// What a log holds, and what it has done since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Batches written.
    pub commits: u64,
    /// Entries appended.
    pub entries: u64,
    /// Messages whose id was there already.
    pub duplicates: u64,
    /// Messages whose condition did not hold.
    pub conflicts: u64,
    /// Time spent writing and waiting for the disk.
    pub flushing: Duration,
    /// Appends waiting for the writer.
    pub queued: usize,
    /// Bytes free on the disk.
    pub free_bytes: u64,
    /// Bytes of the store's files.
    pub store_bytes: u64,
    /// Why the log refuses writes, if it does.
    pub poisoned: Option<String>,
    /// Each stream.
    pub streams: Vec<StreamStats>,
}

/// What one stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Its name.
    pub name: String,
    /// Where it begins and ends.
    pub position: Position,
    /// Bytes of its blocks, tail and segments, as they are packed.
    pub bytes: u64,
    /// The most bytes it may have.
    pub bytes_max: Option<u64>,
    /// Blocks in the store.
    pub blocks: usize,
    /// Segment files.
    pub segments: usize,
    /// Subjects that compare-and-set remembers.
    pub subjects: usize,
}

/// Collects the figures.
pub(crate) fn stats(shared: &Shared) -> Result<Stats, Error> {
    let counters = &shared.counters;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let streams = shared.views.iter().map(|view| {
        let flushed = view.read();
        let (blocks, segments) = (flushed.blocks.len(), flushed.segments.len());
        let position = flushed.position;
        drop(flushed);
        StreamStats {
            name: view.name().to_owned(),
            position,
            bytes: read(&view.bytes),
            bytes_max: view.options.bytes_max,
            blocks,
            segments,
            subjects: view.subjects().len(),
        }
    });
    Ok(Stats {
        commits: read(&counters.commits),
        entries: read(&counters.entries),
        duplicates: read(&counters.duplicates),
        conflicts: read(&counters.conflicts),
        flushing: Duration::from_micros(read(&counters.flush_micros)),
        queued: shared.queue.len(),
        free_bytes: shared.ballast.free()?,
        store_bytes: shared.store.bytes_on_disk()?,
        poisoned: shared.poisoned().map(|why| why.to_string()),
        streams: streams.collect(),
    })
}

//! What readers see of a stream: only what was flushed.
//!
//! The writer publishes after each flush: rows of the commit as a [`Chunk`], metadata of new
//! blocks, the new head. Recent chunks stay in memory, so that readers near the head touch neither
//! the store nor the compression. Readers hold the lock to find out where to read, not while they
//! read, and look again when a block went to a segment file or away in the meantime.
//!
//! Invariant: every flushed entry that was not dropped is in exactly one of `segments`, `blocks`
//! and the tail (chunks from `tail_first` on), in this order; chunks may repeat what blocks have.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use hearken_proto::Timestamp;

use crate::block::Header;
use crate::chain::{Hash, Incarnation};
use crate::command::fenced;
use crate::filter::Filter;
use crate::options::StreamOptions;
use crate::recent::Recent;
use crate::row::Place;
use crate::segment::Segment;
use crate::store::{Family, Key};

/// Entries kept in memory per stream …
const RECENT_ENTRIES_MAX: usize = 4096;
/// … and their bytes: four streams must fit into the 40 MiB of the whole program at rest.
const RECENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Callbacks of one stream. There is one per consumer, and each is called for each commit.
pub(crate) const WATCHERS_MAX: usize = 4096;

/// Where a stream begins and ends, as flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Sequence of the first entry still there; `last + 1` when there is none.
    pub first: u64,
    /// Sequence of the last entry ever; 0 when there never was one.
    pub last: u64,
    /// Log time of the last entry.
    pub time: Timestamp,
    /// The hash chain after the last entry.
    pub chain: [u8; 32],
}

/// The rows of one commit, as far as they belong to one block.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// What the first row is written relative to.
    pub(crate) base: Place,
    /// The last row.
    pub(crate) last: u64,
    /// How many rows.
    pub(crate) rows: usize,
    /// The rows.
    pub(crate) bytes: Bytes,
}

/// What is kept in memory of a block.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// Sequence of the first row.
    pub(crate) first: u64,
    /// Sequence of the last row.
    pub(crate) last: u64,
    /// The earliest time of a row.
    pub(crate) earliest: Timestamp,
    /// The latest time of a row.
    pub(crate) latest: Timestamp,
    /// How many rows.
    pub(crate) rows: usize,
    /// Bytes of the encoded block.
    pub(crate) bytes: usize,
    /// The chain after the last row.
    pub(crate) after: Hash,
    /// Which names it may have.
    pub(crate) filter: Filter,
    /// The names themselves, for the filter of the segment that it will be part of; `None` when the
    /// block was there before the log was opened.
    pub(crate) names: Option<Arc<[u64]>>,
}

impl Meta {
    pub(crate) fn new(header: Header, bytes: usize, names: Option<Arc<[u64]>>) -> Self {
        let Header { rows, first, last, earliest, latest, after, filter, .. } = header;
        Self { first, last, earliest, latest, rows, bytes, after, filter, names }
    }

    /// Its key in the store.
    pub(crate) const fn key(&self, stream: u16) -> Key {
        Key { family: Family::Block, stream, first: self.first }
    }
}

/// What was flushed.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    /// Where the stream begins and ends.
    pub(crate) position: Position,
    /// Old blocks in files, in order.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Blocks in the store, in order.
    pub(crate) blocks: VecDeque<Meta>,
    /// Rows of all `blocks`.
    pub(crate) rows: u64,
    /// The first entry that is in no block yet.
    pub(crate) tail_first: u64,
    /// The last rows, in order; those from `tail_first` on are all there.
    pub(crate) chunks: VecDeque<Chunk>,
    /// Rows and bytes of all chunks.
    pub(crate) recent: (usize, usize),
}

impl Flushed {
    /// Adds rows behind those that are there, and lets go of the oldest.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        self.recent.0 += chunk.rows;
        self.recent.1 += chunk.bytes.len();
        self.chunks.push_back(chunk);
    }

    /// Lets go of chunks that nobody needs.
    pub(crate) fn trim(&mut self) {
        while self.recent.0 > RECENT_ENTRIES_MAX || self.recent.1 > RECENT_BYTES_MAX {
            match self.chunks.front() {
                Some(chunk) if chunk.last < self.tail_first => self.pop(),
                _ => break,
            }
        }
    }

    /// Lets go of all chunks that hold entries up to `last`.
    pub(crate) fn forget_chunks(&mut self, last: u64) {
        while self.chunks.front().is_some_and(|chunk| chunk.base.sequence < last) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.recent.0 -= chunk.rows;
            self.recent.1 -= chunk.bytes.len();
        }
    }

    /// Adds a block behind those that are there.
    pub(crate) fn push_block(&mut self, meta: Meta) {
        self.rows += meta.rows as u64;
        self.blocks.push_back(meta);
    }

    /// Takes the oldest blocks away.
    pub(crate) fn pop_blocks(&mut self, count: usize) {
        for meta in self.blocks.drain(..count.min(self.blocks.len())) {
            self.rows -= meta.rows as u64;
        }
    }

    /// Puts one block in the place of several neighbours.
    pub(crate) fn replace_blocks(&mut self, old: &[Meta], meta: Meta) {
        let Some(first) = old.first() else { return };
        let at = self.blocks.partition_point(|block| block.first < first.first);
        for gone in self.blocks.drain(at..(at + old.len()).min(self.blocks.len())) {
            self.rows -= gone.rows as u64;
        }
        self.rows += meta.rows as u64;
        self.blocks.insert(at, meta);
    }

    /// Chunks from the one that holds `from` on; `None` when memory does not reach back to it.
    pub(crate) fn recent_from(&self, from: u64) -> Option<impl Iterator<Item = &Chunk>> {
        let oldest = self.chunks.front()?;
        if from <= oldest.base.sequence {
            return None;
        }
        let at = self.chunks.partition_point(|chunk| chunk.last < from);
        Some(self.chunks.range(at..))
    }

    /// The first entry that is there, or the next sequence.
    pub(crate) fn first(&self) -> u64 {
        let segment = self.segments.first().map(|segment| segment.first);
        let block = self.blocks.front().map(|block| block.first);
        segment.or(block).unwrap_or(self.tail_first)
    }
}

/// Called with the new last sequence after each flush.
pub(crate) type Watcher = Arc<dyn Fn(u64) + Send + Sync>;

/// One stream, as readers see it.
pub(crate) struct View {
    /// What it keeps.
    pub(crate) options: StreamOptions,
    /// Its number in keys and file names.
    pub(crate) number: u16,
    /// Its random id.
    pub(crate) incarnation: Incarnation,
    /// Bytes on disk, of blocks, tail and segments.
    pub(crate) bytes: AtomicU64,
    /// The last flushed sequence of each subject.
    pub(crate) subjects: Mutex<Recent>,
    flushed: RwLock<Flushed>,
    watchers: Mutex<Vec<(u64, Watcher)>>,
    watchers_ever: AtomicU64,
}

impl View {
    pub(crate) fn new(
        options: StreamOptions,
        number: u16,
        incarnation: Incarnation,
        flushed: Flushed,
        bytes: u64,
    ) -> Self {
        let age = (!options.one_per_subject).then_some(options.subjects_age);
        let subjects = Recent::new(age, options.subjects_max);
        Self {
            options,
            number,
            incarnation,
            bytes: AtomicU64::new(bytes),
            subjects: Mutex::new(subjects),
            flushed: RwLock::new(flushed),
            watchers: Mutex::default(),
            watchers_ever: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.options.name
    }

    /// What was flushed, to look at.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Flushed> {
        self.flushed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was flushed, to change.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Flushed> {
        self.flushed.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last flushed sequence of each subject, to ask or to change.
    pub(crate) fn subjects(&self) -> MutexGuard<'_, Recent> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the stream begins and ends.
    pub(crate) fn position(&self) -> Position {
        self.read().position
    }

    /// Registers a callback; the number is for [`View::unwatch`].
    pub(crate) fn watch(&self, watcher: Watcher) -> Option<u64> {
        let number = self.watchers_ever.fetch_add(1, Ordering::Relaxed);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if watchers.len() >= WATCHERS_MAX {
            return None;
        }
        watchers.push((number, watcher));
        Some(number)
    }

    /// Removes a callback.
    pub(crate) fn unwatch(&self, number: u64) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|(other, _)| *other != number);
    }

    /// Tells everybody that the head moved.
    pub(crate) fn tell(&self, last: u64) {
        let watchers: Vec<Watcher> = {
            let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
            watchers.iter().map(|(_, watcher)| Arc::clone(watcher)).collect()
        };
        for watcher in watchers {
            fenced(|| watcher(last));
        }
    }

    /// Adds to, or takes from, the bytes on disk.
    pub(crate) fn count_bytes(&self, added: u64, removed: u64) {
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_sub(removed.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

//! The open block: the rows at the end of a stream that do not fill a block yet.
//!
//! Each commit leaves its rows as a *tail record* in the store; when 64 rows or 64 KiB are
//! together, they become a block and the records go, in one batch. So the tail is one key per
//! commit and nothing is written twice more than once.

use std::sync::Arc;

use bytes::Bytes;
use hearken_proto::Timestamp;

use crate::block::{BLOCK_BYTES, BLOCK_ROWS_MAX, Header};
use crate::chain::{self, Hash, ROWS_MAX, Salt, Salts};
use crate::filter::{Collector, Filter};
use crate::name::Name;
use crate::row::{Names, Place, Rows, put_whole};
use crate::view::Chunk;

/// Rows on their way into a block.
pub(crate) struct Open {
    /// What the first row is written relative to.
    pub(crate) base: Place,
    /// The chain before the first row.
    before: Hash,
    seed: [u8; 32],
    salts: Box<[Salt; ROWS_MAX]>,
    rows: Vec<u8>,
    count: usize,
    first: u64,
    last: Place,
    /// The chain after the last row.
    chain: Hash,
    times: (Timestamp, Timestamp),
    names: Collector,
    /// Tail records in the store: first sequence and bytes.
    pub(crate) records: Vec<(u64, usize)>,
    /// How far rows are in tail records.
    recorded: Mark,
}

/// A point between two rows of the open block.
#[derive(Clone, Copy)]
struct Mark {
    bytes: usize,
    count: usize,
    place: Place,
    chain: Hash,
}

impl Open {
    /// An empty block after `base`, where the chain is `before`.
    pub(crate) fn new(base: Place, before: Hash, seed: [u8; 32]) -> Self {
        Self {
            base,
            before,
            seed,
            salts: Box::new(chain::expand(&seed)),
            rows: Vec::new(),
            count: 0,
            first: 0,
            last: base,
            chain: before,
            times: (base.time, base.time),
            names: Collector::default(),
            records: Vec::new(),
            recorded: Mark { bytes: 0, count: 0, place: base, chain: before },
        }
    }

    /// Starts over after its last row, keeping the memory.
    pub(crate) fn restart(&mut self, seed: [u8; 32]) {
        let rows = std::mem::take(&mut self.rows);
        let names = std::mem::take(&mut self.names);
        *self = Self { names, ..Self::new(self.last, self.chain, seed) };
        self.rows = rows;
        self.rows.clear();
    }

    /// Whether it must become a block before another row comes.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= BLOCK_ROWS_MAX || self.rows.len() >= BLOCK_BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of rows that are not in a tail record yet.
    pub(crate) const fn unrecorded(&self) -> usize {
        self.rows.len() - self.recorded.bytes
    }

    /// The last row and the chain after it.
    pub(crate) const fn end(&self) -> (Place, Hash) {
        (self.last, self.chain)
    }

    /// Adds a row. The caller has made room: see [`Open::is_full`].
    pub(crate) fn push(
        &mut self,
        linker: &mut chain::Linker,
        place: Place,
        names: &Names<'_>,
        content: &[u8],
        hashes: (Name, Option<Name>),
    ) {
        debug_assert!(place.sequence > self.last.sequence && !self.is_full());
        let Some(salt) = self.salts.get(self.count) else { return };
        let digest = chain::digest(salt, content);
        self.chain = linker.link(&self.chain, place, names, &digest);
        put_whole(&mut self.rows, self.last, place, names, content);
        self.names.add(names, hashes.0, hashes.1);
        if self.count == 0 {
            self.first = place.sequence;
            self.times = (place.time, place.time);
        }
        self.times = (self.times.0.min(place.time), self.times.1.max(place.time));
        self.count += 1;
        self.last = place;
    }

    /// The header, rows and names of the block that it makes.
    pub(crate) fn block(&mut self) -> (Header, &[u8], Arc<[u64]>) {
        let names = self.names.take();
        let header = Header {
            rows: self.count,
            first: self.first,
            last: self.last.sequence,
            base: self.base,
            earliest: self.times.0,
            latest: self.times.1,
            before: self.before,
            after: self.chain,
            salts: Salts::Seed(self.seed),
            filter: Filter::build(&names),
        };
        (header, &self.rows, names.into())
    }

    /// The header and rows of the tail record for what is in none yet.
    pub(crate) fn record(&self) -> (Header, &[u8]) {
        let from = self.recorded;
        let header = Header {
            rows: self.count - from.count,
            first: from.place.sequence + 1,
            last: self.last.sequence,
            base: from.place,
            earliest: self.times.0,
            latest: self.times.1,
            before: from.chain,
            after: self.chain,
            salts: Salts::Seed(self.seed),
            filter: Filter::build(&[]),
        };
        (header, self.rows.get(from.bytes..).unwrap_or_default())
    }

    /// The rows that no reader has seen yet; they count as recorded from now on.
    pub(crate) fn take_chunk(&mut self) -> Option<Chunk> {
        let from = self.recorded;
        let bytes = Bytes::copy_from_slice(self.rows.get(from.bytes..)?);
        self.recorded =
            Mark { bytes: self.rows.len(), count: self.count, place: self.last, chain: self.chain };
        let rows = self.count - from.count;
        let last = self.last.sequence;
        (rows > 0).then_some(Chunk { base: from.place, last, rows, bytes })
    }
}

impl Open {
    /// Takes over a tail record read back from the store; `false` when it does not follow.
    pub(crate) fn adopt(&mut self, header: &Header, rows: &[u8], bytes: usize) -> bool {
        let follows = header.base == self.last
            && header.before == self.chain
            && header.salts == Salts::Seed(self.seed)
            && self.count + header.rows <= BLOCK_ROWS_MAX;
        if !follows {
            return false;
        }
        let mut count = 0;
        for row in Rows::new(header.base, rows) {
            let Ok(row) = row else { return false };
            if let Some(names) = row.names() {
                self.names.add(&names, Name::subject(names.subject), id_of(&names));
            }
            if self.count == 0 && count == 0 {
                self.first = row.place.sequence;
                self.times = (row.place.time, row.place.time);
            }
            let time = row.place.time;
            self.times = (self.times.0.min(time), self.times.1.max(time));
            self.last = row.place;
            count += 1;
        }
        self.rows.extend_from_slice(rows);
        self.count += count;
        self.chain = header.after;
        self.records.push((header.first, bytes));
        count == header.rows && self.last.sequence == header.last
    }
}

/// The hash of an entry's id, if it has one.
pub(crate) fn id_of(names: &Names<'_>) -> Option<Name> {
    (!names.id.is_empty()).then(|| Name::id(names.id))
}

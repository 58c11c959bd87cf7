//! Blocks: up to 64 entries, packed and compressed; the unit of storage and of reading.
//!
//! Constraints: a store key costs 10 us and twice its bytes, so entries are not keys; readers that
//! look for one name must be able to pass over a block without unpacking it; the chain must be
//! verifiable block by block; and one entry's content must be erasable without touching other
//! blocks. The same bytes are used in the store, for tails (what one commit leaves of a block that
//! is not full yet, without filter) and in segment files.
//!
//! Layout, numbers little-endian, `v` for varint:
//!
//! ```text
//! version u8 = 1 · rows v
//! first sequence u64 · last sequence u64 · base sequence u64 · base time i64
//! earliest time i64 · latest time i64
//! chain before the first row (32) · chain after the last row (32)
//! salts: 0 u8 · seed (32)   or   1 u8 · count v · salts (32 each)
//! filter: length v · bits
//! sum of all before: the first 8 bytes of their blake3
//! rows: raw length v · 1 u8 · one zstd frame with checksum   (or 0 u8 · raw bytes: small tails)
//! ```
//!
//! Operations: [`Block::encode`], [`Header::parse`] (no unpacking), [`Header::unpack`].

use std::sync::Mutex;

use bytes::Bytes;
use hearken_proto::Timestamp;

use crate::bits::{Cursor, put_len};
use crate::chain::{Hash, ROWS_MAX, Salts};
use crate::filter::Filter;
use crate::row::{Place, Rows};

/// A block is full at this many rows …
pub(crate) const BLOCK_ROWS_MAX: usize = ROWS_MAX;
/// … or at this many bytes, whichever comes first. The last entry may reach beyond.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
/// No raw block is larger than a block just short of full plus the largest entry. Merged blocks of
/// a stream with one entry per subject keep to it as well.
pub(crate) const BLOCK_BYTES_MAX: usize =
    BLOCK_BYTES + crate::ENTRY_BYTES_MAX + 4 * crate::NAME_BYTES_MAX;
/// Level 1 packs JSON to a quarter at 2 ns a byte; level 3 gains 5 % for twice the time.
const LEVEL: i32 = 1;
/// Shorter tails are stored as they are: those of quiet streams.
const PACKED_BYTES_MIN: usize = 1024;
const VERSION: u8 = 1;
const SEED: u8 = 0;
const LISTED: u8 = 1;
const RAW: u8 = 0;
const PACKED: u8 = 1;

/// What is known about a block without unpacking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// How many rows it has.
    pub(crate) rows: usize,
    /// Sequence of its first row.
    pub(crate) first: u64,
    /// Sequence of its last row.
    pub(crate) last: u64,
    /// What the first row is written relative to.
    pub(crate) base: Place,
    /// The earliest time of a row.
    pub(crate) earliest: Timestamp,
    /// The latest time of a row.
    pub(crate) latest: Timestamp,
    /// The chain before the first row.
    pub(crate) before: Hash,
    /// The chain after the last row.
    pub(crate) after: Hash,
    /// The salts of its rows.
    pub(crate) salts: Salts,
    /// Which names it may have.
    pub(crate) filter: Filter,
}

/// An unpacked block.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    /// What its first row is written relative to.
    pub(crate) base: Place,
    /// The rows as bytes; entries made of them share these.
    pub(crate) bytes: Bytes,
}

impl Unpacked {
    /// The rows in order.
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(self.base, &self.bytes)
    }
}

/// Packs and unpacks; holds the working memory of the compression.
///
/// One per log: the writer packs, any number of readers unpack. Unpacking contexts (150 kB each)
/// are kept for the next reader, at most [`READERS_KEPT`] of them.
pub(crate) struct Packer {
    compressor: Mutex<(zstd::bulk::Compressor<'static>, Vec<u8>)>,
    decompressors: Mutex<Vec<zstd::bulk::Decompressor<'static>>>,
}

/// Readers beyond these make and drop their own context.
const READERS_KEPT: usize = 4;

impl Packer {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self {
            compressor: Mutex::new((compressor, Vec::new())),
            decompressors: Mutex::default(),
        })
    }

    /// Writes a block. Packed even if that makes it longer: the checksum is part of it.
    pub(crate) fn encode(&self, header: &Header, rows: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut compressor = lock(&self.compressor);
        let (compressor, scratch) = &mut *compressor;
        scratch.clear();
        scratch.reserve(zstd::zstd_safe::compress_bound(rows.len()));
        compressor.compress_to_buffer(rows, scratch)?;
        Ok(header.block(rows.len(), PACKED, scratch))
    }

    /// Writes a tail record, which lives for a short time in the store, with checksums of its own.
    pub(crate) fn encode_tail(&self, header: &Header, rows: &[u8]) -> std::io::Result<Vec<u8>> {
        if rows.len() < PACKED_BYTES_MIN {
            return Ok(header.block(rows.len(), RAW, rows));
        }
        self.encode(header, rows)
    }

    /// Reads the rows of a block; `None` when the bytes are not what was written.
    pub(crate) fn decode(&self, block: &[u8]) -> Option<(Header, Unpacked)> {
        let mut cursor = Cursor::new(block);
        let header = Header::take_checked(&mut cursor)?;
        let raw_len = cursor.len().filter(|len| *len <= BLOCK_BYTES_MAX)?;
        let bytes = match cursor.u8()? {
            RAW => cursor.rest().to_vec(),
            PACKED => self.unpack(cursor.rest(), raw_len)?,
            _ => return None,
        };
        let base = header.base;
        (bytes.len() == raw_len).then(|| (header, Unpacked { base, bytes: bytes.into() }))
    }

    fn unpack(&self, packed: &[u8], raw_len: usize) -> Option<Vec<u8>> {
        let kept = lock(&self.decompressors).pop();
        let mut decompressor = match kept {
            Some(decompressor) => decompressor,
            None => zstd::bulk::Decompressor::new().ok()?,
        };
        let bytes = decompressor.decompress(packed, raw_len).ok();
        let mut kept = lock(&self.decompressors);
        if kept.len() < READERS_KEPT {
            kept.push(decompressor);
        }
        bytes
    }
}

/// A panic elsewhere leaves compression contexts usable: each call starts afresh.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Bytes of the sum of a header: enough to notice damage, the chain is for malice.
const SUM_BYTES: usize = 8;

fn sum(header: &[u8]) -> [u8; SUM_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(header).as_bytes();
    [a, b, c, d, e, f, g, h]
}

impl Header {
    /// Reads the header of a block; `None` when the bytes are not one.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        Self::take_checked(&mut Cursor::new(block))
    }

    /// How many bytes of a block are its header, sum included.
    pub(crate) fn bytes(&self) -> usize {
        let mut out = Vec::new();
        self.put(&mut out);
        out.len() + SUM_BYTES
    }

    /// The block with this header.
    fn block(&self, raw_len: usize, kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + self.filter.bytes().len() + 256);
        self.put(&mut out);
        let sum = sum(&out);
        out.extend_from_slice(&sum);
        put_len(&mut out, raw_len);
        out.push(kind);
        out.extend_from_slice(body);
        out
    }

    fn take_checked(cursor: &mut Cursor<'_>) -> Option<Self> {
        let start = cursor.rest();
        let header = Self::take(cursor)?;
        let summed = start.get(..start.len() - cursor.rest().len())?;
        (cursor.array()? == sum(summed)).then_some(header)
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_len(out, self.rows);
        for number in [self.first, self.last, self.base.sequence] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.base.time, self.earliest, self.latest] {
            out.extend_from_slice(&time.nanos().to_le_bytes());
        }
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.after);
        match &self.salts {
            Salts::Seed(seed) => {
                out.push(SEED);
                out.extend_from_slice(seed);
            }
            Salts::Listed(salts) => {
                out.push(LISTED);
                put_len(out, salts.len());
                out.extend_from_slice(salts.as_flattened());
            }
        }
        put_len(out, self.filter.bytes().len());
        out.extend_from_slice(self.filter.bytes());
    }

    fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        if cursor.u8()? != VERSION {
            return None;
        }
        let rows = cursor.len().filter(|rows| *rows <= BLOCK_ROWS_MAX)?;
        let [first, last, sequence] = [cursor.u64()?, cursor.u64()?, cursor.u64()?];
        let times = [cursor.i64()?, cursor.i64()?, cursor.i64()?];
        let [time, earliest, latest] = times.map(Timestamp::from_nanos);
        let [before, after] = [cursor.array()?, cursor.array()?];
        let salts = match cursor.u8()? {
            SEED => Salts::Seed(cursor.array()?),
            LISTED => {
                let count = cursor.len().filter(|count| *count <= rows)?;
                Salts::Listed((0..count).map(|_| cursor.array()).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        let filter_len = cursor.len()?;
        let filter = Filter::from_bytes(cursor.take(filter_len)?);
        (first <= last && sequence < first).then_some(())?;
        let base = Place { sequence, time };
        Some(Self { rows, first, last, base, earliest, latest, before, after, salts, filter })
    }
}

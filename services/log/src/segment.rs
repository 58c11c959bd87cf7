//! Segments: files of old blocks, written once.
//!
//! Constraints: years of blocks must cost neither memory nor time at start; a reader in sequence
//! must find its place with two reads; a question for one name must be able to pass over a file
//! with one read of 64 bytes; a file that was cut off or damaged must be recognised.
//!
//! Layout, numbers little-endian; blocks are the same bytes as in the store:
//!
//! ```text
//! magic (8) · blocks · index · filter lines (64 each) · footer
//! index:  per block: first u64 · last u64 · earliest i64 · latest i64 · offset u64
//!         · bytes u32 · bytes of its header u32
//! footer: blocks u64 · index offset u64 · lines u64 · first u64 · last u64 · earliest i64
//!         · latest i64 · rows u64 · chain after the last row (32) · blake3 of the index (32)
//!         · blake3 of the lines (32) · blake3 of the footer so far (32) · magic (8)
//! ```
//!
//! Operations: [`write`], [`Segment::open`] (reads the footer), [`Segment::may_have`] (reads a
//! line), [`Segment::read_lines`], [`Reader::open`] (reads the index), [`Reader::block`].
//!
//! A file is complete before it gets its name: `<stream>-<first sequence>-<generation>.segment`.
//! The generation grows when a file is written again because something in it was erased.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, IntoInnerError, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hearken_proto::Timestamp;

use crate::bits::Cursor;
use crate::block::Header;
use crate::chain::Hash;
use crate::error::Error;
use crate::filter::{LINE_BYTES, line_may_have, line_of};

const MAGIC: [u8; 8] = *b"hearkn\x01\n";
const SLOT_BYTES: usize = 48;
const FOOTER_BYTES: usize = 8 * 8 + 4 * 32 + 8;
/// A segment with more blocks than this was not written by us.
const BLOCKS_MAX: u64 = 1 << 16;
/// Ten bits for each name of the largest segment: 64 MiB.
const LINES_MAX: u64 = 1 << 20;

/// What is kept in memory of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The file.
    pub(crate) path: PathBuf,
    /// How often it was written again.
    pub(crate) generation: u32,
    /// Sequence of the first row.
    pub(crate) first: u64,
    /// Sequence of the last row.
    pub(crate) last: u64,
    /// The earliest time of a row.
    pub(crate) earliest: Timestamp,
    /// The latest time of a row.
    pub(crate) latest: Timestamp,
    /// The chain after the last row.
    pub(crate) after: Hash,
    /// How many rows.
    pub(crate) rows: u64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    index: u64,
    blocks: u64,
    lines: u64,
    index_sum: Hash,
    lines_sum: Hash,
}

/// What the index knows about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Sequence of the first row.
    pub(crate) first: u64,
    /// Sequence of the last row.
    pub(crate) last: u64,
    /// The earliest time of a row.
    pub(crate) earliest: Timestamp,
    /// The latest time of a row.
    pub(crate) latest: Timestamp,
    offset: u64,
    bytes: u32,
    header_bytes: u32,
}

/// A block on its way into a segment.
pub(crate) struct Part {
    /// Its header.
    pub(crate) header: Header,
    /// Its bytes.
    pub(crate) block: Vec<u8>,
}

/// The file name of a segment.
pub(crate) fn file_name(stream: u16, first: u64, generation: u32) -> String {
    format!("{stream:05}-{first:020}-{generation:05}.segment")
}

/// Stream, first sequence and generation of a file name.
pub(crate) fn parse_file_name(name: &str) -> Option<(u16, u64, u32)> {
    let mut parts = name.strip_suffix(".segment")?.splitn(3, '-');
    let stream = parts.next()?.parse().ok()?;
    let first = parts.next()?.parse().ok()?;
    Some((stream, first, parts.next()?.parse().ok()?))
}

/// Writes the blocks into a new file and names it when the disk has it.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    parts: &[Part],
    lines: &[u8],
) -> Result<Segment, Error> {
    let path = folder.join(name);
    let unfinished = path.with_extension("unfinished");
    let written = write_file(&unfinished, parts, lines);
    if let Err(error) = written.and_then(|()| fs::rename(&unfinished, &path)) {
        // On a full disk the part that was written is in the way. Opening removes it as well.
        drop(fs::remove_file(&unfinished));
        return Err(Error::io(format!("write {}", path.display()), error));
    }
    sync_folder(folder)?;
    Segment::open(&path)
}

fn write_file(path: &Path, parts: &[Part], lines: &[u8]) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
    let tail = write_parts(&mut out, parts, lines)?;
    out.write_all(&tail)?;
    out.into_inner().map_err(IntoInnerError::into_error)?.sync_all()
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| Error::io(format!("sync {}", folder.display()), e))
}

/// Writes magic and blocks; returns index, lines and footer.
fn write_parts(out: &mut impl Write, parts: &[Part], lines: &[u8]) -> std::io::Result<Vec<u8>> {
    out.write_all(&MAGIC)?;
    let mut offset = MAGIC.len() as u64;
    let mut tail = Vec::with_capacity(parts.len() * SLOT_BYTES + lines.len() + FOOTER_BYTES);
    for Part { header, block } in parts {
        out.write_all(block)?;
        let too_large = |_| std::io::Error::other("a block is larger than 4 GiB");
        for number in [header.first, header.last] {
            tail.extend_from_slice(&number.to_le_bytes());
        }
        for time in [header.earliest, header.latest] {
            tail.extend_from_slice(&time.nanos().to_le_bytes());
        }
        tail.extend_from_slice(&offset.to_le_bytes());
        tail.extend_from_slice(&u32::try_from(block.len()).map_err(too_large)?.to_le_bytes());
        let header_bytes = u32::try_from(header.bytes()).map_err(too_large)?;
        tail.extend_from_slice(&header_bytes.to_le_bytes());
        offset += block.len() as u64;
    }
    let index_sum = *blake3::hash(&tail).as_bytes();
    tail.extend_from_slice(lines);
    let lines_sum = *blake3::hash(lines).as_bytes();
    let headers = || parts.iter().map(|part| &part.header);
    let (Some(front), Some(back)) = (headers().next(), headers().next_back()) else {
        return Err(std::io::Error::other("a segment has at least one block"));
    };
    let earliest = headers().map(|header| header.earliest).min().unwrap_or_default();
    let latest = headers().map(|header| header.latest).max().unwrap_or_default();
    let rows: usize = headers().map(|header| header.rows).sum();
    let mut footer = Vec::with_capacity(FOOTER_BYTES);
    let lines = lines.len() / LINE_BYTES;
    for number in [parts.len() as u64, offset, lines as u64, front.first, back.last] {
        footer.extend_from_slice(&number.to_le_bytes());
    }
    for time in [earliest, latest] {
        footer.extend_from_slice(&time.nanos().to_le_bytes());
    }
    footer.extend_from_slice(&(rows as u64).to_le_bytes());
    for hash in [back.after, index_sum, lines_sum] {
        footer.extend_from_slice(&hash);
    }
    let footer_sum = *blake3::hash(&footer).as_bytes();
    footer.extend_from_slice(&footer_sum);
    footer.extend_from_slice(&MAGIC);
    tail.extend_from_slice(&footer);
    Ok(tail)
}

impl Segment {
    /// Reads the footer of a file.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let fail = |e| Error::io(format!("read {}", path.display()), e);
        let file = File::open(path).map_err(fail)?;
        let bytes = file.metadata().map_err(fail)?.len();
        let mut footer = [0; FOOTER_BYTES];
        let damaged = || Error::corrupt(&path.display().to_string(), 0, "its footer is damaged");
        let at = bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
        file.read_exact_at(&mut footer, at).map_err(fail)?;
        let name = path.file_name().and_then(|name| name.to_str()).and_then(parse_file_name);
        let (_, _, generation) = name.ok_or_else(damaged)?;
        Self::parse(path, generation, bytes, &footer).ok_or_else(damaged)
    }

    fn parse(path: &Path, generation: u32, bytes: u64, footer: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(footer);
        let summed = footer.get(..FOOTER_BYTES - 40)?;
        let blocks = cursor.u64().filter(|blocks| *blocks <= BLOCKS_MAX)?;
        let index = cursor.u64()?;
        let lines = cursor.u64().filter(|lines| (1..=LINES_MAX).contains(lines))?;
        let [first, last] = [cursor.u64()?, cursor.u64()?];
        let earliest = Timestamp::from_nanos(cursor.i64()?);
        let latest = Timestamp::from_nanos(cursor.i64()?);
        let rows = cursor.u64()?;
        let [after, index_sum] = [cursor.array()?, cursor.array()?];
        let [lines_sum, footer_sum] = [cursor.array()?, cursor.array()?];
        let magic: [u8; 8] = cursor.array()?;
        let end = index + blocks * SLOT_BYTES as u64 + lines * LINE_BYTES as u64;
        let whole = magic == MAGIC
            && footer_sum == *blake3::hash(summed).as_bytes()
            && end + FOOTER_BYTES as u64 == bytes;
        whole.then(|| Self {
            path: path.to_owned(),
            generation,
            first,
            last,
            earliest,
            latest,
            after,
            rows,
            bytes,
            index,
            blocks,
            lines,
            index_sum,
            lines_sum,
        })
    }

    const fn lines_at(&self) -> u64 {
        self.index + self.blocks * SLOT_BYTES as u64
    }

    /// Whether some block may have all of these names, by one small read for each; `None` when the
    /// file is gone. A line is not checked for damage: see [`Segment::read_lines`].
    pub(crate) fn may_have(&self, names: &[u64]) -> Result<Option<bool>, Error> {
        let fail = |e| Error::io(format!("read {}", self.path.display()), e);
        let file = match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(fail)?,
        };
        let lines = usize::try_from(self.lines).unwrap_or(1);
        for name in names {
            let at = self.lines_at() + (line_of(*name, lines) * LINE_BYTES) as u64;
            let mut line = [0; LINE_BYTES];
            file.read_exact_at(&mut line, at).map_err(fail)?;
            if !line_may_have(&line, *name) {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// The filter, if it is what was written.
    pub(crate) fn read_lines(&self) -> Result<Vec<u8>, Error> {
        let fail = |e| Error::io(format!("read {}", self.path.display()), e);
        let file = File::open(&self.path).map_err(fail)?;
        let len = usize::try_from(self.lines).unwrap_or(0) * LINE_BYTES;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, self.lines_at()).map_err(fail)?;
        if *blake3::hash(&bytes).as_bytes() != self.lines_sum {
            let file = self.path.display().to_string();
            return Err(Error::corrupt(&file, self.first, "its filter is damaged"));
        }
        Ok(bytes)
    }
}

/// An open segment and its index.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    /// The file it is: a reader that was looked up for an older generation is of no use.
    pub(crate) path: PathBuf,
    /// What the index says, in order.
    pub(crate) slots: Vec<Slot>,
}

impl Reader {
    /// Opens the file and reads its index; `None` when the file is gone.
    pub(crate) fn open(segment: &Segment) -> Result<Option<Self>, Error> {
        let path = &segment.path;
        let fail = |e| Error::io(format!("read {}", path.display()), e);
        let file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(fail)?,
        };
        let damaged = || Error::corrupt(&path.display().to_string(), 0, "its index is damaged");
        let blocks = usize::try_from(segment.blocks).map_err(|_| damaged())?;
        let mut bytes = vec![0; blocks * SLOT_BYTES];
        file.read_exact_at(&mut bytes, segment.index).map_err(fail)?;
        if *blake3::hash(&bytes).as_bytes() != segment.index_sum {
            return Err(damaged());
        }
        let mut cursor = Cursor::new(&bytes);
        let slots = (0..blocks).map(|_| Slot::take(&mut cursor));
        let slots = slots.collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        Ok(Some(Self { file, path: path.clone(), slots }))
    }

    /// The bytes of a block.
    pub(crate) fn block(&self, slot: &Slot) -> Result<Vec<u8>, Error> {
        self.bytes(slot.offset, slot.bytes)
    }

    /// The header of a block.
    pub(crate) fn header(&self, slot: &Slot) -> Result<Header, Error> {
        let bytes = self.bytes(slot.offset, slot.header_bytes)?;
        Header::parse(&bytes).ok_or_else(|| {
            let file = self.path.display().to_string();
            Error::corrupt(&file, slot.first, "the header of a block is malformed")
        })
    }

    fn bytes(&self, offset: u64, len: u32) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|e| Error::io(format!("read {}", self.path.display()), e))?;
        Ok(bytes)
    }
}

impl Slot {
    fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            first: cursor.u64()?,
            last: cursor.u64()?,
            earliest: Timestamp::from_nanos(cursor.i64()?),
            latest: Timestamp::from_nanos(cursor.i64()?),
            offset: cursor.u64()?,
            bytes: cursor.u32()?,
            header_bytes: cursor.u32()?,
        })
    }
}

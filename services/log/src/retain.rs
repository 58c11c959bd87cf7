//! Retention: old blocks go to segment files, and what a stream need not keep any more goes.
//!
//! Blocks are immutable, so they are copied into a file without the writer; then the writer,
//! between two commits, forgets them in the store. A crash between the two leaves a block in both
//! places, and opening removes it from the store. Entries go by whole segments or blocks, the
//! oldest first; the record of the stream says up to where before the files go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hearken_proto::Timestamp;

use crate::block::{Header, Unpacked};
use crate::error::Error;
use crate::filter::{Collector, build_lines};
use crate::name::Name;
use crate::open::id_of;
use crate::options::Full;
use crate::record::Record;
use crate::row::Place;
use crate::segment::{self, Part, Segment};
use crate::shared::Shared;
use crate::store::Batch;
use crate::view::{Flushed, Meta, View};
use crate::writer::Writer;

/// What [`crate::Log::retain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segment files written.
    pub segments: u64,
    /// Entries dropped, for age, for size, or because they were superseded.
    pub dropped: u64,
}

/// Tidies every stream.
pub(crate) fn retain(shared: &Arc<Shared>, now: Timestamp) -> Result<Retained, Error> {
    let _tidying = shared.tidying();
    let mut retained = Retained::default();
    for (index, view) in shared.views.iter().enumerate() {
        if view.options.one_per_subject {
            retained.dropped += crate::compact::compact(shared, index, view)?;
        } else {
            while move_blocks(shared, index, view)? {
                retained.segments += 1;
            }
        }
        retained.dropped += drop_old(shared, index, view, now)?;
    }
    shared.ballast.restore()?;
    Ok(retained)
}

/// Whether a stream has something to tidy that should not wait for the next [`retain`].
pub(crate) fn is_due(view: &View) -> bool {
    if view.options.one_per_subject {
        return crate::compact::is_due(view);
    }
    let blocks = view.read().blocks.len();
    blocks >= 2 * view.options.segment_blocks.max(1) || is_over(view, 0)
}

/// Whether tidying does not keep up with the writer, who should wait a little.
pub(crate) fn is_behind(view: &View) -> bool {
    let blocks = view.read().blocks.len();
    !view.options.one_per_subject && blocks >= 4 * view.options.segment_blocks.max(1)
}

/// Whether the oldest entries must go for size, after `freed` bytes went.
fn is_over(view: &View, freed: u64) -> bool {
    let bytes = view.bytes.load(Ordering::Relaxed).saturating_sub(freed);
    match (view.options.bytes_max, view.options.full) {
        (Some(bytes_max), Full::DropOldest) => bytes > bytes_max,
        (Some(_), Full::Refuse) | (None, _) => false,
    }
}

/// Moves one segment's worth of blocks, if there are two.
fn move_blocks(shared: &Arc<Shared>, index: usize, view: &Arc<View>) -> Result<bool, Error> {
    let wanted = view.options.segment_blocks.max(1);
    let blocks: Vec<Meta> = {
        let flushed = view.read();
        if flushed.blocks.len() < 2 * wanted {
            return Ok(false);
        }
        flushed.blocks.iter().take(wanted).cloned().collect()
    };
    if let Some(full) = shared.ballast.check(blocks.iter().map(|meta| meta.bytes).sum()) {
        tracing::warn!(full, stream = view.name(), "blocks stay in the store");
        return Ok(false);
    }
    let mut parts = Vec::with_capacity(blocks.len());
    let mut names = Vec::new();
    for meta in &blocks {
        let damaged = || Error::corrupt(view.name(), meta.first, "a block is missing or malformed");
        let block = shared.store.get(meta.key(view.number))?.ok_or_else(damaged)?;
        let header = Header::parse(&block).ok_or_else(damaged)?;
        match &meta.names {
            Some(known) => names.extend_from_slice(known),
            None => {
                let (_, rows) = shared.packer.decode(&block).ok_or_else(damaged)?;
                names.extend(names_of(&rows).ok_or_else(damaged)?);
            }
        }
        parts.push(Part { header, block });
    }
    names.sort_unstable();
    names.dedup();
    let Some(first) = blocks.first().map(|meta| meta.first) else { return Ok(false) };
    let file = segment::file_name(view.number, first, 0);
    let segment = segment::write(&shared.segments(), &file, &parts, &build_lines(&names))?;
    shared.between(move |writer| writer.moved(index, segment, &blocks))??;
    Ok(true)
}

/// The names of a block that was there before the log was opened.
pub(crate) fn names_of(rows: &Unpacked) -> Option<Vec<u64>> {
    let mut collector = Collector::default();
    for row in rows.rows() {
        if let Some(names) = row.ok()?.names() {
            collector.add(&names, Name::subject(names.subject), id_of(&names));
        }
    }
    Some(collector.take())
}

/// What is to be dropped from the front of a stream.
struct Front {
    segments: usize,
    blocks: usize,
    rows: u64,
    /// The last row that goes and the chain after it.
    end: Option<(Place, [u8; 32])>,
}

impl Front {
    fn find(flushed: &Flushed, view: &View, cutoff: Option<Timestamp>) -> Self {
        let mut front = Self { segments: 0, blocks: 0, rows: 0, end: None };
        let mut freed = 0;
        let old = |latest| cutoff.is_some_and(|cutoff| latest < cutoff);
        for segment in &flushed.segments {
            if !old(segment.latest) && !is_over(view, freed) {
                return front;
            }
            freed += segment.bytes;
            front.segments += 1;
            front.rows += segment.rows;
            let place = Place { sequence: segment.last, time: segment.latest };
            front.end = Some((place, segment.after));
        }
        for block in &flushed.blocks {
            if !old(block.latest) && !is_over(view, freed) {
                return front;
            }
            freed += block.bytes as u64;
            front.blocks += 1;
            front.rows += block.rows as u64;
            front.end = Some((Place { sequence: block.last, time: block.latest }, block.after));
        }
        front
    }
}

fn drop_old(
    shared: &Arc<Shared>,
    index: usize,
    view: &Arc<View>,
    now: Timestamp,
) -> Result<u64, Error> {
    let now = now.max(view.position().time);
    let cutoff = view.options.age_max.map(|age| {
        let nanos = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
        Timestamp::from_nanos(now.nanos().saturating_sub(nanos))
    });
    let stale_tail = {
        let flushed = view.read();
        let position = flushed.position;
        cutoff.is_some_and(|cutoff| position.time < cutoff) && position.last >= flushed.tail_first
    };
    if stale_tail {
        shared.between(move |writer| writer.pack_tail(index))??;
    }
    if Front::find(&view.read(), view, cutoff).end.is_none() {
        return Ok(0);
    }
    shared.between(move |writer| writer.drop_front(index, cutoff))?
}

impl Writer {
    /// Forgets blocks in the store that are in a segment now.
    fn moved(&mut self, index: usize, segment: Segment, blocks: &[Meta]) -> Result<(), Error> {
        let Some(view) = self.view(index) else { return Ok(()) };
        let mut batch = Batch::default();
        for meta in blocks {
            batch.remove(meta.key(view.number), meta.bytes);
        }
        let (bytes, gone) = (segment.bytes, blocks.iter().map(|meta| meta.bytes as u64).sum());
        {
            let mut flushed = view.write();
            flushed.segments.push(Arc::new(segment));
            flushed.pop_blocks(blocks.len());
        }
        view.count_bytes(bytes, gone);
        let written = self.shared.store.apply_lazily(batch);
        written.map_err(|error| self.shared.poison(&error))
    }

    /// Makes a block of the tail, however short.
    pub(crate) fn pack_tail(&mut self, index: usize) -> Result<(), Error> {
        self.with_stream(
            index,
            |stream, tools| {
                if stream.open.is_empty() { Ok(()) } else { stream.seal(tools) }
            },
        )
    }

    /// Drops what is too old, or too much, from the front of a stream; how many entries went.
    fn drop_front(&mut self, index: usize, cutoff: Option<Timestamp>) -> Result<u64, Error> {
        let Some(view) = self.view(index) else { return Ok(0) };
        let front = Front::find(&view.read(), &view, cutoff);
        let Some((floor, chain)) = front.end else { return Ok(0) };
        let (number, incarnation) = (view.number, view.incarnation);
        let mut batch = Batch::default();
        batch.put_stream(view.name(), &Record { number, incarnation, floor, chain }.encode());
        let mut bytes = 0;
        for meta in view.read().blocks.iter().take(front.blocks) {
            batch.remove(meta.key(number), meta.bytes);
            bytes += meta.bytes as u64;
        }
        self.write_batch(batch).map_err(|error| self.shared.poison(&error))?;
        let segments: Vec<_> = {
            let mut flushed = view.write();
            flushed.pop_blocks(front.blocks);
            let segments = flushed.segments.drain(..front.segments).collect();
            flushed.forget_chunks(floor.sequence);
            flushed.position.first = flushed.first();
            segments
        };
        for segment in segments {
            bytes += segment.bytes;
            self.shared.readers.forget(&segment);
            // If it stays, opening removes it: the record says that its entries went.
            if let Err(error) = std::fs::remove_file(&segment.path) {
                tracing::warn!(%error, file = %segment.path.display(), "old segment stays");
            }
        }
        view.count_bytes(0, bytes);
        Ok(front.rows)
    }
}

//! Walking through a stream, one unit of storage after another, in either direction.
//!
//! A unit is a block, wherever it is, or a chunk in memory. Readers look a unit up under the lock,
//! load it without, and look again when it has been moved meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::block::{Header, Unpacked};
use crate::error::Error;
use crate::query::Search;
use crate::segment::{Reader, Segment, Slot};
use crate::shared::Shared;
use crate::store::{Family, Key};
use crate::view::{Chunk, Flushed, Meta, View};

/// How often a unit may move away under a reader before the reader suspects damage. A block moves
/// once in its life and a stream drops its front rarely.
const MOVES_MAX: usize = 16;
/// Segments kept open with their indices (25 kB each): as many as there are readers far behind.
const READERS_MAX: usize = 8;

/// What a walk is after.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The unit with the first row at or after this sequence, from memory if possible.
    From(u64),
    /// The same, but from disk if it is in a block.
    Stored(u64),
    /// The unit with the last row at or before this sequence.
    To(u64),
}

/// Where a unit is, or the segment that has it.
enum Spot {
    Memory(Chunk),
    Store(Meta),
    File(Arc<Segment>),
}

/// Some neighbouring sequences: no row of a unit is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Not after the first row.
    pub(crate) first: u64,
    /// The last row.
    pub(crate) last: u64,
}

/// What a look at a stream found.
pub(crate) enum Found {
    /// A block and its rows.
    Block(Span, Box<Header>, Unpacked),
    /// Rows in memory.
    Memory(Span, Unpacked),
    /// A unit, or a whole segment, that has nothing the search is after.
    Passed(Span),
    /// The stream has nothing there.
    End,
}

/// Segments that are open, the most recently used first.
#[derive(Default)]
pub(crate) struct Readers {
    readers: Mutex<VecDeque<Arc<Reader>>>,
}

impl Readers {
    fn get(&self, segment: &Segment) -> Result<Option<Arc<Reader>>, Error> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = readers.iter().position(|reader| reader.path == segment.path)
            && let Some(reader) = readers.remove(at)
        {
            readers.push_front(Arc::clone(&reader));
            return Ok(Some(reader));
        }
        drop(readers);
        let Some(reader) = Reader::open(segment)?.map(Arc::new) else { return Ok(None) };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.push_front(Arc::clone(&reader));
        readers.truncate(READERS_MAX);
        Ok(Some(reader))
    }

    /// Closes a file that was dropped or written again.
    pub(crate) fn forget(&self, segment: &Segment) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| reader.path != segment.path);
    }
}

fn find(flushed: &Flushed, target: Target) -> Option<Spot> {
    match target {
        Target::From(from) if from > flushed.position.last => None,
        Target::From(from) => match flushed.recent_from(from) {
            Some(mut chunks) => chunks.next().cloned().map(Spot::Memory),
            None => find_stored(flushed, from),
        },
        Target::Stored(from) => find_stored(flushed, from),
        Target::To(to) => find_back(flushed, to),
    }
}

fn find_stored(flushed: &Flushed, from: u64) -> Option<Spot> {
    let at = flushed.segments.partition_point(|segment| segment.last < from);
    if let Some(segment) = flushed.segments.get(at) {
        return Some(Spot::File(Arc::clone(segment)));
    }
    let at = flushed.blocks.partition_point(|block| block.last < from);
    if let Some(block) = flushed.blocks.get(at) {
        return Some(Spot::Store(block.clone()));
    }
    let at = flushed.chunks.partition_point(|chunk| chunk.last < from);
    flushed.chunks.get(at).cloned().map(Spot::Memory)
}

fn find_back(flushed: &Flushed, to: u64) -> Option<Spot> {
    if to >= flushed.tail_first {
        let at = flushed.chunks.partition_point(|chunk| chunk.base.sequence < to);
        let chunk = at.checked_sub(1).and_then(|at| flushed.chunks.get(at));
        if let Some(chunk) = chunk {
            return Some(Spot::Memory(chunk.clone()));
        }
    }
    let at = flushed.blocks.partition_point(|block| block.first <= to);
    if let Some(block) = at.checked_sub(1).and_then(|at| flushed.blocks.get(at)) {
        return Some(Spot::Store(block.clone()));
    }
    let at = flushed.segments.partition_point(|segment| segment.first <= to).checked_sub(1)?;
    flushed.segments.get(at).cloned().map(Spot::File)
}

/// Looks up a unit and loads it, unless it has nothing that `search` is after.
pub(crate) fn look(
    shared: &Shared,
    view: &View,
    target: Target,
    search: Option<&Search<'_>>,
) -> Result<Found, Error> {
    for _ in 0..MOVES_MAX {
        let spot = find(&view.read(), target);
        let found = match spot {
            None => Some(Found::End),
            Some(Spot::Memory(chunk)) => Some(in_memory(chunk)),
            Some(Spot::Store(meta)) => in_store(shared, view, &meta, search)?,
            Some(Spot::File(segment)) => in_file(shared, view, &segment, target, search)?,
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let (Target::From(at) | Target::Stored(at) | Target::To(at)) = target;
    Err(Error::corrupt(view.name(), at, "a block is not where it should be"))
}

fn in_memory(chunk: Chunk) -> Found {
    let span = Span { first: chunk.base.sequence + 1, last: chunk.last };
    Found::Memory(span, Unpacked { base: chunk.base, bytes: chunk.bytes })
}

fn in_store(
    shared: &Shared,
    view: &View,
    meta: &Meta,
    search: Option<&Search<'_>>,
) -> Result<Option<Found>, Error> {
    let span = Span { first: meta.first, last: meta.last };
    if let Some(search) = search
        && (search.excludes(meta.earliest, meta.latest) || !search.may_be_in(&meta.filter))
    {
        return Ok(Some(Found::Passed(span)));
    }
    let key = Key { family: Family::Block, stream: view.number, first: meta.first };
    let Some(block) = shared.store.get(key)? else { return Ok(None) };
    unpack(shared, view, span, &block).map(Some)
}

fn in_file(
    shared: &Shared,
    view: &View,
    segment: &Segment,
    target: Target,
    search: Option<&Search<'_>>,
) -> Result<Option<Found>, Error> {
    if let Some(search) = search {
        let possible = match search.excludes(segment.earliest, segment.latest) {
            true => Some(false),
            false => search.may_be_in_segment(segment)?,
        };
        match possible {
            None => return Ok(None),
            Some(true) => {}
            Some(false) => {
                let span = Span { first: segment.first, last: segment.last };
                return Ok(Some(Found::Passed(span)));
            }
        }
    }
    let Some(reader) = shared.readers.get(segment)? else { return Ok(None) };
    let at = match target {
        Target::From(from) | Target::Stored(from) => {
            Some(reader.slots.partition_point(|slot| slot.last < from))
        }
        Target::To(to) => reader.slots.partition_point(|slot| slot.first <= to).checked_sub(1),
    };
    let damaged = || Error::corrupt(view.name(), segment.first, "a segment has a wrong index");
    let slot: &Slot = at.and_then(|at| reader.slots.get(at)).ok_or_else(damaged)?;
    let span = Span { first: slot.first, last: slot.last };
    if let Some(search) = search
        && (search.excludes(slot.earliest, slot.latest)
            || (search.has_names() && !search.may_be_in(&reader.header(slot)?.filter)))
    {
        return Ok(Some(Found::Passed(span)));
    }
    unpack(shared, view, span, &reader.block(slot)?).map(Some)
}

fn unpack(shared: &Shared, view: &View, span: Span, block: &[u8]) -> Result<Found, Error> {
    let damaged = || Error::corrupt(view.name(), span.first, "a block cannot be unpacked");
    let (header, rows) = shared.packer.decode(block).ok_or_else(damaged)?;
    if (Span { first: header.first, last: header.last }) != span {
        return Err(damaged());
    }
    Ok(Found::Block(span, Box::new(header), rows))
}

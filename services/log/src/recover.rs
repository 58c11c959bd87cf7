//! Opening: from what is on disk to the state that writer and readers share.
//!
//! What a crash can leave behind, and what becomes of it: a segment file without its name
//! (removed), an older generation of a segment (removed), a segment whose entries were dropped
//! (removed), blocks that are in a segment as well (removed from the store). Everything else that
//! does not fit together is damage, and opening fails rather than guess.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::Timestamp;

use crate::block::{Header, Packer};
use crate::chain::{Entropy, Salts};
use crate::checkpoint;
use crate::error::Error;
use crate::name::Name;
use crate::open::{Open, id_of};
use crate::options::StreamOptions;
use crate::read::malformed;
use crate::record::{Record, records};
use crate::row::Place;
use crate::segment::{self, Segment};
use crate::shared::Shared;
use crate::store::{Batch, Family, Store};
use crate::stream::Stream;
use crate::view::{Flushed, Meta, Position, View};
use crate::walk::{Found, Target, look};

/// Reads the state of all streams, but for the names that are remembered: see [`remember`].
pub(crate) fn recover(
    path: &Path,
    store: &Store,
    packer: &Packer,
    options: Vec<StreamOptions>,
    entropy: &mut Entropy,
) -> Result<Vec<Stream>, Error> {
    let records = records(store, &options, entropy)?;
    let mut segments = find_segments(&path.join("segments"), &records)?;
    let streams = options.into_iter().zip(records).map(|(options, record)| {
        let segments = segments.remove(&record.number).unwrap_or_default();
        recover_stream(store, packer, options, &record, segments, entropy)
    });
    streams.collect()
}

/// The segments of each stream, in order.
fn find_segments(
    folder: &Path,
    records: &[Record],
) -> Result<BTreeMap<u16, Vec<Arc<Segment>>>, Error> {
    let fail = |e| Error::io(format!("read {}", folder.display()), e);
    fs::create_dir_all(folder).map_err(fail)?;
    let mut newest: BTreeMap<(u16, u64), u32> = BTreeMap::new();
    let mut useless = Vec::new();
    for file in fs::read_dir(folder).map_err(fail)? {
        let path = file.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == "unfinished") {
            useless.push(path);
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((stream, first, generation)) = name.and_then(segment::parse_file_name) else {
            continue;
        };
        let known = newest.entry((stream, first)).or_insert(generation);
        if *known != generation {
            let older = generation.min(*known);
            *known = generation.max(*known);
            useless.push(folder.join(segment::file_name(stream, first, older)));
        }
    }
    let mut segments: BTreeMap<u16, Vec<Arc<Segment>>> = BTreeMap::new();
    for ((stream, first), generation) in newest {
        let path = folder.join(segment::file_name(stream, first, generation));
        let Some(record) = records.iter().find(|record| record.number == stream) else { continue };
        let segment = Segment::open(&path)?;
        if segment.last <= record.floor.sequence {
            useless.push(path);
            continue;
        }
        let others = segments.entry(stream).or_default();
        if segment.first != first || others.last().is_some_and(|other| other.last >= first) {
            let what = "it does not follow the segment before it";
            return Err(Error::corrupt(&path.display().to_string(), first, what));
        }
        others.push(Arc::new(segment));
    }
    for path in useless {
        fs::remove_file(&path).map_err(|e| Error::io(format!("remove {}", path.display()), e))?;
    }
    Ok(segments)
}

fn recover_stream(
    store: &Store,
    packer: &Packer,
    options: StreamOptions,
    record: &Record,
    segments: Vec<Arc<Segment>>,
    entropy: &mut Entropy,
) -> Result<Stream, Error> {
    let name = options.name.clone();
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut end = segments.last().map_or((record.floor, record.chain), |segment| {
        (Place { sequence: segment.last, time: segment.latest }, segment.after)
    });
    let filed = segments.last().map_or(0, |segment| segment.last);
    let mut flushed = Flushed { segments, ..Flushed::default() };
    let mut doubled = Batch::default();
    store.scan(Family::Block, record.number, |first, value| {
        let damaged = |what| Error::corrupt(&name, first, what);
        let header = Header::parse(&value)
            .filter(|header| header.first == first)
            .ok_or_else(|| damaged("the header of a block is malformed"))?;
        if header.last <= filed {
            doubled.remove(Meta::new(header, value.len(), None).key(record.number), value.len());
            return Ok(());
        }
        if header.base.sequence < end.0.sequence {
            return Err(damaged("a block begins before the one before it ends"));
        }
        bytes += value.len() as u64;
        // The time of the last row may be earlier when it was imported; the log's clock is not.
        end = (Place { sequence: header.last, time: header.latest.max(end.0.time) }, header.after);
        flushed.push_block(Meta::new(header, value.len(), None));
        Ok(())
    })?;
    if !doubled.is_empty() {
        store.apply_lazily(doubled)?;
    }
    let mut open = Open::new(end.0, end.1, entropy.take()?);
    let mut chunks = VecDeque::new();
    store.scan(Family::Tail, record.number, |first, value| {
        let damaged = || Error::corrupt(&name, first, "a tail record does not follow the last one");
        let (header, rows) = packer.decode(&value).ok_or_else(damaged)?;
        if open.is_empty() && header.base.sequence == end.0.sequence && header.before == end.1 {
            let Salts::Seed(seed) = header.salts else { return Err(damaged()) };
            open = Open::new(header.base, header.before, seed);
        }
        if !open.adopt(&header, &rows.bytes, value.len()) {
            return Err(damaged());
        }
        bytes += value.len() as u64;
        chunks.extend(open.take_chunk());
        Ok(())
    })?;
    let (last, chain) = open.end();
    flushed.tail_first = open.base.sequence + 1;
    chunks.into_iter().for_each(|chunk| flushed.push(chunk));
    let first = flushed.first();
    flushed.position = Position { first, last: last.sequence, time: last.time, chain };
    let view = View::new(options, record.number, record.incarnation, flushed, bytes);
    Ok(Stream::new(Arc::new(view), open))
}

/// Fills what a stream remembers of subjects and ids, from the checkpoint and the entries since.
pub(crate) fn remember(shared: &Shared, stream: &mut Stream) -> Result<(), Error> {
    let view = Arc::clone(&stream.view);
    let options = &view.options;
    let last = stream.last();
    let now = (shared.clock)().max(last.time);
    let path = checkpoint::path(&shared.path, view.number);
    let restored = {
        let mut subjects = view.subjects();
        let names = (&mut *subjects, &mut stream.ids);
        checkpoint::restore(&path, &view.incarnation, last.sequence, names)?
    };
    let age = (!options.one_per_subject).then_some(options.subjects_age);
    let (subjects_from, ids_from) = match restored {
        Some(sequence) => (sequence + 1, sequence + 1),
        None => {
            let since = |age| first_since(&view.read(), now, age);
            // More ids than are remembered need not be read.
            let ids_from = last.sequence.saturating_sub(options.ids_max as u64);
            (age.map_or(1, since), since(options.dedup_window).max(ids_from))
        }
    };
    stream.unchecked = last.sequence.saturating_sub(subjects_from.saturating_sub(1));
    let mut next = subjects_from.min(ids_from);
    let mut subject = (String::new(), Name::subject(""));
    loop {
        let (span, rows) = match look(shared, &view, Target::Stored(next), None)? {
            Found::Block(span, _, rows) | Found::Memory(span, rows) => (span, rows),
            Found::Passed(_) | Found::End => return Ok(()),
        };
        let mut subjects = view.subjects();
        for row in rows.rows() {
            let row = row.map_err(|bad| malformed(&view, bad.after.sequence))?;
            let Some(names) = row.names() else { continue };
            let sequence = row.place.sequence;
            if sequence >= subjects_from {
                if subject.0 != names.subject {
                    subject = (names.subject.to_owned(), Name::subject(names.subject));
                }
                subjects.advance(row.place);
                subjects.insert(subject.1, sequence);
            }
            if sequence >= ids_from {
                stream.ids.advance(row.place);
                id_of(&names).into_iter().for_each(|id| stream.ids.insert(id, sequence));
            }
        }
        next = span.last + 1;
    }
}

/// The first sequence of the first unit that has entries younger than `age`.
fn first_since(flushed: &Flushed, now: Timestamp, age: Duration) -> u64 {
    let young = |latest| now.since(latest) <= age;
    let segment = flushed.segments.iter().find(|segment| young(segment.latest));
    let block = flushed.blocks.iter().find(|block| young(block.latest));
    let found = segment.map(|segment| segment.first).or(block.map(|block| block.first));
    found.unwrap_or(flushed.tail_first)
}

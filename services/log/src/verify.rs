//! Verifying the chain of a stream, from what is on disk.
//!
//! Every block is read back, every link computed again from the first entry that is still there.
//! Where that one begins, the chain is taken from its block: what came before was dropped, and only
//! somebody who noted an earlier head can tell whether rightly.

use std::sync::Arc;

use crate::block::{Header, Unpacked};
use crate::chain::{self, Hash, Linker};
use crate::error::Error;
use crate::filter::{Collector, Filter};
use crate::name::Name;
use crate::open::id_of;
use crate::read::malformed;
use crate::row::{Kept, Place};
use crate::shared::Shared;
use crate::store::Family;
use crate::view::View;
use crate::walk::{Found, Target, look};
use crate::writer::Writer;

/// What [`crate::Log::verify`] found to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries whose content was read and is as it was written.
    pub entries: u64,
    /// Entries whose content was erased; their names, place and time are as they were written.
    pub erased: u64,
    /// Places where superseded entries were dropped.
    pub gaps: u64,
    /// The first sequence that was verified; 0 when there was none.
    pub first: u64,
    /// The last sequence that was verified; 0 when there was none.
    pub last: u64,
    /// The chain after the last entry.
    pub chain: [u8; 32],
}

struct Verifier<'a> {
    view: &'a View,
    linker: Linker,
    /// The end of what was verified.
    end: Option<(u64, Hash)>,
    verified: Verified,
}

/// Verifies a stream up to its head at this moment.
pub(crate) fn verify(
    shared: &Arc<Shared>,
    index: usize,
    view: &Arc<View>,
) -> Result<Verified, Error> {
    // Nothing is moved or dropped meanwhile, so the blocks that are there stay in one piece.
    let _tidying = shared.tidying();
    let linker = Linker::new(view.incarnation);
    let mut verifier = Verifier { view, linker, end: None, verified: Verified::default() };
    let segments = view.read().segments.clone();
    for segment in segments {
        segment.read_lines()?;
    }
    let mut next = 1;
    while let Found::Block(span, header, rows) = look(shared, view, Target::Stored(next), None)? {
        verifier.block(&header, &rows)?;
        next = span.last + 1;
    }
    let tail = shared.between(move |writer| writer.tail_records(index, next))??;
    for (header, rows) in &tail.blocks {
        verifier.block(header, rows)?;
    }
    let mut skipped = 0;
    for (header, rows) in &tail.records {
        verifier.rows(header, rows, skipped)?;
        skipped += header.rows;
    }
    let Verifier { end, mut verified, .. } = verifier;
    let (last, chain) = end.unwrap_or(tail.start);
    if (last, chain) != tail.end {
        let what = "the stream does not end where its head says".to_owned();
        return Err(Error::Broken { stream: view.name().to_owned(), sequence: last, what });
    }
    verified.last = last;
    verified.chain = chain;
    Ok(verified)
}

impl Verifier<'_> {
    fn broken(&self, sequence: u64, what: &str) -> Error {
        Error::Broken { stream: self.view.name().to_owned(), sequence, what: what.to_owned() }
    }

    /// Verifies a block: its rows, and what queries go by when they pass over it.
    fn block(&mut self, header: &Header, rows: &Unpacked) -> Result<(), Error> {
        self.rows(header, rows, 0)?;
        let mut collector = Collector::default();
        for row in rows.rows().flatten() {
            if row.place.time < header.earliest || row.place.time > header.latest {
                return Err(self.broken(row.place.sequence, "its block has other times"));
            }
            if let Some(names) = row.names() {
                collector.add(&names, Name::subject(names.subject), id_of(&names));
            }
        }
        if Filter::build(&collector.take()) != header.filter {
            return Err(self.broken(header.first, "the filter of its block is damaged"));
        }
        Ok(())
    }

    /// Verifies the rows of a block or tail record; `skipped` rows of its block came before.
    fn rows(&mut self, header: &Header, rows: &Unpacked, skipped: usize) -> Result<(), Error> {
        let first = header.first;
        match self.end {
            Some((last, chain)) => {
                if header.base.sequence != last {
                    return Err(self.broken(first, "entries before it are missing"));
                }
                if header.before != chain {
                    return Err(self.broken(first, "it does not follow the entry before it"));
                }
            }
            None => self.verified.first = first,
        }
        let rows: Vec<_> = rows
            .rows()
            .collect::<Result<_, _>>()
            .map_err(|bad| malformed(self.view, bad.after.sequence))?;
        let kinds = rows.iter().map(|row| matches!(row.kept, Kept::Whole { .. }));
        let whole: Vec<bool> = std::iter::repeat_n(true, skipped).chain(kinds).collect();
        let salts = header.salts.expand(&whole);
        let salts = salts.ok_or_else(|| self.broken(first, "its block has too few salts"))?;
        let mut chain = header.before;
        for (row, salt) in rows.iter().zip(salts.iter().skip(skipped)) {
            let Place { sequence, .. } = row.place;
            let (names, digest) = match row.kept {
                Kept::Whole { names, content } => {
                    self.verified.entries += 1;
                    (names, chain::digest(salt, content))
                }
                Kept::Erased { names, digest } => {
                    self.verified.erased += 1;
                    (names, digest)
                }
                Kept::Gap { chain: after } if self.view.options.one_per_subject => {
                    self.verified.gaps += 1;
                    chain = after;
                    continue;
                }
                Kept::Gap { .. } => {
                    return Err(self.broken(sequence, "entries up to it were taken out"));
                }
            };
            chain = self.linker.link(&chain, row.place, &names, &digest);
        }
        let last = rows.last().map_or(first, |row| row.place.sequence);
        if rows.len() != header.rows || last != header.last {
            return Err(self.broken(last, "its block has other rows than it says"));
        }
        if chain != header.after {
            return Err(self.broken(first, "it, or an entry of the same block, was changed"));
        }
        self.end = Some((last, chain));
        Ok(())
    }
}

/// The end of a stream as the writer sees it.
pub(crate) struct Tail {
    /// Blocks that were packed meanwhile.
    blocks: Vec<(Header, Unpacked)>,
    /// Tail records.
    records: Vec<(Header, Unpacked)>,
    /// Where a stream without any entry begins.
    start: (u64, Hash),
    /// Where the stream ends.
    end: (u64, Hash),
}

impl Writer {
    /// Everything stored from `next` on, which is in no block that the caller has seen.
    fn tail_records(&mut self, index: usize, next: u64) -> Result<Tail, Error> {
        let Some(stream) = self.streams.get(index) else { return Err(Error::Closed) };
        let view = &stream.view;
        let damaged = |at| Error::corrupt(view.name(), at, "a block cannot be unpacked");
        let mut blocks = Vec::new();
        let packed: Vec<_> =
            view.read().blocks.iter().filter(|block| block.first >= next).cloned().collect();
        for meta in packed {
            let block = self.shared.store.get(meta.key(view.number))?;
            let block = block.and_then(|block| self.shared.packer.decode(&block));
            blocks.push(block.ok_or_else(|| damaged(meta.first))?);
        }
        let mut records = Vec::new();
        self.shared.store.scan(Family::Tail, view.number, |first, value| {
            records.push(self.shared.packer.decode(&value).ok_or_else(|| damaged(first))?);
            Ok(())
        })?;
        let (place, chain) = stream.open.end();
        let end = (place.sequence, chain);
        Ok(Tail { blocks, records, start: end, end })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hearken_proto::{Message, Timestamp};

    use super::*;
    use crate::block::Packer;
    use crate::row::Row;
    use crate::store::{Key, Store};
    use crate::{Condition, Log, Options, StreamOptions};

    fn open(path: &Path) -> Log {
        let clock = Arc::new(|| Timestamp::from_nanos(1_000));
        let options = Options::new(clock, vec![StreamOptions::new("S")]);
        Log::open(path, Options { ballast_bytes: 0, ..options }).unwrap()
    }

    /// A log of two blocks and a tail.
    fn fill(path: &Path) {
        let log = open(path);
        for n in 0..150 {
            let body = format!("body {n}").into();
            let message = Message { subject: "a.b".into(), body, ..Message::default() };
            log.append_wait("S", message, Condition::Always).unwrap();
        }
        assert_eq!(log.verify("S").unwrap().entries, 150);
        log.close().unwrap();
    }

    /// Changes a stored block behind the log's back and says what verifying finds.
    fn tampered(first: u64, change: impl Fn(&mut Header, Vec<Row<'_>>) -> Vec<u8>) -> Error {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let store = Store::open(folder.path(), 1 << 20).unwrap();
        let packer = Packer::new().unwrap();
        let key = Key { family: Family::Block, stream: 0, first };
        let block = store.get(key).unwrap().unwrap();
        let (mut header, rows) = packer.decode(&block).unwrap();
        let rows = change(&mut header, rows.rows().map(|row| row.unwrap()).collect());
        let changed = packer.encode(&header, &rows).unwrap();
        let mut batch = crate::store::Batch::default();
        batch.remove(key, block.len());
        batch.put(key, &changed);
        store.apply(batch).unwrap();
        store.close();
        store.closed().unwrap();
        let log = open(folder.path());
        // Only the chain tells: the entries can be read as if nothing had happened.
        assert!(log.read("S", 65, 64, usize::MAX).is_ok());
        log.verify("S").unwrap_err()
    }

    fn encode(header: &Header, rows: &[Row<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut before = header.base;
        for row in rows {
            row.put(&mut out, before);
            before = row.place;
        }
        out
    }

    fn check(found: &Error, expected: u64) {
        let Error::Broken { sequence, .. } = found else { panic!("{found:?}") };
        assert_eq!(*sequence, expected, "{found}");
    }

    #[test]
    fn a_changed_body_breaks_the_chain() {
        let found = tampered(65, |header, mut rows| {
            if let Kept::Whole { content: old, .. } = &mut rows[36].kept {
                *old = b"\0body 1O0";
            }
            encode(header, &rows)
        });
        check(&found, 65);
    }

    #[test]
    fn a_changed_time_or_subject_breaks_the_chain() {
        let found = tampered(65, |header, mut rows| {
            rows[5].place.time = Timestamp::from_nanos(999);
            encode(header, &rows)
        });
        check(&found, 65);
        let found = tampered(65, |header, mut rows| {
            if let Kept::Whole { names, .. } = &mut rows[5].kept {
                names.subject = "a.c";
            }
            encode(header, &rows)
        });
        check(&found, 65);
    }

    #[test]
    fn a_chain_that_was_computed_again_does_not_fit_its_neighbours() {
        let found = tampered(1, |header, rows| {
            header.after = [7; 32];
            encode(header, &rows)
        });
        check(&found, 1);
        let found = tampered(65, |header, rows| {
            header.before = [7; 32];
            encode(header, &rows)
        });
        check(&found, 65);
    }

    #[test]
    fn an_entry_that_was_taken_out_is_missed() {
        let found = tampered(65, |header, mut rows| {
            rows.remove(10);
            header.rows -= 1;
            encode(header, &rows)
        });
        assert!(matches!(found, Error::Broken { .. }), "{found:?}");
        let found = tampered(65, |header, mut rows| {
            rows[10].kept = Kept::Gap { chain: [0; 32] };
            encode(header, &rows)
        });
        check(&found, 75);
    }
}

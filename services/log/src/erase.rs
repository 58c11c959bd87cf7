//! Erasing the content of one entry.
//!
//! The block is written again with the row reduced to its names and the digest of its content; the
//! digest's salt is thrown away with the seed of the block (see `chain`). A block in the store is
//! replaced in one batch; a segment is written again as a file of the next generation.

use std::sync::Arc;

use crate::block::{Header, Unpacked};
use crate::chain::{self, Salts};
use crate::error::Error;
use crate::read::malformed;
use crate::row::{Kept, Row};
use crate::segment::{self, Part, Reader, Segment};
use crate::shared::Shared;
use crate::store::Batch;
use crate::view::View;
use crate::writer::Writer;

/// Erases the content of an entry; whether there was any.
pub(crate) fn erase(
    shared: &Arc<Shared>,
    index: usize,
    view: &View,
    sequence: u64,
) -> Result<bool, Error> {
    let _tidying = shared.tidying();
    let in_tail = sequence >= view.read().tail_first;
    if in_tail {
        shared.between(move |writer| writer.pack_tail(index))??;
    }
    let erased = shared.between(move |writer| writer.erase(index, sequence))??;
    shared.store.sync()?;
    Ok(erased)
}

/// A block without the content of one row; `None` when that is gone already.
fn without(
    view: &View,
    header: &Header,
    rows: &Unpacked,
    sequence: u64,
) -> Result<Option<(Header, Vec<u8>)>, Error> {
    let rows: Vec<Row<'_>> =
        rows.rows().collect::<Result<_, _>>().map_err(|bad| malformed(view, bad.after.sequence))?;
    let whole: Vec<bool> = rows.iter().map(|row| matches!(row.kept, Kept::Whole { .. })).collect();
    let too_few = || Error::corrupt(view.name(), header.first, "a block has too few salts");
    let salts = header.salts.expand(&whole).ok_or_else(too_few)?;
    let mut out = Vec::new();
    let mut listed = Vec::new();
    let mut before = header.base;
    let mut found = None;
    for (row, salt) in rows.iter().zip(&salts) {
        let mut row = *row;
        match row.kept {
            Kept::Whole { names, content } if row.place.sequence == sequence => {
                row.kept = Kept::Erased { names, digest: chain::digest(salt, content) };
                found = Some(true);
            }
            Kept::Whole { .. } => listed.push(*salt),
            Kept::Erased { .. } if row.place.sequence == sequence => found = Some(false),
            Kept::Erased { .. } | Kept::Gap { .. } => {}
        }
        row.put(&mut out, before);
        before = row.place;
    }
    match found {
        Some(true) => {
            let header = Header { salts: Salts::Listed(listed), ..header.clone() };
            Ok(Some((header, out)))
        }
        Some(false) => Ok(None),
        None => Err(Error::NotFound { stream: view.name().to_owned(), sequence }),
    }
}

impl Writer {
    fn erase(&mut self, index: usize, sequence: u64) -> Result<bool, Error> {
        let Some(view) = self.view(index) else { return Ok(false) };
        self.shared.check_poison()?;
        let segment = {
            let flushed = view.read();
            let at = flushed.segments.partition_point(|segment| segment.last < sequence);
            flushed.segments.get(at).map(Arc::clone)
        };
        let erased = match segment {
            Some(segment) => self.erase_in_file(&view, &segment, sequence)?,
            None => self.erase_in_store(&view, sequence)?,
        };
        view.write().forget_chunks(sequence);
        Ok(erased)
    }

    fn erase_in_store(&mut self, view: &View, sequence: u64) -> Result<bool, Error> {
        let not_found = || Error::NotFound { stream: view.name().to_owned(), sequence };
        let (at, meta) = {
            let flushed = view.read();
            let at = flushed.blocks.partition_point(|block| block.last < sequence);
            (at, flushed.blocks.get(at).cloned().ok_or_else(not_found)?)
        };
        let damaged = || Error::corrupt(view.name(), meta.first, "a block is missing or malformed");
        let block = self.shared.store.get(meta.key(view.number))?.ok_or_else(damaged)?;
        let (header, rows) = self.shared.packer.decode(&block).ok_or_else(damaged)?;
        let Some((header, rows)) = without(view, &header, &rows, sequence)? else {
            return Ok(false);
        };
        let packed = self.shared.packer.encode(&header, &rows);
        let block = packed.map_err(|e| Error::io("pack a block", e))?;
        let mut batch = Batch::default();
        batch.remove(meta.key(view.number), meta.bytes);
        batch.put(meta.key(view.number), &block);
        self.write_batch(batch).map_err(|error| self.shared.poison(&error))?;
        view.count_bytes(block.len() as u64, meta.bytes as u64);
        if let Some(meta) = view.write().blocks.get_mut(at) {
            meta.bytes = block.len();
        }
        Ok(true)
    }

    fn erase_in_file(
        &mut self,
        view: &View,
        segment: &Arc<Segment>,
        sequence: u64,
    ) -> Result<bool, Error> {
        let damaged = |at| Error::corrupt(view.name(), at, "a block is missing or malformed");
        let reader = Reader::open(segment)?.ok_or_else(|| damaged(segment.first))?;
        let mut parts = Vec::with_capacity(reader.slots.len());
        let mut erased = false;
        for slot in &reader.slots {
            let block = reader.block(slot)?;
            let header = Header::parse(&block).ok_or_else(|| damaged(slot.first))?;
            if !(slot.first..=slot.last).contains(&sequence) {
                parts.push(Part { header, block });
                continue;
            }
            let (_, rows) = self.shared.packer.decode(&block).ok_or_else(|| damaged(slot.first))?;
            let Some((header, rows)) = without(view, &header, &rows, sequence)? else {
                return Ok(false);
            };
            let packed = self.shared.packer.encode(&header, &rows);
            let block = packed.map_err(|e| Error::io("pack a block", e))?;
            erased = true;
            parts.push(Part { header, block });
        }
        if !erased {
            return Err(Error::NotFound { stream: view.name().to_owned(), sequence });
        }
        let name = segment::file_name(view.number, segment.first, segment.generation + 1);
        let folder = self.shared.segments();
        let new = segment::write(&folder, &name, &parts, &segment.read_lines()?)?;
        view.count_bytes(new.bytes, segment.bytes);
        {
            let mut flushed = view.write();
            let old = flushed.segments.iter_mut().find(|old| old.first == segment.first);
            old.into_iter().for_each(|old| *old = Arc::new(new.clone()));
        }
        self.shared.readers.forget(segment);
        std::fs::remove_file(&segment.path)
            .map_err(|e| Error::io(format!("remove {}", segment.path.display()), e))?;
        segment::sync_folder(&folder)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::{Message, Timestamp};

    use super::*;
    use crate::block::Packer;
    use crate::store::{Family, Key};
    use crate::{Condition, Log, Options, StreamOptions};

    #[test]
    fn neither_content_nor_salt_of_an_erased_entry_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(|| Timestamp::from_nanos(1_000));
        let options = Options::new(clock, vec![StreamOptions::new("S")]);
        let log = Log::open(folder.path(), Options { ballast_bytes: 0, ..options }).unwrap();
        for n in 0..64 {
            let body = format!("body {n}").into();
            let message = Message { subject: "a.b".into(), body, ..Message::default() };
            log.append_wait("S", message, Condition::Always).unwrap();
        }
        log.append_wait(
            "S",
            Message { subject: "a.b".into(), ..Message::default() },
            Condition::Always,
        )
        .unwrap();
        let key = Key { family: Family::Block, stream: 0, first: 1 };
        let read = || {
            let block = log.inner.shared.store.get(key).unwrap().unwrap();
            Packer::new().unwrap().decode(&block).unwrap()
        };
        let (before, _) = read();
        let salts = before.salts.expand(&[true; 64]).unwrap();
        assert!(log.erase("S", 11).unwrap());
        let (after, rows) = read();
        let Salts::Listed(listed) = &after.salts else { panic!("the seed is still there") };
        assert!(listed.len() == 63 && !listed.contains(&salts[10]));
        assert!(listed.contains(&salts[9]) && listed.contains(&salts[11]));
        assert!(!rows.bytes.windows(7).any(|bytes| bytes == b"body 10"));
        assert!(rows.bytes.windows(7).any(|bytes| bytes == b"body 11"));
    }
}

//! Compaction of streams with one entry per subject: superseded entries give way to gaps.
//!
//! Neighbouring blocks are merged into one that keeps the last entry of each subject; each run of
//! superseded entries becomes a gap row with the chain's value after it, so what is left still
//! verifies. A gap takes the place of at least one row, so a merged block never has more rows than
//! those it came from. Due when superseded entries and gaps are more than twice what is in force:
//! the work per entry stays constant however often subjects change.

use std::sync::Arc;

use crate::block::{BLOCK_BYTES, BLOCK_ROWS_MAX, Header, Unpacked};
use crate::chain::{self, Hash, Linker, Salt, Salts};
use crate::error::Error;
use crate::filter::{Collector, Filter};
use crate::name::Name;
use crate::open::id_of;
use crate::read::malformed;
use crate::row::{Kept, Place, Row};
use crate::shared::Shared;
use crate::store::Batch;
use crate::view::{Meta, View};
use crate::writer::Writer;

/// Fewer superseded entries than this are not worth the writing.
const SUPERSEDED_MIN: u64 = 1024;

/// Whether there is much to drop.
pub(crate) fn is_due(view: &View) -> bool {
    let rows = view.read().rows;
    let subjects = view.subjects().len() as u64;
    rows > 3 * subjects + SUPERSEDED_MIN
}

/// Merges the blocks of a stream; how many entries were dropped.
pub(crate) fn compact(shared: &Arc<Shared>, index: usize, view: &Arc<View>) -> Result<u64, Error> {
    if !is_due(view) || shared.ballast.check(BLOCK_BYTES).is_some() {
        return Ok(0);
    }
    let blocks: Vec<Meta> = view.read().blocks.iter().cloned().collect();
    let mut dropped = 0;
    let mut merged: Option<Merged> = None;
    for meta in blocks {
        let damaged = || Error::corrupt(view.name(), meta.first, "a block is missing or malformed");
        let block = shared.store.get(meta.key(view.number))?.ok_or_else(damaged)?;
        let (header, rows) = shared.packer.decode(&block).ok_or_else(damaged)?;
        let links = judge(view, &header, &rows)?;
        if let Some(full) = merged.take_if(|merged| !merged.has_room(&links)) {
            dropped += full.replace(shared, index)?;
        }
        merged.get_or_insert_with(|| Merged::new(&header)).add(meta, &header, &links);
    }
    if let Some(last) = merged {
        dropped += last.replace(shared, index)?;
    }
    Ok(dropped)
}

/// A row, what the chain is after it, its salt, and whether it is to stay.
struct Link<'a> {
    row: Row<'a>,
    chain: Hash,
    salt: Salt,
    stays: bool,
}

/// Finds out which rows of a block are superseded.
fn judge<'a>(view: &View, header: &Header, rows: &'a Unpacked) -> Result<Vec<Link<'a>>, Error> {
    let rows: Vec<Row<'_>> =
        rows.rows().collect::<Result<_, _>>().map_err(|bad| malformed(view, bad.after.sequence))?;
    let whole: Vec<bool> = rows.iter().map(|row| matches!(row.kept, Kept::Whole { .. })).collect();
    let too_few = || Error::corrupt(view.name(), header.first, "a block has too few salts");
    let salts = header.salts.expand(&whole).ok_or_else(too_few)?;
    let mut linker = Linker::new(view.incarnation);
    let mut chain = header.before;
    let subjects = view.subjects();
    let mut links = Vec::with_capacity(rows.len());
    for (row, salt) in rows.into_iter().zip(salts) {
        let (names, digest) = match row.kept {
            Kept::Whole { names, content } => (names, chain::digest(&salt, content)),
            Kept::Erased { names, digest } => (names, digest),
            Kept::Gap { chain: after } => {
                chain = after;
                links.push(Link { row, chain, salt, stays: false });
                continue;
            }
        };
        chain = linker.link(&chain, row.place, &names, &digest);
        let last = subjects.get(Name::subject(names.subject));
        let stays = last.is_none_or(|last| last <= row.place.sequence);
        links.push(Link { row, chain, salt, stays });
    }
    Ok(links)
}

/// Several blocks on their way into one.
struct Merged {
    old: Vec<Meta>,
    header: Header,
    salts: Vec<Salt>,
    names: Collector,
    rows: Vec<u8>,
    /// The last row written.
    before: Place,
    /// Superseded entries since then: the last of them, and the chain after it.
    gap: Option<(Place, Hash)>,
    dropped: u64,
}

impl Merged {
    fn new(first: &Header) -> Self {
        let header = Header { rows: 0, ..first.clone() };
        Self {
            old: Vec::new(),
            before: first.base,
            header,
            salts: Vec::new(),
            names: Collector::default(),
            rows: Vec::new(),
            gap: None,
            dropped: 0,
        }
    }

    fn has_room(&self, links: &[Link<'_>]) -> bool {
        let bytes: usize = links
            .iter()
            .filter(|link| link.stays)
            .map(|link| match link.row.kept {
                Kept::Whole { content, .. } => content.len() + 64,
                Kept::Erased { .. } | Kept::Gap { .. } => 128,
            })
            .sum();
        // A gap at the end of what is there may still become a row.
        let rows = self.header.rows + usize::from(self.gap.is_some());
        rows + links.len() <= BLOCK_ROWS_MAX && self.rows.len() + bytes <= BLOCK_BYTES
    }

    fn add(&mut self, meta: Meta, header: &Header, links: &[Link<'_>]) {
        for link in links {
            if !link.stays {
                self.dropped += u64::from(!matches!(link.row.kept, Kept::Gap { .. }));
                self.gap = Some((link.row.place, link.chain));
                continue;
            }
            self.close_gap();
            self.put(&link.row);
            if let Kept::Whole { .. } = link.row.kept {
                self.salts.push(link.salt);
            }
            if let Some(names) = link.row.names() {
                self.names.add(&names, Name::subject(names.subject), id_of(&names));
            }
        }
        self.header.earliest = self.header.earliest.min(header.earliest);
        self.header.latest = self.header.latest.max(header.latest);
        self.header.after = header.after;
        self.old.push(meta);
    }

    fn close_gap(&mut self) {
        if let Some((place, chain)) = self.gap.take() {
            self.put(&Row { place, kept: Kept::Gap { chain } });
        }
    }

    fn put(&mut self, row: &Row<'_>) {
        if self.header.rows == 0 {
            self.header.first = row.place.sequence;
        }
        row.put(&mut self.rows, self.before);
        self.before = row.place;
        self.header.last = row.place.sequence;
        self.header.rows += 1;
    }

    /// Puts the merged block in the place of the old ones; how many entries went.
    fn replace(mut self, shared: &Shared, index: usize) -> Result<u64, Error> {
        if self.dropped == 0 && self.old.len() == 1 {
            return Ok(0);
        }
        self.close_gap();
        self.header.salts = Salts::Listed(self.salts);
        self.header.filter = Filter::build(&self.names.take());
        let packed = shared.packer.encode(&self.header, &self.rows);
        let block = packed.map_err(|e| Error::io("pack a block", e))?;
        let meta = Meta::new(self.header, block.len(), None);
        let old = self.old;
        shared.between(move |writer| writer.replace(index, &old, meta, &block))??;
        Ok(self.dropped)
    }
}

impl Writer {
    fn replace(
        &mut self,
        index: usize,
        old: &[Meta],
        meta: Meta,
        block: &[u8],
    ) -> Result<(), Error> {
        let Some(view) = self.view(index) else { return Ok(()) };
        self.shared.check_poison()?;
        let mut batch = Batch::default();
        for gone in old {
            batch.remove(gone.key(view.number), gone.bytes);
        }
        batch.put(meta.key(view.number), block);
        let written = self.shared.store.apply_lazily(batch);
        written.map_err(|error| self.shared.poison(&error))?;
        view.count_bytes(block.len() as u64, old.iter().map(|gone| gone.bytes as u64).sum());
        let mut flushed = view.write();
        flushed.forget_chunks(meta.last);
        flushed.replace_blocks(old, meta);
        flushed.position.first = flushed.first();
        Ok(())
    }
}

//! A stream as its writer sees it: what decides about the next append.
//!
//! Owned by the writer thread; ahead of what readers see by at most one commit. The order of checks
//! is JetStream's: first the message id, then the expected last sequence of the subject. So a
//! message that comes twice is acknowledged twice and never refused for being too late.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hearken_proto::{Entry, Timestamp};

use crate::chain::{Entropy, Linker};
use crate::error::Error;
use crate::name::{Name, NameMap};
use crate::open::{Open, id_of};
use crate::options::Full;
use crate::recent::Recent;
use crate::row::{Names, Place, write_content};
use crate::shared::Shared;
use crate::store::{Batch, Family, Key};
use crate::view::{Chunk, Meta, View};

/// When an append is done at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// If this is the sequence of the subject's last entry; 0 when it has none.
    LastOfSubject(u64),
}

/// What an append that was done, or had been done before, is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where the entry is.
    pub sequence: u64,
    /// Its log time; for a duplicate, the log time at which it was recognised.
    pub time: Timestamp,
    /// Whether an entry with this id was there already: `sequence` is where.
    pub duplicate: bool,
}

/// The working memory and tools of a commit.
pub(crate) struct Tools<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) entropy: &'a mut Entropy,
    pub(crate) batch: &'a mut Batch,
    pub(crate) content: &'a mut Vec<u8>,
    /// Why nothing may be added now, if so.
    pub(crate) full: Option<&'a str>,
}

/// The writer's side of a stream.
pub(crate) struct Stream {
    pub(crate) view: Arc<View>,
    linker: Linker,
    pub(crate) open: Open,
    /// The last sequence of each subject in this commit; [`View::subjects`] has the older ones.
    pending: NameMap<u64>,
    /// Whether this commit touched the stream.
    begun: bool,
    /// The sequence of each id.
    pub(crate) ids: Recent,
    /// The last subject and its hash: neighbours often share it.
    subject: (String, Name),
    /// What readers are told after the flush.
    fresh: Fresh,
    /// Entries since the last checkpoint of the names.
    pub(crate) unchecked: u64,
}

/// What a commit added to a stream.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) blocks: Vec<Meta>,
    /// Bytes added on disk and removed from it.
    pub(crate) bytes: (u64, u64),
}

impl Stream {
    pub(crate) fn new(view: Arc<View>, open: Open) -> Self {
        let options = &view.options;
        let window = options.dedup_window.max(Duration::from_nanos(1));
        let ids = Recent::new(Some(window), options.ids_max);
        let linker = Linker::new(view.incarnation);
        let subject = (String::new(), Name::subject(""));
        let (pending, fresh) = (NameMap::default(), Fresh::default());
        Self { view, linker, open, pending, begun: false, ids, subject, fresh, unchecked: 0 }
    }

    /// The last entry, flushed or not.
    pub(crate) fn last(&self) -> Place {
        self.open.end().0
    }

    /// How many names it remembers.
    pub(crate) fn names(&self) -> usize {
        self.view.subjects().len() + self.ids.len()
    }

    /// Where the next entry will be when the clock says `now`.
    fn next(&self, now: Timestamp) -> Place {
        let last = self.last();
        Place { sequence: last.sequence + 1, time: now.max(last.time) }
    }

    /// Adds a message, unless it is there already, the condition does not hold, or there is no
    /// room.
    pub(crate) fn append(
        &mut self,
        names: &Names<'_>,
        content: &[u8],
        condition: Condition,
        now: Timestamp,
        tools: &mut Tools<'_>,
    ) -> Result<Receipt, Error> {
        let place = self.next(now);
        self.begin(place);
        let id = id_of(names);
        if let Some(sequence) = id.and_then(|id| self.ids.get(id)) {
            return Ok(Receipt { sequence, time: place.time, duplicate: true });
        }
        let subject = self.hash_subject(names.subject);
        if let Condition::LastOfSubject(expected) = condition {
            let last = self.last_of(subject).unwrap_or(0);
            if last != expected {
                return Err(Error::Conflict { last });
            }
        }
        self.check_room(subject, tools.full)?;
        self.add(place, names, content, (subject, id), tools)?;
        Ok(Receipt { sequence: place.sequence, time: place.time, duplicate: false })
    }

    /// Adds an entry of another log at its own place, unless this stream is past it.
    pub(crate) fn import(&mut self, entry: &Entry, tools: &mut Tools<'_>) -> Result<bool, Error> {
        let place = Place { sequence: entry.sequence, time: entry.time };
        if place.sequence <= self.last().sequence {
            return Ok(false);
        }
        self.begin(place);
        let names = Names { subject: &entry.subject, id: &entry.id, cause: &entry.cause };
        let subject = self.hash_subject(names.subject);
        self.check_room(subject, tools.full)?;
        tools.content.clear();
        write_content(tools.content, &entry.headers, &entry.body);
        let content = std::mem::take(tools.content);
        let added = self.add(place, &names, &content, (subject, id_of(&names)), tools);
        *tools.content = content;
        added.map(|()| true)
    }

    fn check_room(&self, subject: Name, full: Option<&str>) -> Result<(), Error> {
        let stream = || self.view.name().to_owned();
        if let Some(what) = full {
            return Err(Error::Full { stream: stream(), what: what.to_owned() });
        }
        let options = &self.view.options;
        if let (Some(bytes_max), Full::Refuse) = (options.bytes_max, options.full)
            && self.view.bytes.load(Ordering::Relaxed) + self.fresh.bytes.0 >= bytes_max
        {
            let what = format!("it has reached its {bytes_max} bytes");
            return Err(Error::Full { stream: stream(), what });
        }
        if options.one_per_subject && self.is_new_in_full(subject) {
            let what = format!("it has reached its {} subjects", options.subjects_max);
            return Err(Error::Full { stream: stream(), what });
        }
        Ok(())
    }

    /// Forgets old names, once per commit.
    fn begin(&mut self, place: Place) {
        if !self.begun {
            self.begun = true;
            self.ids.advance(place);
            self.view.subjects().advance(place);
        }
    }

    fn last_of(&self, subject: Name) -> Option<u64> {
        let pending = self.pending.get(&subject).copied();
        pending.or_else(|| self.view.subjects().get(subject))
    }

    fn is_new_in_full(&self, subject: Name) -> bool {
        let subjects = self.view.subjects();
        let held = subjects.len() + self.pending.len();
        let new = !self.pending.contains_key(&subject) && subjects.get(subject).is_none();
        new && held >= self.view.options.subjects_max
    }

    fn hash_subject(&mut self, subject: &str) -> Name {
        if self.subject.0 != subject {
            self.subject.0.clear();
            self.subject.0.push_str(subject);
            self.subject.1 = Name::subject(subject);
        }
        self.subject.1
    }

    fn add(
        &mut self,
        place: Place,
        names: &Names<'_>,
        content: &[u8],
        hashes: (Name, Option<Name>),
        tools: &mut Tools<'_>,
    ) -> Result<(), Error> {
        if self.open.is_full() {
            self.seal(tools)?;
        }
        self.open.push(&mut self.linker, place, names, content, hashes);
        self.pending.insert(hashes.0, place.sequence);
        if let Some(id) = hashes.1 {
            self.ids.insert(id, place.sequence);
        }
        self.unchecked += 1;
        Ok(())
    }

    /// Makes a block of the open rows.
    pub(crate) fn seal(&mut self, tools: &mut Tools<'_>) -> Result<(), Error> {
        self.fresh.chunks.extend(self.open.take_chunk());
        let stream = self.view.number;
        for (first, bytes) in std::mem::take(&mut self.open.records) {
            tools.batch.remove(Key { family: Family::Tail, stream, first }, bytes);
            self.fresh.bytes.1 += bytes as u64;
        }
        let (header, rows, names) = self.open.block();
        let block =
            tools.shared.packer.encode(&header, rows).map_err(|e| Error::io("pack a block", e))?;
        tools.batch.put(Key { family: Family::Block, stream, first: header.first }, &block);
        self.fresh.bytes.0 += block.len() as u64;
        self.fresh.blocks.push(Meta::new(header, block.len(), Some(names)));
        self.open.restart(tools.entropy.take()?);
        Ok(())
    }

    /// Leaves the open rows of this commit in the batch, as a tail record or as a block.
    pub(crate) fn leave(&mut self, tools: &mut Tools<'_>) -> Result<(), Error> {
        if self.open.is_full() {
            return self.seal(tools);
        }
        if self.open.unrecorded() == 0 {
            return Ok(());
        }
        let (header, rows) = self.open.record();
        let record = tools
            .shared
            .packer
            .encode_tail(&header, rows)
            .map_err(|e| Error::io("pack a tail", e))?;
        let first = header.first;
        let key = Key { family: Family::Tail, stream: self.view.number, first };
        tools.batch.put(key, &record);
        self.fresh.bytes.0 += record.len() as u64;
        self.open.records.push((first, record.len()));
        self.fresh.chunks.extend(self.open.take_chunk());
        Ok(())
    }

    /// Shows readers what the commit added, now that it is flushed; the new head if there is one.
    pub(crate) fn publish(&mut self) -> Option<u64> {
        self.begun = false;
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.chunks.is_empty() && fresh.blocks.is_empty() {
            return None;
        }
        let (last, chain) = self.open.end();
        let mut flushed = self.view.write();
        for chunk in fresh.chunks {
            flushed.push(chunk);
        }
        for block in fresh.blocks {
            flushed.push_block(block);
        }
        flushed.tail_first = self.open.base.sequence + 1;
        flushed.position.first = flushed.first();
        flushed.position.last = last.sequence;
        flushed.position.time = last.time;
        flushed.position.chain = chain;
        flushed.trim();
        drop(flushed);
        // After the rows, so that whoever finds a sequence here also finds its entry.
        let mut subjects = self.view.subjects();
        for (subject, sequence) in self.pending.drain() {
            subjects.insert(subject, sequence);
        }
        drop(subjects);
        self.view.count_bytes(fresh.bytes.0, fresh.bytes.1);
        Some(last.sequence)
    }
}

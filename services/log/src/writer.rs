//! The writer: one thread that does all writing, in commits.
//!
//! It takes everything that is queued, decides each append in order, writes one batch, waits for
//! the flush, and only then shows the entries to readers and calls back. While it waits, appends
//! collect in the queue: the slower the disk, the larger the commits.
//!
//! Invariants: nothing is acknowledged or readable before the flush that covers it; after a failed
//! write there is no further write, because what is on disk is unknown until it is read back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec::Drain;

use hearken_proto::Entry;

use crate::chain::Entropy;
use crate::command::{Answer, Between, Command, TextReader};
use crate::error::Error;
use crate::keeper::Keeper;
use crate::options::Durability;
use crate::queue::{Taken, Work};
use crate::shared::{Counters, Shared};
use crate::store::Batch;
use crate::stream::{Receipt, Stream, Tools};
use crate::view::View;

/// Commands of one commit: bounds how long the first of them waits.
const COMMIT_COMMANDS_MAX: usize = 8192;
/// Bytes of one commit, for the same reason and because the batch is held in memory twice.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long changed cursors wait for a commit to go with.
const CURSORS_WAIT: Duration = Duration::from_secs(1);

/// The state of the writer thread.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Keeper,
    pub(crate) streams: Vec<Stream>,
    pub(crate) entropy: Entropy,
    content: Vec<u8>,
    answers: Vec<Answer>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        keeper: Keeper,
        streams: Vec<Stream>,
        entropy: Entropy,
    ) -> Self {
        let content = Vec::with_capacity(4096);
        Self { shared, keeper, streams, entropy, content, answers: Vec::new() }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let ended = catch_unwind(AssertUnwindSafe(|| self.work()));
        if ended.is_err() {
            let what =
                std::io::Error::other("the writer panicked; its report is on standard error");
            let error = shared.poison(&Error::io("go on writing", what));
            shared.queue.close();
            let mut left = Work::default();
            if let Taken::Commands = shared.queue.take(&mut left, None) {
                left.commands.into_iter().for_each(|command| command.refuse(error.clone()));
            }
        }
        shared.store.close();
    }

    fn work(&mut self) {
        let mut work = Work::default();
        loop {
            let dirty = self.shared.cursors().is_dirty();
            match self.shared.queue.take(&mut work, dirty.then_some(CURSORS_WAIT)) {
                Taken::Commands => self.commit_all(&mut work),
                Taken::Nudge => {}
                Taken::Nothing => self.write_cursors(),
                Taken::Closed => break,
            }
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.write_cursors();
        if self.shared.check_poison().is_ok() {
            for stream in &mut self.streams {
                self.keeper.checkpoint(&self.shared, stream);
            }
        }
    }

    /// Commits everything that was queued, in as many commits as it takes.
    fn commit_all(&mut self, work: &mut Work) {
        let full = self.shared.ballast.check(work.bytes);
        let mut texts = work.texts.read();
        let mut commands = work.commands.drain(..);
        while commands.len() > 0 {
            if let Some(between) = self.commit(&mut commands, &mut texts, full.as_deref()) {
                between(self);
            }
        }
        drop(commands);
        work.texts.clear();
        work.bytes = 0;
    }

    /// One commit; what is to be done after it, when that is what ended it.
    fn commit(
        &mut self,
        commands: &mut Drain<'_, Command>,
        texts: &mut TextReader<'_>,
        full: Option<&str>,
    ) -> Option<Between> {
        let mut batch = Batch::default();
        let (between, decided) = self.decide(commands, texts, full, &mut batch);
        let written = decided.and_then(|()| self.write(batch));
        let answers = std::mem::take(&mut self.answers);
        match written {
            Ok(()) => {
                let heads: Vec<Option<u64>> =
                    self.streams.iter_mut().map(Stream::publish).collect();
                answers.into_iter().for_each(Answer::give);
                for (view, head) in self.shared.views.iter().zip(heads) {
                    head.into_iter().for_each(|last| view.tell(last));
                }
                for stream in &mut self.streams {
                    self.keeper.look_after(&self.shared, stream);
                }
            }
            Err(error) => {
                let error = self.shared.poison(&error);
                answers.into_iter().for_each(|answer| answer.fail(&error));
            }
        }
        between
    }

    /// Decides commands and puts what they add into the batch, until the commit is full, there are
    /// no more, or one is to be done between two commits.
    fn decide(
        &mut self,
        commands: &mut Drain<'_, Command>,
        texts: &mut TextReader<'_>,
        full: Option<&str>,
        batch: &mut Batch,
    ) -> (Option<Between>, Result<(), Error>) {
        let shared = Arc::clone(&self.shared);
        // One reading for the commit: entries that are flushed together have one log time.
        let now = (shared.clock)();
        let mut decided = shared.check_poison();
        let content = &mut self.content;
        let mut tools = Tools { shared: &shared, entropy: &mut self.entropy, batch, content, full };
        let mut bytes = 0;
        while self.answers.len() < COMMIT_COMMANDS_MAX && bytes < COMMIT_BYTES_MAX {
            let Some(command) = commands.next() else { break };
            bytes += command.bytes();
            let failed = decided.as_ref().err().cloned();
            let answer = match command {
                Command::Append { stream, lengths, condition, done } => {
                    // Taken even when nothing is added: the next text is behind it.
                    let text = texts.next(lengths).ok_or(Error::Closed);
                    let stream = self.streams.get_mut(stream).ok_or(Error::Closed);
                    let result = failed.map_or(Ok(()), Err).and_then(|()| {
                        let (names, content) = text?;
                        stream?.append(&names, content, condition, now, &mut tools)
                    });
                    count(&shared.counters, &result);
                    decided = decided.and(broken(&result));
                    Answer::Append(done, result)
                }
                Command::Import { stream, entries, done } => {
                    let stream = self.streams.get_mut(stream).ok_or(Error::Closed);
                    let result = failed
                        .map_or(Ok(()), Err)
                        .and_then(|()| import(stream?, &entries, &mut tools));
                    decided = decided.and(broken(&result));
                    Answer::Import(done, result)
                }
                Command::Between(call) => {
                    let left = self.leave_tails(full, batch);
                    return (Some(call), decided.and(left));
                }
            };
            self.answers.push(answer);
        }
        let left = self.leave_tails(full, batch);
        (None, decided.and(left))
    }

    /// Leaves what is in no block yet in the batch.
    fn leave_tails(&mut self, full: Option<&str>, batch: &mut Batch) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let content = &mut self.content;
        let mut tools = Tools { shared: &shared, entropy: &mut self.entropy, batch, content, full };
        self.streams.iter_mut().try_for_each(|stream| stream.leave(&mut tools))
    }

    fn write(&mut self, mut batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.cursors().write(&mut batch);
        self.write_batch(batch)
    }

    /// Writes a batch as durably as appends are.
    pub(crate) fn write_batch(&mut self, batch: Batch) -> Result<(), Error> {
        let started = Instant::now();
        self.shared.store.apply(batch)?;
        match self.shared.durability {
            Durability::Flush => self.shared.store.sync()?,
            Durability::Interval(_) => self.keeper.sync_soon(),
        }
        let counters = &self.shared.counters;
        Counters::add(&counters.commits, 1);
        let micros = started.elapsed().as_micros();
        Counters::add(&counters.flush_micros, u64::try_from(micros).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Cursors that found no commit to go with are written, and flushed with what comes next.
    fn write_cursors(&self) {
        let mut batch = Batch::default();
        self.shared.cursors().write(&mut batch);
        if batch.is_empty() || self.shared.check_poison().is_err() {
            return;
        }
        if let Err(error) = self.shared.store.apply_lazily(batch) {
            self.shared.poison(&error);
        }
    }

    /// The stream at `index`.
    pub(crate) fn view(&self, index: usize) -> Option<Arc<View>> {
        self.shared.views.get(index).map(Arc::clone)
    }

    /// Changes a stream between two commits, durably.
    pub(crate) fn with_stream(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Stream, &mut Tools<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.shared.check_poison()?;
        let shared = Arc::clone(&self.shared);
        let mut batch = Batch::default();
        let (entropy, content) = (&mut self.entropy, &mut self.content);
        let batch_ref = &mut batch;
        let mut tools = Tools { shared: &shared, entropy, batch: batch_ref, content, full: None };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(()) };
        change(stream, &mut tools)?;
        self.write(batch).map_err(|error| shared.poison(&error))?;
        self.streams.get_mut(index).and_then(Stream::publish);
        Ok(())
    }
}

fn import(stream: &mut Stream, entries: &[Entry], tools: &mut Tools<'_>) -> Result<u64, Error> {
    let mut new = 0;
    for entry in entries {
        new += u64::from(stream.import(entry, tools)?);
    }
    Ok(new)
}

fn count(counters: &Counters, result: &Result<Receipt, Error>) {
    match result {
        Ok(Receipt { duplicate: false, .. }) => Counters::add(&counters.entries, 1),
        Ok(Receipt { duplicate: true, .. }) => Counters::add(&counters.duplicates, 1),
        Err(Error::Conflict { .. }) => Counters::add(&counters.conflicts, 1),
        Err(_) => {}
    }
}

/// Refusals are answers; what breaks the commit is an error of the commit.
fn broken<T>(result: &Result<T, Error>) -> Result<(), Error> {
    match result {
        Err(error @ Error::Io { .. }) => Err(error.clone()),
        Ok(_) | Err(_) => Ok(()),
    }
}

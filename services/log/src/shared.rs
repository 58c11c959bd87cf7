//! What callers, the writer and the keeper share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ballast::Ballast;
use crate::block::Packer;
use crate::command::Command;
use crate::error::Error;
use crate::options::{Clock, Durability};
use crate::queue::{Queue, Refused};
use crate::store::{Batch, Store};
use crate::view::View;
use crate::walk::Readers;
use crate::writer::Writer;

/// The inner state of a log.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) store: Store,
    pub(crate) packer: Packer,
    pub(crate) readers: Readers,
    /// Held by whoever moves, drops or rewrites blocks: one at a time.
    pub(crate) tidying: Mutex<()>,
    pub(crate) queue: Queue,
    pub(crate) durability: Durability,
    pub(crate) clock: Clock,
    pub(crate) ballast: Ballast,
    /// The streams, in the order of the options.
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) cursors: Mutex<Cursors>,
    pub(crate) poison: Mutex<Option<Arc<str>>>,
    pub(crate) counters: Counters,
}

/// What a log has done since it was opened.
#[derive(Default)]
pub(crate) struct Counters {
    /// Commits written.
    pub(crate) commits: AtomicU64,
    /// Entries added.
    pub(crate) entries: AtomicU64,
    /// Messages whose id was there already.
    pub(crate) duplicates: AtomicU64,
    /// Messages whose condition did not hold.
    pub(crate) conflicts: AtomicU64,
    /// Time spent waiting for the disk, in microseconds.
    pub(crate) flush_micros: AtomicU64,
}

impl Counters {
    /// Adds to a counter.
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Shared {
    /// The stream called `name`.
    pub(crate) fn view(&self, name: &str) -> Result<&Arc<View>, Error> {
        self.index(name).map(|(_, view)| view)
    }

    /// The stream called `name` and its number in `views`.
    pub(crate) fn index(&self, name: &str) -> Result<(usize, &Arc<View>), Error> {
        // A handful of streams: comparing names is faster than hashing one.
        let mut views = self.views.iter().enumerate();
        views.find(|(_, view)| view.name() == name).ok_or_else(|| Error::Stream(name.to_owned()))
    }

    pub(crate) fn cursors(&self) -> MutexGuard<'_, Cursors> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of segment files.
    pub(crate) fn segments(&self) -> PathBuf {
        self.path.join("segments")
    }

    /// Waits for the right to move, drop or rewrite blocks.
    pub(crate) fn tidying(&self) -> MutexGuard<'_, ()> {
        self.tidying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the writer do something between two commits, and waits for it.
    pub(crate) fn between<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (tx, rx) = sync_channel(1);
        let call = move |writer: &mut Writer| {
            // The caller waits, unless its thread died.
            drop(tx.send(call(writer)));
        };
        self.push_wait(Command::Between(Box::new(call)))?;
        rx.recv().map_err(|_| Error::Closed)
    }

    /// Queues a command, however long it takes to find room.
    pub(crate) fn push_wait(&self, command: Command) -> Result<(), Error> {
        let mut command = command;
        loop {
            match self.queue.push(command) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed) => return Err(Error::Closed),
                Err(Refused::Full(back)) => command = back,
            }
            self.queue.wait_for_room();
        }
    }

    /// Ends all writing, for the first reason given.
    pub(crate) fn poison(&self, error: &Error) -> Error {
        let mut poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        let why = poison.get_or_insert_with(|| {
            let why = describe(error);
            tracing::error!(error = why, log = %self.path.display(), "log refuses writes");
            why.into()
        });
        Error::Poisoned { why: Arc::clone(why) }
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn poisoned(&self) -> Option<Arc<str>> {
        self.poison.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The error that every write gets after a failed one.
    pub(crate) fn check_poison(&self) -> Result<(), Error> {
        self.poisoned().map_or(Ok(()), |why| Err(Error::Poisoned { why }))
    }
}

/// An error with all its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The longest name of a cursor.
pub(crate) const CURSOR_NAME_BYTES_MAX: usize = 256;
/// The largest value of a cursor: one piece in the store.
pub(crate) const CURSOR_BYTES_MAX: usize = 4096;

/// Durable places of consumers, all in memory: there are few and they are small.
#[derive(Default)]
pub(crate) struct Cursors {
    values: BTreeMap<String, Vec<u8>>,
    dirty: BTreeSet<String>,
}

impl Cursors {
    pub(crate) fn new(values: Vec<(String, Vec<u8>)>) -> Self {
        Self { values: values.into_iter().collect(), dirty: BTreeSet::new() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Vec<u8>> {
        self.values.get(name)
    }

    /// Changes a cursor; whether it is the first change that waits to be written.
    pub(crate) fn set(&mut self, name: &str, value: Option<Vec<u8>>) -> bool {
        match value {
            Some(value) => self.values.insert(name.to_owned(), value),
            None => self.values.remove(name),
        };
        self.dirty.insert(name.to_owned());
        self.dirty.len() == 1
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Adds all changes to a batch.
    pub(crate) fn write(&mut self, batch: &mut Batch) {
        for name in std::mem::take(&mut self.dirty) {
            batch.put_cursor(&name, self.values.get(&name).map(Vec::as_slice));
        }
    }
}

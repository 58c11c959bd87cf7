//! The log itself: what users call, and how its threads start and end.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use hearken_proto::{Entry, Message, Timestamp};

use crate::ballast::Ballast;
use crate::block::Packer;
use crate::chain::Entropy;
use crate::check::{check, check_entry, limit};
use crate::command::{Command, bytes_of};
use crate::error::Error;
use crate::keeper::Keeper;
use crate::name::Name;
use crate::options::Options;
use crate::query::{Query, Selected};
use crate::queue::Queue;
use crate::retain::Retained;
use crate::shared::{self, CURSOR_BYTES_MAX, CURSOR_NAME_BYTES_MAX, Cursors, Shared};
use crate::stats::Stats;
use crate::store::Store;
use crate::stream::{Condition, Receipt};
use crate::verify::Verified;
use crate::view::{Position, View};
use crate::writer::Writer;
use crate::{erase, query, read, recover, retain, stats, verify, walk};

/// Entries of an import that go into one commit.
const IMPORT_ENTRIES_MAX: usize = 1024;
/// Their bytes, except for the last: a quarter of a commit.
const IMPORT_BYTES_MAX: usize = 1024 * 1024;

/// An ordered, durable log of entries. Clones are cheap and mean the same log.
#[derive(Clone)]
pub struct Log {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    keeper: Keeper,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The queue is full; the message is handed back. See [`Log::when_room`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFull(pub Message);

/// Ends a subscription when dropped.
pub struct Subscription {
    view: Arc<View>,
    number: Option<u64>,
}

impl Log {
    /// Opens the log in `path`, creating what is missing.
    ///
    /// # Errors
    /// [`Error::Locked`] when somebody else has it open; [`Error::Corrupt`] when what is stored is
    /// damaged or of a newer format; [`Error::Io`] for what the system refuses.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        std::fs::create_dir_all(path)
            .map_err(|e| Error::io(format!("create {}", path.display()), e))?;
        let ballast = Ballast::new(path, options.ballast_bytes);
        ballast.release_if_needed()?;
        let store = Store::open(path, options.cache_bytes)?;
        let packer = Packer::new().map_err(|e| Error::io("prepare compression", e))?;
        let mut entropy = Entropy::open()?;
        let mut streams = recover::recover(path, &store, &packer, options.streams, &mut entropy)?;
        ballast.restore()?;
        let views: Vec<Arc<View>> = streams.iter().map(|stream| Arc::clone(&stream.view)).collect();
        let cursors = Mutex::new(Cursors::new(store.cursors()?));
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            store,
            packer,
            readers: walk::Readers::default(),
            tidying: Mutex::default(),
            queue: Queue::default(),
            durability: options.durability,
            clock: options.clock,
            ballast,
            views,
            cursors,
            poison: Mutex::default(),
            counters: shared::Counters::default(),
        });
        for stream in &mut streams {
            recover::remember(&shared, stream)?;
        }
        let keeper = Keeper::default();
        let writer = Writer::new(Arc::clone(&shared), keeper.clone(), streams, entropy);
        let (tidier, tidied) = (keeper.clone(), Arc::clone(&shared));
        let (syncer, synced) = (keeper.clone(), Arc::clone(&shared));
        let threads = vec![
            spawn("log-writer", move || writer.run())?,
            spawn("log-keeper", move || tidier.tidy(&tidied))?,
            spawn("log-sync", move || syncer.sync(&synced))?,
        ];
        Ok(Self { inner: Arc::new(Inner { shared, keeper, threads: Mutex::new(threads) }) })
    }

    #[expect(clippy::result_large_err, reason = "the message is handed back, not copied")]
    /// Queues a message. `done` is called on the writer's thread after the flush that covers it, or
    /// at once when the message can never be stored; it must not block.
    ///
    /// # Errors
    /// [`QueueFull`] hands the message back, and `done` is dropped without being called.
    pub fn append(
        &self,
        stream: &str,
        message: Message,
        condition: Condition,
        done: impl FnOnce(Result<Receipt, Error>) + Send + 'static,
    ) -> Result<(), QueueFull> {
        let index = match self.inner.shared.index(stream).and_then(|(index, _)| {
            check(&message)?;
            Ok(index)
        }) {
            Ok(index) => index,
            Err(error) => {
                done(Err(error));
                return Ok(());
            }
        };
        match self.inner.shared.queue.push_append(index, &message, condition, Box::new(done)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(QueueFull(message)),
            Err(done) => {
                done(Err(Error::Closed));
                Ok(())
            }
        }
    }

    /// Adds a message and waits until it is durable.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Full`], and what ends writing altogether.
    pub fn append_wait(
        &self,
        stream: &str,
        message: Message,
        condition: Condition,
    ) -> Result<Receipt, Error> {
        let mut message = message;
        loop {
            let (tx, rx) = sync_channel(1);
            let done = move |result| drop(tx.send(result));
            match self.append(stream, message, condition, done) {
                Ok(()) => return wait(&rx),
                Err(QueueFull(back)) => message = back,
            }
            self.inner.shared.queue.wait_for_room();
        }
    }

    /// Calls `wake` once, as soon as the queue has room again: at once, or from the writer's
    /// thread.
    pub fn when_room(&self, wake: impl FnOnce() + Send + 'static) {
        self.inner.shared.queue.when_room(Box::new(wake));
    }

    /// Adds entries of another log at their own places, with their own times; those that this
    /// stream is past are skipped. Returns how many were new.
    ///
    /// # Errors
    /// As [`Log::append_wait`]; entries before the one that was refused may have been added.
    pub fn import(&self, stream: &str, entries: Vec<Entry>) -> Result<u64, Error> {
        let (index, _) = self.inner.shared.index(stream)?;
        entries.iter().try_for_each(check_entry)?;
        let mut new = 0;
        let mut rest = entries.into_iter().peekable();
        while rest.peek().is_some() {
            let mut entries = Vec::new();
            let mut bytes = 0;
            while bytes < IMPORT_BYTES_MAX && entries.len() < IMPORT_ENTRIES_MAX {
                let Some(entry) = rest.next() else { break };
                bytes += bytes_of(&entry);
                entries.push(entry);
            }
            let (tx, rx) = sync_channel(1);
            let done = Box::new(move |result| drop(tx.send(result)));
            let command = Command::Import { stream: index, entries, done };
            self.inner.shared.push_wait(command)?;
            new += wait(&rx)?;
        }
        Ok(new)
    }

    /// The flushed entries from sequence `from` on, in order, until a limit is reached; at least
    /// one if there is one.
    ///
    /// # Errors
    /// [`Error::Stream`], [`Error::Corrupt`], [`Error::Io`], [`Error::Closed`].
    pub fn read(
        &self,
        stream: &str,
        from: u64,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, Error> {
        let shared = &self.inner.shared;
        read::read(shared, shared.view(stream)?, from, entries_max, bytes_max)
    }

    /// The last entry of a subject, of those that compare-and-set remembers: all with
    /// `one_per_subject`, otherwise those younger than `subjects_age`. Older ones: [`Log::select`].
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn last(&self, stream: &str, subject: &str) -> Result<Option<Entry>, Error> {
        let shared = &self.inner.shared;
        let view = shared.view(stream)?;
        let sequence = view.subjects().get(Name::subject(subject));
        match sequence {
            Some(sequence) => read::at(shared, view, sequence),
            None => Ok(None),
        }
    }

    /// Looks for entries by subject, id, cause and time.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn select(&self, stream: &str, query: &Query) -> Result<Selected, Error> {
        let shared = &self.inner.shared;
        query::select(shared, shared.view(stream)?, query)
    }

    /// Where the stream begins and ends, as flushed.
    ///
    /// # Errors
    /// [`Error::Stream`].
    pub fn head(&self, stream: &str) -> Result<Position, Error> {
        self.inner.shared.view(stream).map(|view| view.position())
    }

    /// Calls `watcher` with the last sequence after each flush that added to the stream, on the
    /// writer's thread, until the subscription is dropped. It must not block.
    ///
    /// # Errors
    /// [`Error::Stream`]; [`Error::Busy`] when there are thousands already.
    pub fn subscribe(
        &self,
        stream: &str,
        watcher: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Subscription, Error> {
        let view = Arc::clone(self.inner.shared.view(stream)?);
        let number = view.watch(Arc::new(watcher)).ok_or(Error::Busy)?;
        Ok(Subscription { view, number: Some(number) })
    }

    /// The value of a cursor, as last set.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        self.inner.shared.cursors().get(name).cloned()
    }

    /// Sets a cursor. It is written with the next commit, or alone within a second or so, and never
    /// waited for: after a crash it may be an older one.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn set_cursor(&self, name: &str, value: Vec<u8>) -> Result<(), Error> {
        limit("the name of a cursor", name.len(), CURSOR_NAME_BYTES_MAX)?;
        limit("a cursor", value.len(), CURSOR_BYTES_MAX)?;
        self.change_cursor(name, Some(value));
        Ok(())
    }

    /// Removes a cursor, as lazily as it is set.
    pub fn remove_cursor(&self, name: &str) {
        self.change_cursor(name, None);
    }

    fn change_cursor(&self, name: &str, value: Option<Vec<u8>>) {
        let first = self.inner.shared.cursors().set(name, value);
        if first {
            self.inner.shared.queue.nudge();
        }
    }

    /// Erases headers and body of an entry for good; its place, time, subject, id and cause stay,
    /// and the chain still verifies. Returns whether there was anything to erase.
    ///
    /// # Errors
    /// [`Error::NotFound`], and what ends writing altogether.
    pub fn erase(&self, stream: &str, sequence: u64) -> Result<bool, Error> {
        let shared = &self.inner.shared;
        let (index, view) = shared.index(stream)?;
        erase::erase(shared, index, view, sequence)
    }

    /// Computes the chain of a stream again from what is on disk.
    ///
    /// # Errors
    /// [`Error::Broken`] where it does not hold; [`Error::Corrupt`] for what cannot even be read.
    pub fn verify(&self, stream: &str) -> Result<Verified, Error> {
        let shared = &self.inner.shared;
        let (index, view) = shared.index(stream)?;
        verify::verify(shared, index, view)
    }

    /// Moves old blocks to segment files and drops what streams need not keep. The log does the
    /// first by itself when there is much to move; for age this must be called now and then.
    ///
    /// # Errors
    /// [`Error::Io`] and what ends writing altogether; what was done before it stays done.
    pub fn retain(&self, now: Timestamp) -> Result<Retained, Error> {
        retain::retain(&self.inner.shared, now)
    }

    /// What the log holds and has done.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Closed`].
    pub fn stats(&self) -> Result<Stats, Error> {
        stats::stats(&self.inner.shared)
    }

    /// Writes what is queued, then closes the log for every clone. Without it the last clone that
    /// is dropped does the same, but cannot say what went wrong.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when a write failed; [`Error::Io`] when closing fails.
    pub fn close(self) -> Result<(), Error> {
        let closed = self.inner.close();
        // What ended writing tells more than what follows from it.
        self.inner.shared.check_poison()?;
        closed
    }
}

impl Inner {
    fn close(&self) -> Result<(), Error> {
        self.shared.queue.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A callback that drops the last log runs on a thread of the log, which cannot wait for
        // itself; the writer closes the store at its end in any case.
        let own = threads.iter().any(|thread| thread.thread().id() == thread::current().id());
        if own {
            self.keeper.close();
            return Ok(());
        }
        let mut threads = threads.into_iter();
        // The writer first: the keeper may still want something of it.
        threads.next().into_iter().for_each(join);
        self.keeper.close();
        threads.for_each(join);
        self.shared.store.closed()
    }
}

fn join(thread: JoinHandle<()>) {
    // Its panics were reported where they happened.
    drop(thread.join());
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            let error = shared::describe(&error);
            tracing::error!(error, log = %self.shared.path.display(), "log did not close well");
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.number.into_iter().for_each(|number| self.view.unwatch(number));
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| Error::io(format!("start the thread {name}"), e))
}

fn wait<T>(rx: &Receiver<Result<T, Error>>) -> Result<T, Error> {
    rx.recv().unwrap_or(Err(Error::Closed))
}

//! The embedded bus: streams of `hearken-log` in this process.
//!
//! Acknowledged means flushed. What is stored is also passed on to live listeners, after the flush
//! and in stream order, because the log's writer thread does both.

mod blobs;
mod consumer;
mod reader;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearken_log::{Condition, Log};
use hearken_proto::{Entry, Message, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{Ack, ConsumerOptions, Error, Head};
use crate::listener::{Refused, Store, Stored};
use crate::router::Router;

pub use consumer::Acker;
pub(super) use consumer::Member;
pub use reader::Reader;

/// Appends that may wait for their flush at a time. Bounds memory; large enough that one flush
/// covers a burst.
const UNACKNOWLEDGED_MAX: usize = 4096;

/// How an embedded bus is set up.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Prefix of all subjects.
    pub prefix: String,
    /// The data folder: blobs live in it, beside the log.
    pub data: PathBuf,
    /// The largest body taken, in bytes.
    pub payload_max: usize,
}

/// Streams in this process. Cloning it is cheap.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    options: EmbeddedOptions,
    log: Log,
    router: Router,
    heads: HashMap<Stream, Arc<watch::Sender<u64>>>,
    /// Dropped, they end what keeps `heads` current.
    _subscriptions: Vec<hearken_log::Subscription>,
    consumers: Mutex<HashMap<&'static str, Arc<consumer::Shared>>>,
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Embedded {
    /// A bus over an open log, whose streams carry the names of [`Stream::name`].
    ///
    /// # Errors
    /// [`Error::Storage`] when the blob folder cannot be made.
    pub fn new(log: Log, router: Router, options: EmbeddedOptions) -> Result<Self, Error> {
        blobs::prepare(&options.data)?;
        let mut heads = HashMap::new();
        let mut subscriptions = Vec::new();
        for stream in Stream::ALL {
            let head = Arc::new(watch::Sender::new(log.head(stream.name())?.last));
            let told = Arc::clone(&head);
            let subscription = log.subscribe(stream.name(), move |last| {
                told.send_replace(last);
            })?;
            subscriptions.push(subscription);
            heads.insert(stream, head);
        }
        Ok(Self(Arc::new(Inner {
            options,
            log,
            router,
            heads,
            _subscriptions: subscriptions,
            consumers: Mutex::new(HashMap::new()),
            room: Arc::new(Semaphore::new(UNACKNOWLEDGED_MAX)),
        })))
    }

    /// The prefix of all subjects.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.options.prefix
    }

    /// The log underneath: the ledger reads the same store.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// The live side: listeners in this process.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.0.router
    }

    /// See [`super::Bus::send`].
    pub(super) async fn send(&self, message: Message, last: Option<u64>) -> Result<Pending, Error> {
        let max = self.0.options.payload_max;
        if message.body.len() > max {
            return Err(Error::TooLarge { bytes: message.body.len(), max });
        }
        let stream = Stream::of(self.prefix(), &message.subject)
            .ok_or_else(|| Error::NotStored(message.subject.clone()))?;
        let room = Arc::clone(&self.0.room);
        let permit = room.acquire_owned().await.map_err(|_closed| closed())?;
        let (tx, rx) = oneshot::channel();
        let condition = last.map_or(Condition::Always, Condition::LastOfSubject);
        let router = self.0.router.clone();
        let copy = message.clone();
        let done = move |result: Result<hearken_log::Receipt, hearken_log::Error>| {
            if result.as_ref().is_ok_and(|receipt| !receipt.duplicate) {
                router.publish(&copy, None);
            }
            settle(permit, tx, result);
        };
        // The permits are fewer than the log's queue is long, so there is room.
        let queued = self.0.log.append(stream.name(), message, condition, done);
        queued.map_err(|_full| Error::Full("the log's queue".to_owned()))?;
        Ok(Pending(rx))
    }

    /// See [`super::Bus::consume`].
    pub(super) fn consume(&self, options: &ConsumerOptions) -> Result<Member, Error> {
        let mut consumers = self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = if let Some(shared) = consumers.get(options.durable) {
            shared.check(options)?;
            Arc::clone(shared)
        } else {
            let head = self.watch(options.stream)?;
            let shared = Arc::new(consumer::Shared::open(&self.0.log, options, head)?);
            consumers.insert(options.durable, Arc::clone(&shared));
            shared
        };
        Ok(Member::new(shared))
    }

    /// See [`super::Bus::read`].
    pub(super) fn read(&self, stream: Stream, filter: &str, from: u64) -> Reader {
        Reader::new(self.0.log.clone(), stream, filter, from, self.0.heads.get(&stream))
    }

    /// See [`super::Bus::collect`].
    pub(super) async fn collect(
        &self,
        stream: Stream,
        filter: &str,
        from: u64,
    ) -> Result<Vec<Entry>, Error> {
        reader::collect(self.0.log.clone(), stream, filter.to_owned(), from).await
    }

    /// See [`super::Bus::last`].
    pub(super) async fn last(&self, stream: Stream, subject: &str) -> Result<Option<Entry>, Error> {
        let log = self.0.log.clone();
        let subject = subject.to_owned();
        blocking(move || Ok(log.last(stream.name(), &subject)?)).await
    }

    /// See [`super::Bus::head`].
    pub(super) fn head(&self, stream: Stream) -> Head {
        let last = self.0.log.head(stream.name()).map_or(0, |head| head.last);
        let incarnation = self.0.log.incarnation(stream.name()).unwrap_or_default();
        Head { last, incarnation }
    }

    /// See [`super::Bus::ask`].
    pub(super) async fn ask(
        &self,
        subject: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, Error> {
        use crate::router::AskError;
        match self.0.router.ask(subject, body, timeout).await {
            Ok(message) => Ok(message.body.clone()),
            Err(AskError::NoResponders) => Err(Error::NoResponder(subject.to_owned())),
            Err(AskError::TimedOut) => Err(Error::TimedOut(subject.to_owned())),
        }
    }

    /// See [`super::Bus::blob_put`].
    pub(super) async fn blob_put(&self, content: Bytes) -> Result<String, Error> {
        let data = self.0.options.data.clone();
        blocking(move || blobs::put(&data, &content)).await
    }

    /// See [`super::Bus::blob_get`].
    pub(super) async fn blob_get(&self, digest: &str) -> Result<Option<Bytes>, Error> {
        let (data, digest) = (self.0.options.data.clone(), digest.to_owned());
        blocking(move || blobs::get(&data, &digest)).await
    }

    /// Writes down how far consumers have come, so that a clean start repeats nothing.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn save_cursors(&self) -> Result<(), Error> {
        let consumers = self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        consumers.values().try_for_each(|shared| shared.save())
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.0.options.data
    }

    /// The sequence of a subject's last entry; 0 when it has none.
    async fn last_of(&self, subject: &str) -> u64 {
        let Some(stream) = Stream::of(self.prefix(), subject) else { return 0 };
        let last = self.last(stream, subject).await;
        last.ok().flatten().map_or(0, |entry| entry.sequence)
    }

    fn watch(&self, stream: Stream) -> Result<watch::Receiver<u64>, Error> {
        let head = self.0.heads.get(&stream).ok_or_else(closed)?;
        Ok(head.subscribe())
    }
}

impl Store for Embedded {
    async fn append(
        &self,
        _stream: Stream,
        message: Message,
        expected: Option<u64>,
    ) -> Result<Stored, Refused> {
        let subject = message.subject.clone();
        let stored = match self.send(message, expected).await {
            Ok(pending) => pending.stored().await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(ack) => Ok(Stored { sequence: ack.sequence, duplicate: ack.duplicate }),
            Err(Error::Conflict) => Err(Refused::Conflict { last: self.last_of(&subject).await }),
            Err(Error::Full(_)) => Err(Refused::Full),
            Err(Error::TooLarge { .. }) => Err(Refused::TooLarge),
            Err(error) => Err(Refused::Unavailable(error.to_string())),
        }
    }
}

fn settle(
    permit: OwnedSemaphorePermit,
    tx: oneshot::Sender<Result<Ack, Error>>,
    result: Result<hearken_log::Receipt, hearken_log::Error>,
) {
    drop(permit);
    let ack = result
        .map(|receipt| Ack { sequence: receipt.sequence, duplicate: receipt.duplicate })
        .map_err(Error::from);
    // A publisher that stopped waiting does not need the answer.
    tx.send(ack).unwrap_or(());
}

fn closed() -> Error {
    Error::Unreachable("the embedded bus has ended".to_owned())
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_panicked| closed())?
}

/// An acknowledgement still to come.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Ack, Error>>);

impl Pending {
    pub(super) async fn stored(self) -> Result<Ack, Error> {
        self.0.await.map_err(|_gone| Error::Unknown("the log has ended".to_owned()))?
    }
}

//! The bus: ordered, durable streams of entries, in this process or on a NATS server.
//!
//! One meaning, two implementations. What a method promises is written here; the conformance suite
//! in `tests/` runs every promise on both. [`Bus`] is a closed enum rather than a trait because
//! there are exactly two, and a reader should be able to see both ways at once.

mod consumer;
pub mod embedded;
mod error;
pub mod nats;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearken_proto::{Entry, Message, Stream, Subject};

pub use consumer::{Acker, Consumer, ConsumerOptions, DELIVERIES_MAX, Delivery};
pub use embedded::{Embedded, EmbeddedOptions};
pub use error::Error;
pub use nats::{Comparison, Credentials, Nats, NatsOptions, StreamPlan};

use crate::router;

/// A connection to the streams of one installation. Cloning it is cheap.
#[derive(Clone, Debug)]
pub enum Bus {
    /// Streams of `hearken-log` in this process.
    Embedded(Embedded),
    /// Streams of a NATS server with JetStream.
    Nats(Nats),
}

/// What the bus answers when an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Place of the entry; of the first one when this was a duplicate.
    pub sequence: u64,
    /// Whether an entry of the same id was already there, within the duplicate window.
    pub duplicate: bool,
}

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Place of the newest entry; 0 when there is none.
    pub last: u64,
    /// Name of this stream's life: another one after it was deleted and made again.
    pub incarnation: String,
}

/// An acknowledgement still to come: see [`Bus::send`].
#[derive(Debug)]
pub enum Pending {
    /// From the embedded bus.
    Embedded(embedded::Pending),
    /// From a NATS server.
    Nats(nats::Pending),
}

impl Pending {
    /// Waits until the entry is stored.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn stored(self) -> Result<Ack, Error> {
        match self {
            Self::Embedded(pending) => pending.stored().await,
            Self::Nats(pending) => pending.stored().await,
        }
    }
}

impl Bus {
    /// The prefix of all subjects and streams of this installation.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self {
            Self::Embedded(bus) => bus.prefix(),
            Self::Nats(bus) => bus.prefix(),
        }
    }

    /// The full text of `subject`.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> String {
        subject.under(self.prefix())
    }

    /// Stores `message` and waits for the acknowledgement: from then on it survives `kill -9`.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is not known whether the entry was stored; with an id it is safe
    /// to publish again within the duplicate window.
    pub async fn publish(&self, message: Message) -> Result<Ack, Error> {
        self.send(message, None).await?.stored().await
    }

    /// Stores `message` if the last entry of its subject has the sequence `last` (0: there is
    /// none). Of any number of writers with the same `last`, exactly one wins.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else was first; others as [`Bus::publish`].
    pub async fn publish_if(&self, message: Message, last: u64) -> Result<Ack, Error> {
        self.send(message, Some(last)).await?.stored().await
    }

    /// Hands `message` over in order, without waiting for the acknowledgement; waits only for room
    /// in the window of unacknowledged messages.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Unreachable`], [`Error::NotStored`].
    pub async fn send(&self, message: Message, last: Option<u64>) -> Result<Pending, Error> {
        match self {
            Self::Embedded(bus) => bus.send(message, last).await.map(Pending::Embedded),
            Self::Nats(bus) => bus.send(message, last).await.map(Pending::Nats),
        }
    }

    /// Joins the durable consumer of a name: its members share the entries, each is delivered
    /// until one member acknowledges it.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the consumer exists with other options.
    pub async fn consume(&self, options: ConsumerOptions) -> Result<Consumer, Error> {
        let source = match self {
            Self::Embedded(bus) => consumer::Source::Embedded(bus.consume(&options)?),
            Self::Nats(bus) => consumer::Source::Nats(Box::new(bus.consume(&options).await?)),
        };
        Ok(Consumer::new(self.clone(), options, source))
    }

    /// Reads a stream in order, from sequence `from`, for as long as the reader lives. `filter` is
    /// a full subject and may have wildcards.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn read(&self, stream: Stream, filter: &str, from: u64) -> Result<Reader, Error> {
        match self {
            Self::Embedded(bus) => Ok(Reader::Embedded(bus.read(stream, filter, from))),
            Self::Nats(bus) => {
                Ok(Reader::Nats(Box::new(bus.read(stream, filter, from, true).await?)))
            }
        }
    }

    /// Everything that a stream holds now of `filter`, in order, from sequence `from`.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn collect(
        &self,
        stream: Stream,
        filter: &str,
        from: u64,
    ) -> Result<Vec<Entry>, Error> {
        match self {
            Self::Embedded(bus) => bus.collect(stream, filter, from).await,
            Self::Nats(bus) => bus.collect(stream, filter, from).await,
        }
    }

    /// The last entry of one subject, if it is still remembered.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn last(&self, stream: Stream, subject: &str) -> Result<Option<Entry>, Error> {
        match self {
            Self::Embedded(bus) => bus.last(stream, subject).await,
            Self::Nats(bus) => bus.last(stream, subject).await,
        }
    }

    /// Where a stream stands.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn head(&self, stream: Stream) -> Result<Head, Error> {
        match self {
            Self::Embedded(bus) => Ok(bus.head(stream)),
            Self::Nats(bus) => bus.head(stream).await,
        }
    }

    /// Passes `message` on to whoever listens now, without storing it.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn emit(&self, message: Message) -> Result<(), Error> {
        match self {
            Self::Embedded(bus) => {
                bus.router().publish(&message, None);
                Ok(())
            }
            Self::Nats(bus) => bus.emit(message, None).await,
        }
    }

    /// Listens to messages as they come, stored or not, from now on. With a `group`, its members
    /// share them. A listener that cannot keep up loses messages and is told so.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn tail(&self, filter: &str, group: Option<&str>) -> Result<Tail, Error> {
        match self {
            Self::Embedded(bus) => Ok(Tail::Embedded(bus.router().subscribe(filter, group))),
            Self::Nats(bus) => Ok(Tail::Nats(bus.tail(filter, group).await?)),
        }
    }

    /// Asks whoever answers on `subject`, and waits for the first answer.
    ///
    /// # Errors
    /// [`Error::NoResponder`] when nobody listens, [`Error::TimedOut`].
    pub async fn ask(&self, subject: &str, body: Bytes, timeout: Duration) -> Result<Bytes, Error> {
        match self {
            Self::Embedded(bus) => bus.ask(subject, body, timeout).await,
            Self::Nats(bus) => bus.ask(subject, body, timeout).await,
        }
    }

    /// Answers a message that came through [`Bus::tail`] with a reply subject.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn answer(&self, reply: &str, body: Bytes) -> Result<(), Error> {
        let message = Message { subject: reply.to_owned(), body, ..Message::default() };
        self.emit(message).await
    }

    /// Keeps `content` where every host finds it by its digest, which is returned.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Storage`].
    pub async fn blob_put(&self, content: Bytes) -> Result<String, Error> {
        match self {
            Self::Embedded(bus) => bus.blob_put(content).await,
            Self::Nats(bus) => bus.blob_put(content).await,
        }
    }

    /// The content with `digest`, checked against it; `None` when nobody put it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Storage`].
    pub async fn blob_get(&self, digest: &str) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Embedded(bus) => bus.blob_get(digest).await,
            Self::Nats(bus) => bus.blob_get(digest).await,
        }
    }
}

/// Entries of a stream, in order.
#[derive(Debug)]
pub enum Reader {
    /// From the embedded bus.
    Embedded(embedded::Reader),
    /// From a NATS server.
    Nats(Box<nats::Reader>),
}

impl Reader {
    /// The next entry; waits for it at the head.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Storage`].
    ///
    /// # Cancel safety
    /// No entry is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Entry, Error> {
        match self {
            Self::Embedded(reader) => reader.next().await,
            Self::Nats(reader) => reader.next().await,
        }
    }
}

/// Messages as they come.
#[derive(Debug)]
pub enum Tail {
    /// From the embedded bus.
    Embedded(router::Subscription),
    /// From a NATS server.
    Nats(nats::Tail),
}

/// A message that came through a [`Tail`].
#[derive(Clone, Debug)]
pub struct Heard {
    /// The message.
    pub message: Message,
    /// Where an answer is expected.
    pub reply: Option<String>,
}

impl Tail {
    /// The next message; `None` when the bus is gone.
    ///
    /// # Cancel safety
    /// No message is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        match self {
            Self::Embedded(subscription) => {
                let delivered = subscription.next().await?;
                let message = Arc::unwrap_or_clone(delivered.message);
                Some(Heard { message, reply: delivered.reply.map(|reply| reply.to_string()) })
            }
            Self::Nats(tail) => tail.next().await,
        }
    }
}

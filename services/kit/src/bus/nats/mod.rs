//! The bus on a NATS server with JetStream, 2.9 or newer.
//!
//! The streams are the server's; this code adds ids, causes and compare-and-set to messages and
//! reads them back as entries. Nothing here rests on the duplicate window.

mod connect;
mod consumer;
mod message;
mod reader;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{Context, PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hearken_proto::{Entry, Message, Stream, id};
use tokio::io::AsyncReadExt as _;

use super::{Ack, ConsumerOptions, Error, Head, Heard};
use crate::chain;

pub use connect::{Credentials, NatsOptions};
pub use consumer::Acker;
pub(super) use consumer::Member;
pub use reader::Reader;
pub use streams::{Comparison, StreamPlan};

/// How long a request to the server may take.
const REQUEST_WAIT: Duration = Duration::from_secs(5);

/// Streams of a NATS server. Cloning it is cheap.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

struct Inner {
    prefix: String,
    client: async_nats::Client,
    connections: connect::Connections,
    context: Context,
    blobs: ObjectStore,
    handles: streams::Handles,
    payload_max: usize,
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl Nats {
    /// Connects, and creates the streams that are missing; existing ones are left as they are.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Denied`], [`Error::Configuration`].
    pub async fn connect(options: NatsOptions) -> Result<Self, Error> {
        let (client, connections) = connect::connect(&options).await?;
        let context = connect::context(client.clone());
        let handles = streams::ensure(&context, &options).await?;
        let blobs = streams::ensure_blobs(&context, &options).await?;
        let payload_max = client.server_info().max_payload;
        let prefix = options.prefix;
        Ok(Self(Arc::new(Inner {
            prefix,
            client,
            connections,
            context,
            blobs,
            handles,
            payload_max,
        })))
    }

    /// How the server's streams compare to what is wanted; with `apply`, changes them.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Denied`], [`Error::Configuration`].
    pub async fn compare(options: &NatsOptions, apply: bool) -> Result<Vec<Comparison>, Error> {
        let (client, _connections) = connect::connect(options).await?;
        streams::compare(&connect::context(client), options, apply).await
    }

    pub(super) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Version of the server, and its name.
    #[must_use]
    pub fn server(&self) -> (String, String) {
        let info = self.0.client.server_info();
        (info.version, info.server_name)
    }

    pub(super) async fn send(&self, message: Message, last: Option<u64>) -> Result<Pending, Error> {
        let max = self.0.payload_max;
        if message.body.len() > max {
            return Err(Error::TooLarge { bytes: message.body.len(), max });
        }
        if Stream::of(&self.0.prefix, &message.subject).is_none() {
            return Err(Error::NotStored(message.subject));
        }
        let (subject, publish) = message::publish(message, last);
        let future = self.0.context.send_publish(subject, publish).await.map_err(publish_error)?;
        Ok(Pending(future))
    }

    pub(super) async fn emit(&self, message: Message, reply: Option<&str>) -> Result<(), Error> {
        let (subject, headers, body) = message::plain(message);
        let client = &self.0.client;
        let sent = match reply {
            Some(reply) => {
                let reply = reply.to_owned();
                client.publish_with_reply_and_headers(subject, reply, headers, body).await
            }
            None => client.publish_with_headers(subject, headers, body).await,
        };
        sent.map_err(|error| Error::Unreachable(error.to_string()))
    }

    pub(super) async fn consume(&self, options: &ConsumerOptions) -> Result<Member, Error> {
        let connections = self.0.connections.clone();
        Member::join(self.0.handles.of(options.stream), options, connections).await
    }

    pub(super) async fn read(
        &self,
        stream: Stream,
        filter: &str,
        from: u64,
        _follow: bool,
    ) -> Result<Reader, Error> {
        let connections = self.0.connections.clone();
        Reader::open(self.0.handles.of(stream), filter, from, connections).await
    }

    pub(super) async fn collect(
        &self,
        stream: Stream,
        filter: &str,
        from: u64,
    ) -> Result<Vec<Entry>, Error> {
        reader::collect(self.0.handles.of(stream), filter, from).await
    }

    pub(super) async fn last(&self, stream: Stream, subject: &str) -> Result<Option<Entry>, Error> {
        let handle = self.0.handles.of(stream);
        match handle.get_last_raw_message_by_subject(subject).await {
            Ok(raw) => Ok(Some(message::entry_of_raw(raw))),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => {
                Ok(None)
            }
            Err(error) => Err(Error::Unreachable(error.to_string())),
        }
    }

    pub(super) async fn head(&self, stream: Stream) -> Result<Head, Error> {
        let info = self.0.handles.of(stream).get_info().await;
        let info = info.map_err(|error| Error::Unreachable(error.to_string()))?;
        let incarnation = format!("{:x}", info.created.unix_timestamp_nanos());
        Ok(Head { last: info.state.last_sequence, incarnation })
    }

    pub(super) async fn tail(&self, filter: &str, group: Option<&str>) -> Result<Tail, Error> {
        let client = &self.0.client;
        let subscribed = match group {
            Some(group) => client.queue_subscribe(filter.to_owned(), group.to_owned()).await,
            None => client.subscribe(filter.to_owned()).await,
        };
        subscribed.map(Tail).map_err(|error| Error::Unreachable(error.to_string()))
    }

    pub(super) async fn ask(
        &self,
        subject: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, Error> {
        use async_nats::client::RequestErrorKind;
        let request = async_nats::Request::new().payload(body).timeout(Some(timeout));
        match self.0.client.send_request(subject.to_owned(), request).await {
            Ok(message) => Ok(message.payload),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::NoResponders => Error::NoResponder(subject.to_owned()),
                RequestErrorKind::TimedOut => Error::TimedOut(subject.to_owned()),
                RequestErrorKind::InvalidSubject
                | RequestErrorKind::MaxPayloadExceeded
                | RequestErrorKind::Other => Error::Unreachable(error.to_string()),
            }),
        }
    }

    /// A blob goes in many messages, and nobody tells when one of them got lost with a connection.
    async fn in_time<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let timed = tokio::time::timeout(REQUEST_WAIT, work).await;
        timed.unwrap_or_else(|_late| Err(Error::TimedOut(what.to_owned())))
    }

    pub(super) async fn blob_put(&self, content: Bytes) -> Result<String, Error> {
        self.in_time("the blob store", self.put(content)).await
    }

    pub(super) async fn blob_get(&self, digest: &str) -> Result<Option<Bytes>, Error> {
        self.in_time("the blob store", self.get(digest)).await
    }

    async fn put(&self, content: Bytes) -> Result<String, Error> {
        let digest = id::digest(&content);
        if self.0.blobs.info(&digest).await.is_ok() {
            return Ok(digest);
        }
        let mut reader: &[u8] = &content;
        let put = self.0.blobs.put(digest.as_str(), &mut reader).await;
        put.map(|_info| digest).map_err(|error| Error::Unreachable(error.to_string()))
    }

    async fn get(&self, digest: &str) -> Result<Option<Bytes>, Error> {
        use async_nats::jetstream::object_store::GetErrorKind;
        let mut object = match self.0.blobs.get(digest).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::Unreachable(error.to_string())),
        };
        let mut content = Vec::new();
        let read = object.read_to_end(&mut content).await;
        read.map_err(|error| Error::Unreachable(error.to_string()))?;
        if id::digest(&content) != digest {
            let damaged = format!("the blob {digest} does not have the digest it is named by");
            return Err(Error::Configuration(damaged));
        }
        Ok(Some(content.into()))
    }

    /// Hands over everything that was sent and closes the connection.
    pub async fn drain(&self) {
        // At the end of a process there is nobody left to tell.
        self.0.client.drain().await.unwrap_or(());
    }
}

/// An acknowledgement still to come.
pub struct Pending(PublishAckFuture);

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl Pending {
    pub(super) async fn stored(self) -> Result<Ack, Error> {
        let ack = self.0.await.map_err(publish_error)?;
        Ok(Ack { sequence: ack.sequence, duplicate: ack.duplicate })
    }
}

fn publish_error(error: async_nats::jetstream::context::PublishError) -> Error {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => Error::Conflict,
        PublishErrorKind::StreamNotFound => Error::Configuration(error.to_string()),
        PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::WrongLastMessageId => Error::Unknown(error.to_string()),
        PublishErrorKind::MaxPayloadExceeded => Error::TooLarge { bytes: 0, max: 0 },
        PublishErrorKind::MaxAckPending => Error::Unreachable(error.to_string()),
        PublishErrorKind::Other => other_publish_error(&error),
    }
}

/// The server's refusal of a full stream has no kind of its own.
fn other_publish_error(error: &async_nats::jetstream::context::PublishError) -> Error {
    let text = chain(error);
    if text.contains("maximum") || text.contains("insufficient") {
        Error::Full(text)
    } else {
        Error::Unknown(text)
    }
}

/// Messages as they come.
#[derive(Debug)]
pub struct Tail(async_nats::Subscriber);

impl Tail {
    pub(super) async fn next(&mut self) -> Option<Heard> {
        let message = self.0.next().await?;
        let reply = message.reply.as_ref().map(ToString::to_string);
        Some(Heard { message: message::message_of(message), reply })
    }
}

//! What becomes of publishes to stored subjects: they settle in their order.
//!
//! A connection does not wait for one acknowledgement before it reads the next publish. Protocol
//! lines that follow a publish wait behind it, so that `+OK` means stored and a `PONG` says that
//! everything before its `PING` is stored or has been refused: `flush` of any client is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use hearken_proto::{Message, Stream};
use tokio::time::Instant;
use tracing::debug;

use super::counters::Metric;
use super::pub_ack::{self, Refusal};
use super::serve::{Refused, Store, Stored};
use super::session::Session;
use super::write::{self, error_line};
use crate::router::{Delivered, Origin};

/// Publishes of one connection that the store has not answered yet. Awaiting them one at a time
/// costs a factor of ten; beyond some hundreds nothing is gained.
const IN_FLIGHT_MAX: usize = 512;
/// Bytes of those publishes: two bodies of the largest size, so that large ones overlap as well.
const IN_FLIGHT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A publish that the store has answered, or a line that waited for those before it.
#[derive(Debug)]
pub(super) enum Settled {
    /// A line to write now.
    Line(Bytes),
    /// The store's answer.
    Append {
        /// What was asked.
        order: Order,
        /// What came of it.
        result: Result<Stored, Refused>,
    },
}

/// What a publish needs when it is answered.
#[derive(Debug)]
pub(super) struct Order {
    /// Where to.
    pub(super) subject: String,
    /// Where the acknowledgement goes.
    pub(super) reply: Option<String>,
    /// The stream that keeps it.
    pub(super) stream: Stream,
    /// Bytes it held while it waited.
    pub(super) bytes: usize,
}

/// Publishes that the store has not answered, in order.
pub(super) struct Flight {
    waiting: FuturesOrdered<Pin<Box<dyn Future<Output = Settled> + Send>>>,
    bytes: usize,
    /// When the oldest became the oldest.
    since: Instant,
}

impl Flight {
    pub(super) fn new() -> Self {
        Self { waiting: FuturesOrdered::new(), bytes: 0, since: Instant::now() }
    }

    /// Whether another publish may be read.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < IN_FLIGHT_MAX && self.bytes < IN_FLIGHT_BYTES_MAX
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the store has not answered for longer than `timeout`.
    pub(super) fn is_stuck(&self, timeout: Duration) -> bool {
        !self.waiting.is_empty() && self.since.elapsed() > timeout
    }

    /// The next to settle; `None` when nothing waits.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Settled> {
        let settled = self.waiting.next().await?;
        self.since = Instant::now();
        if let Settled::Append { order, .. } = &settled {
            self.bytes -= order.bytes;
        }
        Some(settled)
    }

    /// The next to settle, if it has.
    pub(super) fn try_next(&mut self) -> Option<Settled> {
        self.next().now_or_never().flatten()
    }

    fn push(&mut self, settled: impl Future<Output = Settled> + Send + 'static) {
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        self.waiting.push_back(Box::pin(settled));
    }
}

impl<S: Store> Session<S> {
    /// Writes a line after everything that is in flight has settled.
    pub(super) fn say(&mut self, line: Bytes) {
        if self.flight.is_empty() {
            self.outbox.line(line);
        } else {
            self.flight.push(std::future::ready(Settled::Line(line)));
        }
    }

    /// Hands a message to the store and does not wait.
    pub(super) fn append(&mut self, order: Order, message: Message, expected: Option<u64>) {
        let store = self.context.store.clone();
        self.flight.bytes += order.bytes;
        self.flight.push(async move {
            let result = store.append(order.stream, message, expected).await;
            Settled::Append { order, result }
        });
    }

    /// Says what became of one publish.
    pub(super) fn settle(&mut self, settled: Settled) {
        match settled {
            Settled::Line(line) => self.outbox.line(line),
            Settled::Append { order, result: Ok(stored) } => self.settle_stored(&order, stored),
            Settled::Append { order, result: Err(refused) } => {
                let refusal = Refusal::from(&refused);
                self.count(refusal.metric);
                let answer = pub_ack::refused(self.context.stream_name(order.stream), &refusal);
                self.refuse(&order.subject, order.reply, &refusal, answer, Self::say_now);
            }
        }
    }

    fn settle_stored(&mut self, order: &Order, stored: Stored) {
        self.count(if stored.duplicate { Metric::Duplicates } else { Metric::Stored });
        if let Some(reply) = &order.reply {
            let stream = self.context.stream_name(order.stream);
            let _wanted = self.answer(reply.clone(), pub_ack::stored(stream, stored));
        }
        if self.options.is_verbose() {
            self.outbox.line(write::OK);
        }
    }

    /// Tells the publisher that a message was not stored: at the reply subject, and where there
    /// is none, or nobody listens there, as an error line.
    ///
    /// The line is worded as a violation of permissions because that is the one error which stock
    /// clients report and survive; at any other they close the connection for good.
    pub(super) fn refuse(
        &mut self,
        subject: &str,
        reply: Option<String>,
        refusal: &Refusal,
        answer: Bytes,
        say: fn(&mut Self, Bytes),
    ) {
        debug!(connection = self.id, subject, error = %refusal.description, "publish refused");
        if reply.is_some_and(|reply| self.answer(reply, answer)) {
            if self.options.is_verbose() {
                say(self, write::OK);
            }
            return;
        }
        let why = &refusal.description;
        let text = format!("Permissions Violation for Publish to {subject:?}: refused: {why}");
        say(self, error_line(&text));
    }

    /// Whether anybody wanted the answer.
    pub(super) fn answer(&self, reply: String, body: Bytes) -> bool {
        let message = Message { subject: reply, body, ..Message::default() };
        let delivered = Delivered { message: Arc::new(message), reply: None };
        self.context.router.route(&delivered, Origin::Process).was_wanted()
    }

    fn say_now(&mut self, line: Bytes) {
        self.outbox.line(line);
    }
}

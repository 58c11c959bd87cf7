//! Durable pull consumers of a NATS server.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::pull::{Batch, Config, Stream as Messages};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use futures_util::{FutureExt as _, StreamExt as _};

use super::super::consumer::{Acker as AnyAcker, Delivery};
use super::connect::Connections;
use super::streams::Handle;
use super::{ConsumerOptions, Error, chain, message};
use crate::backoff::until_back;

/// Entries asked of the server at a time: enough to hide the round trip at full speed.
const PULL_ENTRIES: usize = 500;
/// The server says that it is alive at least this often while a pull waits.
const PULL_HEARTBEAT: Duration = Duration::from_secs(5);

/// How long one exact pull waits at the server before it is made again.
const PULL_WAIT: Duration = Duration::from_secs(10);

/// A member of a durable consumer.
pub(in super::super) struct Member {
    consumer: PullConsumer,
    pull: Pull,
    read_ahead: bool,
    connections: Connections,
}

/// What was asked of the server.
enum Pull {
    /// Nothing.
    None,
    /// Entries for as long as they are taken, some ahead.
    Ahead(Messages),
    /// As many entries as were wanted.
    Exact(Batch),
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Member")
    }
}

impl Member {
    /// Joins the consumer, making it when it is missing.
    pub(super) async fn join(
        stream: &Handle,
        options: &ConsumerOptions,
        connections: Connections,
    ) -> Result<Self, Error> {
        let config = Config {
            durable_name: Some(options.durable.to_owned()),
            filter_subject: options.filter.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: options.ack_wait,
            max_ack_pending: i64::try_from(options.in_flight_max).unwrap_or(i64::MAX),
            deliver_policy: DeliverPolicy::All,
            // Giving up is ours: see DELIVERIES_MAX.
            max_deliver: -1,
            ..Config::default()
        };
        let consumer: PullConsumer =
            stream.get_or_create_consumer(options.durable, config).await.map_err(|error| {
                Error::Configuration(format!("consumer {}: {}", options.durable, chain(&error)))
            })?;
        let read_ahead = options.read_ahead;
        Ok(Self { consumer, pull: Pull::None, read_ahead, connections })
    }

    /// See [`super::super::Consumer::next`].
    pub(in super::super) async fn next(&mut self, max: usize) -> Result<VecDeque<Delivery>, Error> {
        let max = max.max(1);
        let mut ready = VecDeque::new();
        loop {
            if matches!(self.pull, Pull::None) {
                // Connections up to now are no reason to pull once more.
                self.connections.borrow_and_update();
                let (consumer, ahead) = (&self.consumer, self.read_ahead);
                let again = || pull(consumer, ahead, max);
                self.pull = until_back("consuming", again).await?;
            }
            let next = tokio::select! {
                biased;
                next = self.pull.next() => next,
                Ok(()) = self.connections.changed() => None,
            };
            match next {
                Some(Ok(first)) => ready.extend(delivery(first)),
                Some(Err(why)) => {
                    // A missed heartbeat, or a server that went away: pull again.
                    tracing::debug!(why, "pull interrupted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    self.pull = Pull::None;
                }
                None => self.pull = Pull::None,
            }
            // Whatever has arrived already comes along, without waiting.
            while ready.len() < max {
                match self.pull.next().now_or_never() {
                    Some(Some(Ok(message))) => ready.extend(delivery(message)),
                    _ => break,
                }
            }
            if !ready.is_empty() {
                return Ok(ready);
            }
        }
    }
}

impl Pull {
    async fn next(&mut self) -> Option<Result<async_nats::jetstream::Message, String>> {
        match self {
            Self::None => None,
            Self::Ahead(messages) => {
                messages.next().await.map(|next| next.map_err(|error| error.to_string()))
            }
            Self::Exact(batch) => {
                batch.next().await.map(|next| next.map_err(|error| error.to_string()))
            }
        }
    }
}

async fn pull(consumer: &PullConsumer, ahead: bool, max: usize) -> Result<Pull, Error> {
    let unreachable = |error: &dyn std::error::Error| Error::Unreachable(chain(error));
    if ahead {
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_ENTRIES)
            .heartbeat(PULL_HEARTBEAT)
            .messages()
            .await;
        return messages.map(Pull::Ahead).map_err(|error| unreachable(&error));
    }
    let batch = consumer.batch().max_messages(max).expires(PULL_WAIT).messages().await;
    batch.map(Pull::Exact).map_err(|error| unreachable(&error))
}

fn delivery(message: async_nats::jetstream::Message) -> Option<Delivery> {
    let (entry, deliveries, _pending) = message::entry_of(&message)?;
    let acker = AnyAcker::Nats(Box::new(Acker(message)));
    Some(Delivery { entry, deliveries, acker })
}

/// Settles one delivery.
pub struct Acker(async_nats::jetstream::Message);

impl std::fmt::Debug for Acker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acker")
    }
}

impl Acker {
    pub(in super::super) async fn ack(self) -> Result<(), Error> {
        self.settle(AckKind::Ack).await
    }

    pub(in super::super) async fn nak(self, delay: Duration) -> Result<(), Error> {
        self.settle(AckKind::Nak(Some(delay))).await
    }

    pub(in super::super) async fn progress(&self) -> Result<(), Error> {
        self.settle(AckKind::Progress).await
    }

    pub(in super::super) async fn terminate(self) -> Result<(), Error> {
        self.settle(AckKind::Term).await
    }

    async fn settle(&self, kind: AckKind) -> Result<(), Error> {
        self.0.ack_with(kind).await.map_err(|error| Error::Unreachable(error.to_string()))
    }
}

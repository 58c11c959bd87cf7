//! Reading a stream of a NATS server in order.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures_util::StreamExt as _;
use hearken_proto::Entry;

use super::connect::Connections;
use super::streams::Handle;
use super::{Error, chain, message};
use crate::backoff::until_back;

/// A reader that hears nothing for so long at a place where entries should be starts again.
const STALL: Duration = Duration::from_secs(10);

/// Entries of one stream, in order, for as long as it lives.
pub struct Reader {
    stream: Handle,
    filter: String,
    next: u64,
    messages: Ordered,
    connections: Connections,
    /// The pull must be made again. Kept here, so that a future that is dropped meanwhile forgets
    /// nothing.
    is_stale: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) async fn open(
        stream: &Handle,
        filter: &str,
        from: u64,
        mut connections: Connections,
    ) -> Result<Self, Error> {
        let next = from.max(1);
        connections.borrow_and_update();
        let messages = open(stream, filter, next).await?;
        let (stream, filter) = (stream.clone(), filter.to_owned());
        Ok(Self { stream, filter, next, messages, connections, is_stale: false })
    }

    /// See [`super::super::Reader::next`].
    pub(in super::super) async fn next(&mut self) -> Result<Entry, Error> {
        loop {
            if self.is_stale {
                self.reopen().await?;
            }
            let next = tokio::select! {
                biased;
                next = self.messages.next() => next,
                Ok(()) = self.connections.changed() => None,
            };
            match next {
                Some(Ok(message)) => {
                    let Some((entry, _, _)) = message::entry_of(&message) else { continue };
                    // After a new start the server may repeat what was already read.
                    if entry.sequence >= self.next {
                        self.next = entry.sequence + 1;
                        return Ok(entry);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "reading interrupted");
                    self.is_stale = true;
                }
                None => self.is_stale = true,
            }
        }
    }

    /// Starts again where it was, as soon as the server is there.
    async fn reopen(&mut self) -> Result<(), Error> {
        self.connections.borrow_and_update();
        let (stream, filter, next) = (&self.stream, self.filter.as_str(), self.next);
        let again = || open(stream, filter, next);
        self.messages = until_back("reading", again).await?;
        self.is_stale = false;
        Ok(())
    }
}

async fn open(stream: &Handle, filter: &str, from: u64) -> Result<Ordered, Error> {
    let config = OrderedConfig {
        filter_subject: filter.to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
        ..OrderedConfig::default()
    };
    let consumer =
        stream.create_consumer(config).await.map_err(|error| Error::Unreachable(chain(&error)))?;
    consumer.messages().await.map_err(|error| Error::Unreachable(chain(&error)))
}

/// Everything that the stream holds of `filter` from `from` on, up to the last entry it has now.
///
/// The end is asked for first. The count of pending messages that comes with each message cannot
/// tell it: after a crash of the server it can stay above zero, and reading would follow a busy
/// stream for ever.
pub(super) async fn collect(stream: &Handle, filter: &str, from: u64) -> Result<Vec<Entry>, Error> {
    let last = last_sequence(stream, filter).await?;
    let mut found = Vec::new();
    if last < from.max(1) {
        return Ok(found);
    }
    let mut messages = open(stream, filter, from.max(1)).await?;
    loop {
        let next = tokio::time::timeout(STALL, messages.next()).await;
        let Ok(Some(message)) = next else {
            return Err(Error::Unreachable(format!("reading {filter} came to a halt")));
        };
        let message = message.map_err(|error| Error::Unreachable(error.to_string()))?;
        let Some((entry, _, _)) = message::entry_of(&message) else { continue };
        let reached = entry.sequence >= last;
        // An entry that took the last one's place, where a subject keeps one, came later.
        found.push(entry);
        if reached {
            return Ok(found);
        }
    }
}

/// Place of the last entry of `filter`; 0 when there is none.
async fn last_sequence(stream: &Handle, filter: &str) -> Result<u64, Error> {
    match stream.get_last_raw_message_by_subject(filter).await {
        Ok(raw) => Ok(raw.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(Error::Unreachable(error.to_string())),
    }
}

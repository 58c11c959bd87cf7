//! Durable consumers: entries shared by members, delivered until acknowledged.
//!
//! An entry that keeps failing is not looped for ever: after [`DELIVERIES_MAX`] deliveries that
//! nobody settled it is put on record as a dead letter and terminated here, on both buses alike.

use std::collections::VecDeque;
use std::time::Duration;

use hearken_proto::record::DeadLetter;
use hearken_proto::{Entry, Stream, Subject};
use tracing::warn;

use super::{Bus, Error, embedded, nats};
use crate::backoff::{pause_after, until_back};
use crate::payload;

/// Deliveries of one entry before it becomes a dead letter.
pub const DELIVERIES_MAX: u64 = 5;

/// What to consume, and how.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// Durable name: members of one name share the entries.
    pub durable: &'static str,
    /// The stream.
    pub stream: Stream,
    /// Full subject, wildcards allowed.
    pub filter: String,
    /// An entry not acknowledged for so long is delivered again.
    pub ack_wait: Duration,
    /// Entries out at a time, over all members.
    pub in_flight_max: usize,
    /// Whether a member may hold entries it was not asked for yet. Fast; wrong where handling one
    /// takes long, because what one member holds back another could do.
    pub read_ahead: bool,
}

/// A member of a durable consumer.
#[derive(Debug)]
pub struct Consumer {
    bus: Bus,
    options: ConsumerOptions,
    source: Source,
}

#[derive(Debug)]
pub(super) enum Source {
    Embedded(embedded::Member),
    Nats(Box<nats::Member>),
}

/// An entry to be handled and then acknowledged.
#[derive(Debug)]
pub struct Delivery {
    /// The entry.
    pub entry: Entry,
    /// How often it was delivered, this time included.
    pub deliveries: u64,
    /// Settles it.
    pub acker: Acker,
}

/// The means to say what became of a delivery. Dropping it unsettled means: deliver again after
/// the acknowledgement wait.
#[derive(Debug)]
pub enum Acker {
    /// From the embedded bus.
    Embedded(embedded::Acker),
    /// From a NATS server.
    Nats(Box<nats::Acker>),
}

impl Acker {
    /// Done: never deliver it again.
    ///
    /// # Errors
    /// [`Error::Unreachable`]: it may come again.
    pub async fn ack(self) -> Result<(), Error> {
        match self {
            Self::Embedded(acker) => {
                acker.ack();
                Ok(())
            }
            Self::Nats(acker) => acker.ack().await,
        }
    }

    /// Not now: deliver it again after `delay`.
    ///
    /// # Errors
    /// [`Error::Unreachable`]: it comes again after the acknowledgement wait.
    pub async fn nak(self, delay: Duration) -> Result<(), Error> {
        match self {
            Self::Embedded(acker) => {
                acker.nak(delay);
                Ok(())
            }
            Self::Nats(acker) => acker.nak(delay).await,
        }
    }

    /// Still at it: start the acknowledgement wait again.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn progress(&self) -> Result<(), Error> {
        match self {
            Self::Embedded(acker) => {
                acker.progress();
                Ok(())
            }
            Self::Nats(acker) => acker.progress().await,
        }
    }

    /// Never deliver it again although it was not handled.
    ///
    /// # Errors
    /// [`Error::Unreachable`]: it may come again.
    pub async fn terminate(self) -> Result<(), Error> {
        match self {
            Self::Embedded(acker) => {
                acker.ack();
                Ok(())
            }
            Self::Nats(acker) => acker.terminate().await,
        }
    }
}

impl Consumer {
    pub(super) const fn new(bus: Bus, options: ConsumerOptions, source: Source) -> Self {
        Self { bus, options, source }
    }

    /// The next deliveries, at least one and at most `max`, in stream order as far as redelivery
    /// allows.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Configuration`] when the consumer was deleted.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: what was pulled comes with the next call.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        loop {
            let pulled: VecDeque<Delivery> = match &mut self.source {
                Source::Embedded(member) => member.next(max).await?,
                Source::Nats(member) => member.next(max).await?,
            };
            // The common case allocates nothing and looks at each delivery once.
            if pulled.iter().all(|delivery| delivery.deliveries <= DELIVERIES_MAX) {
                return Ok(pulled.into());
            }
            let mut good = Vec::with_capacity(pulled.len());
            for delivery in pulled {
                if delivery.deliveries > DELIVERIES_MAX {
                    self.bury(delivery).await?;
                } else {
                    good.push(delivery);
                }
            }
            if !good.is_empty() {
                return Ok(good);
            }
        }
    }

    /// Puts a delivery that nobody can handle on record and ends it.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn reject(&self, delivery: Delivery, reason: &str, why: &str) -> Result<(), Error> {
        let record = || dead_letter(&self.bus, &self.options, &delivery, reason, why);
        if let Err(error) = until_back("a dead letter", record).await {
            // No room to put it on record: it comes again when there may be.
            warn!(%error, "a dead letter could not be stored");
            return delivery.acker.nak(pause_after(delivery.deliveries)).await;
        }
        delivery.acker.terminate().await
    }

    async fn bury(&self, delivery: Delivery) -> Result<(), Error> {
        let why = format!("not handled in {DELIVERIES_MAX} deliveries");
        self.reject(delivery, "exhausted", &why).await
    }
}

async fn dead_letter(
    bus: &Bus,
    options: &ConsumerOptions,
    delivery: &Delivery,
    reason: &str,
    why: &str,
) -> Result<(), Error> {
    let entry = &delivery.entry;
    warn!(subject = %entry.subject, sequence = entry.sequence, error = why, "dead letter");
    let letter = DeadLetter {
        subject: entry.subject.clone(),
        stream: options.stream.name().to_owned(),
        sequence: entry.sequence,
        service: options.durable.to_owned(),
        reason: why.to_owned(),
        deliveries: delivery.deliveries,
    };
    let subject = bus.subject(&Subject::Deadletter { reason: reason.to_owned() });
    let mut message = payload::message(subject, &letter)?;
    message.id =
        Some(format!("dead-{}-{}-{}", options.durable, options.stream.name(), entry.sequence));
    message.cause = (!entry.id.is_empty()).then(|| entry.id.clone());
    bus.publish(message).await.map(|_ack| ())
}

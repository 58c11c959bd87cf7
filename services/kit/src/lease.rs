//! The right of one replica to do something alone.
//!
//! A lease saves work and nothing else: what its holder writes is compared and set, or carries a
//! derived id, so two holders at once (a paused process, a clock that is off) do no harm.

use std::time::Duration;

use hearken_proto::record::LeaseState;
use hearken_proto::subject::Kind;
use hearken_proto::{Stream, Subject, Timestamp, codec};

use crate::Clock;
use crate::bus::{Bus, Error};
use crate::payload;

/// How long a lease lasts after it was last renewed. Three renewals may fail before it is lost.
pub const LEASE: Duration = Duration::from_secs(12);
/// How often its holder renews it, and others look whether it is free.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);

/// A lease that this replica wants.
#[derive(Debug)]
pub struct Lease {
    bus: Bus,
    clock: Clock,
    subject: String,
    name: String,
    holder: String,
    /// Place of the entry by which we hold it.
    held: Option<u64>,
}

impl Lease {
    /// The lease called `name`, wanted by `holder`, a name that no other replica has.
    #[must_use]
    pub fn new(bus: Bus, clock: Clock, name: &str, holder: &str) -> Self {
        let subject = bus.subject(&Subject::state(Kind::Lease, name));
        Self { bus, clock, subject, name: name.to_owned(), holder: holder.to_owned(), held: None }
    }

    /// Whether we hold it, as far as we know.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Renews it, or takes it when it is free. To be called every [`RENEW_EVERY`].
    ///
    /// # Errors
    /// As [`Bus::publish_if`]; the lease counts as lost then.
    pub async fn renew(&mut self) -> Result<bool, Error> {
        let now = self.clock.now();
        let held = self.held.take();
        let last = match held {
            Some(sequence) => sequence,
            None => match self.bus.last(Stream::State, &self.subject).await? {
                None => 0,
                Some(entry) => {
                    let state: Option<LeaseState> = codec::decode(&entry.headers, &entry.body).ok();
                    let taken = state.is_some_and(|state| {
                        state.holder != self.holder && !state.holder.is_empty() && state.until > now
                    });
                    if taken {
                        return Ok(false);
                    }
                    entry.sequence
                }
            },
        };
        self.write(&self.holder.clone(), now.plus(LEASE), last).await
    }

    /// Gives it back, so that another replica need not wait for its end.
    ///
    /// # Errors
    /// As [`Bus::publish_if`].
    pub async fn release(&mut self) -> Result<(), Error> {
        if let Some(last) = self.held.take() {
            self.write("", Timestamp::EPOCH, last).await?;
            self.held = None;
        }
        Ok(())
    }

    async fn write(&mut self, holder: &str, until: Timestamp, last: u64) -> Result<bool, Error> {
        let state = LeaseState { holder: holder.to_owned(), until };
        let mut message = payload::message(self.subject.clone(), &state)?;
        message.id = Some(format!("lease-{}-{}-{last}", self.name, self.holder));
        match self.bus.publish_if(message, last).await {
            Ok(ack) => {
                self.held = Some(ack.sequence);
                Ok(true)
            }
            Err(Error::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

//! Decisions on their way to the bus: in order, many at a time, none lost.

use std::collections::VecDeque;
use std::time::Duration;

use hearken_engine::memory::Decision;
use hearken_engine::registry::Registry;
use hearken_kit::bus::{Error as BusError, Pending};
use tracing::{error, warn};

use crate::outgoing::{Decided, Desk, Outgoing};
use crate::{Error, UNSETTLED_MAX};

/// How long a decision waits before it is stored again while the bus is away or full. There is no
/// end to it: the fold cannot go on without.
const AGAIN: Duration = Duration::from_secs(1);

/// What was sent and is not yet acknowledged, oldest first.
#[derive(Debug)]
pub(super) struct Decisions {
    desk: Desk,
    sent: VecDeque<(Outgoing, Pending)>,
}

impl Decisions {
    pub(super) const fn new(desk: Desk) -> Self {
        Self { desk, sent: VecDeque::new() }
    }

    /// Sends what `decision` leads to.
    pub(super) async fn tell(
        &mut self,
        registry: &Registry,
        decision: Decision,
    ) -> Result<(), Error> {
        let decided = Decided {
            rule: &decision.rule,
            instance: &decision.instance,
            time: decision.time,
            decided_at: decision.decided_at,
        };
        let outgoing = match decided.outgoing(&self.desk, registry, decision.outcome) {
            Ok(outgoing) => outgoing,
            Err(why) => {
                // What cannot be written at all would fail for ever: it is said once.
                error!(rule = decision.rule, why, "a decision cannot be written down");
                return Ok(());
            }
        };
        for outgoing in outgoing {
            if self.sent.len() >= UNSETTLED_MAX {
                self.settle_one().await?;
            }
            match self.desk.bus.send(outgoing.message.clone(), outgoing.last).await {
                Ok(pending) => self.sent.push_back((outgoing, pending)),
                Err(error) => {
                    self.settle().await?;
                    self.again(outgoing, error).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until everything sent is stored.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        while !self.sent.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), Error> {
        let Some((outgoing, pending)) = self.sent.pop_front() else { return Ok(()) };
        match pending.stored().await {
            // A record with a subject of its own is there from an earlier time.
            Ok(_) | Err(BusError::Conflict) => Ok(()),
            Err(error) => self.again(outgoing, error).await,
        }
    }

    /// Stores what could not be stored, as soon as that is possible.
    async fn again(&self, outgoing: Outgoing, error: BusError) -> Result<(), Error> {
        let mut failed = error;
        loop {
            let is_full = matches!(failed, BusError::Full(_));
            if !is_full && !failed.is_transient() {
                return Err(failed.into());
            }
            warn!(error = %failed, "a decision could not be stored, trying again");
            tokio::time::sleep(AGAIN).await;
            let Outgoing { message, last } = outgoing.clone();
            let sent = self.desk.bus.send(message, last).await;
            let stored = match sent {
                Ok(pending) => pending.stored().await,
                Err(error) => Err(error),
            };
            match stored {
                Ok(_) | Err(BusError::Conflict) => return Ok(()),
                Err(error) => failed = error,
            }
        }
    }
}

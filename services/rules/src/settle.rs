//! Settling events: acknowledged when everything they caused is stored, delivered again if not.

use std::collections::VecDeque;

use hearken_kit::backoff::pause_after;
use hearken_kit::bus::{Bus, Delivery, Error, Pending};
use tracing::warn;

use crate::UNSETTLED_MAX;
use crate::outgoing::Outgoing;

/// What the service has done since it started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Events settled.
    pub events: u64,
    /// Requests and enforcements stored.
    pub stored: u64,
    /// Events put off because something could not be stored.
    pub put_off: u64,
    /// Events that are dead letters because their body cannot be read.
    pub undecodable: u64,
}

impl Counters {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.stored += other.stored;
        self.put_off += other.put_off;
        self.undecodable += other.undecodable;
    }
}

/// An event and the acknowledgements it waits for.
#[derive(Debug)]
pub(crate) struct Settlement {
    delivery: Delivery,
    pending: VecDeque<Pending>,
    stored: u64,
    failed: Option<Error>,
}

impl Settlement {
    /// Sends what an event causes, in order, without waiting for their acknowledgements.
    pub(crate) async fn send(bus: &Bus, delivery: Delivery, outgoing: Vec<Outgoing>) -> Self {
        let pending = VecDeque::with_capacity(outgoing.len().min(UNSETTLED_MAX));
        let mut settlement = Self { delivery, pending, stored: 0, failed: None };
        for Outgoing { message, last } in outgoing {
            if settlement.pending.len() >= UNSETTLED_MAX {
                settlement.settle_one().await;
            }
            match bus.send(message, last).await {
                Ok(pending) => settlement.pending.push_back(pending),
                // The requests of other rules are sent all the same.
                Err(error) => settlement.failed = Some(error),
            }
        }
        settlement
    }

    /// How many acknowledgements it still waits for.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    async fn settle_one(&mut self) {
        let Some(pending) = self.pending.pop_front() else { return };
        match pending.stored().await {
            Ok(_ack) => self.stored += 1,
            // It has a subject of its own, and was stored when the event came before.
            Err(Error::Conflict) => {}
            Err(error) => self.failed = Some(error),
        }
    }

    async fn finish(mut self, counters: &mut Counters) {
        while !self.pending.is_empty() {
            self.settle_one().await;
        }
        counters.stored += self.stored;
        let failed = self.failed;
        let sequence = self.delivery.entry.sequence;
        let settled = if let Some(error) = failed {
            warn!(sequence, %error, "a request could not be stored, the event comes again");
            counters.put_off += 1;
            self.delivery.acker.nak(pause_after(self.delivery.deliveries)).await
        } else {
            counters.events += 1;
            self.delivery.acker.ack().await
        };
        if let Err(error) = settled {
            // Unsettled, it comes again by itself, and gives the same ids.
            warn!(sequence, %error, "an event could not be settled");
        }
    }
}

/// Settles a batch.
pub(crate) async fn all(settlements: Vec<Settlement>) -> Counters {
    let mut counters = Counters::default();
    for settlement in settlements {
        settlement.finish(&mut counters).await;
    }
    counters
}

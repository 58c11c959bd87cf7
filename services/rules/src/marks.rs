//! Knowing that no mark was missed before an event is judged.
//!
//! Replicas share the events, and a mark is one of them: only one replica is given it. Where the
//! sequences that were delivered to this replica have no gap, no mark can be missing; where they
//! have one, it asks the bus for the last mark, and waits until its own reader has come so far.
//! So a replica that is alone never asks, and replicas that share ask once per batch.

use hearken_kit::backoff::until_back;
use hearken_kit::bus::{Bus, Delivery};
use hearken_packs::Follower;
use hearken_proto::record::DEFINITIONS_TRIGGER;
use hearken_proto::{Stream, Subject};

use crate::Error;

/// What this replica knows of the event stream.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Every mark up to this sequence has been read.
    through: u64,
}

impl Marks {
    /// Returns when every mark before any event of `batch` has been read.
    pub(crate) async fn cover(
        &mut self,
        bus: &Bus,
        definitions: &Follower,
        batch: &[Delivery],
    ) -> Result<(), Error> {
        let mark = bus.subject(&Subject::event(DEFINITIONS_TRIGGER));
        let mut complete = true;
        let mut through = self.through;
        let mut newest_mark = 0;
        for entry in batch.iter().map(|delivery| &delivery.entry) {
            if entry.subject == mark {
                newest_mark = newest_mark.max(entry.sequence);
            }
            complete &= entry.sequence <= through + 1;
            through = through.max(entry.sequence);
        }
        if !complete {
            let ask = || bus.last(Stream::Events, &mark);
            if let Some(last) = until_back("marks", ask).await? {
                newest_mark = newest_mark.max(last.sequence);
            }
        }
        if newest_mark > 0 {
            definitions.reach(newest_mark).await;
        }
        self.through = through;
        Ok(())
    }
}

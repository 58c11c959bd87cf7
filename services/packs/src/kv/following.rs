//! Reading on: entries as they come, and keys that have expired.
//!
//! A key is taken away by whoever notices that it has expired, which is every host at about the
//! same moment. They write the same entry, with one id, if the key is still as they saw it: it is
//! stored once, and never over a key that was written anew meanwhile.

use std::time::Duration;

use hearken_kit::bus::{Bus, Error as BusError, Reader};
use hearken_kit::{Shutdown, payload};
use hearken_proto::kv::{self, KeyState};
use hearken_proto::{Subject, id};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::{Datastore, Error, Key};

/// Keys taken away at a time; entries that came meanwhile are read before the next.
const EXPIRED_MAX: usize = 64;
/// The longest sleep before the clock is looked at again: it may have been set.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// After a look at expired keys the next one comes no sooner: what was taken away has to be read
/// first, and a bus that is away is not pressed.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Reads keys as they come; see [`Datastore::start`].
#[derive(Debug)]
pub struct Following {
    datastore: Datastore,
    reader: Reader,
}

impl Following {
    pub(super) const fn new(datastore: Datastore, reader: Reader) -> Self {
        Self { datastore, reader }
    }

    /// Reads on until `shutdown` is requested.
    ///
    /// # Errors
    /// When the bus fails for good.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        let mut look_after = Instant::now();
        loop {
            let due = self.due().max(look_after);
            let entry = tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                entry = self.reader.next() => Some(entry?),
                () = sleep_until(due) => None,
            };
            match entry {
                Some(entry) => self.datastore.take_up(&entry),
                None => {
                    take_away(&self.datastore).await?;
                    look_after = Instant::now() + LOOK_PAUSE;
                }
            }
        }
    }

    fn due(&self) -> Instant {
        let next = self.datastore.keys().next_expiry();
        let sleep = next.map_or(SLEEP_MAX, |expires| expires.since(self.datastore.now()));
        Instant::now() + sleep.min(SLEEP_MAX)
    }
}

/// Writes down that keys are gone that have expired.
async fn take_away(datastore: &Datastore) -> Result<(), Error> {
    let expired = datastore.keys().expired(datastore.now(), EXPIRED_MAX);
    let bus = datastore.bus();
    for (key, sequence) in expired {
        let subject = bus.subject(&kv::subject(key.scope(), key.stored()));
        let id = id::derived(&["kv-expired", &subject, &sequence.to_string()]);
        let mut message = payload::message(subject, &KeyState::default())?;
        message.id = Some(format!("kv-{id}"));
        match bus.publish_if(message, sequence).await {
            Ok(_) | Err(BusError::Conflict) => {}
            // It reads as missing all the same, and is tried again.
            Err(error) => {
                warn!(%error, "an expired key could not be taken away");
                break;
            }
        }
    }
    Ok(())
}

/// The filter of all keys.
pub(super) fn filter(bus: &Bus) -> String {
    format!("{}.state.kv.>", bus.prefix())
}

/// The key whose entries have this subject.
pub(super) fn key_at(prefix: &str, subject: &str) -> Option<Key> {
    let subject = Subject::parse(prefix, subject).ok()?;
    let (scope, stored) = kv::key_of(&subject)?;
    Some(Key::stored_as(scope, stored))
}

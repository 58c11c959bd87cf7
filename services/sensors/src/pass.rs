//! What one process of a sensor shows to the HTTP API: a ticket of its own, never the token of the
//! installation.
//!
//! A sensor runs for months, so its ticket has no time of its own: it is good while the entry
//! `sensor-process <sensor>` in STATE names this process, and while somebody holds the sensor's
//! lease. The entry is written before the process starts and cleared when it has ended; another
//! process of the sensor is another name.

use std::time::Duration;

use hearken_kit::backoff::until_back;
use hearken_kit::bus::Error;
use hearken_kit::{payload, ticket};
use hearken_proto::record::LeaseState;
use hearken_proto::subject::Kind;
use hearken_proto::{Subject, Timestamp};
use tracing::warn;

use crate::host::{Shared, Wanted};

/// Longer than any process lives.
const LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The ticket of one process.
#[derive(Debug)]
pub(crate) struct Pass {
    /// The lease that names the process.
    lease: String,
    /// What the process shows.
    pub(crate) ticket: String,
}

/// A ticket for the process called `name`; waits while the bus is away.
pub(crate) async fn issue(shared: &Shared, wanted: &Wanted, name: &str) -> Result<Pass, Error> {
    let reference = &wanted.sensor.reference;
    let lease = format!("sensor-process {reference}");
    let until = shared.clock.now().plus(LIFE);
    until_back("the ticket of a sensor", || write(shared, &lease, name, until)).await?;
    let bearer = format!("sensor:{reference}:{name}");
    let ticket = ticket::issue(&shared.sealer, &bearer, until);
    Ok(Pass { lease, ticket })
}

impl Pass {
    /// From now on it is good for nothing.
    pub(crate) async fn revoke(self, shared: &Shared) {
        if let Err(error) = write(shared, &self.lease, "", Timestamp::EPOCH).await {
            // The next process makes it worthless, and so does the end of the sensor's lease.
            warn!(lease = self.lease, %error, "the ticket of a sensor is not revoked yet");
        }
    }
}

async fn write(shared: &Shared, lease: &str, name: &str, until: Timestamp) -> Result<(), Error> {
    let subject = shared.bus.subject(&Subject::state(Kind::Lease, lease));
    let state = LeaseState { holder: name.to_owned(), until };
    shared.bus.publish(payload::message(subject, &state)?).await.map(drop)
}

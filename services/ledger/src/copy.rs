//! Copying a stream of the bus into the ledger's own log.

use std::time::Duration;

use hearken_kit::bus::Bus;
use hearken_log::Log;
use hearken_proto::{Entry, Stream};

use crate::Error;

/// Entries written in one commit at most.
const BATCH_ENTRIES: usize = 512;
/// How long an entry waits for company before it is written.
const BATCH_WAIT: Duration = Duration::from_millis(2);

/// The longest that a question waits for the copy. What is newer then is missing from the answer.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);
/// How often the copy is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until the copy has what the bus has now, so that whoever did something and then asks sees
/// what he did.
pub(crate) async fn catch_up(bus: &Bus, log: &Log) {
    let end = tokio::time::Instant::now() + CATCH_UP_MAX;
    for stream in [Stream::Events, Stream::Log] {
        // A bus that cannot be reached now has nothing new to tell either.
        let Ok(head) = bus.head(stream).await else { return };
        while log.head(stream.name()).is_ok_and(|copied| copied.last < head.last) {
            if tokio::time::Instant::now() >= end {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Follows `stream` from where the copy ends, for ever.
///
/// # Errors
/// When the bus or the log fails for good.
pub(crate) async fn follow(bus: &Bus, log: &Log, stream: Stream) -> Result<(), Error> {
    let from = log.head(stream.name())?.last + 1;
    let filter = format!("{}.>", bus.prefix());
    let mut reader = bus.read(stream, &filter, from).await?;
    loop {
        let mut batch = vec![reader.next().await?];
        while batch.len() < BATCH_ENTRIES {
            match tokio::time::timeout(BATCH_WAIT, reader.next()).await {
                Ok(entry) => batch.push(entry?),
                Err(_quiet) => break,
            }
        }
        write(log.clone(), stream, batch).await?;
    }
}

async fn write(log: Log, stream: Stream, batch: Vec<Entry>) -> Result<(), Error> {
    let written = tokio::task::spawn_blocking(move || log.import(stream.name(), batch)).await;
    written.map_err(|_panicked| Error::Behind)?.map(|_count| ()).map_err(Error::from)
}

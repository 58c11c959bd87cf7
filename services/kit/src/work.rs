//! Taking work so that exactly one taker has it.
//!
//! A claim is the one entry whose id is not derived from its cause alone: it names the claimer.
//! JetStream looks at the message id before the expected sequence, so with one id for all every
//! racer would be told that it won.

use std::time::Duration;

use hearken_proto::{Entry, Message, Stream};

use crate::bus::{Bus, Error};

/// Attempts at finding out what became of a claim whose acknowledgement was lost: with the pauses
/// between them about ten minutes, longer than any lease. Whoever gives up after that knows that
/// the claim was released by others.
const LOOKS_MAX: u32 = 150;
/// The first pause between two looks; each next one is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// What became of a conditional write.
#[derive(Debug)]
pub enum Claim {
    /// It is stored, at this sequence, and it is ours.
    Held(u64),
    /// Somebody else wrote first; this is the subject's last entry.
    Lost(Entry),
}

/// Writes `message` if the last entry of its subject has the sequence `last`, and finds out who
/// holds the subject when the answer is lost or negative: `mine` tells our entry by its content.
///
/// # Errors
/// Those of [`Bus::publish_if`] that are final, and transient ones when the bus stayed away.
pub async fn claim(
    bus: &Bus,
    stream: Stream,
    message: Message,
    last: u64,
    mine: impl Fn(&Entry) -> bool,
) -> Result<Claim, Error> {
    let subject = message.subject.clone();
    let mut pause = PAUSE_MIN;
    let mut attempt = 0;
    loop {
        let lost = match bus.publish_if(message.clone(), last).await {
            // A duplicate is our own entry: nobody else uses this id.
            Ok(ack) => return Ok(Claim::Held(ack.sequence)),
            Err(error) => error,
        };
        if !matches!(lost, Error::Conflict) && !lost.is_transient() {
            return Err(lost);
        }
        match bus.last(stream, &subject).await {
            Ok(Some(entry)) if mine(&entry) => return Ok(Claim::Held(entry.sequence)),
            Ok(Some(entry)) if entry.sequence != last => return Ok(Claim::Lost(entry)),
            // Not stored, as far as the server knows now: write it again.
            Ok(_) | Err(_) => {}
        }
        attempt += 1;
        if attempt == LOOKS_MAX {
            return Err(lost);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

//! Trying again while the bus is away: the one place where that is done.

use std::time::Duration;

use tracing::warn;

use crate::bus::Error;

/// The first pause; each next one is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause: a server that is back is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long an entry that could not be handled now is put off: longer each time, so that an outage
/// of minutes does not use up the few deliveries after which an entry is given up. 4 s, 16 s, about
/// one minute, four minutes, a quarter of an hour.
#[must_use]
pub fn pause_after(deliveries: u64) -> Duration {
    let exponent = u32::try_from(deliveries.clamp(1, 5)).unwrap_or(5);
    Duration::from_secs(4_u64.pow(exponent))
}

/// Does `attempt` until it succeeds or fails for good. A server that is away is waited for without
/// end, since its services can do nothing else; whoever stops them drops this.
///
/// # Errors
/// Those of `attempt` that are not transient.
///
/// # Cancel safety
/// As `attempt`: one that is under way is dropped.
pub async fn until_back<T, F: Future<Output = Result<T, Error>> + Send>(
    what: &str,
    mut attempt: impl FnMut() -> F + Send,
) -> Result<T, Error> {
    let mut pause = PAUSE_MIN;
    loop {
        match attempt().await {
            Err(error) if error.is_transient() => {
                warn!(what, %error, "the bus is away, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            done => return done,
        }
    }
}

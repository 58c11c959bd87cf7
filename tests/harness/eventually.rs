//! Waiting for a condition, with an end.

use std::time::{Duration, Instant};

/// Looks at a condition this often.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` gives something.
///
/// # Errors
/// What was waited for, when it did not come within `deadline`.
pub(crate) fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    loop {
        let last = match condition() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > end {
            anyhow::bail!("waited {deadline:?} for {what}: {last}");
        }
        std::thread::sleep(PAUSE);
    }
}

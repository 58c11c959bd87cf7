//! Outages of ours: while nothing was stored, nothing could come, so absences do not count it.

use std::time::Duration;

use super::moment::Moment;

/// The longest silence that is no outage. While an absence waits, a mark is stored every 10 s.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How long the outage between two neighbouring entries was, if it was one.
pub(super) fn between(earlier: Moment, later: Moment) -> Option<Duration> {
    Some(later.since(earlier)).filter(|gap| *gap > SILENCE_MAX)
}

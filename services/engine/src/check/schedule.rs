//! When a check runs next.
//!
//! Runs are due on a grid whose offset is a hash of the check's id: the same after every restart
//! and on every host, and no two checks of one interval in step because they were loaded together.
//! Until a change is certain a check runs again after a pause of its own. A cron timer is exact.
//!
//! Nothing here starts anything: whoever asks runs a check once at a time, keeps when it was due
//! last, and asks when it has ended. What was missed while we were away is one run, soon.

use std::time::Duration;

use hearken_proto::Timestamp;
use hearken_proto::check::{CheckRecord, CheckStatus};
use hearken_proto::id;

use crate::definition::Check;
use crate::definition::check::Timing;

/// The longest time over which checks are spread that are overdue or new.
pub const SPREAD_MAX: Duration = Duration::from_secs(60);
/// How long after its moment a run is still on time.
pub const LATE_MAX: Duration = Duration::from_secs(15);
/// The shortest pause between the end of a run and the next one.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// A number from nothing to `below` that is always the same for these words.
fn stable(words: &[&str], below: Duration) -> Duration {
    let digits = id::derived(words);
    let number = digits.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let below = u64::try_from(below.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(number.unwrap_or_default() % below)
}

/// The offset of a check's grid.
#[must_use]
pub fn phase(check: &str, interval: Duration) -> Duration {
    stable(&["phase", check], interval)
}

/// The first moment of the grid after `after`.
fn on_grid(check: &str, interval: Duration, after: Timestamp) -> Timestamp {
    let step = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX).max(1);
    let phase = i64::try_from(phase(check, interval).as_nanos()).unwrap_or_default();
    let past = after.nanos().saturating_sub(phase).div_euclid(step);
    let next = past.saturating_add(1).saturating_mul(step).saturating_add(phase);
    Timestamp::from_nanos(next)
}

/// What a check is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Well,
    /// Its last runs are not enough to be certain of a change.
    Uncertain,
    Failed,
}

fn pace(check: &Check, record: Option<&CheckRecord>) -> Pace {
    let Some(record) = record else { return Pace::Well };
    let failed = record.status.is_some_and(CheckStatus::is_bad);
    let recovering = failed && record.good > 0;
    let cannot_check = record.tool > 0 && record.tool < check.attempts.tool;
    let failing = !failed && record.bad > 0;
    if recovering || cannot_check || failing {
        Pace::Uncertain
    } else if failed && record.bad == 0 {
        // It could not be reached, and has to fail anew.
        Pace::Uncertain
    } else if failed {
        Pace::Failed
    } else {
        Pace::Well
    }
}

/// The number of the run that is due at `due`: what names it for everybody.
#[must_use]
pub fn tick(due: Timestamp) -> u64 {
    u64::try_from(due.millis()).unwrap_or_default()
}

/// When a check is due that is new, or that was due at `due` and may have been missed since. None
/// for one that does not run by itself.
#[must_use]
pub fn resume(check: &Check, due: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let (interval, exact) = match &check.timing {
        Timing::Passive => return None,
        Timing::Every { every, .. } => (*every, None),
        Timing::Cron { schedule, .. } => (SPREAD_MAX, schedule.next(now, Timestamp::EPOCH)),
    };
    match (due, &check.timing) {
        // A clock that went back must not put it off by more than its own pause.
        (Some(due), Timing::Every { .. }) if due > now.plus(interval) => {
            Some(on_grid(&check.id, interval, now))
        }
        (Some(due), _) if due.plus(LATE_MAX) >= now => Some(due),
        // One that is exact and never ran has missed nothing.
        (None, Timing::Cron { .. }) => exact,
        (Some(_) | None, _) => {
            let spread = interval.min(SPREAD_MAX);
            Some(now.plus(stable(&["again", &check.id], spread)))
        }
    }
}

/// When a check is due after the run that was due at `last` and has ended at `ended`. None for one
/// that does not run by itself, or never again.
#[must_use]
pub fn next(
    check: &Check,
    record: Option<&CheckRecord>,
    last: Timestamp,
    ended: Timestamp,
) -> Option<Timestamp> {
    // A clock that went back: nothing that is still to come has been.
    let last = last.min(ended);
    let pace = pace(check, record);
    let soonest = ended.plus(PAUSE_MIN);
    match &check.timing {
        Timing::Passive => None,
        Timing::Cron { schedule, retry_every } => {
            let exact = schedule.next(ended, Timestamp::EPOCH);
            match pace {
                Pace::Uncertain => {
                    let again = last.plus(*retry_every).max(soonest);
                    Some(exact.map_or(again, |exact| exact.min(again)))
                }
                Pace::Well | Pace::Failed => exact,
            }
        }
        Timing::Every { every, error_every, retry_every } => {
            let interval = match pace {
                Pace::Uncertain => return Some(last.plus(*retry_every).max(soonest)),
                Pace::Well => *every,
                Pace::Failed => *error_every,
            };
            // After a change of pace the grid may be near: half of a pause is one.
            let after = last.plus(interval / 2).max(ended);
            Some(on_grid(&check.id, interval, after).max(soonest))
        }
    }
}

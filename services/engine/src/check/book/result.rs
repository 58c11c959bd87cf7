//! What a result makes certain.
//!
//! A failure is certain after as many bad runs in a row as the definition asks for, a recovery
//! after as many good ones; while something is failed, another level is certain at once. A run that
//! could not check says nothing about its target: it counts for itself.
//!
//! Of the results of one run the first that is stored counts; what comes after a later run is
//! dropped. A run that claims to be of the future, because a clock was wrong, holds up nothing: the
//! next one that does not is taken.

use std::time::Duration;

use hearken_proto::Timestamp;
use hearken_proto::check::{CheckRecord, CheckResult, CheckStatus, LastRun, Metric, Origin};

use super::turn::Turn;
use super::whole;
use crate::check::flapping;
use crate::check::plugin::{LABEL_MAX, LONG_TEXT_MAX, METRICS_MAX, TEXT_MAX, cut};
use crate::definition::Check;
use crate::definition::period::show;

/// How far ahead of log time a run may be due without being one of a wrong clock.
const AHEAD_MAX: Duration = Duration::from_secs(300);

impl Turn<'_> {
    pub(super) fn result(&mut self, result: CheckResult, sequence: u64) {
        let Some(check) = self.check(&result.check).filter(|check| check.enabled) else { return };
        let now = self.now;
        if let Some(record) = self.book.checks.get(&check.id)
            && is_stale(record, &result, sequence, now)
        {
            return;
        }
        let was_down = self.is_down(&check.id);
        let first_bad = self.change_check(&check.id, |record| {
            record.tick = result.tick;
            record.sequence = record.sequence.max(sequence);
            record.late = None;
            let within = check.freshness.map(|freshness| freshness.within);
            record.fresh_until = within.map(|within| whole(now.plus(within)));
            let (status, origin) = (result.status, result.origin);
            record.last = Some(last_run(result, now));
            match origin {
                Origin::Tool => record.tool = record.tool.saturating_add(1),
                Origin::Target => {
                    record.tool = 0;
                    take_status(record, &check, status, now);
                }
            }
            origin == Origin::Target && record.bad == 1
        });
        if first_bad {
            self.recheck_parents(&check.id);
        }
        self.settle(&check.id);
        self.look_at_children(&check.id, was_down);
    }

    /// A result is missed, unless it is not yet.
    pub(super) fn freshness(&mut self, id: &str) {
        let now = self.now;
        let resumed = self.book.resumed;
        let check = self.check(id).filter(|check| check.enabled);
        let Some((check, freshness)) = check.and_then(|check| {
            let freshness = check.freshness?;
            Some((check, freshness))
        }) else {
            self.change_check(id, |record| record.fresh_until = None);
            return;
        };
        // While we could not hear anything, nothing could come: time begins anew.
        let deadline = whole(resumed.plus(freshness.within));
        if resumed > Timestamp::EPOCH && deadline > now {
            self.change_check(id, |record| record.fresh_until = Some(deadline));
            return;
        }
        let was_down = self.is_down(id);
        self.change_check(id, |record| {
            record.fresh_until = None;
            record.late = Some(now);
            match freshness.status {
                Some(status) => {
                    record.bad = record.bad.saturating_add(1).max(check.attempts.failures);
                    record.good = 0;
                    record.bad_since.get_or_insert(now);
                    become_status(record, status, now);
                }
                None => record.tool = record.tool.saturating_add(1).max(check.attempts.tool),
            }
        });
        self.settle(id);
        self.look_at_children(id, was_down);
    }
}

/// Whether a result says nothing new.
fn is_stale(record: &CheckRecord, result: &CheckResult, sequence: u64, now: Timestamp) -> bool {
    if sequence != 0 && sequence <= record.sequence {
        return true;
    }
    let ahead = |tick: u64| {
        let latest = u64::try_from(now.plus(AHEAD_MAX).millis()).unwrap_or_default();
        tick > latest
    };
    let again = result.tick == record.tick && record.last.is_some();
    again || (result.tick < record.tick && (!ahead(record.tick) || ahead(result.tick)))
}

fn take_status(record: &mut CheckRecord, check: &Check, status: CheckStatus, now: Timestamp) {
    let changed = if status.is_bad() { record.good > 0 } else { record.bad > 0 };
    record.changes = flapping::remember(record.changes, changed);
    let failed = record.status.is_some_and(CheckStatus::is_bad);
    let certain = if status.is_bad() {
        record.bad = record.bad.saturating_add(1);
        record.good = 0;
        record.bad_since.get_or_insert(now);
        failed || record.bad >= check.attempts.failures
    } else {
        record.good = record.good.saturating_add(1);
        record.last_good = record.last.as_ref().map(|last| last.text.clone());
        record.bad = 0;
        let certain = !failed || record.good >= check.attempts.recoveries;
        if certain {
            record.bad_since = None;
        }
        certain
    };
    if certain {
        become_status(record, status, now);
    }
    let before = record.flapping.is_some();
    let flaps = check
        .flapping
        .is_some_and(|thresholds| flapping::flaps(thresholds, before, record.changes));
    if flaps != before {
        record.flapping = flaps.then_some(now);
    }
}

fn become_status(record: &mut CheckRecord, status: CheckStatus, now: Timestamp) {
    if record.status != Some(status) {
        record.status = Some(status);
        record.since = Some(now);
    }
}

/// What is shown of a run, within bounds: results may come from anybody with credentials.
fn last_run(result: CheckResult, now: Timestamp) -> LastRun {
    let mut perfdata = result.perfdata;
    perfdata.truncate(METRICS_MAX);
    perfdata.iter_mut().for_each(bound_metric);
    LastRun {
        at: now,
        status: result.status,
        origin: result.origin,
        duration_us: result.duration_us,
        text: cut(&result.text, TEXT_MAX),
        long_text: cut(&result.long_text, LONG_TEXT_MAX),
        perfdata,
        location: cut(&result.location, LABEL_MAX),
    }
}

fn bound_metric(metric: &mut Metric) {
    metric.label = cut(&metric.label, LABEL_MAX);
    metric.unit = cut(&metric.unit, LABEL_MAX);
    // What is no number cannot be written as JSON, nor compared.
    for number in [&mut metric.value, &mut metric.min, &mut metric.max] {
        *number = number.filter(|number| number.is_finite());
    }
    for range in [&mut metric.warning, &mut metric.critical] {
        *range = range.as_ref().map(|range| cut(range, LABEL_MAX));
    }
}

/// What is said of a check of which nothing is heard.
pub(super) fn late_text(check: &Check) -> String {
    let within = check.freshness.map(|freshness| show(freshness.within)).unwrap_or_default();
    format!("nothing was heard of it for {within}")
}

//! What measured values mean: thresholds first, then conditions.
//!
//! A value that a threshold names and that was not measured is unknown, never good: a misspelt
//! label of a plugin would otherwise be silent for ever.

use std::sync::Arc;

use hearken_proto::Timestamp;
use hearken_proto::check::{CheckStatus, Metric};
use serde_json::{Map, Value, json};

use crate::criteria::{Input, Witness};
use crate::definition::Check;
use crate::definition::check::Probe;
use crate::path::Root;
use crate::template::{Empty, Scope, Views};

/// What measured values mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The worst of what is wrong; ok if nothing is.
    pub status: CheckStatus,
    /// What is wrong, each in a few words.
    pub reasons: Vec<String>,
}

impl Verdict {
    fn add(&mut self, level: CheckStatus, reason: String) {
        self.status = self.status.max(level);
        self.reasons.push(reason);
    }
}

/// The values of a plugin by their labels.
#[must_use]
pub fn of_metrics(metrics: &[Metric]) -> Map<String, Value> {
    metrics.iter().map(|metric| (metric.label.clone(), json!(metric.value))).collect()
}

/// Holds what was measured against the thresholds and conditions of a check.
#[must_use]
pub fn judge(check: &Check, measured: &Map<String, Value>, now: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    let mut told: Vec<&str> = Vec::new();
    for threshold in &check.thresholds {
        let field = threshold.field.as_str();
        let Some(value) = measured.get(field).and_then(Value::as_f64) else {
            if !told.contains(&field) {
                verdict.add(CheckStatus::Unknown, format!("{field} was not measured"));
                told.push(field);
            }
            continue;
        };
        // What is critical is not a warning as well.
        if threshold.range.alerts(value) && !told.contains(&field) {
            let reason =
                format!("{field} is {value}, {} {}", threshold.level.word(), threshold.range);
            verdict.add(threshold.level, reason);
            told.push(field);
        }
    }
    conditions(check, measured, now, &mut verdict);
    verdict
}

fn conditions(check: &Check, measured: &Map<String, Value>, now: Timestamp, verdict: &mut Verdict) {
    if check.conditions.is_empty() {
        return;
    }
    let root = Value::Object(measured.clone());
    let views = Views::new(&(Arc::new(Empty) as Arc<dyn crate::template::Datastore>), None);
    let scope = Scope::viewing(&views);
    let values = [("trigger", &root)];
    let input = Input {
        root: Root { values: &values, lookups: &[] },
        scope: &scope,
        views: &views,
        time: now,
    };
    for condition in &check.conditions {
        let mut witness = Witness::default();
        match condition.criterion.evaluate(&input, Some(&mut witness)) {
            Ok(true) => {}
            Ok(false) => {
                let reason = format!("{} does not hold: it is {}", condition.shown, witness.value);
                verdict.add(condition.level, reason);
            }
            Err(reason) => {
                verdict.add(CheckStatus::Unknown, format!("{}: {reason}", condition.shown));
            }
        }
    }
}

/// How a check stands that follows from others: `good` and `bad` of them, the rest being unknown.
#[must_use]
pub fn composite(check: &Check, good: u32, bad: u32) -> CheckStatus {
    let Probe::Composite(composite) = &check.probe else { return CheckStatus::Unknown };
    let all = u32::try_from(composite.of.len()).unwrap_or(u32::MAX);
    if good >= composite.at_least {
        CheckStatus::Ok
    } else if all.saturating_sub(bad) < composite.at_least {
        CheckStatus::Critical
    } else {
        CheckStatus::Unknown
    }
}

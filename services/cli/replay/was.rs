//! What was decided then: requests and enforcements on record, by event and rule.

use std::collections::{BTreeMap, HashMap};

use hearken_proto::question::{EntryFilter, Shown};
use hearken_proto::record::Enforcement;
use hearken_proto::request::TriggerInstance;
use hearken_proto::{ActionRequest, Timestamp, id};

use super::PERIOD_MAX;
use super::outcome::Decided;
use crate::error::Failure;
use crate::past::Past;

/// The most decisions that one replay compares: about a gigabyte of them.
const DECISIONS_MAX: usize = 1_000_000;

/// What was decided then.
#[derive(Debug, Default)]
pub(super) struct History {
    decided: BTreeMap<(u64, String), Decided>,
    /// Names of events, by place.
    names: HashMap<u64, String>,
}

impl History {
    /// Reads what was decided about events of a stretch of time.
    pub(super) fn read(
        past: &Past,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        let mut history = Self::default();
        let first = since.map(|since| place_at(past, since)).transpose()?.unwrap_or(1);
        let last = until.map(|until| place_at(past, until)).transpose()?.unwrap_or(u64::MAX);
        // A decision is stored after its event, and at the latest a longest period after it.
        let filter = |subject: &str| EntryFilter {
            stream: "LOG".to_owned(),
            subject: subject.to_owned(),
            since,
            until: until.map(|until| until.plus(PERIOD_MAX)),
            ..EntryFilter::default()
        };
        past.each(filter("request.action.>"), |shown| {
            let Ok(request) = serde_json::from_value::<ActionRequest>(shown.body) else {
                return Ok(());
            };
            let (Some(rule), Some(instance)) = (&request.rule, &request.trigger_instance) else {
                return Ok(());
            };
            // Retries and repetitions name the rule too; only this is the rule's own request.
            let own = id::work_key(&instance.id, rule, 0);
            if id::execution_key(&request.execution) != own {
                return Ok(());
            }
            let (rule, instance) = (rule.clone(), instance.clone());
            history.note(first..last, rule, instance, Decided::of_request(request))
        })?;
        past.each(filter("transition.enforcement.*"), |shown: Shown| {
            let Ok(enforcement) = serde_json::from_value::<Enforcement>(shown.body) else {
                return Ok(());
            };
            let (rule, instance) = (enforcement.rule.clone(), enforcement.trigger_instance.clone());
            history.note(first..last, rule, instance, Decided::of_enforcement(enforcement))
        })?;
        Ok(history)
    }

    fn note(
        &mut self,
        stretch: std::ops::Range<u64>,
        rule: String,
        instance: TriggerInstance,
        decided: Decided,
    ) -> Result<(), Failure> {
        if !stretch.contains(&instance.sequence) {
            return Ok(());
        }
        if self.decided.len() >= DECISIONS_MAX {
            let what = format!("there are more than {DECISIONS_MAX} decisions to compare");
            return Err(Failure::usage(what).hint("choose a shorter stretch: --since and --until"));
        }
        self.names.insert(instance.sequence, instance.id);
        let known =
            self.decided.entry((instance.sequence, rule)).or_insert_with(|| decided.clone());
        // An absence is on record twice: that it waits, and what came of it.
        if !decided.is_waiting() {
            *known = decided;
        }
        Ok(())
    }

    /// What was decided, of one rule or of all.
    pub(super) fn decided(&self, rule: Option<&str>) -> BTreeMap<&(u64, String), &Decided> {
        let wanted = |name: &str| rule.is_none_or(|rule| rule == name);
        self.decided.iter().filter(|((_, name), _)| wanted(name)).collect()
    }

    /// The name of the event at `place`, as decisions have it.
    pub(super) fn name(&self, place: u64) -> Option<String> {
        self.names.get(&place).cloned()
    }
}

/// Place of the first event stored at or after `time`.
fn place_at(past: &Past, time: Timestamp) -> Result<u64, Failure> {
    let filter = EntryFilter {
        stream: "EVENTS".to_owned(),
        since: Some(time),
        limit: 1,
        ..EntryFilter::default()
    };
    let (entries, _more) = past.page(filter)?;
    Ok(entries.first().map_or(u64::MAX, |entry| entry.sequence))
}

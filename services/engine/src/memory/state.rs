//! The memory of all rules: time goes on, things run out and come due.
//!
//! Two indices lead to the rules of which something is due or runs out next. They follow from what
//! the rules keep and are made anew when a memory is taken up.

use std::collections::{BTreeMap, BTreeSet};

use hearken_proto::Timestamp;
use hearken_proto::request::TriggerInstance;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::gates::GateKeys;
use super::kept::{Kept, Pending};
use super::moment::Moment;
use super::outage;
use super::recent::Recent;
use crate::judge::Outcome;
use crate::registry::Registry;

/// What all rules remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The newest log time seen.
    now: Option<Moment>,
    /// What each rule remembers; none of them remembers nothing.
    rules: BTreeMap<String, Kept>,
    /// The first absence of each rule that has one.
    due: BTreeSet<(Moment, String)>,
    /// When something of each rule runs out first.
    ends: BTreeSet<(Moment, String)>,
    /// Events that were decided on.
    pub(super) recent: Recent,
}

/// What a rule that remembers makes of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The rule.
    pub rule: String,
    /// The event it is about; of an absence, the one that waited.
    pub instance: TriggerInstance,
    /// Log time of that event.
    pub time: Timestamp,
    /// Log time at which it was decided.
    pub decided_at: Timestamp,
    /// What was decided.
    pub outcome: Outcome,
}

impl Memory {
    /// Log time has come to `time`, by an entry that is no event for anybody. What is due by then
    /// is decided, the oldest first.
    pub fn advance(&mut self, time: Timestamp) -> Vec<Decision> {
        let now = self.come_to(Moment::of(time));
        let mut decisions = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, rule)) = self.due.pop_first()
        {
            decisions.extend(self.change(&rule, |kept| fire(kept, &rule, now)).flatten());
        }
        while self.ends.first().is_some_and(|(end, _)| *end <= now)
            && let Some((_, rule)) = self.ends.pop_first()
        {
            self.change(&rule, |kept| kept.forget(now));
        }
        self.forget_names(now);
        decisions
    }

    /// Time goes on, never back; absences wait longer by an outage.
    fn come_to(&mut self, time: Moment) -> Moment {
        let Some(before) = self.now else {
            self.now = Some(time);
            return time;
        };
        let now = time.max(before);
        self.now = Some(now);
        if !self.due.is_empty()
            && let Some(gap) = outage::between(before, now)
        {
            for kept in self.rules.values_mut() {
                kept.absence.change(|pending| pending.due = pending.due.plus(gap));
            }
            self.due = order(&self.rules, |kept| kept.absence.first_end());
        }
        now
    }

    /// New definitions are in force: what rests on others is forgotten.
    pub fn retain(&mut self, registry: &Registry) {
        self.rules.retain(|rule, kept| {
            let live = registry.rule(rule).filter(|live| live.enabled);
            live.and_then(|live| live.fingerprint.as_ref()) == Some(&kept.fingerprint)
        });
        self.list_all();
        self.forget_names(self.now());
    }

    /// Names of events matter as long as something else is remembered.
    pub(super) fn forget_names(&mut self, now: Moment) {
        if self.rules.is_empty() {
            self.recent = Recent::default();
        } else {
            self.recent.forget(now);
        }
    }

    /// When the first absence is due.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| due.timestamp())
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The newest log time seen; the beginning of all before any.
    pub(super) fn now(&self) -> Moment {
        self.now.unwrap_or_default()
    }

    /// What `rule` remembers, if it does.
    pub(super) fn kept(&self, rule: &str) -> Option<&Kept> {
        self.rules.get(rule)
    }

    /// Changes what `rule` remembers, if it does, and keeps the indices right.
    pub(super) fn change<R>(
        &mut self,
        rule: &str,
        change: impl FnOnce(&mut Kept) -> R,
    ) -> Option<R> {
        let (rule, mut kept) = self.rules.remove_entry(rule)?;
        if let Some(due) = kept.absence.first_end() {
            self.due.remove(&(due, rule.clone()));
        }
        if let Some(end) = kept.first_end() {
            self.ends.remove(&(end, rule.clone()));
        }
        let outcome = change(&mut kept);
        self.put(rule, kept);
        Some(outcome)
    }

    /// Keeps what a rule remembers, unless that is nothing.
    pub(super) fn put(&mut self, rule: String, kept: Kept) {
        if let Some(due) = kept.absence.first_end() {
            self.due.insert((due, rule.clone()));
        }
        if let Some(end) = kept.first_end() {
            self.ends.insert((end, rule.clone()));
        }
        if !kept.is_empty() {
            self.rules.insert(rule, kept);
        }
    }

    fn list_all(&mut self) {
        self.due = order(&self.rules, |kept| kept.absence.first_end());
        self.ends = order(&self.rules, Kept::first_end);
    }
}

/// The first absence of a rule, if it is due by now, goes the rest of its way.
fn fire(kept: &mut Kept, rule: &str, now: Moment) -> Option<Decision> {
    let (_, pending) = kept.absence.take_first(Some(now))?;
    let Pending { due: _, instance, time, throttle, cooldown, bytes: _, request } = pending;
    let keys = GateKeys { throttle, cooldown };
    let outcome = kept.gates.hold(&keys, now).unwrap_or_else(|| {
        kept.gates.made(keys, now);
        Outcome::Request(request)
    });
    Some(Decision {
        rule: rule.to_owned(),
        instance,
        time: time.timestamp(),
        decided_at: now.timestamp(),
        outcome,
    })
}

fn order(
    rules: &BTreeMap<String, Kept>,
    first: impl Fn(&Kept) -> Option<Moment>,
) -> BTreeSet<(Moment, String)> {
    rules.iter().filter_map(|(rule, kept)| Some((first(kept)?, rule.clone()))).collect()
}

/// A memory as it is written down.
#[derive(Serialize)]
struct Shown<'m> {
    now: Option<Moment>,
    rules: &'m BTreeMap<String, Kept>,
    recent: &'m Recent,
}

/// A memory as it is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    now: Option<Moment>,
    rules: BTreeMap<String, Kept>,
    recent: Recent,
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shown { now: self.now, rules: &self.rules, recent: &self.recent }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { now, mut rules, recent } = Written::deserialize(deserializer)?;
        rules.retain(|_, kept| !kept.is_empty());
        let mut memory = Self { now, rules, recent, ..Self::default() };
        memory.list_all();
        Ok(memory)
    }
}

//! Everything in force at one place of the log: packs, their definitions, and who listens to what.
//!
//! A registry never changes. A new set of definitions is a new registry, so that whoever judges an
//! event holds one whole and consistent set.

mod bucket;
mod index;
mod link;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hearken_proto::id;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::definition::problem::suggestion;
use crate::definition::rule::Reference;
use crate::definition::trigger::{is_built_in, is_timer, needs_parameters};
use crate::definition::{Action, Policy, Problem, Rule, RuleKind, Sensor, TriggerType};
use crate::policy::Policies;
use crate::value::json::canonical;

pub(crate) use bucket::Hearers;
use bucket::{Buckets, Candidate};
pub(crate) use link::Link;

/// What one pack defines.
#[derive(Clone, Debug, Default)]
pub struct PackDefinitions {
    /// Name of the pack.
    pub name: String,
    /// Digest of its content, which requests pin.
    pub digest: String,
    /// Whether its rules compare everything as text, as in 2014.
    pub compares_text: bool,
    /// Its actions; every registry that has them shares them, since some packs have thousands.
    pub actions: Vec<Arc<Action>>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Its trigger types, those of its sensors not included.
    pub triggers: Vec<TriggerType>,
    /// Its sensors.
    pub sensors: Vec<Sensor>,
    /// Its policies.
    pub policies: Vec<Policy>,
}

/// Something to say about a definition that only shows when all are together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: `rule`, `action`, `sensor` or `policy`.
    pub kind: &'static str,
    /// Its reference.
    pub reference: String,
    /// What there is to say.
    pub problem: Problem,
}

/// A rule as it is in force.
#[derive(Clone, Debug)]
pub struct LiveRule {
    /// The rule.
    pub rule: Rule,
    /// Whether it is on: by its file, or by somebody's word against the file.
    pub enabled: bool,
    /// Digest of the trigger parameters it asks for; none when it asks for none.
    pub parameters_digest: Option<String>,
    /// Digest of the trigger parameters of what its absence expects; none when it asks for none.
    pub(crate) expected_digest: Option<String>,
    /// Changes with everything that what it remembers rests on; none when it remembers nothing.
    pub(crate) fingerprint: Option<String>,
    /// What it leads to.
    pub(crate) link: Link,
}

impl LiveRule {
    /// Whether what `other` remembered is still remembered: an edit, or switching a rule off,
    /// begins anew.
    #[must_use]
    pub fn keeps_memory_of(&self, other: &Self) -> bool {
        self.enabled && other.enabled && self.fingerprint == other.fingerprint
    }
}

/// A trigger with parameters that somebody must serve: a timer to run, a webhook to offer.
#[derive(Clone, Debug, PartialEq)]
pub struct NeededTrigger {
    /// Trigger type.
    pub trigger: String,
    /// Parameters as a rule writes them.
    pub parameters: Value,
    /// Their digest, which the events carry.
    pub digest: String,
}

/// All definitions in force.
#[derive(Debug, Default)]
pub struct Registry {
    packs: BTreeMap<String, String>,
    actions: BTreeMap<String, Arc<Action>>,
    rules: Vec<LiveRule>,
    rule_places: BTreeMap<String, usize>,
    triggers: BTreeMap<String, TriggerType>,
    sensors: BTreeMap<String, Sensor>,
    policies: Policies,
    index: HashMap<String, Buckets>,
    /// The rules that remember, by the triggers they listen to.
    hearers: HashMap<String, Hearers>,
}

impl Registry {
    /// Puts packs together. `rule_overrides` are rules switched on or off against their files.
    ///
    /// Two definitions of one reference: the first stays, with a finding.
    #[must_use]
    pub fn new(
        packs: impl IntoIterator<Item = PackDefinitions>,
        rule_overrides: &BTreeMap<String, bool>,
    ) -> (Self, Vec<Finding>) {
        let mut registry = Self::default();
        let mut findings = Vec::new();
        let mut rules = BTreeMap::new();
        for pack in packs {
            registry.take_definitions(&pack, &mut findings);
            for mut rule in pack.rules {
                if pack.compares_text {
                    rule.compare_as_text();
                }
                let reference = rule.reference.clone();
                if rules.contains_key(&reference) {
                    findings.push(twice("rule", &reference));
                    continue;
                }
                rules.insert(reference, (rule, pack.compares_text));
            }
        }
        for (reference, (rule, compares_text)) in rules {
            let live = registry.live(rule, compares_text, rule_overrides, &mut findings);
            registry.rule_places.insert(reference, registry.rules.len());
            registry.rules.push(live);
        }
        registry.build_index();
        registry.check_policies(&mut findings);
        (registry, findings)
    }

    fn take_definitions(&mut self, pack: &PackDefinitions, findings: &mut Vec<Finding>) {
        self.packs.insert(pack.name.clone(), pack.digest.clone());
        for action in &pack.actions {
            if self.actions.contains_key(&action.reference) {
                findings.push(twice("action", &action.reference));
                continue;
            }
            self.actions.insert(action.reference.clone(), Arc::clone(action));
        }
        for sensor in &pack.sensors {
            if self.sensors.contains_key(&sensor.reference) {
                findings.push(twice("sensor", &sensor.reference));
                continue;
            }
            self.sensors.insert(sensor.reference.clone(), sensor.clone());
        }
        for policy in &pack.policies {
            if !self.policies.insert(policy.clone()) {
                findings.push(twice("policy", &policy.reference));
            }
        }
        // Sensors often repeat a type that a file of the pack declares: not worth a word.
        let of_sensors = pack.sensors.iter().flat_map(|sensor| &sensor.trigger_types);
        for trigger in pack.triggers.iter().chain(of_sensors) {
            self.triggers.entry(trigger.reference.clone()).or_insert_with(|| trigger.clone());
        }
    }

    fn live(
        &self,
        rule: Rule,
        compares_text: bool,
        overrides: &BTreeMap<String, bool>,
        findings: &mut Vec<Finding>,
    ) -> LiveRule {
        let mut say = |problem| {
            let reference = rule.reference.clone();
            findings.push(Finding { kind: "rule", reference, problem });
        };
        let trigger = &rule.trigger.reference;
        if !is_built_in(trigger) && !self.triggers.contains_key(trigger) {
            let message = format!("nobody has registered trigger {trigger:?}");
            say(Problem::notice("/trigger/type", message)
                .hint("the rule is live: any event of that name fires it"));
        }
        let action = self.actions.get(&rule.action.reference);
        let digest = action.and_then(|action| self.packs.get(&action.pack));
        let link = Link::new(&rule, action, digest);
        if let Some((at, reason)) = link.fault() {
            let problem = Problem::notice(at, format!("{reason}: every match is a failure"));
            let known: Vec<&str> = self.actions.keys().map(String::as_str).collect();
            let meant = action.map_or_else(|| suggestion(&rule.action.reference, &known), |_| None);
            say(match meant {
                Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
                None => problem,
            });
        }
        let expected = rule.remember.as_ref().and_then(|r| r.absence.as_ref());
        let expected = expected.map(|absence| &absence.of.trigger);
        if let Some(expected) = expected {
            self.check_expected(expected).into_iter().for_each(say);
        }
        LiveRule {
            enabled: overrides.get(&rule.reference).copied().unwrap_or(rule.enabled),
            parameters_digest: parameters_digest(&rule.trigger),
            expected_digest: expected.and_then(parameters_digest),
            fingerprint: fingerprint(&rule, compares_text),
            rule,
            link,
        }
    }

    /// What there is to say about the trigger that an absence waits for.
    fn check_expected(&self, expected: &Reference) -> Option<Problem> {
        let trigger = &expected.reference;
        let known = is_built_in(trigger) || self.triggers.contains_key(trigger);
        (!known).then(|| {
            let message = format!("nobody has registered trigger {trigger:?}");
            Problem::notice("/absence/of/trigger", message)
                .hint("any event of that name is what the rule waits for")
        })
    }

    fn check_policies(&self, findings: &mut Vec<Finding>) {
        let lost = |policy: &&Policy| !self.actions.contains_key(&policy.action);
        findings.extend(self.policies.iter().filter(lost).map(|policy| {
            let message = format!("no action is called {:?}: no effect", policy.action);
            let problem = Problem::notice("/resource_ref", message);
            Finding { kind: "policy", reference: policy.reference.clone(), problem }
        }));
        for policy in self.policies.iter() {
            let Some(action) = self.actions.get(&policy.action) else { continue };
            let secret = action.secret_parameters();
            let attributes = policy.attributes().iter();
            for name in attributes.filter(|name| secret.contains(&name.as_str())) {
                let message = format!(
                    "attribute {name:?} of policy {:?} is secret: it cannot be compared",
                    policy.reference
                );
                let problem = Problem::notice("/parameters/attributes", message)
                    .hint("it is left out: executions that differ in nothing else count together");
                let reference = policy.reference.clone();
                findings.push(Finding { kind: "policy", reference, problem });
            }
        }
    }

    fn build_index(&mut self) {
        for (place, live) in self.rules.iter().enumerate().filter(|(_, live)| live.enabled) {
            let (rule, trigger) = (&live.rule, &live.rule.trigger.reference);
            if live.parameters_digest.is_some() || !needs_parameters(trigger) {
                let digest = live.parameters_digest.as_deref();
                let buckets = self.index.entry(trigger.clone()).or_default();
                buckets.insert(digest, rule.kind, place, &rule.criteria);
                if rule.remember.is_some() {
                    let hearers = self.hearers.entry(trigger.clone()).or_default();
                    hearers.own.insert(digest, rule.kind, place, &rule.criteria);
                }
            }
            let absence = rule.remember.as_ref().and_then(|remember| remember.absence.as_ref());
            let Some(of) = absence.map(|absence| &absence.of) else {
                continue;
            };
            let trigger = &of.trigger.reference;
            if live.expected_digest.is_some() || !needs_parameters(trigger) {
                let digest = live.expected_digest.as_deref();
                let hearers = self.hearers.entry(trigger.clone()).or_default();
                hearers.expecting.insert(digest, RuleKind::Standard, place, &of.criteria);
            }
        }
    }

    /// The rules that might match an event, in the order in which they are judged: all that could
    /// match or fail are among them. With each comes the place of a criterion of it that is known
    /// to hold, if one is.
    pub(crate) fn candidates(
        &self,
        trigger: &str,
        digest: Option<&str>,
        payload: &Value,
        kind: RuleKind,
    ) -> Vec<(&LiveRule, Option<usize>)> {
        let Some(buckets) = self.index.get(trigger) else {
            return Vec::new();
        };
        let mut found = buckets.find(digest, payload, kind);
        found.sort_unstable();
        let live = |found: Candidate| Some((self.rules.get(found.place)?, found.holds));
        found.into_iter().filter_map(live).collect()
    }

    /// The rules at these places, in the order in which they are judged.
    pub(crate) fn at(&self, mut places: Vec<usize>) -> Vec<&LiveRule> {
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.rules.get(place)).collect()
    }

    /// The rules that remember and listen to `trigger`; none for most events.
    pub(crate) fn hearers(&self, trigger: &str) -> Option<&Hearers> {
        self.hearers.get(trigger)
    }

    /// Whether any rule in force remembers.
    #[must_use]
    pub fn remembers(&self) -> bool {
        !self.hearers.is_empty()
    }

    /// The rules that hear events of `trigger` with parameters of this digest.
    #[must_use]
    pub fn rules_of(&self, trigger: &str, digest: Option<&str>) -> Vec<&LiveRule> {
        self.rules
            .iter()
            .filter(|live| live.enabled && live.rule.trigger.reference == trigger)
            .filter(|live| match &live.parameters_digest {
                None => !needs_parameters(trigger),
                Some(wanted) => Some(wanted.as_str()) == digest,
            })
            .collect()
    }

    /// The rules whose absence waits for events of `trigger` with parameters of this digest.
    #[must_use]
    pub fn rules_awaiting(&self, trigger: &str, digest: Option<&str>) -> Vec<&LiveRule> {
        let hears = |wanted: &Option<String>| match wanted {
            None => !needs_parameters(trigger),
            Some(wanted) => Some(wanted.as_str()) == digest,
        };
        let awaits = |live: &&LiveRule| {
            let absence = live.rule.remember.as_ref().and_then(|r| r.absence.as_ref());
            let is_of = absence.is_some_and(|absence| absence.of.trigger.reference == trigger);
            live.enabled && is_of && hears(&live.expected_digest)
        };
        self.rules.iter().filter(awaits).collect()
    }

    /// The action called `reference`.
    #[must_use]
    pub fn action(&self, reference: &str) -> Option<&Arc<Action>> {
        self.actions.get(reference)
    }

    /// The rule called `reference`.
    #[must_use]
    pub fn rule(&self, reference: &str) -> Option<&LiveRule> {
        self.rule_places.get(reference).and_then(|place| self.rules.get(*place))
    }

    /// Every action, by reference.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.values()
    }

    /// The policies in effect for the action called `action`, by reference.
    pub fn policies_of(&self, action: &str) -> impl Iterator<Item = &Policy> + Clone {
        self.policies.of(action)
    }

    /// Every policy.
    #[must_use]
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Whether any enabled rule listens to events of `trigger`.
    #[must_use]
    pub fn hears(&self, trigger: &str) -> bool {
        self.index.contains_key(trigger) || self.hearers.contains_key(trigger)
    }

    /// Whether a sensor has anything to do: one all of whose triggers need parameters has not until
    /// a rule gives some.
    #[must_use]
    pub fn needs(&self, sensor: &Sensor) -> bool {
        let is_required = |schema: &Value| schema.get("required") == Some(&Value::Bool(true));
        let waits = |kind: &TriggerType| kind.parameters_schema.values().any(is_required);
        let types = &sensor.trigger_types;
        types.is_empty() || types.iter().any(|kind| !waits(kind) || self.hears(&kind.reference))
    }

    /// Every rule, by reference.
    pub fn rules(&self) -> impl Iterator<Item = &LiveRule> {
        self.rules.iter()
    }

    /// Every registered trigger type, by reference.
    pub fn triggers(&self) -> impl Iterator<Item = &TriggerType> {
        self.triggers.values()
    }

    /// Every sensor, by reference.
    pub fn sensors(&self) -> impl Iterator<Item = &Sensor> {
        self.sensors.values()
    }

    /// The digest of a pack's content.
    #[must_use]
    pub fn pack_digest(&self, pack: &str) -> Option<&str> {
        self.packs.get(pack).map(String::as_str)
    }

    /// Triggers with parameters that rules in force ask for, each once: their own, and those that
    /// their absences wait for.
    #[must_use]
    pub fn needed_triggers(&self) -> Vec<NeededTrigger> {
        let mut seen = BTreeSet::new();
        let mut needed = Vec::new();
        for live in self.rules.iter().filter(|live| live.enabled) {
            let absence = live.rule.remember.as_ref().and_then(|r| r.absence.as_ref());
            let own = (Some(&live.rule.trigger), &live.parameters_digest);
            let expected = (absence.map(|absence| &absence.of.trigger), &live.expected_digest);
            for (trigger, digest) in [own, expected] {
                if let (Some(trigger), Some(digest)) = (trigger, digest)
                    && seen.insert(digest.clone())
                {
                    needed.push(NeededTrigger {
                        trigger: trigger.reference.clone(),
                        parameters: Value::Object(trigger.parameters.clone()),
                        digest: digest.clone(),
                    });
                }
            }
        }
        needed
    }

    /// The timers that rules in force ask for.
    #[must_use]
    pub fn timers(&self) -> Vec<NeededTrigger> {
        let mut needed = self.needed_triggers();
        needed.retain(|needed| is_timer(&needed.trigger));
        needed
    }
}

fn twice(kind: &'static str, reference: &str) -> Finding {
    let message = format!("{kind} {reference:?} is defined twice: the first one stays");
    Finding { kind, reference: reference.to_owned(), problem: Problem::notice("", message) }
}

/// Digest of the trigger parameters that are asked for; none when none are.
#[must_use]
pub fn parameters_digest(trigger: &Reference) -> Option<String> {
    (!trigger.parameters.is_empty()).then(|| {
        let parameters = Value::Object(trigger.parameters.clone());
        trigger_parameters_digest(&trigger.reference, &parameters)
    })
}

/// What a memory rests on: the fields that make it, the trigger, the criteria.
fn fingerprint(rule: &Rule, compares_text: bool) -> Option<String> {
    rule.remember.as_ref()?;
    let basis = json!({
        "trigger": rule.trigger.reference,
        "parameters": rule.trigger.parameters,
        "criteria": rule.raw.get("criteria"),
        "remember": rule.remembered(),
        "backstop": rule.kind == RuleKind::Backstop,
        "compares_text": compares_text,
    });
    Some(id::derived(&[&canonical(&basis)]))
}

/// Names a trigger that takes parameters: rules with the same parameters share it, and its events
/// carry the name in a header.
#[must_use]
pub fn trigger_parameters_digest(trigger: &str, parameters: &Value) -> String {
    let mut parameters = parameters.clone();
    if trigger == "core.st2.webhook"
        && let Some(url) = parameters.get("url").and_then(Value::as_str)
    {
        // Slashes at the ends of a webhook's url mean nothing.
        let url = json!(url.trim_matches('/'));
        if let Some(map) = parameters.as_object_mut() {
            map.insert("url".to_owned(), url);
        }
    }
    let empty = parameters.as_object().is_some_and(Map::is_empty);
    let text = if empty { String::new() } else { canonical(&parameters) };
    id::derived(&[trigger, &text])
}

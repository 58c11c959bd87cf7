//! `hearken log replay`: decides history again, without acting, and tells what differs.
//!
//! The same functions as live judging, fed from the log: the engine's judge for rules without a
//! memory, its fold for those that remember. Without other packs the definitions of then are used,
//! and nothing should differ, but what rules made of keys of the datastore that have changed since:
//! they are read as they are today.
//!
//! What rules remember is made from the events before the stretch, from twice the longest period
//! back; what lay further back is not known, so a stretch from the beginning is exact and a later
//! one nearly so.

mod keys;
mod outcome;
mod timeline;
mod was;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use hearken_engine::judge::{self, Context as Surroundings, Event, USER_DEFAULT};
use hearken_engine::memory::{Decision, Memory};
use hearken_packs::kv::Opened;
use hearken_proto::question::{EntryFilter, Shown};
use hearken_proto::record::{DEFINITIONS_TRIGGER, TIME_TRIGGER};
use hearken_proto::request::TriggerInstance;
use hearken_proto::{Timestamp, entry, id};
use serde_json::{Value, json};

use crate::commands::{self, Context};
use crate::config::parse_span;
use crate::error::{EXIT_OK, Failure};
use crate::past::Past;

use outcome::Decided;
use timeline::Timeline;
use was::History;

/// What to replay.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Folders of packs that take the place of those of then.
    pub packs: Vec<PathBuf>,
    /// From when.
    pub since: Option<String>,
    /// Until when.
    pub until: Option<String>,
    /// Only this rule.
    pub rule: Option<String>,
}

/// Replays and prints the differences.
pub(crate) fn run(context: &Context<'_>, wanted: &Wanted) -> Result<u8, Failure> {
    let past = Past::open(context)?;
    let now = hearken_kit::Clock::System.now();
    let since = wanted.since.as_deref().map(|text| moment(text, now)).transpose()?;
    let until = wanted.until.as_deref().map(|text| moment(text, now)).transpose()?;
    let history = History::read(&past, since, until)?;
    let timeline = Timeline::new(&past, &context.data, &wanted.packs, since)?;
    let before = timeline.period_max() * 2;
    let opened = keys::keys(context, &past, now)?;
    let mut replay = Replay {
        since: since.unwrap_or(Timestamp::EPOCH),
        rule: wanted.rule.clone(),
        history,
        timeline,
        memory: Memory::default(),
        surroundings: opened.context(USER_DEFAULT),
        opened,
        decided: BTreeMap::new(),
        instances: BTreeMap::new(),
        events: 0,
        is_known: false,
    };
    replay.look_for_rule();
    let from = since.map(|since| since.minus(before));
    let filter = EntryFilter {
        stream: "EVENTS".to_owned(),
        subject: "event.>".to_owned(),
        since: from,
        until,
        ..EntryFilter::default()
    };
    past.each(filter, |shown| replay.take(&past, &shown))?;
    if let Some(rule) = wanted.rule.as_deref().filter(|_| !replay.is_known) {
        return Err(commands::rule::unknown(rule));
    }
    replay.print(context);
    Ok(EXIT_OK)
}

/// A moment, or how long ago.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Some(span) = parse_span(text) {
        return Ok(now.minus(span));
    }
    Timestamp::parse(text).ok_or_else(|| {
        Failure::usage(format!("{text:?} is no moment"))
            .hint("write 2026-01-31T12:00:00Z, or how long ago: 90m, 12h, 7d")
    })
}

/// A replay under way.
struct Replay {
    since: Timestamp,
    rule: Option<String>,
    history: History,
    timeline: Timeline,
    memory: Memory,
    surroundings: Surroundings,
    opened: Opened,
    /// What was decided now, by place of the event and rule.
    decided: BTreeMap<(u64, String), Decided>,
    /// The events of what differs or may differ.
    instances: BTreeMap<u64, (TriggerInstance, Timestamp)>,
    events: u64,
    /// Whether the one rule that is wanted has been in force.
    is_known: bool,
}

impl Replay {
    /// Decides about one entry of the event stream.
    fn take(&mut self, past: &Past, shown: &Shown) -> Result<(), Failure> {
        let Some((_, trigger)) = shown.subject.split_once(".event.") else { return Ok(()) };
        if trigger == DEFINITIONS_TRIGGER {
            let decisions = self.memory.advance(shown.time);
            self.remember(decisions);
            self.timeline.reach(past, shown)?;
            self.look_for_rule();
            self.memory.retain(self.timeline.registry());
            return Ok(());
        }
        if trigger == TIME_TRIGGER || !shown.body.is_object() {
            let decisions = self.memory.advance(shown.time);
            self.remember(decisions);
            return Ok(());
        }
        if shown.time >= self.since {
            self.events += 1;
        }
        let instance = self.instance(trigger, shown);
        let event = Event {
            id: &instance.id,
            trigger,
            parameters_digest: shown.header(entry::TRIGGER_PARAMETERS),
            payload: &shown.body,
            time: shown.time,
        };
        let registry = self.timeline.registry();
        let mut decisions = self.memory.event(registry, &event, &instance, &self.surroundings);
        self.opened.hide_reasons(decisions.iter_mut().map(|decision| &mut decision.outcome));
        let mut judgements = judge::judge(registry, &event, &self.surroundings);
        self.opened.hide_reasons(judgements.iter_mut().map(|judgement| &mut judgement.outcome));
        for judgement in judgements {
            self.note(&instance, shown.time, judgement.rule, Decided::new(judgement.outcome));
        }
        self.remember(decisions);
        Ok(())
    }

    /// Looks whether the rule that is wanted is in force now, or on record.
    fn look_for_rule(&mut self) {
        let Some(rule) = &self.rule else { return };
        self.is_known = self.is_known
            || self.timeline.registry().rule(rule).is_some()
            || !self.history.decided(Some(rule)).is_empty();
    }

    /// The event's name and place; the name as history has it, where it came without an id.
    fn instance(&self, trigger: &str, shown: &Shown) -> TriggerInstance {
        let id = if shown.id.is_empty() {
            let known = self.history.name(shown.sequence);
            known.unwrap_or_else(|| id::place("replay", shown.sequence))
        } else {
            shown.id.clone()
        };
        TriggerInstance {
            id,
            trigger: trigger.to_owned(),
            sequence: shown.sequence,
            definitions: self.timeline.mark(),
        }
    }

    fn remember(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            let Decision { rule, instance, time, outcome, .. } = decision;
            self.note(&instance, time, rule, Decided::new(outcome));
        }
    }

    fn note(
        &mut self,
        instance: &TriggerInstance,
        time: Timestamp,
        rule: String,
        decided: Decided,
    ) {
        if time < self.since || self.rule.as_ref().is_some_and(|wanted| *wanted != rule) {
            return;
        }
        // A rule that held an event back and decides about it later has decided later.
        let place = instance.sequence;
        self.instances.entry(place).or_insert_with(|| (instance.clone(), time));
        self.decided.insert((place, rule), decided);
    }

    fn print(&self, context: &Context<'_>) {
        let was = self.history.decided(self.rule.as_deref());
        let keys: BTreeSet<&(u64, String)> =
            self.decided.keys().chain(was.keys().copied()).collect();
        let mut rows = Vec::new();
        for key in keys {
            let (was, would) = (was.get(key).copied(), self.decided.get(key));
            let change = match (was, would) {
                (None, Some(_)) => "added",
                (Some(_), None) => "missing",
                (Some(was), Some(would)) if !was.is_same(would) => "changed",
                (Some(_), Some(_)) | (None, None) => continue,
            };
            rows.push(self.row(key, change, was, would));
        }
        let columns = [
            ("CHANGE", "/change"),
            ("TIME", "/time"),
            ("EVENT", "/event"),
            ("RULE", "/rule"),
            ("WAS", "/was/summary"),
            ("WOULD BE", "/would/summary"),
        ];
        context.output.list(&rows, &columns);
        context.output.note(&format!(
            "{} events decided again, {} decisions, {} differ",
            self.events,
            self.decided.len(),
            rows.len()
        ));
    }

    fn row(
        &self,
        (place, rule): &(u64, String),
        change: &str,
        was: Option<&Decided>,
        would: Option<&Decided>,
    ) -> Value {
        let known = self.instances.get(place).map(|(instance, time)| (instance.id.clone(), *time));
        let (event, time) = match known {
            Some((event, time)) => (event, Some(time)),
            None => (self.history.name(*place).unwrap_or_default(), None),
        };
        json!({
            "change": change,
            "sequence": place,
            "time": time,
            "event": event,
            "rule": rule,
            "was": was.map(Decided::shown),
            "would": would.map(Decided::shown),
        })
    }
}

/// The longest that anything is remembered, by definition.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);

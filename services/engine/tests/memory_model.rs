//! Claims on rules that remember, for any rules and any events: a memory that is written down and
//! taken up anywhere decides as one that never was, and every memory decides as a naive model that
//! keeps everything and looks at all of it.

#![expect(clippy::indexing_slicing, reason = "a model of the wrong shape fails its test")]

use std::collections::BTreeMap;
use std::time::Duration;

use hearken_engine::definition::{Action, Rule};
use hearken_engine::judge::{Context, Event, Outcome};
use hearken_engine::memory::{Decision, Memory};
use hearken_engine::registry::{PackDefinitions, Registry};
use hearken_proto::entry::Headers;
use hearken_proto::request::TriggerInstance;
use hearken_proto::{Timestamp, codec};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Log time at which every story begins.
const START: Timestamp = Timestamp::from_nanos(1_700_000_000_123_456_789);

/// What a key looks at; `j` is not in every event.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Key {
    None,
    K,
    J,
}

#[derive(Clone, Copy, Debug)]
struct Spell {
    period: u64,
    key: Key,
}

#[derive(Clone, Copy, Debug)]
struct Quota {
    count: usize,
    period: u64,
    key: Key,
}

/// What must hold of an event.
#[derive(Clone, Copy, Debug)]
enum Condition {
    Always,
    /// `v` is this.
    Value(i64),
    /// `j` begins with p, which is an error when there is no `j`.
    Letter,
}

#[derive(Clone, Copy, Debug)]
struct Absence {
    period: u64,
    key: Key,
    trigger: &'static str,
    condition: Condition,
    other: Option<Key>,
}

/// Window and absence exclude each other.
#[derive(Clone, Copy, Debug)]
enum Middle {
    None,
    Window(Quota),
    Absence(Absence),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    backstop: bool,
    trigger: &'static str,
    condition: Condition,
    /// Whether the request cannot be drafted without `j`.
    wants_j: bool,
    dedupe: Option<Spell>,
    middle: Middle,
    throttle: Option<Quota>,
    cooldown: Option<Spell>,
}

#[derive(Clone, Debug)]
struct Happening {
    trigger: &'static str,
    v: i64,
    k: &'static str,
    j: Option<&'static str>,
}

/// One entry of the stream, `after` the one before; time may seem to run backwards.
#[derive(Clone, Debug)]
struct Step {
    after: i64,
    /// None for a mark.
    event: Option<Happening>,
}

fn trigger() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["demo.a", "demo.b"])
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![2 => Just(Key::None), 4 => Just(Key::K), 1 => Just(Key::J)]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => Just(Condition::Always),
        3 => (0_i64..2).prop_map(Condition::Value),
        1 => Just(Condition::Letter),
    ]
}

fn spell() -> impl Strategy<Value = Spell> {
    (1_u64..40, key()).prop_map(|(period, key)| Spell { period, key })
}

fn quota() -> impl Strategy<Value = Quota> {
    (1_usize..4, 1_u64..40, key()).prop_map(|(count, period, key)| Quota { count, period, key })
}

fn middle() -> impl Strategy<Value = Middle> {
    // Nothing written would mean the rule's own key.
    let other = prop_oneof![Just(Key::K), Just(Key::J)];
    let absence = (1_u64..40, key(), trigger(), condition(), prop::option::of(other));
    prop_oneof![
        Just(Middle::None),
        quota().prop_map(Middle::Window),
        absence.prop_map(|(period, key, trigger, condition, other)| Middle::Absence(Absence {
            period,
            key,
            trigger,
            condition,
            other,
        })),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let head = (prop::bool::weighted(0.3), trigger(), condition(), prop::bool::weighted(0.2));
    let some = |strategy| prop::option::weighted(0.3, strategy);
    (head, some(spell()), middle(), prop::option::weighted(0.3, quota()), some(spell())).prop_map(
        |((backstop, trigger, condition, wants_j), dedupe, middle, throttle, cooldown)| Plan {
            backstop,
            trigger,
            condition,
            wants_j,
            dedupe,
            middle,
            throttle,
            cooldown,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let k = prop::sample::select(vec!["x", "y", ""]);
    let j = prop::sample::select(vec![Some("p"), Some("p"), Some("q"), None]);
    let event =
        (trigger(), 0_i64..2, k, j).prop_map(|(trigger, v, k, j)| Happening { trigger, v, k, j });
    let after = prop_oneof![8 => 0_i64..8, 2 => 8_i64..16, 1 => 16_i64..50, 1 => -5_i64..0];
    (after, prop::option::weighted(0.8, event)).prop_map(|(after, event)| Step { after, event })
}

fn template(key: Key) -> Value {
    match key {
        Key::None => Value::Null,
        Key::K => json!("{{ trigger.k }}"),
        Key::J => json!("{{ trigger.j }}"),
    }
}

fn criteria(condition: Condition) -> Value {
    match condition {
        Condition::Always => json!({}),
        Condition::Value(v) => json!({"trigger.v": {"type": "equals", "pattern": v}}),
        Condition::Letter => json!({"trigger.j": {"type": "startswith", "pattern": "p"}}),
    }
}

impl Plan {
    fn remembers(&self) -> bool {
        self.dedupe.is_some()
            || self.throttle.is_some()
            || self.cooldown.is_some()
            || !matches!(self.middle, Middle::None)
    }

    fn rule(&self, name: &str) -> Rule {
        let spell = |s: &Spell| json!({"period": s.period, "key": template(s.key)});
        let quota = |word: &str, q: &Quota| {
            let period = format!("{}s", q.period);
            json!({word: q.count, "period": period, "key": template(q.key)})
        };
        let (window, absence) = match &self.middle {
            Middle::None => (Value::Null, Value::Null),
            Middle::Window(window) => (quota("count", window), Value::Null),
            Middle::Absence(absence) => (
                Value::Null,
                json!({
                    "period": absence.period, "key": template(absence.key),
                    "of": {
                        "trigger": absence.trigger, "criteria": criteria(absence.condition),
                        "key": absence.other.map(template),
                    },
                }),
            ),
        };
        let message = if self.wants_j { "{{ trigger.j }}" } else { "{{ trigger.k }} 0.25" };
        let (rule, problems) = Rule::from_value(
            "demo",
            &json!({
                "name": name, "enabled": true,
                "type": {"ref": if self.backstop { "backstop" } else { "standard" }},
                "trigger": {"type": self.trigger}, "criteria": criteria(self.condition),
                "dedupe": self.dedupe.as_ref().map(spell), "window": window, "absence": absence,
                "throttle": self.throttle.as_ref().map(|throttle| quota("limit", throttle)),
                "cooldown": self.cooldown.as_ref().map(spell),
                "action": {"ref": "demo.note", "parameters": {"message": message}},
            }),
        );
        rule.unwrap_or_else(|| panic!("{problems:?}"))
    }
}

fn registry(plans: &[Plan]) -> Registry {
    let note = json!({
        "name": "note", "runner_type": "noop", "parameters": {"message": {"type": "string"}},
    });
    let pack = PackDefinitions {
        name: "demo".into(),
        actions: vec![
            Action::from_value("demo", &note).0.expect("the action is well-formed").into(),
        ],
        rules: plans.iter().enumerate().map(|(at, plan)| plan.rule(&format!("r{at}"))).collect(),
        ..PackDefinitions::default()
    };
    Registry::new([pack], &BTreeMap::new()).0
}

fn moved(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_nanos(time.nanos() + seconds * 1_000_000_000)
}

/// The time of each step.
fn times(steps: &[Step]) -> Vec<Timestamp> {
    let later = |time: &mut Timestamp, step: &Step| {
        *time = moved(*time, step.after);
        Some(*time)
    };
    steps.iter().scan(START, later).collect()
}

/// Tells a memory of one step.
fn tell(
    memory: &mut Memory,
    registry: &Registry,
    at: usize,
    step: &Step,
    time: Timestamp,
) -> Vec<Decision> {
    let Some(event) = &step.event else {
        return memory.advance(time);
    };
    let mut payload = json!({"v": event.v, "k": event.k});
    if let Some(j) = event.j {
        payload["j"] = json!(j);
    }
    let id = format!("e{at}");
    let instance = TriggerInstance {
        id: id.clone(),
        trigger: event.trigger.to_owned(),
        sequence: at as u64,
        definitions: 1,
    };
    let event =
        Event { id: &id, trigger: event.trigger, parameters_digest: None, payload: &payload, time };
    memory.event(registry, &event, &instance, &Context::default())
}

/// A decision as the model says it: rule, event, when it was stored, when it was decided, what.
type Told = (String, String, Timestamp, Timestamp, String);

fn told(decision: Decision) -> Told {
    let what = match decision.outcome {
        Outcome::Request(draft) => format!("request {}", draft.parameters["message"]),
        Outcome::Failed { .. } => "failed".to_owned(),
        Outcome::Held { by, reason } => {
            let number = reason.split(' ').next().filter(|_| by.word() == "window");
            format!("{} {}", by.word(), number.unwrap_or_default())
        }
    };
    (decision.rule, decision.instance.id, decision.time, decision.decided_at, what)
}

/// A key, or that there is none.
fn render(key: Key, event: &Happening) -> Result<String, String> {
    match key {
        Key::None => Ok(String::new()),
        Key::K => Ok(event.k.to_owned()),
        Key::J => event.j.map(str::to_owned).ok_or("failed".to_owned()),
    }
}

fn holds(condition: Condition, event: &Happening) -> Result<bool, String> {
    match condition {
        Condition::Always => Ok(true),
        Condition::Value(v) => Ok(event.v == v),
        Condition::Letter => event.j.map(|j| j.starts_with('p')).ok_or("failed".to_owned()),
    }
}

/// An event that waits.
#[derive(Clone, Debug)]
struct Waiting {
    due: Timestamp,
    rule: usize,
    key: String,
    id: String,
    time: Timestamp,
    request: String,
    throttle: String,
    cooldown: String,
}

/// Everything that ever happened, in lists.
#[derive(Default)]
struct Model {
    plans: Vec<Plan>,
    now: Option<Timestamp>,
    passed: Vec<(usize, String, Timestamp)>,
    window: Vec<(usize, String, Timestamp)>,
    waiting: Vec<Waiting>,
    /// Requests with the keys they have for throttle and cooldown.
    requests: Vec<(usize, String, String, Timestamp)>,
    told: Vec<Told>,
}

impl Model {
    fn within(&self, time: Timestamp, period: u64) -> bool {
        self.now.expect("time has begun").since(time) < Duration::from_secs(period)
    }

    fn say(&mut self, rule: usize, id: &str, time: Timestamp, what: String) {
        let now = self.now.expect("time has begun");
        self.told.push((format!("demo.r{rule}"), id.to_owned(), time, now, what));
    }

    fn advance(&mut self, time: Timestamp) {
        let before = self.now.unwrap_or(time);
        let now = time.max(before);
        self.now = Some(now);
        if now.since(before) > Duration::from_secs(15) {
            for waiting in &mut self.waiting {
                waiting.due = waiting.due.plus(now.since(before));
            }
        }
        self.waiting.sort_by_key(|w| (w.due, w.rule, w.key.clone()));
        let (due, later) = self.waiting.drain(..).partition(|waiting| waiting.due <= now);
        self.waiting = later;
        for waiting in Vec::from_iter::<Vec<Waiting>>(due) {
            let Waiting { rule, throttle, cooldown, id, time, request, .. } = waiting;
            let what = self.gate(rule, &throttle, &cooldown).unwrap_or_else(|| {
                self.requests.push((rule, throttle, cooldown, now));
                request
            });
            self.say(rule, &id, time, what);
        }
    }

    /// Throttle and cooldown.
    fn gate(&self, rule: usize, throttle: &str, cooldown: &str) -> Option<String> {
        let plan = &self.plans[rule];
        let mine = || self.requests.iter().filter(|request| request.0 == rule);
        if let Some(quota) = plan.throttle {
            let counted = mine().filter(|r| r.1 == throttle && self.within(r.3, quota.period));
            if counted.count() >= quota.count {
                return Some("throttle ".to_owned());
            }
        }
        let spell = plan.cooldown?;
        let silent = mine().any(|r| r.2 == cooldown && self.within(r.3, spell.period));
        silent.then(|| "cooldown ".to_owned())
    }

    fn event(&mut self, id: &str, event: &Happening, time: Timestamp) {
        let mut stuck = Vec::new();
        for rule in 0..self.plans.len() {
            if self.settle(rule, event).is_err() {
                stuck.push(rule);
                self.say(rule, id, time, "failed".to_owned());
            }
        }
        let hears = |plan: &&Plan| plan.trigger == event.trigger;
        let matched = self
            .plans
            .iter()
            .filter(hears)
            .any(|plan| !plan.backstop && holds(plan.condition, event) == Ok(true));
        for backstop in [false, true] {
            for rule in 0..self.plans.len() {
                let plan = self.plans[rule];
                let asked = plan.trigger == event.trigger
                    && plan.backstop == backstop
                    && plan.remembers()
                    && !(backstop && matched)
                    && !stuck.contains(&rule);
                if asked && holds(plan.condition, event) != Ok(false) {
                    let what = self.pass(rule, id, event, time).unwrap_or_else(|what| what);
                    self.say(rule, id, time, what);
                }
            }
        }
    }

    fn settle(&mut self, rule: usize, event: &Happening) -> Result<(), String> {
        let Middle::Absence(absence) = self.plans[rule].middle else {
            return Ok(());
        };
        let waits = self.waiting.iter().any(|waiting| waiting.rule == rule);
        if waits && absence.trigger == event.trigger && holds(absence.condition, event)? {
            let key = render(absence.other.unwrap_or(absence.key), event)?;
            self.waiting.retain(|waiting| waiting.rule != rule || waiting.key != key);
        }
        Ok(())
    }

    /// One matching event through all fields; what is said of it.
    fn pass(
        &mut self,
        rule: usize,
        id: &str,
        event: &Happening,
        time: Timestamp,
    ) -> Result<String, String> {
        let plan = self.plans[rule];
        let now = self.now.expect("time has begun");
        holds(plan.condition, event)?;
        if let Some(dedupe) = plan.dedupe {
            let key = render(dedupe.key, event)?;
            let mut mine = self.passed.iter().filter(|p| p.0 == rule && p.1 == key);
            if mine.any(|p| self.within(p.2, dedupe.period)) {
                return Err("dedupe ".to_owned());
            }
            self.passed.push((rule, key, now));
        }
        if let Middle::Window(window) = plan.middle {
            let key = render(window.key, event)?;
            self.window.push((rule, key.clone(), now));
            let mine = self.window.iter().filter(|w| w.0 == rule && w.1 == key);
            let seen = mine.filter(|w| self.within(w.2, window.period)).count();
            if seen < window.count {
                return Err(format!("window {seen}"));
            }
            self.window.retain(|w| w.0 != rule || w.1 != key);
        }
        let waits = match plan.middle {
            Middle::Absence(absence) => Some((absence, render(absence.key, event)?)),
            Middle::None | Middle::Window(_) => None,
        };
        if let Some((_, key)) = &waits
            && self.waiting.iter().any(|w| w.rule == rule && w.key == *key)
        {
            return Err("absence ".to_owned());
        }
        let throttle = render(plan.throttle.map_or(Key::None, |quota| quota.key), event)?;
        let cooldown = render(plan.cooldown.map_or(Key::None, |spell| spell.key), event)?;
        if waits.is_none()
            && let Some(held) = self.gate(rule, &throttle, &cooldown)
        {
            return Err(held);
        }
        let request = if plan.wants_j {
            format!("request {}", json!(event.j.ok_or("failed")?))
        } else {
            format!("request {}", json!(format!("{} 0.25", event.k)))
        };
        if let Some((absence, key)) = waits {
            let due = now.plus(Duration::from_secs(absence.period));
            let id = id.to_owned();
            self.waiting.push(Waiting { due, rule, key, id, time, request, throttle, cooldown });
            return Err("absence ".to_owned());
        }
        self.requests.push((rule, throttle, cooldown, now));
        Ok(request)
    }
}

/// The same memory after a night on disk.
fn restored(memory: &Memory) -> [Memory; 2] {
    let json = serde_json::to_string(memory).expect("it has a JSON form");
    let packed = codec::encode(memory).expect("it has a MessagePack form");
    [
        serde_json::from_str(&json).expect("what was written reads"),
        codec::decode(&Headers::new(), &packed).expect("what was written reads"),
    ]
}

proptest! {
    #[test]
    fn every_memory_decides_as_the_naive_model(
        plans in prop::collection::vec(plan(), 1..4),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let registry = registry(&plans);
        let mut memory = Memory::default();
        let mut model = Model { plans, ..Model::default() };
        for (at, (step, time)) in steps.iter().zip(times(&steps)).enumerate() {
            let decided = tell(&mut memory, &registry, at, step, time);
            model.advance(time);
            if let Some(event) = &step.event {
                model.event(&format!("e{at}"), event, time);
            }
            let decided: Vec<Told> = decided.into_iter().map(told).collect();
            prop_assert_eq!(decided, std::mem::take(&mut model.told), "at {}", at);
            let due = model.waiting.iter().map(|waiting| waiting.due).min();
            prop_assert_eq!(memory.due(), due, "at {}", at);
        }
    }

    #[test]
    fn a_memory_that_is_taken_up_again_decides_as_one_that_never_stopped(
        plans in prop::collection::vec(plan(), 1..4),
        edited in plan(),
        steps in prop::collection::vec(step(), 1..40),
        stop in 0_usize..40,
        edit in 0_usize..40,
    ) {
        let before = registry(&plans);
        let mut plans = plans;
        plans[0] = edited;
        let after = registry(&plans);
        let mut memories = vec![Memory::default()];
        for (at, (step, time)) in steps.iter().zip(times(&steps)).enumerate() {
            if at == stop {
                let restored = restored(&memories[0]);
                prop_assert_eq!(&restored[0], &memories[0]);
                prop_assert_eq!(&restored[1], &memories[0]);
                memories.extend(restored);
            }
            if at == edit {
                memories.iter_mut().for_each(|memory| memory.retain(&after));
            }
            let registry = if at < edit { &before } else { &after };
            let decided: Vec<Vec<Decision>> =
                memories.iter_mut().map(|memory| tell(memory, registry, at, step, time)).collect();
            for other in &decided[1..] {
                prop_assert_eq!(other, &decided[0], "at {}", at);
            }
            for other in &memories[1..] {
                prop_assert_eq!(other, &memories[0], "at {}", at);
            }
        }
    }

    #[test]
    fn what_has_run_out_is_forgotten(
        plans in prop::collection::vec(plan(), 1..4),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let registry = registry(&plans);
        let mut memory = Memory::default();
        for (at, (step, time)) in steps.iter().zip(times(&steps)).enumerate() {
            tell(&mut memory, &registry, at, step, time);
        }
        // Marks every 10 s, which is no outage, until everything is due and all of it is over.
        let mut time = times(&steps).into_iter().max().unwrap_or(START);
        for _ in 0..20 {
            time = moved(time, 10);
            memory.advance(time);
        }
        prop_assert!(memory.is_empty(), "{memory:?}");
        prop_assert_eq!(memory.due(), None);
    }
}

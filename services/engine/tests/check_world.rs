//! A whole network of checks, and everything that can happen to it, in any order.
//!
//! Nothing here computes what should be told. Whatever is told is held against what really
//! happened, which is kept in plain lists, and against what its reader was told before: a thread
//! begins once, says nothing that is not so, and ends. At any place the book may be written down
//! and read again; a second one that never stops has to say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hearken_engine::check::{Book, Contact, Definitions, Effect, Input, Part, Route, silence};
use hearken_engine::definition::CheckFile;
use hearken_proto::check::{CheckResult, CheckStatus, Origin};
use hearken_proto::incident::{Acknowledgement, IncidentKind, Outcome, SilenceRecord};
use hearken_proto::notice::{NoticeKind, NoticeRecord, NoticeRequest};
use hearken_proto::{Headers, Timestamp, codec};
use proptest::prelude::*;
use serde_json::json;

/// 2026-01-05T08:00:00Z.
const START: Timestamp = Timestamp::from_nanos(1_767_600_000_000_000_000);

/// Every check, with the runs that make a failure and a recovery certain.
const CHECKS: [(&str, usize, usize); 7] = [
    ("gw/ping", 2, 1),
    ("n1/ping", 2, 1),
    ("n1/http", 2, 2),
    ("turns", 2, 1),
    ("g/one", 1, 1),
    ("g/two", 1, 1),
    ("beat", 1, 1),
];
/// The one that results are told to, and that is late by itself.
const BEAT: &str = "beat";
/// The one that comes and goes with definitions.
const GUEST: &str = "n1/http";

const SELECTORS: [&str; 5] =
    ["host=n1", "check=~ping|turns", "check!=http", "host=g", "check=nothing"];

fn definitions(with_guest: bool) -> Definitions {
    let fresh = json!({"within": "10m"});
    let group = json!({"by": ["host"], "wait": "90s"});
    let escalation = json!([{"after": "5m", "notify": ["boss"]}]);
    let mut checks = vec![
        json!({"name": "ping", "hosts": ["gw", "n1"], "alive": true, "icmp": {},
               "attempts": {"failures": 2}, "freshness": fresh, "reminders": ["4m", "10m"]}),
        json!({"name": "turns", "memory": {}, "attempts": {"failures": 2}, "flapping": {},
               "freshness": fresh, "notify": ["ops", "night"], "updates_every": "2m"}),
        json!({"name": "one", "hosts": ["g"], "memory": {}, "attempts": {"failures": 1},
               "freshness": fresh, "group": group, "escalation": escalation}),
        json!({"name": "two", "hosts": ["g"], "memory": {}, "attempts": {"failures": 1},
               "freshness": fresh, "group": group}),
        json!({"name": BEAT, "heartbeat": {"period": "5m"}, "attempts": {"failures": 1}}),
    ];
    if with_guest {
        checks.push(json!({
            "name": "http", "hosts": ["n1"], "http": "/", "freshness": fresh, "flapping": {},
            "attempts": {"failures": 2, "recoveries": 2}, "escalation": escalation,
            "maintenance": [{"opens": {"minute": "*/20"}, "lasts": "3m"}],
        }));
    }
    let hosts = json!({"gw": {}, "n1": {"parents": ["gw"]}, "g": {}});
    let (file, problems) = CheckFile::from_value(&json!({"hosts": hosts, "checks": checks}));
    assert!(problems.is_empty(), "{problems:?}");
    let contact = |name: &str| Contact { name: name.to_owned(), ..Contact::default() };
    let night = Contact { levels: vec![CheckStatus::Critical], ..contact("night") };
    let route = Route { matchers: Vec::new(), contacts: vec!["ops".to_owned()] };
    let contacts = [contact("ops"), contact("boss"), night];
    let (definitions, problems) = Definitions::new(file.checks, contacts, vec![route]);
    assert!(problems.is_empty(), "{problems:?}");
    definitions
}

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Result(usize, CheckStatus, Origin),
    /// A result that was delivered before comes again.
    Again(usize),
    Silence(u8, usize, u64, u64),
    EndSilence(u8),
    Acknowledge(usize, Option<u64>, bool),
    Withdraw(usize),
    Outage,
    Told(usize, Outcome),
    /// The guest comes or goes.
    Definitions(bool),
    /// The book is written down and read again.
    Restart(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let status = prop_oneof![
        2 => Just(CheckStatus::Ok),
        3 => Just(CheckStatus::Critical),
        1 => Just(CheckStatus::Warning),
        1 => Just(CheckStatus::Unknown),
    ];
    let origin = prop_oneof![8 => Just(Origin::Target), 1 => Just(Origin::Tool)];
    let outcome = prop_oneof![Just(Outcome::Delivered), Just(Outcome::Failed)];
    let selector = 0..SELECTORS.len();
    prop_oneof![
        2 => Just(Deed::Nothing),
        30 => (0..CHECKS.len(), status, origin).prop_map(|(c, s, o)| Deed::Result(c, s, o)),
        2 => any::<usize>().prop_map(Deed::Again),
        3 => (0_u8..3, selector, 0_u64..200, 1_u64..1_500)
            .prop_map(|(id, selector, in_, lasts)| Deed::Silence(id, selector, in_, lasts)),
        1 => (0_u8..3).prop_map(Deed::EndSilence),
        2 => (any::<usize>(), prop::option::of(1_u64..900), any::<bool>())
            .prop_map(|(nth, until, sticky)| Deed::Acknowledge(nth, until, sticky)),
        1 => any::<usize>().prop_map(Deed::Withdraw),
        1 => Just(Deed::Outage),
        1 => (any::<usize>(), outcome).prop_map(|(nth, outcome)| Deed::Told(nth, outcome)),
        1 => any::<bool>().prop_map(Deed::Definitions),
        2 => (0_usize..3).prop_map(Deed::Restart),
    ]
}

/// Seconds that pass, less than nothing when a clock jumps, and what happens then.
type Step = (i64, Deed);

fn step() -> impl Strategy<Value = Step> {
    (prop_oneof![20 => 0_i64..50, 2 => 50_i64..900, 1 => -300_i64..0], deed())
}

/// What a reader knows of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Known {
    begun: bool,
    problem: bool,
    flapping: bool,
    ended: bool,
}

impl Known {
    /// One more notice, or why it must not be.
    fn read(&mut self, request: &NoticeRequest) -> Result<(), String> {
        let closed = request.incident.as_ref().is_some_and(|incident| incident.closed.is_some());
        if self.ended {
            return Err(format!("{:?} after the end", request.kind));
        }
        let starts = request.kind.is_start() || request.kind == NoticeKind::FlappingStart;
        if !self.begun && !starts {
            return Err(format!("{:?} before the start", request.kind));
        }
        match request.kind {
            NoticeKind::Problem | NoticeKind::Escalation => {
                if self.begun {
                    return Err("a second start".to_owned());
                }
                self.problem = true;
            }
            NoticeKind::FlappingStart => {
                if self.flapping {
                    return Err("flapping twice".to_owned());
                }
                self.flapping = true;
            }
            NoticeKind::FlappingEnd => {
                if !self.flapping {
                    return Err("an end of flapping that never began".to_owned());
                }
                self.flapping = false;
                self.problem |= !closed;
                self.ended = closed && !self.problem;
            }
            NoticeKind::Recovery => {
                if !self.problem || self.flapping || !closed {
                    return Err("a recovery of nothing".to_owned());
                }
                self.ended = true;
            }
            NoticeKind::Update
            | NoticeKind::Reminder
            | NoticeKind::Acknowledged
            | NoticeKind::Unreachable => {
                if closed {
                    return Err(format!("{:?} when it is over", request.kind));
                }
            }
            NoticeKind::Report | NoticeKind::Death => return Err("of no incident".to_owned()),
        }
        self.begun = true;
        Ok(())
    }
}

/// What really happened, in lists.
#[derive(Default)]
struct World {
    seen: BTreeMap<&'static str, Vec<CheckStatus>>,
    /// Runs in a row that could not check.
    blind: BTreeMap<&'static str, usize>,
    readers: BTreeMap<(String, String), Known>,
    /// Threads of checks that are told alone, by what they are called: never two at once.
    open: BTreeMap<(String, String), String>,
    ids: BTreeSet<String>,
    results: Vec<CheckResult>,
    tick: u64,
    sequence: u64,
}

/// Whether it is certain that a check fails, after all of these.
fn failed(results: &[CheckStatus], failures: usize, recoveries: usize) -> bool {
    let mut failed = false;
    let mut same = 0;
    let mut before = None;
    for bad in results.iter().map(|status| status.is_bad()) {
        same = if before == Some(bad) { same + 1 } else { 1 };
        before = Some(bad);
        if bad && same >= failures {
            failed = true;
        }
        if !bad && same >= recoveries {
            failed = false;
        }
    }
    failed
}

impl World {
    fn is_failed(&self, check: &str) -> bool {
        let row = CHECKS.iter().find(|row| row.0 == check).expect("a check of ours");
        let none = Vec::new();
        failed(self.seen.get(check).unwrap_or(&none), row.1, row.2)
    }

    /// Whether a notice says what is so, and fits what its reader knows.
    fn read(&mut self, request: &NoticeRequest) -> Result<(), String> {
        if !self.ids.insert(request.id.clone()) {
            return Err(format!("{} is told twice", request.id));
        }
        let incident = request.incident.as_ref().ok_or("no incident")?;
        let thread = (request.thread.clone(), request.contact.clone());
        let known = self.readers.entry(thread).or_default();
        let fresh = !known.begun;
        known.read(request)?;
        let ended = known.ended;
        let place = (request.title.clone(), request.contact.clone());
        if !request.title.starts_with("host=") {
            if fresh && self.open.contains_key(&place) {
                return Err(format!("a second start of {}", request.title));
            }
            if ended {
                self.open.remove(&place);
            } else {
                self.open.insert(place, request.thread.clone());
            }
        }
        if incident.kind == IncidentKind::Tool {
            return Ok(());
        }
        for member in incident.members.iter().filter(|member| member.check != BEAT) {
            let is_so = self.is_failed(&member.check);
            if member.ended.is_none() && !is_so && !member.flapping {
                return Err(format!("{} is told to fail and does not", member.check));
            }
            if request.kind == NoticeKind::Recovery && is_so {
                return Err(format!("{} is told to be well and is not", member.check));
            }
        }
        Ok(())
    }

    fn result(
        &mut self,
        check: &'static str,
        status: CheckStatus,
        origin: Origin,
        now: Timestamp,
    ) -> CheckResult {
        self.tick += 10;
        match origin {
            Origin::Tool => *self.blind.entry(check).or_default() += 1,
            Origin::Target => {
                self.blind.insert(check, 0);
                self.seen.entry(check).or_default().push(status);
            }
        }
        let result = CheckResult {
            check: check.to_owned(),
            tick: self.tick,
            scheduled: now,
            started: now,
            duration_us: 5,
            status,
            origin,
            text: status.word().to_owned(),
            long_text: String::new(),
            perfdata: Vec::new(),
            location: String::new(),
            host: String::new(),
        };
        self.results.push(result.clone());
        result
    }

    /// The deed as an input; none where it is not possible now.
    fn input(&mut self, deed: Deed, now: Timestamp, book: &Book, guest: bool) -> Option<Input> {
        let nth = |nth: usize| {
            let count = book.incidents().count();
            book.incidents().nth(nth.checked_rem(count)?)
        };
        Some(match deed {
            Deed::Nothing | Deed::Restart(_) => return None,
            Deed::Result(check, status, origin) => {
                let (check, ..) = *CHECKS.get(check)?;
                if check == GUEST && !guest {
                    return None;
                }
                self.sequence += 1;
                let result = Box::new(self.result(check, status, origin, now));
                Input::Result { result, sequence: self.sequence }
            }
            Deed::Again(nth) => {
                // Stored once more, by somebody who did not know.
                self.sequence += 1;
                let at = nth.checked_rem(self.results.len())?;
                let result = Box::new(self.results.get(at)?.clone());
                // A guest that is new does not know what it was before.
                let fresh = book.check(&result.check).is_none_or(|check| check.last.is_none());
                if fresh {
                    return None;
                }
                Input::Result { result, sequence: self.sequence }
            }
            Deed::Silence(id, selector, in_, lasts) => {
                let from = now.plus(Duration::from_secs(in_));
                Input::Silence(SilenceRecord {
                    id: id.to_string(),
                    matchers: vec![
                        silence::read_matcher(SELECTORS.get(selector)?).expect("a selector"),
                    ],
                    from,
                    until: Some(from.plus(Duration::from_secs(lasts))),
                    ..SilenceRecord::default()
                })
            }
            Deed::EndSilence(id) => Input::EndSilence(id.to_string()),
            Deed::Acknowledge(at, until, sticky) => Input::Acknowledge {
                incident: nth(at)?.id.clone(),
                by: Some(Acknowledgement {
                    author: "ann".to_owned(),
                    comment: String::new(),
                    at: now,
                    until: until.map(|seconds| now.plus(Duration::from_secs(seconds))),
                    sticky,
                }),
            },
            Deed::Withdraw(at) => Input::Acknowledge { incident: nth(at)?.id.clone(), by: None },
            Deed::Outage => Input::Outage,
            Deed::Told(at, outcome) => {
                let incident = nth(at)?;
                let told = incident.told.iter().find(|told| told.at.is_some())?;
                Input::Told(NoticeRecord {
                    thread: incident.id.clone(),
                    number: *told.sent.last()?,
                    contact: told.contact.clone(),
                    outcome: Some(outcome),
                    ..NoticeRecord::default()
                })
            }
            Deed::Definitions(_) => {
                if !guest {
                    self.seen.remove(GUEST);
                }
                Input::Definitions
            }
        })
    }
}

fn restored(book: &Book, how: usize) -> Book {
    match how {
        0 => serde_json::from_str(&serde_json::to_string(book).expect("it is written")),
        1 => {
            let packed = codec::encode(book).expect("it is written");
            return codec::decode(&Headers::new(), &packed).expect("what was written reads");
        }
        _ => {
            let (now, resumed, parts) = book.parts();
            let read = |part| match part {
                Part::Check(check) => Part::Check(again(&check)),
                Part::Incident(incident) => Part::Incident(again(&incident)),
                Part::Silence(silence) => Part::Silence(again(&silence)),
            };
            return Book::restore(now, resumed, parts.into_iter().map(read));
        }
    }
    .expect("what was written reads")
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    codec::decode(&Headers::new(), &codec::encode(value).expect("it is written"))
        .expect("what was written reads")
}

/// Whether every effect is true, and everything that is not told has a reason.
fn hold(world: &mut World, book: &Book, effects: &[Effect]) -> Result<(), String> {
    for effect in effects {
        if let Effect::Notice(request) = effect {
            world.read(request).map_err(|why| format!("{why}: {request:?}"))?;
        }
    }
    for incident in book.incidents() {
        for told in &incident.told {
            if !told.problem && !told.flapping && told.held.is_none() {
                return Err(format!("{} is not told and nobody says why", told.contact));
            }
        }
        if incident.failing().next().is_none() {
            return Err(format!("{} is open and nothing fails", incident.id));
        }
    }
    for check in book.checks() {
        let inside = |id: &String| {
            let incident = book.incident(id);
            incident.is_some_and(|incident| incident.failing().any(|m| m.check == check.check))
        };
        if !check.incident.iter().chain(&check.tool_incident).all(inside) {
            return Err(format!("{} is in an incident that does not know it", check.check));
        }
    }
    match book.due() {
        Some(due) if due <= book.now() => Err("something is due and was not looked at".to_owned()),
        Some(_) | None => Ok(()),
    }
}

/// As many cases as somebody asks for, or else as many as a suite has time for.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(48),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_thread_begins_once_is_true_and_ends(steps in prop::collection::vec(step(), 1..150)) {
        let (with, without) = (definitions(true), definitions(false));
        let mut guest = true;
        let (mut book, mut steady) = (Book::default(), Book::default());
        let mut world = World::default();
        let mut clock = START;
        for (at, (seconds, deed)) in steps.iter().enumerate() {
            clock = Timestamp::from_nanos(clock.nanos() + seconds * 1_000_000_000 + 1_234);
            if let Deed::Definitions(present) = deed {
                guest = *present;
            }
            if let Deed::Restart(how) = deed {
                book = restored(&book, *how);
            }
            let definitions = if guest { &with } else { &without };
            // What was due before the deed is told before it.
            let mut effects = book.pass(definitions, clock);
            if let Err(why) = hold(&mut world, &book, &effects) {
                prop_assert!(false, "{} in time, at {}", why, at);
            }
            let input = world.input(*deed, clock, &book, guest);
            let mut same = steady.pass(definitions, clock);
            if let Some(input) = input {
                let more = book.apply(definitions, input.clone(), clock);
                if let Err(why) = hold(&mut world, &book, &more) {
                    prop_assert!(false, "{} at {}, {:?}", why, at, deed);
                }
                if matches!(deed, Deed::Again(_)) {
                    prop_assert!(more.is_empty(), "{:?}", more);
                }
                effects.extend(more);
                same.extend(steady.apply(definitions, input, clock));
            }
            prop_assert_eq!(&same, &effects, "at {}", at);
            prop_assert_eq!(&steady, &book, "at {}", at);
        }
        // All is well from now on, and nothing is silenced any more.
        clock = book.now();
        for _ in 0..60 {
            clock = clock.plus(Duration::from_secs(60));
            for (check, ..) in CHECKS {
                if check == GUEST && !guest {
                    continue;
                }
                let definitions = if guest { &with } else { &without };
                let due = book.pass(definitions, clock);
                if let Err(why) = hold(&mut world, &book, &due) {
                    prop_assert!(false, "{} in good times", why);
                }
                world.sequence += 1;
                let result = Box::new(world.result(check, CheckStatus::Ok, Origin::Target, clock));
                let input = Input::Result { result, sequence: world.sequence };
                let effects = book.apply(definitions, input, clock);
                if let Err(why) = hold(&mut world, &book, &effects) {
                    prop_assert!(false, "{} in good times", why);
                }
            }
        }
        prop_assert_eq!(book.incidents().count(), 0);
        for (thread, known) in &world.readers {
            prop_assert!(known.ended, "{:?} was never ended: {:?}", thread, known);
        }
    }
}

//! The book against a naive model of it: one check, two contacts, and everything people do.
//!
//! The model keeps every result there was and asks all of them anew at every step, looks at every
//! contact at every step, and knows nothing of records, timers or digests. Where the two differ one
//! of them is wrong. The other half: a book that was written down and read again at any place goes
//! on as one that never stopped, and what is delivered twice changes nothing.

use std::time::Duration;

use hearken_engine::check::{Book, Contact, Definitions, Effect, Input, Part, silence};
use hearken_engine::definition::CheckFile;
use hearken_proto::check::{CheckResult, CheckStatus, Origin};
use hearken_proto::incident::{Acknowledgement, SilenceRecord};
use hearken_proto::{Headers, Timestamp, codec};
use proptest::prelude::*;
use serde_json::json;

/// 2026-01-05T08:00:00Z.
const START: Timestamp = Timestamp::from_nanos(1_767_600_000_000_000_000);

/// What a check asks for.
#[derive(Clone, Copy, Debug)]
struct Plan {
    failures: usize,
    recoveries: usize,
    /// Seconds between reminders.
    reminder: Option<u64>,
    /// Seconds before the boss is told.
    escalation: Option<u64>,
    /// Seconds before anybody is told.
    after: u64,
    /// The shortest pause between updates, in seconds.
    updates: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        1_usize..4,
        1_usize..3,
        prop::option::of(60_u64..900),
        prop::option::of(0_u64..900),
        prop_oneof![Just(0_u64), 1_u64..300],
        prop_oneof![Just(0_u64), 1_u64..300],
    )
        .prop_map(|(failures, recoveries, reminder, escalation, after, updates)| Plan {
            failures,
            recoveries,
            reminder,
            escalation,
            after,
            updates,
        })
}

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Result(CheckStatus),
    /// The result of an earlier run comes late.
    Late(CheckStatus),
    /// The last result once more.
    Again,
    /// Silence number 0 or 1 begins in so many seconds and lasts for so many.
    Silence(u8, u64, u64),
    EndSilence(u8),
    /// Acknowledged for so many seconds, or until the end; and whether it is sticky.
    Acknowledge(Option<u64>, bool),
    Withdraw,
}

fn status() -> impl Strategy<Value = CheckStatus> {
    prop_oneof![
        3 => Just(CheckStatus::Ok),
        2 => Just(CheckStatus::Critical),
        1 => Just(CheckStatus::Warning),
        1 => Just(CheckStatus::Unknown),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => Just(Deed::Nothing),
        12 => status().prop_map(Deed::Result),
        1 => status().prop_map(Deed::Late),
        1 => Just(Deed::Again),
        2 => (0_u8..2, 0_u64..120, 1_u64..900)
            .prop_map(|(id, in_, lasts)| Deed::Silence(id, in_, lasts)),
        1 => (0_u8..2).prop_map(Deed::EndSilence),
        2 => (prop::option::of(1_u64..900), any::<bool>())
            .prop_map(|(until, sticky)| Deed::Acknowledge(until, sticky)),
        1 => Just(Deed::Withdraw),
    ]
}

/// Seconds that pass, less than nothing when a clock jumps, and what happens then.
type Step = (i64, Deed);

fn step() -> impl Strategy<Value = Step> {
    (prop_oneof![8 => 0_i64..120, 1 => 120_i64..2_000, 1 => -300_i64..0], deed())
}

fn definitions(plan: Plan) -> Definitions {
    // What is null is as good as not said.
    let positive = |seconds: u64| (seconds > 0).then_some(seconds);
    let boss = |after: u64| json!([{"after": after, "notify": ["boss"]}]);
    let check = json!({
        "name": "c", "memory": {}, "freshness": {"within": "366d"},
        "attempts": {"failures": plan.failures, "recoveries": plan.recoveries},
        "notify": ["ops"],
        "reminders": plan.reminder,
        "escalation": plan.escalation.and_then(positive).map(boss),
        "notify_after": positive(plan.after),
        "updates_every": positive(plan.updates),
    });
    let (file, problems) = CheckFile::from_value(&json!({"checks": [check]}));
    assert!(problems.is_empty(), "{problems:?}");
    let contact = |name: &str| Contact { name: name.to_owned(), ..Contact::default() };
    let (definitions, problems) =
        Definitions::new(file.checks, [contact("ops"), contact("boss")], Vec::new());
    assert!(problems.is_empty(), "{problems:?}");
    definitions
}

/// One told thing: to whom, what, and how it stood.
type Said = (String, &'static str, CheckStatus);

/// A contact as the model sees it.
#[derive(Clone, Debug)]
struct Listener {
    name: &'static str,
    from: Timestamp,
    escalation: bool,
    knows: Option<CheckStatus>,
    told_at: Timestamp,
    knows_who: bool,
}

#[derive(Clone, Debug)]
struct Spell {
    level: CheckStatus,
    by: Option<(Option<Timestamp>, bool)>,
    listeners: Vec<Listener>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    now: Timestamp,
    results: Vec<CheckStatus>,
    silences: [Option<(Timestamp, Timestamp)>; 2],
    spell: Option<Spell>,
}

/// How it stands after all of these: the last ones decide, as far back as they have to.
fn certain(plan: Plan, results: &[CheckStatus]) -> Option<CheckStatus> {
    let mut known: Option<CheckStatus> = None;
    for (at, last) in results.iter().copied().enumerate() {
        let seen = results.iter().take(at + 1);
        let same = seen.rev().take_while(|s| s.is_bad() == last.is_bad()).count();
        let failed = known.is_some_and(CheckStatus::is_bad);
        let enough = match (failed, last.is_bad()) {
            (true, true) | (false, false) => true,
            (false, true) => same >= plan.failures,
            (true, false) => same >= plan.recoveries,
        };
        if enough {
            known = Some(last);
        }
    }
    known
}

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus(Duration::from_secs(seconds))
}

impl Model {
    fn put_silence(&mut self, id: u8, silence: Option<(Timestamp, Timestamp)>) {
        *self.silences.get_mut(usize::from(id)).expect("there are two") = silence;
    }

    fn silenced(&self) -> bool {
        let lasts = |(from, until): &(Timestamp, Timestamp)| *from <= self.now && self.now < *until;
        self.silences.iter().flatten().any(lasts)
    }

    fn result(&mut self, plan: Plan, status: CheckStatus) -> Vec<Said> {
        self.results.push(status);
        let known = certain(plan, &self.results).filter(|status| status.is_bad());
        match (known, &mut self.spell) {
            (Some(level), Some(spell)) => {
                if level > spell.level && !spell.by.is_some_and(|(_, sticky)| sticky) {
                    spell.by = None;
                }
                spell.level = level;
            }
            (Some(level), place) => {
                let listener = |name, after: u64, escalation| Listener {
                    name,
                    from: later(self.now, after),
                    escalation,
                    knows: None,
                    told_at: self.now,
                    knows_who: false,
                };
                let mut listeners = vec![listener("ops", plan.after, false)];
                if let Some(after) = plan.escalation.filter(|after| *after > 0) {
                    listeners.push(listener("boss", after.max(plan.after), true));
                }
                *place = Some(Spell { level, by: None, listeners });
            }
            (None, _) => {
                let over = self.spell.take().into_iter().flat_map(|spell| spell.listeners);
                let told = over.filter(|listener| listener.knows.is_some());
                return told.map(|l| (l.name.to_owned(), "recovery", CheckStatus::Ok)).collect();
            }
        }
        Vec::new()
    }

    /// Everything that somebody should know and does not.
    fn look(&mut self, plan: Plan) -> Vec<Said> {
        let (now, silenced) = (self.now, self.silenced());
        let Some(spell) = &mut self.spell else { return Vec::new() };
        if spell.by.is_some_and(|(until, _)| until.is_some_and(|until| until <= now)) {
            spell.by = None;
        }
        let cared = spell.by.is_some();
        let mut said = Vec::new();
        for listener in &mut spell.listeners {
            if !cared {
                listener.knows_who = false;
            }
            loop {
                let word = match listener.knows {
                    None if now < listener.from || cared || silenced => break,
                    None if listener.escalation => "escalation",
                    None => "problem",
                    Some(_) if cared && !listener.knows_who => "acknowledged",
                    Some(level) if level != spell.level => {
                        if silenced || now < later(listener.told_at, plan.updates) {
                            break;
                        }
                        "update"
                    }
                    Some(_) => match plan.reminder {
                        Some(pause)
                            if now >= later(listener.told_at, pause) && !cared && !silenced =>
                        {
                            "reminder"
                        }
                        Some(_) | None => break,
                    },
                };
                said.push((listener.name.to_owned(), word, spell.level));
                listener.knows = Some(spell.level);
                listener.told_at = now;
                listener.knows_who = cared;
            }
        }
        said
    }
}

/// The same, told to the book.
struct Teller {
    sequence: u64,
    tick: u64,
    deeds: u64,
    last: Option<CheckResult>,
}

impl Teller {
    fn input(&mut self, deed: Deed, now: Timestamp, book: &Book) -> Option<Input> {
        self.deeds += 1;
        let incident = || book.incidents().next().map(|incident| incident.id.clone());
        Some(match deed {
            Deed::Nothing => return None,
            Deed::Result(status) => {
                self.tick += 10;
                self.sequence += 1;
                let result = result(self.tick, status, now);
                self.last = Some(result.clone());
                Input::Result { result: Box::new(result), sequence: self.sequence }
            }
            Deed::Late(status) => {
                self.sequence += 1;
                let result = Box::new(result(self.tick.saturating_sub(5), status, now));
                self.last.as_ref()?;
                Input::Result { result, sequence: self.sequence }
            }
            Deed::Again => {
                let result = Box::new(self.last.clone()?);
                Input::Result { result, sequence: self.sequence }
            }
            Deed::Silence(id, in_, lasts) => Input::Silence(SilenceRecord {
                id: id.to_string(),
                matchers: vec![silence::read_matcher("check=c").expect("a selector")],
                from: later(now, in_),
                until: Some(later(now, in_ + lasts)),
                ..SilenceRecord::default()
            }),
            Deed::EndSilence(id) => Input::EndSilence(id.to_string()),
            Deed::Acknowledge(until, sticky) => Input::Acknowledge {
                incident: incident()?,
                by: Some(Acknowledgement {
                    author: "ann".to_owned(),
                    comment: self.deeds.to_string(),
                    at: now,
                    until: until.map(|seconds| later(now, seconds)),
                    sticky,
                }),
            },
            Deed::Withdraw => Input::Acknowledge { incident: incident()?, by: None },
        })
    }
}

fn result(tick: u64, status: CheckStatus, now: Timestamp) -> CheckResult {
    CheckResult {
        check: "c".to_owned(),
        tick,
        scheduled: now,
        started: now,
        duration_us: 5,
        status,
        origin: Origin::Target,
        text: status.word().to_owned(),
        long_text: String::new(),
        perfdata: Vec::new(),
        location: String::new(),
        host: String::new(),
    }
}

fn said(effects: &[Effect]) -> Vec<Said> {
    let notices = effects.iter().filter_map(|effect| match effect {
        Effect::Notice(request) => {
            Some((request.contact.clone(), request.kind.word(), request.level))
        }
        Effect::Check(_)
        | Effect::Incident(_)
        | Effect::Silence(_)
        | Effect::Gone { .. }
        | Effect::Event { .. }
        | Effect::Held(_)
        | Effect::Recheck { .. } => None,
    });
    notices.collect()
}

/// What the model says of a deed.
fn expect(model: &mut Model, plan: Plan, deed: Deed) -> Vec<Said> {
    let now = model.now;
    let mut expected = Vec::new();
    match deed {
        Deed::Nothing | Deed::Late(_) | Deed::Again => {}
        Deed::Result(status) => expected.extend(model.result(plan, status)),
        Deed::Silence(id, in_, lasts) => {
            let from = later(now, in_);
            model.put_silence(id, Some((from, later(from, lasts))));
        }
        Deed::EndSilence(id) => model.put_silence(id, None),
        Deed::Acknowledge(until, sticky) => {
            if let Some(spell) = &mut model.spell {
                spell.by = Some((until.map(|seconds| later(now, seconds)), sticky));
                spell.listeners.iter_mut().for_each(|listener| listener.knows_who = false);
            }
        }
        Deed::Withdraw => {
            if let Some(spell) = &mut model.spell {
                spell.by = None;
            }
        }
    }
    expected.extend(model.look(plan));
    expected
}

fn sorted(mut said: Vec<Said>) -> Vec<Said> {
    said.sort();
    said
}

/// The same book after a night on disk, in each of the ways there are.
fn restored(book: &Book) -> [Book; 3] {
    let json = serde_json::to_string(book).expect("it has a JSON form");
    let packed = codec::encode(book).expect("it has a MessagePack form");
    let (now, resumed, parts) = book.parts();
    let parts = parts.into_iter().map(|part| match part {
        Part::Check(check) => Part::Check(again(&check)),
        Part::Incident(incident) => Part::Incident(again(&incident)),
        Part::Silence(silence) => Part::Silence(again(&silence)),
    });
    [
        serde_json::from_str(&json).expect("what was written reads"),
        codec::decode(&Headers::new(), &packed).expect("what was written reads"),
        Book::restore(now, resumed, parts),
    ]
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let packed = codec::encode(value).expect("it has a MessagePack form");
    codec::decode(&Headers::new(), &packed).expect("what was written reads")
}

/// As many cases as somebody asks for, or else as many as a suite has time for.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(256),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn everything_is_told_as_the_naive_model_tells_it(
        plan in plan(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let definitions = definitions(plan);
        let mut book = Book::default();
        let mut model = Model::default();
        let mut teller = Teller { sequence: 0, tick: 0, deeds: 0, last: None };
        let mut clock = START;
        for (at, (seconds, deed)) in steps.iter().enumerate() {
            clock = Timestamp::from_nanos(clock.nanos() + seconds * 1_000_000_000);
            model.now = model.now.max(clock);
            let before = said(&book.pass(&definitions, clock));
            prop_assert_eq!(sorted(before), sorted(model.look(plan)), "time, at {}", at);
            let input = teller.input(*deed, model.now, &book);
            let expected = expect(&mut model, plan, *deed);
            let actual = match input {
                Some(input) => said(&book.apply(&definitions, input, clock)),
                None => Vec::new(),
            };
            prop_assert_eq!(sorted(actual), sorted(expected), "{:?}, at {}", deed, at);
            prop_assert_eq!(book.incidents().count(), usize::from(model.spell.is_some()));
        }
    }

    #[test]
    fn a_book_that_is_taken_up_again_goes_on_as_one_that_never_stopped(
        plan in plan(),
        steps in prop::collection::vec(step(), 1..60),
        stop in 0_usize..60,
    ) {
        let definitions = definitions(plan);
        let mut books = vec![Book::default()];
        let mut teller = Teller { sequence: 0, tick: 0, deeds: 0, last: None };
        let mut clock = START;
        for (at, (seconds, deed)) in steps.iter().enumerate() {
            clock = Timestamp::from_nanos(clock.nanos() + seconds * 1_000_000_000 + 17);
            if at == stop {
                let restored = restored(&books[0]);
                books.extend(restored);
            }
            let Some(input) = teller.input(*deed, clock, &books[0]) else { continue };
            let effects: Vec<Vec<Effect>> = books
                .iter_mut()
                .map(|book| book.apply(&definitions, input.clone(), clock))
                .collect();
            for (other, book) in effects.iter().zip(&books).skip(1) {
                prop_assert_eq!(other, &effects[0], "at {}", at);
                prop_assert_eq!(book, &books[0], "at {}", at);
            }
            // What is delivered twice changes nothing and says nothing.
            let is_result = matches!(input, Input::Result { .. });
            if is_result {
                let before = books[0].clone();
                let effects = books[0].apply(&definitions, input, clock);
                prop_assert!(effects.is_empty(), "{:?}", effects);
                prop_assert_eq!(&books[0], &before);
            }
        }
    }
}

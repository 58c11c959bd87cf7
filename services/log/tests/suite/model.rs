//! Random histories against a naive model: a vector of everything that was acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use hearken_log::{Condition, Error, Log, Order, Query};
use hearken_proto::{Entry, Message, subject};
use proptest::prelude::*;

use crate::harness::{Place, STATE, STREAM, all};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// Appends many at once, so that commits, blocks and segments come about.
    Many { count: u32, subjects: u8, ids: bool, body: usize },
    /// Appends if the subject's last is the one the model knows, or one off.
    Cas { subject: u8, right: bool },
    /// Appends with an id that was used before, if there is one.
    Again { at: prop::sample::Index },
    /// Erases the content of an entry.
    Erase { at: prop::sample::Index },
    /// Closes and opens.
    Reopen,
    /// Lets time pass.
    Pass { millis: u64 },
    /// Tidies.
    Retain,
}

fn step() -> impl Strategy<Value = Step> {
    let many = (1..400_u32, 1..9_u8, any::<bool>(), prop_oneof![Just(5), Just(300), Just(9000)]);
    prop_oneof![
        4 => many.prop_map(|(count, subjects, ids, body)| {
            let count = if body > 1000 { count / 20 + 1 } else { count };
            Step::Many { count, subjects, ids, body }
        }),
        3 => (0..9_u8, any::<bool>()).prop_map(|(subject, right)| Step::Cas { subject, right }),
        1 => any::<prop::sample::Index>().prop_map(|at| Step::Again { at }),
        1 => any::<prop::sample::Index>().prop_map(|at| Step::Erase { at }),
        1 => Just(Step::Reopen),
        1 => (0..5000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::Retain),
    ]
}

/// What the log should hold.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    last: HashMap<String, u64>,
    ids_ever: u64,
}

impl Model {
    fn subject(number: u8) -> String {
        format!("h.t{}.e{number}", number % 3)
    }

    fn message(&mut self, subject: u8, id: bool, body: usize) -> Message {
        self.ids_ever += 1;
        let number = self.ids_ever;
        let mut message = Message {
            subject: Self::subject(subject),
            id: id.then(|| format!("id-{number}")),
            cause: number.is_multiple_of(3).then(|| format!("cause-{}", number / 9)),
            body: Bytes::from(format!("{number:0body$}")),
            ..Message::default()
        };
        if number.is_multiple_of(5) {
            message.headers.append("Content-Type", "text/plain");
        }
        message
    }

    fn push(&mut self, place: &Place, message: Message) {
        let sequence = self.entries.len() as u64 + 1;
        self.last.insert(message.subject.clone(), sequence);
        self.entries.push(Entry {
            sequence,
            time: place.now(),
            subject: message.subject,
            id: message.id.unwrap_or_default(),
            cause: message.cause.unwrap_or_default(),
            headers: message.headers,
            body: message.body,
        });
    }

    fn select(&self, query: &Query) -> Vec<Entry> {
        let mut found: Vec<Entry> = self
            .entries
            .iter()
            .filter(|entry| (query.from..=query.to).contains(&entry.sequence))
            .filter(|entry| query.since.is_none_or(|since| entry.time >= since))
            .filter(|entry| query.until.is_none_or(|until| entry.time < until))
            .filter(|entry| query.id.as_ref().is_none_or(|id| entry.id == *id))
            .filter(|entry| query.cause.as_ref().is_none_or(|cause| entry.cause == *cause))
            .filter(|entry| {
                query.subject.as_ref().is_none_or(|filter| subject::matches(filter, &entry.subject))
            })
            .cloned()
            .collect();
        if query.order == Order::Descending {
            found.reverse();
        }
        found
    }
}

fn apply(step: &Step, place: &Place, log: Log, stream: &str, model: &mut Model) -> Log {
    match step {
        Step::Many { count, subjects, ids, body } => {
            let (tx, rx) = std::sync::mpsc::sync_channel(1000);
            for n in 0..*count {
                let subject = u8::try_from(n % u32::from(*subjects)).expect("small");
                let message = model.message(subject, *ids, *body);
                let tx = tx.clone();
                let done = move |result| tx.send(result).expect("the test listens");
                log.append(stream, message.clone(), Condition::Always, done).expect("room");
                model.push(place, message);
            }
            for expected in (model.entries.len() as u64 + 1 - u64::from(*count)).. {
                if expected > model.entries.len() as u64 {
                    break;
                }
                assert_eq!(rx.recv().expect("an answer").expect("stored").sequence, expected);
            }
        }
        Step::Cas { subject, right } => {
            let message = model.message(*subject, true, 10);
            let last = model.last.get(&message.subject).copied().unwrap_or(0);
            let expected = if *right { last } else { last + 1 };
            let condition = Condition::LastOfSubject(expected);
            match log.append_wait(stream, message.clone(), condition) {
                Ok(_) if *right => model.push(place, message),
                Err(Error::Conflict { last: said }) if !*right => assert_eq!(said, last),
                other => panic!("expected {right}, got {other:?}"),
            }
        }
        Step::Again { at } => {
            let with_id: Vec<&Entry> =
                model.entries.iter().rev().take(500).filter(|entry| !entry.id.is_empty()).collect();
            if !with_id.is_empty() {
                let entry = at.get(&with_id);
                let message = Message {
                    subject: entry.subject.clone(),
                    id: Some(entry.id.clone()),
                    ..Message::default()
                };
                let receipt = log.append_wait(stream, message, Condition::LastOfSubject(0));
                let receipt = receipt.expect("a duplicate is no error");
                assert_eq!((receipt.sequence, receipt.duplicate), (entry.sequence, true));
            }
        }
        Step::Erase { at } => {
            if stream == STREAM && !model.entries.is_empty() {
                let index = at.index(model.entries.len());
                let entry = model.entries.get_mut(index).expect("an index of it");
                entry.headers = hearken_proto::Headers::new();
                entry.body = Bytes::new();
                log.erase(stream, entry.sequence).expect("erased");
            }
        }
        Step::Reopen => {
            log.close().expect("closed");
            return place.open();
        }
        Step::Pass { millis } => place.pass(Duration::from_millis(*millis)),
        Step::Retain => drop(log.retain(place.now()).expect("tidied")),
    }
    log
}

fn check_queries(log: &Log, model: &Model) {
    let len = model.entries.len() as u64;
    let some = |at: u64| model.entries.get(usize::try_from(at).expect("small"));
    let mut queries = vec![Query::new(usize::MAX)];
    for (filter, order) in [
        ("h.t1.e1", Order::Descending),
        ("h.t1.>", Order::Ascending),
        ("h.*.e2", Order::Descending),
        ("x.>", Order::Ascending),
    ] {
        let subject = Some(filter.to_owned());
        queries.push(Query { subject, order, ..Query::new(usize::MAX) });
    }
    for entry in [some(0), some(len / 2), some(len.saturating_sub(1))].into_iter().flatten() {
        let all = Query::new(usize::MAX);
        if !entry.id.is_empty() {
            queries.push(Query { id: Some(entry.id.clone()), ..all.clone() });
        }
        queries.push(Query { cause: Some(entry.cause.clone()), ..all.clone() });
        queries.push(Query { since: Some(entry.time), order: Order::Descending, ..all.clone() });
        queries.push(Query { until: Some(entry.time), ..all.clone() });
        queries.push(Query { from: entry.sequence, to: entry.sequence + 70, ..all });
    }
    for query in queries {
        let query = Query { cause: query.cause.filter(|cause| !cause.is_empty()), ..query };
        let expected = model.select(&query);
        let selected = log.select(STREAM, &query).expect("selected");
        assert_eq!(selected.entries, expected, "{query:?}");
        assert_eq!(selected.resume, None);
        // The same in small portions.
        let mut rest = Query { entries_max: 7, ..query.clone() };
        let mut portions = Vec::new();
        loop {
            let portion = log.select(STREAM, &rest).expect("selected");
            portions.extend(portion.entries);
            match (portion.resume, query.order) {
                (None, _) => break,
                (Some(at), Order::Ascending) => rest.from = at,
                (Some(at), Order::Descending) => rest.to = at,
            }
        }
        assert_eq!(portions, expected, "{query:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_what_was_acknowledged(steps in prop::collection::vec(step(), 1..25)) {
        let place = Place::new();
        let mut log = place.open();
        let mut model = Model::default();
        for step in &steps {
            log = apply(step, &place, log, STREAM, &mut model);
            prop_assert_eq!(log.head(STREAM).unwrap().last, model.entries.len() as u64);
        }
        prop_assert_eq!(&all(&log, STREAM), &model.entries);
        for (subject, last) in &model.last {
            let found = log.last(STREAM, subject).unwrap();
            prop_assert_eq!(found.map(|entry| entry.sequence), Some(*last));
        }
        let verified = log.verify(STREAM).unwrap();
        prop_assert_eq!(verified.entries + verified.erased, model.entries.len() as u64);
        prop_assert_eq!(verified.chain, log.head(STREAM).unwrap().chain);
        check_queries(&log, &model);
        log.close().unwrap();
        let log = place.open();
        prop_assert_eq!(&all(&log, STREAM), &model.entries);
        prop_assert_eq!(log.verify(STREAM).unwrap(), verified);
    }

    #[test]
    fn a_compacted_stream_keeps_the_last_of_each_subject(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let place = Place::new();
        let mut log = place.open();
        let mut model = Model::default();
        for step in &steps {
            log = apply(step, &place, log, STATE, &mut model);
        }
        for n in 0..30 {
            let step = Step::Many { count: 100, subjects: n % 8 + 1, ids: false, body: 20 };
            log = apply(&step, &place, log, STATE, &mut model);
        }
        log.retain(place.now()).unwrap();
        let verified = log.verify(STATE).unwrap();
        let entries = all(&log, STATE);
        prop_assert!(entries.len() < 1024 + 4 * 9 + 400, "{} entries", entries.len());
        prop_assert_eq!(verified.entries, entries.len() as u64);
        for entry in &entries {
            let at = usize::try_from(entry.sequence - 1).unwrap();
            prop_assert_eq!(entry, &model.entries[at]);
        }
        for (subject, last) in &model.last {
            let found = log.last(STATE, subject).unwrap();
            let at = usize::try_from(*last - 1).unwrap();
            prop_assert_eq!(found.as_ref(), Some(&model.entries[at]));
        }
        log.close().unwrap();
        let log = place.open();
        prop_assert_eq!(all(&log, STATE), entries);
        prop_assert_eq!(log.verify(STATE).unwrap(), verified);
    }
}

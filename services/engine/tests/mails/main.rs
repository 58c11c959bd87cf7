//! Mails: that mail programs see one thread for one incident, and what they say.
//!
//! Threads are built by the algorithm that mail programs use (`jwz.rs`), from mails that a book
//! really asks for.

mod jwz;
mod texts;
mod threads;

use std::time::Duration;

use hearken_engine::check::{Book, Contact, Definitions, Effect, Input};
use hearken_engine::definition::CheckFile;
use hearken_proto::Timestamp;
use hearken_proto::check::{CheckResult, CheckStatus, Metric, Origin};
use hearken_proto::incident::Acknowledgement;
use hearken_proto::notice::NoticeRequest;
use serde_json::{Value, json};

/// A book that collects what is to be told.
struct Desk {
    book: Book,
    definitions: Definitions,
    now: Timestamp,
    requests: Vec<NoticeRequest>,
}

impl Desk {
    /// With one check for each of these names, which all have these fields.
    fn new(names: &[&str], fields: &Value) -> Self {
        let check = |name: &&str| {
            let mut check = json!({
                "name": name, "hosts": "web1", "memory": {}, "attempts": {"failures": 1},
                "freshness": {"within": "30d"}, "notify": "ops",
            });
            let map = check.as_object_mut().expect("a mapping");
            map.extend(fields.as_object().expect("a mapping").clone());
            check
        };
        let checks: Vec<Value> = names.iter().map(check).collect();
        let file = json!({"hosts": {"web1": {"ipv4": "192.0.2.1"}}, "checks": checks});
        let (file, problems) = CheckFile::from_value(&file);
        assert!(problems.is_empty(), "{problems:?}");
        let contact = |name: &str| Contact { name: name.to_owned(), ..Contact::default() };
        let contacts = [contact("ops"), contact("boss")];
        let (definitions, problems) = Definitions::new(file.checks, contacts, Vec::new());
        assert!(problems.is_empty(), "{problems:?}");
        let now = Timestamp::parse("2026-01-05T02:13:00Z").expect("a moment");
        Self { book: Book::default(), definitions, now, requests: Vec::new() }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Notice(request) = effect {
                self.requests.push(*request);
            }
        }
    }

    fn after(&mut self, minutes: u64) {
        self.now = self.now.plus(Duration::from_secs(60 * minutes));
        let effects = self.book.pass(&self.definitions, self.now);
        self.take(effects);
    }

    fn result(&mut self, name: &str, status: CheckStatus, text: &str) {
        let result = CheckResult {
            check: format!("web1/{name}"),
            tick: u64::try_from(self.now.millis()).expect("a moment"),
            scheduled: self.now,
            started: self.now,
            duration_us: 1_000,
            status,
            origin: Origin::Target,
            text: text.to_owned(),
            long_text: "GET / HTTP/1.1\n<html>".to_owned(),
            perfdata: vec![Metric {
                label: "time".to_owned(),
                value: Some(2.5),
                unit: "s".to_owned(),
                warning: Some("1".to_owned()),
                ..Metric::default()
            }],
            location: String::new(),
            host: String::new(),
        };
        let input = Input::Result { result: Box::new(result), sequence: 0 };
        let effects = self.book.apply(&self.definitions, input, self.now);
        self.take(effects);
    }

    fn acknowledge(&mut self) {
        let incident = self.book.incidents().next().expect("an incident").id.clone();
        let by = Acknowledgement {
            author: "ann".to_owned(),
            comment: "on it".to_owned(),
            at: self.now,
            until: None,
            sticky: true,
        };
        let input = Input::Acknowledge { incident, by: Some(by) };
        let effects = self.book.apply(&self.definitions, input, self.now);
        self.take(effects);
    }

    /// The story of a night: five mails to one contact, and two to another.
    fn night(names: &[&str], fields: &Value) -> Self {
        let mut given = json!({"reminders": "30m"});
        given
            .as_object_mut()
            .expect("a mapping")
            .extend(fields.as_object().expect("a mapping").clone());
        let mut desk = Self::new(names, &given);
        desk.result("https", CheckStatus::Ok, "200 OK");
        desk.after(1);
        desk.result("https", CheckStatus::Warning, "slow");
        desk.after(30);
        desk.result("https", CheckStatus::Critical, "refused");
        desk.after(7);
        desk.acknowledge();
        desk.after(7);
        desk.result("https", CheckStatus::Ok, "200 OK");
        desk
    }
}

//! A book with definitions and a clock, and effects as short lines.

use std::time::Duration;

use hearken_engine::check::{Book, Contact, Definitions, Effect, Input, Route};
use hearken_engine::definition::CheckFile;
use hearken_proto::check::{CheckRecord, CheckResult, CheckStatus, Origin};
use hearken_proto::incident::IncidentRecord;
use hearken_proto::{Timestamp, incident};
use serde_json::{Value, json};

/// The time at which every story begins.
pub(crate) const START: &str = "2026-01-05T08:00:00Z";

pub(crate) struct Scene {
    pub(crate) book: Book,
    pub(crate) definitions: Definitions,
    pub(crate) now: Timestamp,
    sequence: u64,
}

/// Definitions of these hosts and checks, all told to the contact `ops`.
pub(crate) fn definitions(hosts: &Value, checks: &Value) -> Definitions {
    let (file, problems) = CheckFile::from_value(&json!({"hosts": hosts, "checks": checks}));
    assert!(problems.is_empty(), "{problems:?}");
    let contact = |name: &str| Contact {
        name: name.to_owned(),
        channel: "mail".to_owned(),
        recipients: vec![format!("{name}@example.net")],
        levels: Vec::new(),
    };
    let night = Contact { levels: vec![CheckStatus::Critical], ..contact("night") };
    let contacts = [contact("ops"), contact("boss"), night];
    let route = Route { matchers: Vec::new(), contacts: vec!["ops".to_owned()] };
    let (definitions, problems) = Definitions::new(file.checks, contacts, vec![route]);
    assert!(problems.is_empty(), "{problems:?}");
    definitions
}

impl Scene {
    pub(crate) fn new(hosts: &Value, checks: &Value) -> Self {
        let now = Timestamp::parse(START).expect("a moment");
        let definitions = definitions(hosts, checks);
        Self { book: Book::default(), definitions, now, sequence: 0 }
    }

    /// A scene with one check `c` that has these fields beside its own.
    pub(crate) fn of(fields: &Value) -> Self {
        let mut check = json!({"name": "c", "every": "1m", "memory": {}});
        let map = check.as_object_mut().expect("a mapping");
        map.extend(fields.as_object().expect("a mapping").clone());
        Self::new(&json!({}), &json!([check]))
    }

    /// Time goes on.
    pub(crate) fn after(&mut self, seconds: u64) -> Vec<String> {
        self.now = self.now.plus(Duration::from_secs(seconds));
        lines(self.book.pass(&self.definitions, self.now))
    }

    pub(crate) fn result_of(&mut self, check: &str, status: CheckStatus) -> CheckResult {
        self.sequence += 1;
        CheckResult {
            check: check.to_owned(),
            tick: u64::try_from(self.now.millis()).expect("a moment"),
            scheduled: self.now,
            started: self.now,
            duration_us: 1_000,
            status,
            origin: Origin::Target,
            text: format!("{} it is", status.word()),
            long_text: String::new(),
            perfdata: Vec::new(),
            location: String::new(),
            host: String::new(),
        }
    }

    pub(crate) fn put(&mut self, result: CheckResult) -> Vec<String> {
        let input = Input::Result { result: Box::new(result), sequence: self.sequence };
        self.tell(input)
    }

    /// A minute later the check is this.
    pub(crate) fn run(&mut self, check: &str, status: CheckStatus) -> Vec<String> {
        let mut lines = self.after(60);
        let result = self.result_of(check, status);
        lines.extend(self.put(result));
        lines
    }

    /// A minute later nobody could check.
    pub(crate) fn cannot(&mut self, check: &str) -> Vec<String> {
        let mut lines = self.after(60);
        let result = self.result_of(check, CheckStatus::Unknown);
        lines.extend(self.put(CheckResult { origin: Origin::Tool, ..result }));
        lines
    }

    pub(crate) fn tell(&mut self, input: Input) -> Vec<String> {
        lines(self.book.apply(&self.definitions, input, self.now))
    }

    pub(crate) fn check(&self, id: &str) -> &CheckRecord {
        self.book.check(id).expect("the check is known")
    }

    /// The only incident.
    pub(crate) fn incident(&self) -> &IncidentRecord {
        let mut incidents = self.book.incidents();
        let incident = incidents.next().expect("an incident");
        assert!(incidents.next().is_none(), "more than one incident");
        incident
    }

    /// The incident that a check is in.
    pub(crate) fn incident_of(&self, check: &str) -> &IncidentRecord {
        let id = self.check(check).incident.as_ref().expect("it is in one");
        self.book.incident(id).expect("it is open")
    }

    pub(crate) fn acknowledge(&mut self, until: Option<u64>, sticky: bool) -> Vec<String> {
        let by = incident::Acknowledgement {
            author: "ann".to_owned(),
            comment: "on it".to_owned(),
            at: self.now,
            until: until.map(|seconds| self.now.plus(Duration::from_secs(seconds))),
            sticky,
        };
        let incident = self.incident().id.clone();
        self.tell(Input::Acknowledge { incident, by: Some(by) })
    }
}

/// Effects that people see, each in a line.
pub(crate) fn lines(effects: Vec<Effect>) -> Vec<String> {
    let line = |effect: Effect| match effect {
        Effect::Notice(request) => {
            Some(format!("{} {} {}", request.contact, request.kind.word(), request.title))
        }
        Effect::Held(held) => {
            let who = held.contact.or(held.check).unwrap_or_default();
            Some(format!("held {who} {}: {}", held.held.kind.word(), held.held.rule))
        }
        Effect::Recheck { check, .. } => Some(format!("recheck {check}")),
        Effect::Gone { id, .. } => Some(format!("gone {id}")),
        Effect::Check(_) | Effect::Incident(_) | Effect::Silence(_) | Effect::Event { .. } => None,
    };
    effects.into_iter().filter_map(line).collect()
}

//! Questions to the ledger, and the entries it answers with.
//!
//! They cross the bus as JSON on `control.ledger.any`, so that whoever serves the API need not run
//! beside the ledger. An answer is bounded by what one message can carry: see [`PAGE_BYTES_MAX`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Entry, Execution, Timestamp, codec};

/// The most that one answer may hold, in bytes of bodies: a message takes 1 MiB, and JSON grows.
pub const PAGE_BYTES_MAX: usize = 400 << 10;
/// The most entries in one answer.
pub const PAGE_ENTRIES_MAX: usize = 1000;

/// What the ledger can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The newest executions.
    Executions(ExecutionFilter),
    /// One execution's last state; the id may be shortened to its key.
    Execution {
        /// Its id.
        id: String,
    },
    /// Entries of one stream.
    Entries(EntryFilter),
    /// Everything that belongs to one id: the fact, what it caused, and what caused it.
    Chain {
        /// Id of an event, an execution, or an entry.
        id: String,
    },
    /// The newest enforcements: what rules made of the events that they matched.
    Enforcements(EnforcementFilter),
    /// Checks every chain from its first entry to its last.
    Verify,
    /// Entries, bytes and times of each stream.
    Stats,
}

/// Which executions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutionFilter {
    /// At most so many.
    pub limit: usize,
    /// Only in this state.
    pub status: Option<String>,
    /// Only of this action, `pack.name`.
    pub action: Option<String>,
    /// Only asked for by this rule.
    pub rule: Option<String>,
    /// Only caused by this event.
    pub trigger_instance: Option<String>,
    /// Skip so many of the newest.
    pub offset: usize,
    /// Only asked for by this user.
    pub user: Option<String>,
    /// Started, or else asked for, at or after this time.
    pub since: Option<Timestamp>,
    /// Started, or else asked for, before this time.
    pub until: Option<Timestamp>,
}

/// Which enforcements.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnforcementFilter {
    /// At most so many.
    pub limit: usize,
    /// Skip so many of the newest.
    pub offset: usize,
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only of this event.
    pub trigger_instance: Option<String>,
}

/// What a rule made of an event that it matched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Enforced {
    /// Its name, derived from the event and the rule.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// Id of the event.
    pub trigger_instance: String,
    /// The execution that was asked for, or the failed one that was left in its place; none when it
    /// came to none.
    pub execution: Option<String>,
    /// Why there is no execution.
    pub reason: Option<String>,
    /// What of the rule held the request back.
    pub held_by: Option<String>,
    /// Log time of the event.
    pub enforced_at: Option<Timestamp>,
}

/// Which entries of a stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryFilter {
    /// `EVENTS`, `LOG`, `STATE` or `SAMPLES`.
    pub stream: String,
    /// Subject without prefix, wildcards allowed; all when empty.
    pub subject: String,
    /// Only the entry with this id.
    pub id: Option<String>,
    /// Only entries caused by this id.
    pub cause: Option<String>,
    /// From this sequence on.
    pub from: Option<u64>,
    /// Up to this sequence.
    pub to: Option<u64>,
    /// Stored at or after this time.
    pub since: Option<Timestamp>,
    /// Stored before this time.
    pub until: Option<Timestamp>,
    /// Newest first.
    pub descending: bool,
    /// At most so many.
    pub limit: usize,
}

/// An entry as it is shown: its body decoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Its stream.
    pub stream: String,
    /// Its place.
    pub sequence: u64,
    /// When it was stored.
    pub time: Timestamp,
    /// Subject, prefix included.
    pub subject: String,
    /// Its id.
    pub id: String,
    /// Id of what caused it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub cause: String,
    /// Headers, as name and value.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<(String, String)>,
    /// The body; a text in place of what cannot be decoded.
    pub body: Value,
}

impl Shown {
    /// The value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// An entry of `stream`, for people.
    #[must_use]
    pub fn new(stream: &str, entry: &Entry) -> Self {
        let body = codec::decode(&entry.headers, &entry.body).unwrap_or_else(|_undecodable| {
            Value::String(String::from_utf8_lossy(&entry.body).into_owned())
        });
        let headers = entry.headers.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Self {
            stream: stream.to_owned(),
            sequence: entry.sequence,
            time: entry.time,
            subject: entry.subject.clone(),
            id: entry.id.clone(),
            cause: entry.cause.clone(),
            headers,
            body,
        }
    }
}

/// What the ledger answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Executions, newest first.
    Executions(Vec<Execution>),
    /// One execution, if it is known.
    Execution(Option<Box<Execution>>),
    /// Entries, and whether there are more.
    Entries {
        /// In the order asked for.
        entries: Vec<Shown>,
        /// Whether the limit cut them off.
        more: bool,
    },
    /// Enforcements, newest first.
    Enforcements(Vec<Enforced>),
    /// What was found out about each stream.
    Streams(Vec<StreamReport>),
    /// The question could not be answered.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One stream, as verified or counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamReport {
    /// Its name.
    pub stream: String,
    /// Entries it holds.
    pub entries: u64,
    /// Sequence of the oldest.
    pub first: u64,
    /// Sequence of the newest.
    pub last: u64,
    /// When the newest was stored.
    pub last_time: Option<Timestamp>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bodies that were erased; the chain holds all the same.
    pub erased: u64,
    /// Hash of the newest entry, which covers all before it.
    pub chain: String,
    /// What is wrong with it; empty when it holds.
    pub fault: Option<String>,
}

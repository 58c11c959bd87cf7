//! Messages and entries: what is published, and what a stream keeps of it.

use bytes::Bytes;

use crate::Timestamp;

/// Header that names an entry: one id space per stream (NATS' own name for it).
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Header that says how the body is written; without it the first byte decides.
pub const CONTENT_TYPE: &str = "Content-Type";
/// Header with the producer's own clock: data, never log time.
pub const PRODUCER_TIME: &str = "Hearken-Time";
/// Header that names who produced a fact.
pub const SOURCE: &str = "Hearken-Source";
/// Header with the id of the entry that caused this one; believed from our services only.
pub const CAUSE: &str = "Hearken-Cause";
/// Header with the digest of a trigger's parameters, for triggers that take some.
pub const TRIGGER_PARAMETERS: &str = "Hearken-Trigger-Parameters";
/// Content type of our own payloads.
pub const MESSAGEPACK: &str = "application/vnd.hearken+msgpack";
/// Content type of JSON bodies.
pub const JSON: &str = "application/json";

/// Headers of a message, in the order in which they were given; names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Adds a header after those already there.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Removes every header called `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

/// What somebody asks a bus to store or to pass on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Full subject, prefix included.
    pub subject: String,
    /// The entry's name; a stream drops a second message of the same id within its window.
    pub id: Option<String>,
    /// Id of the entry that caused this one.
    pub cause: Option<String>,
    /// Headers other than id and cause.
    pub headers: Headers,
    /// The payload.
    pub body: Bytes,
}

/// What a stream keeps: one message, its place and its time. Entries are never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Place in the stream, counting from 1 with gaps only where something was erased.
    pub sequence: u64,
    /// When it was stored: log time.
    pub time: Timestamp,
    /// Full subject, prefix included.
    pub subject: String,
    /// The id the message came with; empty when it came without one.
    pub id: String,
    /// Id of the entry that caused this one; empty for facts from outside.
    pub cause: String,
    /// Headers other than id and cause.
    pub headers: Headers,
    /// The payload.
    pub body: Bytes,
}

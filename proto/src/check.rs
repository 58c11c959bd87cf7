//! Checks: what a run of one found, and everything that is known of one.
//!
//! A result is a fact and is never changed; a record is what the fold made of all results so far,
//! the whole of it, so that the last record of a check is all that has to be read to go on.
//!
//! Lists and texts are bounded where they are made (`engine/src/check`), so that a record fits into
//! one message. Times are log time, but those that name the scheduler's own clock say so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How well something is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    #[default]
    Ok,
    /// Soon no more.
    Warning,
    /// Nobody can tell.
    Unknown,
    /// Broken.
    Critical,
}

impl CheckStatus {
    /// All, from best to worst: also their order.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Unknown, Self::Critical];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Critical => "critical",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether somebody has to know.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        !matches!(self, Self::Ok)
    }
}

/// Of what a result speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Of what is checked.
    #[default]
    Target,
    /// Of the check itself: a program that is missing, a time limit of ours. It says nothing about
    /// what is checked.
    Tool,
}

/// One measured value, as plugins write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What is measured.
    pub label: String,
    /// The value; none where it could not be determined.
    #[serde(default)]
    pub value: Option<f64>,
    /// Its unit, as written.
    #[serde(default)]
    pub unit: String,
    /// The range of no warning, as written.
    #[serde(default)]
    pub warning: Option<String>,
    /// The range that is not critical, as written.
    #[serde(default)]
    pub critical: Option<String>,
    /// The least it can be.
    #[serde(default)]
    pub min: Option<f64>,
    /// The most it can be.
    #[serde(default)]
    pub max: Option<f64>,
}

/// What one run of a check found: `result.check.<check>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check.
    pub check: String,
    /// Names the run, and grows from run to run: the moment it was due in milliseconds since the
    /// Unix epoch, whoever ran it.
    pub tick: u64,
    /// When it was due.
    pub scheduled: Timestamp,
    /// When it was started, by the clock of its host.
    pub started: Timestamp,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub duration_us: u64,
    /// What it found.
    pub status: CheckStatus,
    /// Of what it speaks.
    #[serde(default)]
    pub origin: Origin,
    /// One line for people.
    #[serde(default)]
    pub text: String,
    /// More lines.
    #[serde(default)]
    pub long_text: String,
    /// What was measured.
    #[serde(default)]
    pub perfdata: Vec<Metric>,
    /// Where it ran: a vantage point.
    #[serde(default)]
    pub location: String,
    /// Which host ran it.
    #[serde(default)]
    pub host: String,
}

/// What is shown of the last run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// When its result was stored.
    pub at: Timestamp,
    /// What it found.
    pub status: CheckStatus,
    /// Of what it spoke.
    #[serde(default)]
    pub origin: Origin,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub duration_us: u64,
    /// Its line.
    #[serde(default)]
    pub text: String,
    /// More lines.
    #[serde(default)]
    pub long_text: String,
    /// What it measured.
    #[serde(default)]
    pub perfdata: Vec<Metric>,
    /// Where it ran.
    #[serde(default)]
    pub location: String,
}

/// The whole state of a check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The check.
    pub check: String,
    /// What is certain: bad only after as many bad runs as its definition asks for, good again only
    /// after as many good ones. None before the first.
    #[serde(default)]
    pub status: Option<CheckStatus>,
    /// Since when that is so.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Bad runs since the last good one.
    #[serde(default)]
    pub bad: u32,
    /// Good runs since the last bad one.
    #[serde(default)]
    pub good: u32,
    /// When the first of the bad runs was stored.
    #[serde(default)]
    pub bad_since: Option<Timestamp>,
    /// Runs in a row that could not check.
    #[serde(default)]
    pub tool: u32,
    /// The highest tick taken in.
    #[serde(default)]
    pub tick: u64,
    /// The last place taken in.
    #[serde(default)]
    pub sequence: u64,
    /// The last run.
    #[serde(default)]
    pub last: Option<LastRun>,
    /// The line of the last good run.
    #[serde(default)]
    pub last_good: Option<String>,
    /// Whether the last runs changed their minds, one bit each, the newest lowest.
    #[serde(default)]
    pub changes: u32,
    /// Since when it flaps.
    #[serde(default)]
    pub flapping: Option<Timestamp>,
    /// When a result is missed, unless one comes.
    #[serde(default)]
    pub fresh_until: Option<Timestamp>,
    /// Since when results are missed.
    #[serde(default)]
    pub late: Option<Timestamp>,
    /// The parent that keeps it from being reached.
    #[serde(default)]
    pub unreachable: Option<String>,
    /// The incident it is in.
    #[serde(default)]
    pub incident: Option<String>,
    /// The incident about its being checked at all.
    #[serde(default)]
    pub tool_incident: Option<String>,
    /// How many incidents it began so far.
    #[serde(default)]
    pub incidents: u32,
}

impl CheckRecord {
    /// One word for how it stands.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.status, &self.unreachable) {
            (None, _) => "pending",
            (Some(_), Some(_)) => "unreachable",
            (Some(status), None) => status.word(),
        }
    }
}

/// A name given to many things, to be selected by.
pub type Labels = BTreeMap<String, String>;

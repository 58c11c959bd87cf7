//! Incidents, silences, and who was told what.
//!
//! An incident is one spell of failure and one thread of notices. What each contact was told is
//! kept here, and nothing else decides what it is told next: whoever was told a start is told its
//! end.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::check::{CheckStatus, Labels, Metric};
use crate::notice::NoticeKind;

/// What failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// What is checked.
    #[default]
    Outage,
    /// The check: nobody knows how what it checks is.
    Tool,
}

impl IncidentKind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Tool => "tool",
        }
    }
}

/// The whole state of an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentRecord {
    /// Its id, of the same form as an execution's.
    pub id: String,
    /// What failed.
    #[serde(default)]
    pub kind: IncidentKind,
    /// What is told together: the group, or the check alone.
    #[serde(default)]
    pub group: String,
    /// What it is called in subjects, from beginning to end.
    #[serde(default)]
    pub title: String,
    /// Labels that all members share.
    #[serde(default)]
    pub labels: Labels,
    /// When it began.
    pub opened: Timestamp,
    /// When it was over.
    #[serde(default)]
    pub closed: Option<Timestamp>,
    /// The worst of its members now; once it is closed, of all it had at the end.
    #[serde(default)]
    pub level: CheckStatus,
    /// The worst it ever was.
    #[serde(default)]
    pub worst: CheckStatus,
    /// The checks in it.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Checks that cannot be reached because of it, as far as they are listed.
    #[serde(default)]
    pub affected: Vec<String>,
    /// The parent that turned out to be behind it.
    #[serde(default)]
    pub cause: Option<String>,
    /// Who takes care.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
    /// What contacts were told.
    #[serde(default)]
    pub told: Vec<Told>,
    /// Notices asked for so far.
    #[serde(default)]
    pub notices: u32,
    /// What happened, the oldest first, as far as it is listed.
    #[serde(default)]
    pub timeline: Vec<Moment>,
    /// When it will be looked at again although nothing comes.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// What to do about it.
    #[serde(default)]
    pub runbook: Option<String>,
}

impl IncidentRecord {
    /// Whether one of its members flaps.
    #[must_use]
    pub fn is_flapping(&self) -> bool {
        self.members.iter().any(|member| member.ended.is_none() && member.flapping)
    }

    /// Its members that are not over it.
    pub fn failing(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.ended.is_none())
    }
}

/// One check in an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The check.
    pub check: String,
    /// How it stands.
    pub level: CheckStatus,
    /// Since when it fails.
    pub since: Timestamp,
    /// When it was over.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// Bad runs so far.
    #[serde(default)]
    pub runs: u32,
    /// Whether it flaps.
    #[serde(default)]
    pub flapping: bool,
    /// The parent that keeps it from being reached.
    #[serde(default)]
    pub cause: Option<String>,
    /// Its last line.
    #[serde(default)]
    pub text: String,
    /// More lines.
    #[serde(default)]
    pub long_text: String,
    /// What was measured.
    #[serde(default)]
    pub perfdata: Vec<Metric>,
    /// The line of its last good run before.
    #[serde(default)]
    pub last_good: Option<String>,
}

/// Something that happened in an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// How it stood from then on.
    pub level: CheckStatus,
    /// What.
    pub text: String,
}

/// Somebody takes care of an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub author: String,
    /// What they say.
    #[serde(default)]
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// When it counts no more; none: until the incident is over.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Whether it stays when the incident gets worse.
    #[serde(default)]
    pub sticky: bool,
}

/// What one contact was told of an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The contact.
    pub contact: String,
    /// How it is told.
    #[serde(default)]
    pub channel: String,
    /// Where.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// From when on it is to be told: later for a step of an escalation.
    pub from: Timestamp,
    /// Whether it is a step of an escalation.
    #[serde(default)]
    pub escalation: bool,
    /// It knows that there is a problem, and not yet that it is over.
    #[serde(default)]
    pub problem: bool,
    /// It knows of flapping, and not yet that it is over.
    #[serde(default)]
    pub flapping: bool,
    /// It knows the cause.
    #[serde(default)]
    pub unreachable: bool,
    /// It knows who takes care.
    #[serde(default)]
    pub acknowledged: bool,
    /// What it knows of levels and members, as a digest.
    #[serde(default)]
    pub view: String,
    /// The level it knows.
    #[serde(default)]
    pub level: CheckStatus,
    /// When it was last told something.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Reminders since the last news.
    #[serde(default)]
    pub reminders: u32,
    /// Numbers of its notices, the last of them.
    #[serde(default)]
    pub sent: Vec<u32>,
    /// What is not told, and why.
    #[serde(default)]
    pub held: Option<Held>,
    /// What became of its last notice.
    #[serde(default)]
    pub outcome: Option<Outcome>,
}

/// A notice that is not made, and the rule that holds it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// What would be told.
    pub kind: NoticeKind,
    /// The rule, for people: `silence 17: disk is being replaced`.
    pub rule: String,
    /// Until when, where that is known.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was handed over for every recipient.
    Delivered,
    /// Some recipients did not get it.
    Partial,
    /// Nobody got it, and it will not be tried again.
    Failed,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Is the value.
    #[serde(rename = "=")]
    Equal,
    /// Is not the value.
    #[serde(rename = "!=")]
    NotEqual,
    /// Is wholly matched by the regular expression.
    #[serde(rename = "=~")]
    Matches,
    /// Is not.
    #[serde(rename = "!~")]
    MatchesNot,
}

impl Comparison {
    /// As it is written; longer ones first, so that a reader can take the first that fits.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Matches, "=~"),
        (Self::MatchesNot, "!~"),
        (Self::NotEqual, "!="),
        (Self::Equal, "="),
    ];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        }
    }
}

/// A condition on one label; a label that is missing is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LabelMatcher {
    /// The label.
    pub label: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: String,
}

/// New problems of what it selects are not told while it lasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SilenceRecord {
    /// Its id.
    pub id: String,
    /// What it selects: checks whose labels meet all of these.
    #[serde(default)]
    pub matchers: Vec<LabelMatcher>,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; none: when somebody ends it.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// It lasts only while one of these windows is open; none: all the time.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Who asked for it.
    #[serde(default)]
    pub author: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// When somebody ended it.
    #[serde(default)]
    pub ended: Option<Timestamp>,
}

/// A span of time that comes again and again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// When it opens: the fields of a cron timer, `timezone` among them.
    pub opens: Map<String, Value>,
    /// How long it stays open, in seconds.
    pub seconds: u64,
}

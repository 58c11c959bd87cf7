//! Notices: what a contact is to be told, and what became of it.
//!
//! A request carries everything its text is made of, so that the same request is the same mail,
//! however often it is sent and by whomever. The ids of a thread are made of the incident and the
//! numbers of its notices alone.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::check::CheckStatus;
use crate::incident::{IncidentRecord, Outcome};

/// What a notice says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Something failed.
    #[default]
    Problem,
    /// It stands otherwise than was told.
    Update,
    /// It still fails.
    Reminder,
    /// It fails and those who were told first did not say that they take care.
    Escalation,
    /// Somebody takes care.
    Acknowledged,
    /// It is over.
    Recovery,
    /// It fails and recovers in turns.
    FlappingStart,
    /// It does no more.
    FlappingEnd,
    /// It fails because of something else that was told.
    Unreachable,
    /// A report.
    Report,
    /// Hearken itself ended.
    Death,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Problem,
        Self::Update,
        Self::Reminder,
        Self::Escalation,
        Self::Acknowledged,
        Self::Recovery,
        Self::FlappingStart,
        Self::FlappingEnd,
        Self::Unreachable,
        Self::Report,
        Self::Death,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Update => "update",
            Self::Reminder => "reminder",
            Self::Escalation => "escalation",
            Self::Acknowledged => "acknowledged",
            Self::Recovery => "recovery",
            Self::FlappingStart => "flapping_start",
            Self::FlappingEnd => "flapping_end",
            Self::Unreachable => "unreachable",
            Self::Report => "report",
            Self::Death => "death",
        }
    }

    /// Whether it tells that something began.
    #[must_use]
    pub const fn is_start(self) -> bool {
        matches!(self, Self::Problem | Self::Escalation)
    }
}

/// Asks for one contact to be told one thing: `request.notice.<channel>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoticeRequest {
    /// Its id: the same whenever it is asked for again.
    pub id: String,
    /// The thread: an incident, or a kind of report.
    pub thread: String,
    /// Its number in the thread, from 1.
    pub number: u32,
    /// How it is sent.
    pub channel: String,
    /// Who is told.
    pub contact: String,
    /// Where, as the channel understands it.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// What it says.
    pub kind: NoticeKind,
    /// When it was decided: the date of a mail, however late it is sent.
    pub at: Timestamp,
    /// Numbers of earlier notices of this thread to this contact, the oldest first: the last ten.
    #[serde(default)]
    pub earlier: Vec<u32>,
    /// What the thread is called, from its first notice to its last.
    #[serde(default)]
    pub title: String,
    /// How it stands.
    #[serde(default)]
    pub level: CheckStatus,
    /// How it stood when this contact was told last.
    #[serde(default)]
    pub previous: Option<CheckStatus>,
    /// The incident as it was then, without what others were told.
    #[serde(default)]
    pub incident: Option<IncidentRecord>,
    /// The text of what is about no incident.
    #[serde(default)]
    pub text: String,
    /// What is said in picomon's words, where a check asks for that.
    #[serde(default)]
    pub picomon: Option<PicomonNotice>,
}

/// What picomon's mails are made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PicomonNotice {
    /// Name of the class of the check.
    pub class: String,
    /// Name of what it checks.
    pub target: String,
    /// The check as picomon prints it.
    pub shown: String,
}

/// What became of a notice, for each recipient: `transition.notice.<id>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// Id of the request.
    pub id: String,
    /// The thread.
    pub thread: String,
    /// Its number there.
    pub number: u32,
    /// Who is told.
    pub contact: String,
    /// How.
    pub channel: String,
    /// What it says.
    pub kind: NoticeKind,
    /// Attempts so far.
    #[serde(default)]
    pub attempts: u32,
    /// What became of it in all; none while it is still tried.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// What became of it for each recipient.
    #[serde(default)]
    pub recipients: Vec<RecipientOutcome>,
    /// When this was written down.
    pub at: Timestamp,
}

/// What became of a notice for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecipientOutcome {
    /// Where it was sent.
    pub recipient: String,
    /// Whether it was handed over.
    #[serde(default)]
    pub delivered: Option<Timestamp>,
    /// Whether it will not be tried again although it was not handed over.
    #[serde(default)]
    pub given_up: bool,
    /// What the other side said.
    #[serde(default)]
    pub reply: String,
}

//! Executions: one run of an action, as its transitions tell it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ActionRequest, Timestamp};

/// The states of an execution, in StackStorm's words, and `expired` of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Asked for; no runner has taken it.
    Requested,
    /// Admitted; waiting for a runner.
    Scheduled,
    /// Held back by a policy.
    Delayed,
    /// A runner holds it.
    Running,
    /// Asked to pause.
    Pausing,
    /// Standing still until resumed.
    Paused,
    /// Asked to go on.
    Resuming,
    /// Waiting for a person's answer.
    Pending,
    /// Asked to end before its time.
    Canceling,
    /// Ended before its time because somebody asked.
    Canceled,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended by its time limit.
    Timeout,
    /// Its runner is gone: nobody knows how it ended.
    Abandoned,
    /// No runner took it while the log still knew it.
    Expired,
}

impl Status {
    /// Every state.
    pub const ALL: [Self; 15] = [
        Self::Requested,
        Self::Scheduled,
        Self::Delayed,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Resuming,
        Self::Pending,
        Self::Canceling,
        Self::Canceled,
        Self::Succeeded,
        Self::Failed,
        Self::Timeout,
        Self::Abandoned,
        Self::Expired,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Scheduled => "scheduled",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::Pending => "pending",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Abandoned => "abandoned",
            Self::Expired => "expired",
        }
    }

    /// The state called `word`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Canceled
                | Self::Succeeded
                | Self::Failed
                | Self::Timeout
                | Self::Abandoned
                | Self::Expired
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One line of an execution's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The state that was entered.
    pub status: Status,
    /// When.
    pub timestamp: Timestamp,
}

/// The whole state of an execution after a transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// What was asked for.
    pub request: ActionRequest,
    /// Where it stands.
    pub status: Status,
    /// Starts so far, this one included; 0 before the first.
    #[serde(default)]
    pub attempt: u32,
    /// The runner that holds or held it.
    #[serde(default)]
    pub runner: Option<String>,
    /// When the last attempt was claimed.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub end: Option<Timestamp>,
    /// What came of it, in the shape of its runner; null before the end.
    #[serde(default)]
    pub result: Value,
    /// The states so far, in order.
    #[serde(default)]
    pub log: Vec<Step>,
    /// The gates in which it holds a place, or waits for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
}

impl Execution {
    /// The state of an execution nobody has taken yet.
    #[must_use]
    pub fn requested(request: ActionRequest) -> Self {
        let log = vec![Step { status: Status::Requested, timestamp: request.requested_at }];
        Self {
            request,
            status: Status::Requested,
            attempt: 0,
            runner: None,
            start: None,
            end: None,
            result: Value::Null,
            log,
            gates: Vec::new(),
        }
    }

    /// The state after entering `status` at `now`.
    #[must_use]
    pub fn entering(mut self, status: Status, now: Timestamp) -> Self {
        self.status = status;
        self.log.push(Step { status, timestamp: now });
        if status.is_final() {
            self.end = Some(now);
        }
        self
    }
}

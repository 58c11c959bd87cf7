//! Checks: what is looked at, how often, what is good, and who is told.
//!
//! A file of `checks/` has hosts, templates and checks; a check with several hosts is one for each.
//! Unknown fields are refused and not just noticed: a misspelt threshold would be none. What a
//! result means is [`crate::check`]'s, running probes is that of the service.
//!
//! All fields are in `fields.rs`, from which the schema for editors is made as well.

mod fields;
mod file;
mod form;
mod probe;
mod read;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use hearken_proto::check::{CheckStatus, Labels};
use hearken_proto::incident::Window;
use hearken_proto::notice::PicomonNotice;

use crate::check::plugin::Range;
use crate::criteria::Criterion;
use crate::schedule::Schedule;

pub use file::{CheckFile, schema};
pub use probe::{
    Composite, Dns, Family, Heartbeat, Http, Icmp, Plugin, Probe, Process, Smtp, Tcp, Udp, Xmpp,
    Zone,
};

/// A host as a file of checks describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its IPv4 address.
    pub ipv4: Option<String>,
    /// Its IPv6 address.
    pub ipv6: Option<String>,
    /// What it is selected by.
    pub labels: Labels,
    /// Hosts or checks without which it cannot be reached; of an inner list one suffices.
    pub parents: Vec<Vec<String>>,
}

/// One check of one host, or of none.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it is called everywhere: `host/name`, or its name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The host.
    pub host: Option<Host>,
    /// What it is selected by: its own, those of its host, and `check` and `host`.
    pub labels: Labels,
    /// Whether it runs.
    pub enabled: bool,
    /// Checks or hosts without which it cannot be reached; of an inner list one suffices.
    pub parents: Vec<Vec<String>>,
    /// Whether it says if its host can be reached at all.
    pub alive: bool,
    /// When it runs.
    pub timing: Timing,
    /// How long a run may take.
    pub timeout: Duration,
    /// How many runs make a change certain.
    pub attempts: Attempts,
    /// Ranges of measured values.
    pub thresholds: Vec<Threshold>,
    /// What must hold of measured values.
    pub conditions: Vec<Condition>,
    /// What it does.
    pub probe: Probe,
    /// When changes are too many to tell of each; none: never.
    pub flapping: Option<Flapping>,
    /// When results are missed; none: never.
    pub freshness: Option<Freshness>,
    /// Who is told, and when.
    pub notices: Notices,
    /// When problems are expected, again and again.
    pub maintenance: Vec<Window>,
    /// What to do about a problem.
    pub runbook: Option<String>,
    /// What picomon's mails say of it, where it keeps picomon's habits.
    pub picomon: Option<PicomonNotice>,
}

/// When a check runs.
#[derive(Clone, Debug)]
pub enum Timing {
    /// Again and again.
    Every {
        /// The pause between two runs that are due.
        every: Duration,
        /// The same while it is failed.
        error_every: Duration,
        /// The same until a failure is certain.
        retry_every: Duration,
    },
    /// At moments of the clock on the wall.
    Cron {
        /// Which ones.
        schedule: Schedule,
        /// The pause until a failure is certain.
        retry_every: Duration,
    },
    /// Never: results come from outside.
    Passive,
}

/// How many runs make a change certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Bad runs in a row that make a failure.
    pub failures: u32,
    /// Good runs in a row that make a recovery.
    pub recoveries: u32,
    /// Runs in a row that cannot check at all and make a problem.
    pub tool: u32,
}

/// A range of one measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The measured value.
    pub field: String,
    /// The range.
    pub range: Range,
    /// What it is outside of it.
    pub level: CheckStatus,
}

/// What must hold of a measured value.
#[derive(Clone, Debug)]
pub struct Condition {
    /// It as it is written, for people.
    pub shown: String,
    /// It, read.
    pub criterion: Criterion,
    /// What it is if it does not hold.
    pub level: CheckStatus,
}

/// When changes are too many to tell of each, in percent of weighted changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flapping {
    /// From which on it flaps.
    pub high: f64,
    /// Below which it does no more.
    pub low: f64,
}

/// When results are missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How long after a result the next must have come.
    pub within: Duration,
    /// What it means for the target; nothing: it is our failure.
    pub status: Option<CheckStatus>,
}

/// Who is told, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notices {
    /// Contacts; empty: as the routes say.
    pub contacts: Vec<String>,
    /// How long a problem lasts before anybody is told.
    pub after: Duration,
    /// Pauses between reminders; the last one repeats, and none means none.
    pub reminders: Vec<Duration>,
    /// The shortest pause between two updates.
    pub updates_every: Duration,
    /// Who else is told, and when.
    pub escalation: Vec<Step>,
    /// What is told together; none: nothing.
    pub group: Option<Group>,
}

/// A step of an escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long a problem lasts before they are told.
    pub after: Duration,
    /// Contacts that are told.
    pub contacts: Vec<String>,
}

/// What is told together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Labels that checks of one group share.
    pub by: Vec<String>,
    /// How long others may join before anybody is told.
    pub wait: Duration,
}

impl Check {
    /// What is told together with this check: the labels of its group, or it alone.
    #[must_use]
    pub fn group_key(&self) -> String {
        let Some(group) = &self.notices.group else { return self.id.clone() };
        let value = |label: &String| self.labels.get(label).map_or("", String::as_str);
        let labels = group.by.iter().map(|label| format!("{label}={}", value(label)));
        labels.collect::<Vec<_>>().join(",")
    }

    /// How an incident of it is called in subjects.
    #[must_use]
    pub fn title(&self) -> String {
        if self.notices.group.is_some() { self.group_key() } else { self.id.clone() }
    }

    /// The address of its host that a probe of this family uses.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<&str> {
        let host = self.host.as_ref()?;
        let (ipv4, ipv6) = (host.ipv4.as_deref(), host.ipv6.as_deref());
        match family {
            Family::Any => Some(ipv4.or(ipv6).unwrap_or(&host.name)),
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        }
    }

    /// The pause between two of its runs in good times; none where there is none.
    #[must_use]
    pub const fn every(&self) -> Option<Duration> {
        match &self.timing {
            Timing::Every { every, .. } => Some(*every),
            Timing::Cron { .. } | Timing::Passive => None,
        }
    }
}

/// Labels as texts, for templates.
fn shown_labels(labels: &BTreeMap<String, String>) -> serde_json::Value {
    labels.iter().map(|(label, value)| (label.clone(), value.clone())).collect()
}

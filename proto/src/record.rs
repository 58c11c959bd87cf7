//! The smaller payloads: definitions in force, enforcements, runners, schedules, dead letters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::request::TriggerInstance;

/// Trigger of the mark in EVENTS that puts definitions in force.
pub const DEFINITIONS_TRIGGER: &str = "hearken.definitions";

/// Every definition in force from its place on: the body of a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Digest of each pack's content, by pack name.
    pub packs: BTreeMap<String, String>,
    /// Rules switched on or off by hand, by reference.
    #[serde(default)]
    pub rules: BTreeMap<String, bool>,
}

/// The state kept of the definitions: what is in force and where that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionsState {
    /// Place of the mark in EVENTS.
    pub mark: u64,
    /// What it puts in force.
    pub in_force: InForce,
}

/// A pack was loaded, changed or taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackTransition {
    /// Name of the pack.
    pub name: String,
    /// Digest of its content; none when it was taken away.
    pub digest: Option<String>,
    /// Version its manifest claims.
    #[serde(default)]
    pub version: Option<String>,
    /// Where it was loaded from.
    #[serde(default)]
    pub source: String,
}

/// A rule matched an event and no request came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The rule.
    pub rule: String,
    /// The event.
    pub trigger_instance: TriggerInstance,
    /// Why there is no request.
    pub reason: String,
    /// Parameters as the rule writes them, not rendered.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Log time of the event.
    pub enforced_at: Timestamp,
}

/// What a runner says of itself every heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerState {
    /// One start of one runner process.
    pub incarnation: String,
    /// The installation folder it works from: the same after a restart.
    pub installation: String,
    /// Host name.
    pub host: String,
    /// Executions it holds.
    pub holds: Vec<String>,
    /// Head of LOG when this was written: later claims are not in `holds`.
    pub seen: u64,
    /// Whether it has ended in good order.
    #[serde(default)]
    pub ended: bool,
}

/// One timer's last tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Trigger type of the timer, such as `core.st2.IntervalTimer`.
    pub trigger: String,
    /// Its parameters.
    pub parameters: Value,
    /// When the timer came into force: interval timers count from here.
    pub anchor: Timestamp,
    /// The last tick decided; none before the first.
    #[serde(default)]
    pub ticked: Option<Timestamp>,
    /// Part of the ids of its ticks, so that nobody else can use them up in advance.
    #[serde(default)]
    pub nonce: String,
}

/// The right of one replica to do something alone, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseState {
    /// The replica that holds it; empty when it was given back.
    pub holder: String,
    /// When it ends unless renewed.
    pub until: Timestamp,
}

/// Something that could not be handled, kept for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Subject of the entry.
    pub subject: String,
    /// Stream of the entry.
    pub stream: String,
    /// Its place there: the body is read from the stream, never copied.
    pub sequence: u64,
    /// Which service gave up.
    pub service: String,
    /// Why.
    pub reason: String,
    /// Deliveries before giving up.
    pub deliveries: u64,
}

/// A hint to the runners of all hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelHint {
    /// The execution to end.
    pub execution: String,
}

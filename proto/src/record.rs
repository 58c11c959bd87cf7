//! The smaller payloads: definitions in force, enforcements, runners, schedules, dead letters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::request::TriggerInstance;

/// Trigger of an empty entry in EVENTS that only moves log time on, so that what waits for a moment
/// sees it pass.
pub const TIME_TRIGGER: &str = "hearken.time";
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
    /// What of the rule held the request back, in one word (`dedupe`, `throttle` …); none when it
    /// failed.
    #[serde(default)]
    pub held_by: Option<String>,
}

/// How far a fold has come, and where its memory is kept.
///
/// The memory lies in the chunks `<fold>-<slot>-0` and so on, beside this entry in STATE. Two slots
/// take turns, so that what this entry names stays whole while the next is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldState {
    /// Name of the folded stream's life.
    pub incarnation: String,
    /// The last entry of the stream that the memory knows of.
    pub place: u64,
    /// The slot: `a` or `b`; empty when nothing is remembered.
    #[serde(default)]
    pub slot: String,
    /// Chunks in the slot.
    #[serde(default)]
    pub chunks: u32,
    /// Digest of the memory: two replicas that differ at one place show by it, and a slot that
    /// somebody else wrote over.
    #[serde(default)]
    pub digest: String,
    /// What was kept before this, in the other slot.
    #[serde(default)]
    pub before: Option<FoldSlot>,
}

/// An earlier memory of a fold, to go on from when the last cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldSlot {
    /// The last entry of the stream that it knows of.
    pub place: u64,
    /// Its slot; empty when nothing was remembered.
    pub slot: String,
    /// Chunks in the slot.
    pub chunks: u32,
    /// Digest of the memory.
    pub digest: String,
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

/// How a sensor does: written by the host that runs it, whenever that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorState {
    /// The sensor.
    pub sensor: String,
    /// Digest of the content of its pack that runs.
    pub digest: String,
    /// What it does.
    pub status: SensorStatus,
    /// Where it runs.
    #[serde(default)]
    pub host: String,
    /// Process id there; none while it does not run.
    #[serde(default)]
    pub pid: Option<u32>,
    /// When `status` became what it is, by the clock of its host.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// How often it was started again after an end that nobody wanted, with this content.
    #[serde(default)]
    pub restarts: u64,
    /// The last thing that went wrong.
    #[serde(default)]
    pub error: Option<String>,
    /// Trigger types that it registered when it ran, as JSON texts.
    #[serde(default)]
    pub trigger_types: Vec<String>,
}

/// What a sensor does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorStatus {
    /// It is being started, for the first time or again.
    #[default]
    Starting,
    /// Its process runs.
    Running,
    /// It has ended and is started again after a pause.
    Waiting,
    /// It was stopped on purpose.
    Stopped,
}

impl SensorStatus {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
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

/// The gates of one policy that share an entity, by lane: one for each set of values of the
/// policy's attributes, and one in all for a policy without attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateState {
    /// The policy; empty where executions wait for a moment that their request names.
    #[serde(default)]
    pub policy: String,
    /// The gates that are in use.
    #[serde(default)]
    pub lanes: BTreeMap<String, Gate>,
}

/// Who is in, and who waits. Times are nanoseconds since the Unix epoch, and what is listed are
/// tuples: a gate with thousands of executions must fit into one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Executions that were let in, in that order.
    #[serde(default)]
    pub running: Vec<Holder>,
    /// When executions were let in, as far back as the policy's period; for policies with a rate.
    #[serde(default)]
    pub starts: Vec<i64>,
    /// Executions that wait, first come first.
    #[serde(default)]
    pub waiting: Vec<Waiter>,
}

/// An execution that was let in: its key, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder(pub String, pub i64);

/// An execution that waits: its key, when it was asked for, and before when it must not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter(pub String, pub i64, pub i64);

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

//! Requests: what a rule or a person asks of the runners.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;

/// The pool of actions that any runner may run.
pub const POOL_ANY: &str = "any";

/// Asks for one run of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionRequest {
    /// Id of the execution this asks for: 24 hex digits.
    pub execution: String,
    /// Action reference, `pack.name`.
    pub action: String,
    /// Digest of the pack whose content is to run.
    pub digest: String,
    /// Parameters as they were given, rendered and cast; defaults are filled in by the runner.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Names of parameters whose values must not be shown.
    #[serde(default)]
    pub secret: Vec<String>,
    /// The rule that asked; none when a person did.
    #[serde(default)]
    pub rule: Option<String>,
    /// The fact the rule matched.
    #[serde(default)]
    pub trigger_instance: Option<TriggerInstance>,
    /// Runners that may take it; a request that waited is asked for again there.
    #[serde(default = "pool_any")]
    pub pool: String,
    /// Log time of the cause.
    pub requested_at: Timestamp,
    /// Who asked: a user name, or `hearken` for rules.
    #[serde(default)]
    pub user: String,
    /// The execution this one repeats.
    #[serde(default)]
    pub rerun_of: Option<String>,
    /// What else StackStorm keeps beside an execution, such as `policies.retry`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
    /// The execution is not to start before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

fn pool_any() -> String {
    POOL_ANY.to_owned()
}

/// The event that a rule matched, by name and place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerInstance {
    /// Id of the event.
    pub id: String,
    /// Its trigger, `pack.name`.
    pub trigger: String,
    /// Its place in EVENTS.
    pub sequence: u64,
    /// Place in EVENTS of the definitions it was judged by.
    pub definitions: u64,
}

//! Trigger types: what kinds of events there are.

use serde_json::{Map, Value};

use super::problem::Problem;
use super::reader::Reader;
use crate::schedule::Schedule;

const FIELDS: &[&str] = &[
    "name",
    "pack",
    "ref",
    "id",
    "uid",
    "description",
    "payload_schema",
    "parameters_schema",
    "tags",
    "metadata_file",
    "payload_info",
    "parameters_info",
];

/// Trigger types that the system itself publishes.
const BUILT_IN: &[&str] = &[
    "core.st2.IntervalTimer",
    "core.st2.DateTimer",
    "core.st2.CronTimer",
    "core.st2.webhook",
    "core.st2.generic.actiontrigger",
    "core.st2.generic.notifytrigger",
    "core.st2.generic.inquiry",
    "core.st2.action.file_written",
    "core.st2.action.file_writen",
    "core.st2.sensor.process_spawn",
    "core.st2.sensor.process_exit",
    "core.st2.key_value_pair.create",
    "core.st2.key_value_pair.update",
    "core.st2.key_value_pair.delete",
    "core.st2.key_value_pair.value_change",
    "hearken.incident.opened",
    "hearken.incident.changed",
    "hearken.incident.closed",
    "hearken.check.changed",
    "hearken.facts.changed",
];

/// A kind of event.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerType {
    /// The pack it belongs to.
    pub pack: String,
    /// Its name within the pack; may hold dots.
    pub name: String,
    /// `pack.name`.
    pub reference: String,
    /// What it tells.
    pub description: String,
    /// What its events carry.
    pub payload_schema: Map<String, Value>,
    /// What a rule may ask of its publisher; empty for types that take nothing.
    pub parameters_schema: Map<String, Value>,
    /// Tags as they are written.
    pub tags: Value,
}

impl TriggerType {
    /// Reads a trigger type of `pack`.
    #[must_use]
    pub fn from_value(pack: &str, value: &Value) -> (Option<Self>, Vec<Problem>) {
        let mut reader = match Reader::new(value, "") {
            Ok(reader) => reader,
            Err(problem) => return (None, vec![problem]),
        };
        reader.unknown(FIELDS);
        reader.pack(pack);
        let name = reader.required_text("name");
        let description = reader.text("description").unwrap_or_default();
        let payload_schema = reader.mapping("payload_schema");
        let parameters_schema = reader.mapping("parameters_schema");
        let tags = reader.get("tags").cloned().unwrap_or(Value::Null);
        let fatal = reader.is_fatal();
        let Some(name) = name.filter(|_| !fatal) else {
            return (None, reader.problems);
        };
        let trigger_type = Self {
            pack: pack.to_owned(),
            reference: format!("{pack}.{name}"),
            name,
            description,
            payload_schema,
            parameters_schema,
            tags,
        };
        (Some(trigger_type), reader.problems)
    }
}

/// Whether the system itself publishes events of this type.
#[must_use]
pub fn is_built_in(reference: &str) -> bool {
    BUILT_IN.contains(&reference)
}

/// Whether events of this type come from the clock.
#[must_use]
pub fn is_timer(reference: &str) -> bool {
    matches!(reference, "core.st2.IntervalTimer" | "core.st2.DateTimer" | "core.st2.CronTimer")
}

/// Why no event of this type ever comes for `parameters`: those of the types that the system serves
/// by itself are always checked. The pointer leads into the parameters.
#[must_use]
pub fn check_parameters(reference: &str, parameters: &Map<String, Value>) -> Option<Problem> {
    if !needs_parameters(reference) {
        return None;
    }
    if parameters.is_empty() {
        let problem = Problem::fatal("", format!("{reference} without parameters never fires"));
        return Some(problem.hint(match reference {
            "core.st2.webhook" => "write parameters: {url: NAME}",
            "core.st2.DateTimer" => "write parameters: {date: \"2030-12-31 23:59:59\"}",
            "core.st2.CronTimer" => "write parameters: {hour: 3, timezone: UTC}",
            _ => "write parameters: {unit: minutes, delta: 5}",
        }));
    }
    if is_timer(reference) {
        let parameters = Value::Object(parameters.clone());
        return Schedule::parse(reference, &parameters, "UTC").err();
    }
    let url = parameters.get("url").and_then(Value::as_str).unwrap_or_default();
    url.trim_matches('/').is_empty().then(|| {
        Problem::fatal("/url", "a webhook without url never fires")
            .hint("write url: NAME, then post to /v1/webhooks/NAME")
    })
}

/// Whether a rule must say what it wants of this type before there can be events for it.
#[must_use]
pub fn needs_parameters(reference: &str) -> bool {
    is_timer(reference) || reference == "core.st2.webhook"
}

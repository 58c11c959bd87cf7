//! Sensors: programs that watch something and publish events. Only what their files say.

use serde_json::Value;

use super::problem::Problem;
use super::reader::Reader;
use super::trigger::TriggerType;

/// Shortest time between two polls, in seconds.
const POLL_INTERVAL_MIN: f64 = 4.0;

const FIELDS: &[&str] = &[
    "class_name",
    "entry_point",
    "pack",
    "description",
    "enabled",
    "poll_interval",
    "artifact_uri",
    "trigger_types",
    "metadata_file",
    "ref",
    "id",
    "uid",
    "name",
];

/// A sensor as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// The pack it belongs to.
    pub pack: String,
    /// The class that does the watching.
    pub class_name: String,
    /// `pack.class_name`.
    pub reference: String,
    /// The file it lies in, relative to the pack's `sensors/`.
    pub entry_point: String,
    /// What it is for.
    pub description: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Seconds between two polls; none for a sensor that waits by itself.
    pub poll_interval: Option<f64>,
    /// The trigger types whose events it publishes.
    pub trigger_types: Vec<TriggerType>,
}

impl Sensor {
    /// Reads a sensor of `pack`.
    #[must_use]
    pub fn from_value(pack: &str, value: &Value) -> (Option<Self>, Vec<Problem>) {
        let mut reader = match Reader::new(value, "") {
            Ok(reader) => reader,
            Err(problem) => return (None, vec![problem]),
        };
        reader.unknown(FIELDS);
        reader.pack(pack);
        let class_name = reader.required_text("class_name");
        let entry_point = reader.required_text("entry_point");
        let poll_interval = poll_interval(&mut reader);
        let trigger_types = trigger_types(pack, &mut reader);
        let description = reader.text("description").unwrap_or_default();
        let enabled = reader.boolean("enabled", true);
        let fatal = reader.is_fatal();
        let (Some(class_name), Some(entry_point), false) = (class_name, entry_point, fatal) else {
            return (None, reader.problems);
        };
        let sensor = Self {
            pack: pack.to_owned(),
            reference: format!("{pack}.{class_name}"),
            class_name,
            entry_point,
            description,
            enabled,
            poll_interval,
            trigger_types,
        };
        (Some(sensor), reader.problems)
    }
}

fn poll_interval(reader: &mut Reader<'_>) -> Option<f64> {
    let value = reader.get("poll_interval")?;
    match value.as_f64() {
        Some(seconds) if seconds >= POLL_INTERVAL_MIN => Some(seconds),
        Some(seconds) => {
            let message = format!("poll_interval {seconds} is raised to {POLL_INTERVAL_MIN}");
            reader.problems.push(Problem::notice(reader.at("poll_interval"), message));
            Some(POLL_INTERVAL_MIN)
        }
        None => {
            let message = "poll_interval must be a number of seconds";
            reader.problems.push(Problem::fatal(reader.at("poll_interval"), message));
            None
        }
    }
}

fn trigger_types(pack: &str, reader: &mut Reader<'_>) -> Vec<TriggerType> {
    let at = reader.at("trigger_types");
    let items = match reader.get("trigger_types") {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            reader.problems.push(Problem::fatal(at, "trigger_types must be a list"));
            return Vec::new();
        }
    };
    let mut types = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (trigger_type, problems) = TriggerType::from_value(pack, item);
        types.extend(trigger_type);
        reader.problems.extend(problems.into_iter().map(|problem| Problem {
            pointer: format!("{at}/{index}{}", problem.pointer),
            ..problem
        }));
    }
    types
}

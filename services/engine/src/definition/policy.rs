//! Policies: how many executions of an action run at once, how often it starts, and whether it is
//! tried again. Only what their files say; what follows is in [`crate::policy`].
//!
//! The types are StackStorm's `action.concurrency`, `action.concurrency.attr` and `action.retry`,
//! and `action.rate` of ours. A policy of another type is kept and listed, and has no effect.

use std::time::Duration;

use serde_json::Value;

use super::period;
use super::problem::{Problem, suggestion};
use super::reader::{Reader, plain_name};

const FIELDS: &[&str] = &[
    "name",
    "pack",
    "ref",
    "id",
    "uid",
    "description",
    "enabled",
    "resource_ref",
    "policy_type",
    "parameters",
    "tags",
    "metadata_file",
];

const TYPES: &[&str] =
    &["action.concurrency", "action.concurrency.attr", "action.rate", "action.retry"];

/// The largest limit of a rate: each start within the period is remembered.
const RATE_LIMIT_MAX: u64 = 10_000;
/// The shortest period of a rate: below it, what one start takes decides and no policy.
const PERIOD_MIN: Duration = Duration::from_millis(100);
/// The longest period of a rate.
const PERIOD_MAX: Duration = Duration::from_secs(31 * 86_400);
/// The most retries, as StackStorm has it.
const RETRIES_MAX: u64 = 5;
/// Retries where the policy does not say.
const RETRIES_DEFAULT: u32 = 2;
/// The longest pause before a retry, in seconds, as StackStorm has it.
const RETRY_DELAY_MAX: f64 = 120.0;

/// A policy as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The pack it belongs to.
    pub pack: String,
    /// Its name within the pack.
    pub name: String,
    /// `pack.name`.
    pub reference: String,
    /// What it is for.
    pub description: String,
    /// Whether it is in effect.
    pub enabled: bool,
    /// The action it is about, `pack.name`.
    pub action: String,
    /// What it asks for.
    pub kind: PolicyKind,
}

/// What a policy asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyKind {
    /// So many executions at once.
    Concurrency {
        /// The most that may run.
        threshold: u32,
        /// Parameters whose values are counted apart; none: all executions are counted together.
        attributes: Vec<String>,
        /// What becomes of one too many.
        excess: Excess,
    },
    /// So many starts in any period.
    Rate {
        /// The most starts.
        limit: u32,
        /// The length of the window.
        period: Duration,
        /// As for concurrency.
        attributes: Vec<String>,
        /// What becomes of one too many.
        excess: Excess,
    },
    /// Another execution when one has ended badly.
    Retry {
        /// Which end it is about.
        on: RetryOn,
        /// The most executions after the first.
        count_max: u32,
        /// The pause before each.
        delay: Duration,
    },
    /// A type that nobody here knows: without effect.
    Unknown(String),
}

/// What becomes of an execution for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It waits for its turn.
    Delay,
    /// It ends at once.
    Cancel,
}

/// Which end of an execution asks for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// It failed.
    Failure,
    /// Its time was over.
    Timeout,
}

impl Policy {
    /// Parameters whose values are counted apart.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        match &self.kind {
            PolicyKind::Concurrency { attributes, .. } | PolicyKind::Rate { attributes, .. } => {
                attributes
            }
            PolicyKind::Retry { .. } | PolicyKind::Unknown(_) => &[],
        }
    }

    /// Reads a policy of `pack`.
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
        let enabled = reader.boolean("enabled", true);
        let action = reader.required_text("resource_ref");
        let policy_type = reader.required_text("policy_type");
        let kind = policy_type.and_then(|policy_type| kind(&mut reader, &policy_type));
        let fatal = reader.is_fatal();
        let (Some(name), Some(action), Some(kind), false) = (name, action, kind, fatal) else {
            return (None, reader.problems);
        };
        let policy = Self {
            pack: pack.to_owned(),
            reference: format!("{pack}.{name}"),
            name,
            description,
            enabled,
            action: if action.contains('.') { action } else { format!("{pack}.{action}") },
            kind,
        };
        (Some(policy), reader.problems)
    }

    /// Whether it decides when an execution starts.
    #[must_use]
    pub const fn is_gate(&self) -> bool {
        matches!(self.kind, PolicyKind::Concurrency { .. } | PolicyKind::Rate { .. })
    }
}

fn kind(reader: &mut Reader<'_>, policy_type: &str) -> Option<PolicyKind> {
    let at = reader.at("parameters");
    let empty = Value::Object(serde_json::Map::new());
    let parameters = reader.get("parameters").unwrap_or(&empty);
    let mut inner = match Reader::new(parameters, &at) {
        Ok(inner) => inner,
        Err(problem) => {
            reader.problems.push(problem);
            return None;
        }
    };
    let kind = match policy_type {
        "action.concurrency" => {
            inner.unknown(&["threshold", "action"]);
            concurrency(&mut inner, Vec::new())
        }
        "action.concurrency.attr" => {
            inner.unknown(&["threshold", "action", "attributes"]);
            let attributes = attributes(&mut inner);
            if attributes.is_empty() && !inner.is_fatal() {
                missing(&mut inner, &at, "attributes", "attributes: [hosts]");
            }
            concurrency(&mut inner, attributes)
        }
        "action.rate" => {
            inner.unknown(&["limit", "period", "action", "attributes"]);
            rate(&mut inner, &at)
        }
        "action.retry" => {
            inner.unknown(&["retry_on", "max_retry_count", "delay"]);
            retry(&mut inner, &at)
        }
        other => {
            let message = format!("no policy type is called {other:?}: this one has no effect");
            let mut problem = Problem::notice(reader.at("policy_type"), message);
            if let Some(meant) = suggestion(other, TYPES) {
                problem = problem.hint(format!("did you mean {meant:?}?"));
            }
            reader.problems.push(problem);
            Some(PolicyKind::Unknown(other.to_owned()))
        }
    };
    reader.problems.append(&mut inner.problems);
    kind
}

fn concurrency(reader: &mut Reader<'_>, attributes: Vec<String>) -> Option<PolicyKind> {
    let excess = excess(reader);
    let threshold = number(reader, "threshold", 1, u64::from(u32::MAX), None)?;
    Some(PolicyKind::Concurrency { threshold, attributes, excess })
}

fn rate(reader: &mut Reader<'_>, at: &str) -> Option<PolicyKind> {
    let excess = excess(reader);
    let attributes = attributes(reader);
    let limit = number(reader, "limit", 1, RATE_LIMIT_MAX, None);
    let Some(value) = reader.get("period") else {
        missing(reader, at, "period", "period: 1m");
        return None;
    };
    let period =
        period::read(value).ok().filter(|period| (PERIOD_MIN..=PERIOD_MAX).contains(period));
    if period.is_none() {
        let message = "period must be a duration from 100ms to 31d, or a number of seconds";
        let problem = Problem::fatal(reader.at("period"), message);
        reader.problems.push(problem.hint("write it as 90s, 5m or 1h"));
    }
    Some(PolicyKind::Rate { limit: limit?, period: period?, attributes, excess })
}

fn retry(reader: &mut Reader<'_>, at: &str) -> Option<PolicyKind> {
    let on = match reader.text("retry_on").as_deref() {
        Some("failure") => Some(RetryOn::Failure),
        Some("timeout") => Some(RetryOn::Timeout),
        Some(other) => {
            let message = format!("retry_on must be failure or timeout, not {other:?}");
            reader.problems.push(Problem::fatal(reader.at("retry_on"), message));
            None
        }
        None if reader.get("retry_on").is_some() => None,
        None => {
            missing(reader, at, "retry_on", "retry_on: failure");
            None
        }
    };
    let count_max = number(reader, "max_retry_count", 1, RETRIES_MAX, Some(RETRIES_DEFAULT));
    let delay = reader.get("delay").map_or(Some(0.0), Value::as_f64);
    let delay = delay.filter(|delay| (0.0..=RETRY_DELAY_MAX).contains(delay));
    if delay.is_none() {
        let message = "delay must be a number of seconds from 0 to 120";
        reader.problems.push(Problem::fatal(reader.at("delay"), message));
    }
    let delay = Duration::from_secs_f64(delay?);
    Some(PolicyKind::Retry { on: on?, count_max: count_max?, delay })
}

fn excess(reader: &mut Reader<'_>) -> Excess {
    match reader.text("action").as_deref() {
        None | Some("delay") => Excess::Delay,
        Some("cancel") => Excess::Cancel,
        Some(other) => {
            let message = format!("action must be delay or cancel, not {other:?}");
            reader.problems.push(Problem::fatal(reader.at("action"), message));
            Excess::Delay
        }
    }
}

/// Names of parameters: a list, or one alone.
fn attributes(reader: &mut Reader<'_>) -> Vec<String> {
    let names = match reader.get("attributes") {
        None => return Vec::new(),
        Some(Value::String(name)) => Some(vec![name.clone()]),
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_str().map(ToOwned::to_owned)).collect()
        }
        Some(_) => None,
    };
    names.unwrap_or_else(|| {
        let message = "attributes must be a list of names of parameters";
        reader.problems.push(Problem::fatal(reader.at("attributes"), message));
        Vec::new()
    })
}

/// A whole number between two bounds.
fn number(
    reader: &mut Reader<'_>,
    field: &str,
    least: u64,
    most: u64,
    default: Option<u32>,
) -> Option<u32> {
    let Some(value) = reader.get(field) else {
        if default.is_none() {
            let at = reader.at("");
            missing(reader, at.trim_end_matches('/'), field, &format!("{field}: {least}"));
        }
        return default;
    };
    let number = value.as_u64().filter(|number| (least..=most).contains(number));
    let number = number.and_then(|number| u32::try_from(number).ok());
    if number.is_none() {
        let bounds = if most == u64::from(u32::MAX) {
            format!("of at least {least}")
        } else {
            format!("from {least} to {most}")
        };
        let found = if value.is_number() { value.to_string() } else { plain_name(value).into() };
        let message = format!("{field} must be a whole number {bounds}, not {found}");
        reader.problems.push(Problem::fatal(reader.at(field), message));
    }
    number
}

fn missing(reader: &mut Reader<'_>, at: &str, field: &str, example: &str) {
    let problem = Problem::fatal(at, format!("{field} is missing"));
    reader.problems.push(problem.hint(format!("for example {example}")));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(policy_type: &str, parameters: &Value) -> (Option<PolicyKind>, Vec<String>) {
        let (policy, problems) = Policy::from_value(
            "p",
            &json!({
                "name": "x", "resource_ref": "p.a", "policy_type": policy_type,
                "parameters": parameters,
            }),
        );
        let mark = |problem: &Problem| if problem.fatal { "!" } else { "" };
        let told = problems.iter().map(|p| format!("{}{}", p.pointer, mark(p))).collect();
        (policy.map(|policy| policy.kind), told)
    }

    #[test]
    fn policies_of_stackstorm_and_ours_are_read() {
        let rows = [
            (
                "action.concurrency",
                json!({"threshold": 2}),
                PolicyKind::Concurrency {
                    threshold: 2,
                    attributes: Vec::new(),
                    excess: Excess::Delay,
                },
            ),
            (
                "action.concurrency.attr",
                json!({"threshold": 1, "action": "cancel", "attributes": ["host", "port"]}),
                PolicyKind::Concurrency {
                    threshold: 1,
                    attributes: vec!["host".into(), "port".into()],
                    excess: Excess::Cancel,
                },
            ),
            (
                "action.retry",
                json!({"retry_on": "timeout"}),
                PolicyKind::Retry { on: RetryOn::Timeout, count_max: 2, delay: Duration::ZERO },
            ),
            (
                "action.retry",
                json!({"retry_on": "failure", "max_retry_count": 5, "delay": 1.5}),
                PolicyKind::Retry {
                    on: RetryOn::Failure,
                    count_max: 5,
                    delay: Duration::from_millis(1500),
                },
            ),
            (
                "action.rate",
                json!({"limit": 3, "period": "2s", "attributes": "host"}),
                PolicyKind::Rate {
                    limit: 3,
                    period: Duration::from_secs(2),
                    attributes: vec!["host".into()],
                    excess: Excess::Delay,
                },
            ),
        ];
        for (policy_type, parameters, expected) in rows {
            assert_eq!(read(policy_type, &parameters), (Some(expected), Vec::new()));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let rows = [
            ("action.concurrency", json!({}), "/parameters!"),
            ("action.concurrency", json!({"threshold": 0}), "/parameters/threshold!"),
            ("action.concurrency", json!({"threshold": "2"}), "/parameters/threshold!"),
            (
                "action.concurrency",
                json!({"threshold": 1, "action": "drop"}),
                "/parameters/action!",
            ),
            ("action.concurrency.attr", json!({"threshold": 1}), "/parameters!"),
            (
                "action.concurrency.attr",
                json!({"threshold": 1, "attributes": [1]}),
                "/parameters/attributes!",
            ),
            ("action.rate", json!({"limit": 10_001, "period": 1}), "/parameters/limit!"),
            ("action.rate", json!({"limit": 1, "period": "soon"}), "/parameters/period!"),
            ("action.rate", json!({"limit": 1, "period": 0}), "/parameters/period!"),
            ("action.rate", json!({"limit": 1, "period": "40d"}), "/parameters/period!"),
            ("action.retry", json!({}), "/parameters!"),
            ("action.retry", json!({"retry_on": "success"}), "/parameters/retry_on!"),
            (
                "action.retry",
                json!({"retry_on": "failure", "max_retry_count": 6}),
                "/parameters/max_retry_count!",
            ),
            ("action.retry", json!({"retry_on": "failure", "delay": 121}), "/parameters/delay!"),
            ("action.retry", json!([]), "/parameters!"),
        ];
        for (policy_type, parameters, expected) in rows {
            let (kind, told) = read(policy_type, &parameters);
            assert_eq!((kind, told), (None, vec![expected.to_owned()]), "{policy_type}");
        }
    }

    #[test]
    fn an_unknown_type_is_kept_without_effect() {
        let (kind, told) = read("action.concurency", &json!({"threshold": 1}));
        assert_eq!(kind, Some(PolicyKind::Unknown("action.concurency".to_owned())));
        assert_eq!(told, ["/policy_type"]);
    }
}

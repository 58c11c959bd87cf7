//! What a sensor says: a line of JSON each.
//!
//! `{"trigger": "shop.order", "payload": {…}}` is an event, also within `{"event": …}`; with
//! `"n": 1` it is answered once it is stored. `{"register": [types]}`, `{"log": {level, logger,
//! message}}`, `{"ready": true}` and `{"error": text}` are what the Python host says besides. Pure:
//! nothing is done here.

use serde_json::{Map, Value};

/// Longest error text that is kept, in characters: a line for a person.
const ERROR_CHARS_MAX: usize = 500;
/// Longest trace tag, in characters: it is kept in a header of the entry.
const TAG_CHARS_MAX: usize = 256;

/// A line, understood.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// An event.
    Event(Event),
    /// It publishes events of these types.
    Register(Vec<Value>),
    /// A line for the log.
    Log {
        /// Its level, in Python's words.
        level: String,
        /// The text, with the name of its logger.
        message: String,
    },
    /// It is set up, and begins its work.
    Ready,
    /// What went wrong.
    Error(String),
}

/// An event as a sensor tells it.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// Which trigger: a text, or a mapping.
    pub(crate) trigger: Value,
    /// What it carries.
    pub(crate) payload: Map<String, Value>,
    /// Its name, when the sensor gives it one.
    pub(crate) id: Option<String>,
    /// By which people find what belongs together.
    pub(crate) tag: Option<String>,
    /// What an answer is to carry; none when no answer is wanted.
    pub(crate) number: Option<u64>,
}

/// Reads a line. An error comes with the number that an answer is to carry.
pub(crate) fn read(line: &[u8]) -> Result<Said, (Option<u64>, String)> {
    let mut said: Map<String, Value> = serde_json::from_slice(line)
        .map_err(|error| (None, format!("a line is no JSON object: {error}")))?;
    let number = said.get("n").and_then(Value::as_u64);
    if let Some(Value::Array(types)) = said.remove("register") {
        return Ok(Said::Register(types));
    }
    if let Some(Value::Object(log)) = said.get("log") {
        let text = |name: &str| log.get(name).and_then(Value::as_str).unwrap_or_default();
        let message = format!("{}: {}", text("logger"), text("message"));
        return Ok(Said::Log { level: text("level").to_owned(), message });
    }
    if let Some(Value::String(error)) = said.get("error") {
        return Ok(Said::Error(shortened(error)));
    }
    if said.get("ready") == Some(&Value::Bool(true)) {
        return Ok(Said::Ready);
    }
    let mut event = match said.remove("event") {
        Some(Value::Object(event)) => event,
        _ => said,
    };
    let refuse = |why: &str| Err((number, why.to_owned()));
    let Some(trigger) = event.remove("trigger") else {
        return refuse("a line has no \"trigger\"");
    };
    let payload = match event.remove("payload") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => payload,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return refuse("the payload of an event is no mapping");
        }
    };
    let id = match event.remove("id") {
        Some(Value::String(id)) if !id.is_empty() => Some(id),
        Some(_) | None => None,
    };
    let context = event.get("trace_context").and_then(|context| context.get("trace_tag"));
    let tag = event.get("trace_tag").or(context).and_then(Value::as_str);
    let tag = tag.map(tidied).filter(|tag| !tag.is_empty());
    Ok(Said::Event(Event { trigger, payload, id, tag, number }))
}

/// A trace tag as a header can hold it.
fn tidied(tag: &str) -> String {
    tag.trim().chars().filter(|c| !c.is_control()).take(TAG_CHARS_MAX).collect()
}

/// An error as it is kept: one line, not too long.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(trigger: Value, payload: Value, id: Option<&str>, number: Option<u64>) -> Said {
        let payload = payload.as_object().cloned().unwrap();
        Said::Event(Event { trigger, payload, id: id.map(str::to_owned), tag: None, number })
    }

    #[test]
    fn a_trace_tag_is_one_line_however_it_is_given() {
        let long = "x".repeat(TAG_CHARS_MAX + 1);
        for (more, expected) in [
            (json!({"trace_tag": "order 7"}), Some("order 7")),
            (json!({"trace_tag": " a\r\nEvil: b"}), Some("aEvil: b")),
            (json!({"trace_context": {"trace_tag": "t"}}), Some("t")),
            (json!({"trace_tag": long}), Some(&long[1..])),
            (json!({"trace_tag": "\n"}), None),
            (json!({"trace_tag": null, "trace_context": null}), None),
        ] {
            let mut line = json!({"trigger": "a.b"});
            line.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            let Ok(Said::Event(event)) = read(line.to_string().as_bytes()) else {
                panic!("{line} is an event");
            };
            assert_eq!(event.tag.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn lines_are_understood_or_refused_with_a_reason() {
        let refused = |number, why: &str| Err((number, why.to_owned()));
        for (line, expected) in [
            (json!({"trigger": "a.b"}), Ok(event(json!("a.b"), json!({}), None, None))),
            (
                json!({"trigger": "a.b", "payload": {"x": 1}, "id": "7", "n": 3}),
                Ok(event(json!("a.b"), json!({"x": 1}), Some("7"), Some(3))),
            ),
            (
                json!({"event": {"trigger": {"trigger": "a.b"}, "payload": null}, "n": 1}),
                Ok(event(json!({"trigger": "a.b"}), json!({}), None, Some(1))),
            ),
            (json!({"register": [{}]}), Ok(Said::Register(vec![json!({})]))),
            (
                json!({"log": {"level": "INFO", "logger": "L", "message": "m"}}),
                Ok(Said::Log { level: "INFO".to_owned(), message: "L: m".to_owned() }),
            ),
            (json!({"error": "bad\nmore"}), Ok(Said::Error("bad".to_owned()))),
            (json!({"ready": true}), Ok(Said::Ready)),
            (json!({"payload": {}, "n": 2}), refused(Some(2), "a line has no \"trigger\"")),
            (
                json!({"trigger": "a.b", "payload": [1]}),
                refused(None, "the payload of an event is no mapping"),
            ),
        ] {
            assert_eq!(read(line.to_string().as_bytes()), expected, "{line}");
        }
        let (_, why) = read(b"hello").unwrap_err();
        assert!(why.starts_with("a line is no JSON object: "), "{why}");
    }
}

//! Payloads against the schema of their trigger type.
//!
//! As in StackStorm: what is absent or null takes its default, an optional field without one may be
//! null, and the rest is the engine's check. What does not fit is refused, and the sensor's last
//! error says so. Pure.

use hearken_engine::parameters::schema::check_value;
use serde_json::{Map, Value};

use crate::said::shortened;

/// The payload with defaults in place, or what is wrong with it.
pub(crate) fn complete(
    payload: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut payload = Value::Object(payload);
    fill(&mut payload, schema);
    let mut checked = payload.clone();
    leave_out_nulls(&mut checked, schema);
    if let Err(why) = check_value(&checked, schema) {
        let (place, why) = innermost(&mut checked, schema, "payload".to_owned(), why);
        return Err(shortened(&format!("{place}: {why}")));
    }
    match payload {
        Value::Object(payload) => Ok(payload),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("the payload of an event is no mapping".to_owned())
        }
    }
}

/// The fields that a schema describes.
fn properties(schema: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let all = schema.get("properties").and_then(Value::as_object);
    all.into_iter().flatten().filter_map(|(name, schema)| Some((name, schema.as_object()?)))
}

/// The parts of a value that its schema describes one by one, with what they are called.
fn parts<'a>(
    value: &'a mut Value,
    schema: &'a Map<String, Value>,
) -> Vec<(String, &'a mut Value, &'a Map<String, Value>)> {
    match value {
        Value::Object(map) => {
            let described = schema.get("properties").and_then(Value::as_object);
            let part = |(name, value): (&String, &'a mut Value)| {
                Some((format!(".{name}"), value, described?.get(name)?.as_object()?))
            };
            map.iter_mut().filter_map(part).collect()
        }
        Value::Array(items) => {
            let described = schema.get("items").and_then(Value::as_object);
            let part = |(index, item): (usize, &'a mut Value)| {
                Some((format!("[{index}]"), item, described?))
            };
            items.iter_mut().enumerate().filter_map(part).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Puts defaults where nothing, or null, was given.
fn fill(value: &mut Value, schema: &Map<String, Value>) {
    if let Value::Object(map) = value {
        for (name, property) in properties(schema) {
            if map.get(name).is_none_or(Value::is_null)
                && let Some(default) = property.get("default")
            {
                map.insert(name.clone(), default.clone());
            }
        }
    }
    parts(value, schema).into_iter().for_each(|(_, part, schema)| fill(part, schema));
}

/// Takes out the nulls that an optional field may have: they count as absent.
fn leave_out_nulls(value: &mut Value, schema: &Map<String, Value>) {
    if let Value::Object(map) = value {
        for (name, property) in properties(schema) {
            let is_required = property.get("required") == Some(&Value::Bool(true));
            if !is_required && map.get(name).is_some_and(Value::is_null) {
                map.shift_remove(name);
            }
        }
    }
    let inner = parts(value, schema).into_iter();
    inner.for_each(|(_, part, schema)| leave_out_nulls(part, schema));
}

/// The innermost part that is at fault, and why.
fn innermost(
    value: &mut Value,
    schema: &Map<String, Value>,
    place: String,
    why: String,
) -> (String, String) {
    for (name, part, schema) in parts(value, schema) {
        if let Err(why) = check_value(part, schema) {
            return innermost(part, schema, format!("{place}{name}"), why);
        }
    }
    (place, why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_is_completed_or_refused_by_name() {
        let schema = json!({
            "type": "object",
            "properties": {
                "order": {"type": "integer", "required": true},
                "note": {"type": "string"},
                "state": {"type": "string", "enum": ["late", "lost"], "default": "late"},
                "lines": {"type": "array", "items": {"type": "object", "properties": {
                    "count": {"type": "integer", "default": 1},
                }}},
            },
            "additionalProperties": false,
        });
        let refused = |why: &str| Err(why.to_owned());
        for (payload, expected) in [
            (json!({"order": 7}), Ok(json!({"order": 7, "state": "late"}))),
            (
                json!({"order": 7, "note": null, "state": null, "lines": [{}]}),
                Ok(json!({"order": 7, "note": null, "state": "late", "lines": [{"count": 1}]})),
            ),
            (json!({"order": "7"}), refused("payload.order: '7' is not of type 'integer'")),
            (json!({}), refused("payload: 'order' is a required property")),
            (json!({"order": null}), refused("payload.order: None is not of type 'integer'")),
            (
                json!({"order": 7, "lines": [{"count": 1}, {"count": 1.5}]}),
                refused("payload.lines[1].count: 1.5 is not of type 'integer'"),
            ),
            (
                json!({"order": 7, "x": 1}),
                refused("payload: Additional properties are not allowed ('x' was unexpected)"),
            ),
        ] {
            let given = payload.as_object().cloned().unwrap();
            let found = complete(given, schema.as_object().unwrap()).map(Value::Object);
            assert_eq!(found, expected, "{payload}");
        }
        let other = json!({"anything": [null]}).as_object().cloned().unwrap();
        assert_eq!(complete(other.clone(), &Map::new()), Ok(other));
    }

    #[test]
    fn what_is_told_of_a_long_value_is_short() {
        let schema = json!({"properties": {"text": {"type": "integer"}}});
        let given = json!({"text": "x".repeat(1 << 20)}).as_object().cloned().unwrap();
        let why = complete(given, schema.as_object().unwrap()).unwrap_err();
        assert!(why.starts_with("payload.text: 'xxx") && why.len() < 1000, "{why}");
    }
}

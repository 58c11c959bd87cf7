//! Payloads that sensors tell against the schema of their trigger type.
//!
//! What does not fit is refused, and the sensor's last error says so. What fits is the engine's to
//! say. Pure.

use hearken_engine::parameters::payload;
use serde_json::{Map, Value};

use crate::said::shortened;

/// The payload with defaults in place, or what is wrong with it.
pub(crate) fn complete(
    payload: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    match payload::accept(Value::Object(payload), schema) {
        Ok(Value::Object(payload)) => Ok(payload),
        Ok(_) => Err("the payload of an event is no mapping".to_owned()),
        Err(refused) => Err(shortened(&format!("{}: {}", refused.path, refused.reason))),
    }
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

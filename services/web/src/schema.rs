//! Payloads against the schema of their trigger type.
//!
//! As in StackStorm: what is absent or null takes its default, an optional field without one may be
//! null, and the rest is the engine's check. Only what comes in over HTTP is refused: an event on
//! the bus is a fact that has happened, whatever its form.

use hearken_engine::parameters::schema::check_value;
use hearken_engine::registry::Registry;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// The longest part of a schema that is shown in a hint.
const SHOWN_MAX: usize = 300;

/// The payload with defaults in place, if `trigger`'s type accepts it.
pub(crate) fn accept(registry: &Registry, trigger: &str, payload: Value) -> Result<Value, Fault> {
    let Some(known) = registry.triggers().find(|known| known.reference == trigger) else {
        return Ok(payload);
    };
    let schema = &known.payload_schema;
    if schema.is_empty() {
        return Ok(payload);
    }
    let payload = filled(payload, schema);
    let checked = without_nulls(&payload, schema);
    let Err(reason) = check_value(&checked, schema) else { return Ok(payload) };
    let (path, reason, expected) = locate(&checked, schema, "payload".to_owned(), reason);
    let expected = shown(expected);
    Err(Fault::bad(format!("{path}: {reason}"))
        .hint(format!("the trigger type {trigger} expects {path} to be {expected}")))
}

/// Refuses a value that `schema` does not accept; `name` is what it is called.
pub(crate) fn check(name: &str, value: &Value, schema: &Map<String, Value>) -> Result<(), Fault> {
    let Err(reason) = check_value(value, schema) else { return Ok(()) };
    let (path, reason, expected) = locate(value, schema, name.to_owned(), reason);
    let expected = shown(expected);
    Err(Fault::bad(format!("{path}: {reason}")).hint(format!("{path} is to be {expected}")))
}

fn shown(schema: &Map<String, Value>) -> String {
    Value::Object(schema.clone()).to_string().chars().take(SHOWN_MAX).collect()
}

fn properties(schema: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let all = schema.get("properties").and_then(Value::as_object);
    all.into_iter().flatten().filter_map(|(name, schema)| Some((name, schema.as_object()?)))
}

/// Puts defaults where nothing, or null, was given.
fn filled(mut value: Value, schema: &Map<String, Value>) -> Value {
    match &mut value {
        Value::Object(map) => {
            for (name, property) in properties(schema) {
                if map.get(name).is_none_or(Value::is_null)
                    && let Some(default) = property.get("default")
                {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(inner) = map.get_mut(name) {
                    *inner = filled(inner.take(), property);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items").and_then(Value::as_object) {
                for item in items {
                    *item = filled(item.take(), schema);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// The value without the nulls that an optional field may have: they count as absent.
fn without_nulls(value: &Value, schema: &Map<String, Value>) -> Value {
    let mut value = value.clone();
    match &mut value {
        Value::Object(map) => {
            for (name, property) in properties(schema) {
                let is_required = property.get("required").is_some_and(|r| *r == Value::Bool(true));
                if !is_required && map.get(name).is_some_and(Value::is_null) {
                    map.shift_remove(name);
                } else if let Some(inner) = map.get_mut(name) {
                    *inner = without_nulls(inner, property);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items").and_then(Value::as_object) {
                for item in items {
                    *item = without_nulls(item, schema);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// The innermost field that is at fault, why, and what its schema is.
fn locate<'a>(
    value: &Value,
    schema: &'a Map<String, Value>,
    path: String,
    reason: String,
) -> (String, String, &'a Map<String, Value>) {
    if let Value::Object(map) = value {
        for (name, property) in properties(schema) {
            if let Some(inner) = map.get(name)
                && let Err(reason) = check_value(inner, property)
            {
                return locate(inner, property, format!("{path}.{name}"), reason);
            }
        }
    }
    if let (Value::Array(items), Some(schema)) =
        (value, schema.get("items").and_then(Value::as_object))
    {
        for (index, item) in items.iter().enumerate() {
            if let Err(reason) = check_value(item, schema) {
                return locate(item, schema, format!("{path}[{index}]"), reason);
            }
        }
    }
    (path, reason, schema)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hearken_engine::definition::TriggerType;
    use hearken_engine::registry::PackDefinitions;
    use serde_json::json;

    use super::*;

    fn check(payload: &Value, expected: Result<Value, &str>) {
        let written = json!({"name": "late", "payload_schema": {
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
        }});
        let (trigger, _problems) = TriggerType::from_value("shop", &written);
        let pack = PackDefinitions {
            name: "shop".to_owned(),
            triggers: vec![trigger.unwrap()],
            ..PackDefinitions::default()
        };
        let (registry, _findings) = Registry::new([pack], &BTreeMap::new());
        let found = accept(&registry, "shop.late", payload.clone());
        let found = found.map_err(|fault| fault.reason);
        assert_eq!(found, expected.map_err(ToOwned::to_owned), "{payload}");
        assert_eq!(accept(&registry, "shop.other", payload.clone()).unwrap(), *payload);
    }

    #[test]
    fn a_payload_is_completed_or_refused_by_name() {
        check(&json!({"order": 7}), Ok(json!({"order": 7, "state": "late"})));
        check(
            &json!({"order": 7, "note": null, "state": null, "lines": [{}]}),
            Ok(json!({"order": 7, "note": null, "state": "late", "lines": [{"count": 1}]})),
        );
        check(&json!({"order": "7"}), Err("payload.order: '7' is not of type 'integer'"));
        check(&json!({}), Err("payload: 'order' is a required property"));
        check(&json!({"order": null}), Err("payload.order: None is not of type 'integer'"));
        check(
            &json!({"order": 7, "state": "x"}),
            Err("payload.state: 'x' is not one of ['late', 'lost']"),
        );
        check(
            &json!({"order": 7, "lines": [{"count": 1}, {"count": 1.5}]}),
            Err("payload.lines[1].count: 1.5 is not of type 'integer'"),
        );
        check(
            &json!({"order": 7, "x": 1}),
            Err("payload: Additional properties are not allowed ('x' was unexpected)"),
        );
    }
}

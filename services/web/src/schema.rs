//! Payloads that come in over HTTP against the schema of their trigger type.
//!
//! Only what comes in over HTTP is refused here: an event on the bus is a fact that has happened,
//! whatever its form. What fits is the engine's to say.

use hearken_engine::parameters::payload::{self, Refused};
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
    payload::accept(payload, &known.payload_schema).map_err(|refused| {
        let Refused { path, reason, expected } = refused;
        let expected = shown(expected);
        Fault::bad(format!("{path}: {reason}"))
            .hint(format!("the trigger type {trigger} expects {path} to be {expected}"))
    })
}

/// Refuses a value that `schema` does not accept; `name` is what it is called.
pub(crate) fn check(name: &str, value: &Value, schema: &Map<String, Value>) -> Result<(), Fault> {
    payload::check(name, value, schema).map_err(|refused| {
        let Refused { path, reason, expected } = refused;
        Fault::bad(format!("{path}: {reason}")).hint(format!("{path} is to be {}", shown(expected)))
    })
}

fn shown(schema: &Map<String, Value>) -> String {
    Value::Object(schema.clone()).to_string().chars().take(SHOWN_MAX).collect()
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

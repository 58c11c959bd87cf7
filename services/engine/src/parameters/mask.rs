//! What may be shown of parameters: secret values become eight asterisks.

use serde_json::{Map, Value};

use crate::definition::Parameters;

/// What stands in place of a secret.
pub const MASK: &str = "********";

/// `values` with everything hidden that `parameters` mark as secret, nested properties included.
#[must_use]
pub fn masked(parameters: &Parameters, values: &Map<String, Value>) -> Map<String, Value> {
    values
        .iter()
        .map(|(name, value)| {
            let shown = match parameters.get(name) {
                Some(parameter) => hide(value, &Value::Object(parameter.schema.clone())),
                None => value.clone(),
            };
            (name.clone(), shown)
        })
        .collect()
}

fn hide(value: &Value, schema: &Value) -> Value {
    if schema.get("secret").and_then(Value::as_bool) == Some(true) {
        return if value.is_null() { Value::Null } else { Value::String(MASK.to_owned()) };
    }
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, inner)| {
                    let property = schema
                        .get("properties")
                        .and_then(|properties| properties.get(name))
                        .or_else(|| schema.get("additionalProperties"));
                    (name.clone(), property.map_or_else(|| inner.clone(), |p| hide(inner, p)))
                })
                .collect(),
        ),
        Value::Array(items) => match schema.get("items") {
            Some(schema) => Value::Array(items.iter().map(|item| hide(item, schema)).collect()),
            None => value.clone(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_lie() {
        let schema = json!({
            "token": {"type": "string", "secret": true},
            "login": {"type": "object", "properties": {"password": {"secret": true}, "user": {}}},
            "keys": {"type": "array", "items": {"type": "string", "secret": true}},
            "plain": {"type": "string"},
        });
        let (parameters, problems) = Parameters::from_map(schema.as_object().unwrap(), "");
        assert!(problems.is_empty(), "{problems:?}");
        let values = json!({
            "token": "t", "login": {"password": "p", "user": "u"}, "keys": ["k", null],
            "plain": "x", "unknown": "y",
        });
        assert_eq!(
            Value::Object(masked(&parameters, values.as_object().unwrap())),
            json!({
                "token": MASK, "login": {"password": MASK, "user": "u"}, "keys": [MASK, null],
                "plain": "x", "unknown": "y",
            })
        );
    }
}

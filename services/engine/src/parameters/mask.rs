//! What may be shown of parameters: secret values become eight asterisks, and so do parameters that
//! repeat a secret, such as a command line that a template put a password into.

use serde_json::{Map, Value};

use crate::definition::Parameters;
use crate::value::json::{Layout, dumps};

/// What stands in place of a secret.
pub const MASK: &str = "********";
/// A secret text of at least so many characters is looked for in the other values. Shorter ones
/// appear by chance.
const REPEATED_CHARS_MIN: usize = 4;

/// `values` with everything hidden that `parameters` mark as secret, nested properties included.
#[must_use]
pub fn masked(parameters: &Parameters, values: &Map<String, Value>) -> Map<String, Value> {
    let mut secrets = Vec::new();
    let mut shown = Map::with_capacity(values.len());
    for (name, value) in values {
        let hidden = match parameters.get(name) {
            Some(parameter) => hide(value, &Value::Object(parameter.schema.clone())),
            None => value.clone(),
        };
        gather(value, &hidden, &mut secrets);
        shown.insert(name.clone(), hidden);
    }
    for value in shown.values_mut().filter(|value| repeats(value, &secrets)) {
        *value = Value::from(MASK);
    }
    shown
}

/// Whether a schema marks the value, or a part of it, as secret.
#[must_use]
pub fn has_secret(schema: &Map<String, Value>) -> bool {
    let marked = schema.get("secret").and_then(Value::as_bool) == Some(true);
    let inside = |schema: &Value| schema.as_object().is_some_and(has_secret);
    let property = |all: &Value| all.as_object().is_some_and(|all| all.values().any(inside));
    let items = |items: &Value| match items.as_array() {
        Some(schemas) => schemas.iter().any(inside),
        None => inside(items),
    };
    marked
        || schema.get("properties").is_some_and(property)
        || schema.get("additionalProperties").is_some_and(inside)
        || schema.get("items").is_some_and(items)
}

/// The texts of `value` that are not in `hidden` any more.
fn gather(value: &Value, hidden: &Value, secrets: &mut Vec<String>) {
    match (value, hidden) {
        (Value::Array(items), Value::Array(hidden)) => {
            items.iter().zip(hidden).for_each(|(item, hidden)| gather(item, hidden, secrets));
        }
        (Value::Object(map), Value::Object(hidden)) => {
            map.values().zip(hidden.values()).for_each(|(v, hidden)| gather(v, hidden, secrets));
        }
        (value, hidden) if value == hidden => {}
        (value, _) => texts(value, secrets),
    }
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(map) => map.values().for_each(|item| texts(item, found)),
        Value::String(_) | Value::Number(_) => {
            let text = crate::value::text::text(value);
            if text.chars().count() >= REPEATED_CHARS_MIN {
                let forms = escaped(value);
                found.extend(forms.into_iter().filter(|form| *form != text));
                found.push(text);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A text as it stands within JSON: as it is written most often, and as Python and our templates
/// write it.
fn escaped(value: &Value) -> Vec<String> {
    let mut forms = vec![value.to_string(), dumps(value, &Layout::default())];
    forms.dedup();
    let bare = |form: &str| Some(form.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    forms.into_iter().map(|form| bare(&form).unwrap_or(form)).collect()
}

fn repeats(value: &Value, secrets: &[String]) -> bool {
    let within = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    match value {
        Value::String(text) => within(text),
        Value::Array(items) => items.iter().any(|item| repeats(item, secrets)),
        Value::Object(map) => map.iter().any(|(name, item)| within(name) || repeats(item, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
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
        let repeated = json!({"token": "hunter2", "plain": "login -p hunter2", "unknown": ["z"]});
        assert_eq!(
            Value::Object(masked(&parameters, repeated.as_object().unwrap())),
            json!({"token": MASK, "plain": MASK, "unknown": ["z"]})
        );
        let written = json!({
            "token": "a\"b\u{e9}c", "unknown": r#"{"t": "a\"b\u00e9c"}"#,
            "plain": "{\"t\": \"a\\\"b\u{e9}c\"}",
        });
        assert_eq!(
            Value::Object(masked(&parameters, written.as_object().unwrap())),
            json!({"token": MASK, "plain": MASK, "unknown": MASK})
        );
        for (name, expected) in [("token", true), ("login", true), ("keys", true), ("plain", false)]
        {
            let parameter = parameters.get(name).unwrap();
            assert_eq!(has_secret(&parameter.schema), expected, "{name}");
        }
    }
}

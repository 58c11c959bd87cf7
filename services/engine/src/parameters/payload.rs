//! Payloads of events against the schema of their trigger type.
//!
//! As in StackStorm: what is absent or null takes its default, an optional field without one may be
//! null, and the rest is the schema's check. Who refuses what does not fit is the caller's affair.

use serde_json::{Map, Value};

use super::schema::check_value;

/// A value that its schema does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// The innermost field that is at fault: `payload.lines[1].count`.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// What it is to be.
    pub expected: &'a Map<String, Value>,
}

/// The payload with defaults in place.
///
/// # Errors
/// When `schema` does not accept it.
pub fn accept(payload: Value, schema: &Map<String, Value>) -> Result<Value, Refused<'_>> {
    if schema.is_empty() {
        return Ok(payload);
    }
    let payload = filled(payload, schema);
    check("payload", &without_nulls(&payload, schema), schema)?;
    Ok(payload)
}

/// Checks a value that is called `name`.
///
/// # Errors
/// When `schema` does not accept it.
pub fn check<'a>(
    name: &str,
    value: &Value,
    schema: &'a Map<String, Value>,
) -> Result<(), Refused<'a>> {
    let Err(reason) = check_value(value, schema) else { return Ok(()) };
    let (path, reason, expected) = locate(value, schema, name.to_owned(), reason);
    Err(Refused { path, reason, expected })
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

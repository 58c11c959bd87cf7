//! Validation: JSON schema draft 4 with `required` as a boolean on the property.
//!
//! This is StackStorm's dialect to the letter: defaults fill what is absent or null, optional
//! properties without a default accept null, an untyped one of those must be text, and what the
//! schema does not name is refused. The words of a refusal are those of Python's `jsonschema`.

use serde_json::{Map, Value, json};

use super::Error;
use crate::definition::Parameters;
use crate::pattern::regex::{Flags, Regex};
use crate::value::compare::{equal, is_true};
use crate::value::text::repr;

/// Deepest nesting that is validated.
const DEPTH_MAX: usize = 64;

/// Checks the parameters of a request. Defaults count as given, but are not added.
///
/// # Errors
/// [`Error::Schema`] for the first fault.
pub fn check(parameters: &Parameters, given: &Map<String, Value>) -> Result<(), Error> {
    let whole = |reason: String| Err(Error::Schema { parameter: None, reason });
    let strangers: Vec<String> = given
        .keys()
        .filter(|name| parameters.get(name).is_none())
        .map(|name| repr(&Value::String(name.clone())))
        .collect();
    if !strangers.is_empty() {
        return whole(unexpected(&strangers));
    }
    for parameter in parameters.iter() {
        let has_value = given.get(&parameter.name).is_some_and(|value| !value.is_null());
        let absent = !given.contains_key(&parameter.name) && parameter.default.is_none();
        if parameter.required && absent && !has_value {
            return whole(format!("'{}' is a required property", parameter.name));
        }
    }
    for parameter in parameters.iter() {
        let refused = |reason| Error::Schema { parameter: Some(parameter.name.clone()), reason };
        match given.get(&parameter.name) {
            Some(value) if !value.is_null() => parameter.check.value(value).map_err(refused)?,
            // An explicit `default: null` puts a null in, which the rest of the schema then sees.
            given => match (&parameter.check.default_fault, given) {
                (Some(Ok(())), _) => {}
                (Some(Err(reason)), _) => return Err(refused(reason.clone())),
                (None, Some(null)) => parameter.check.value(null).map_err(refused)?,
                (None, None) => {}
            },
        }
    }
    Ok(())
}

/// What a parameter's values are checked against, worked out once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    /// The schema with null among its types where st2 allows null.
    schema: Value,
    /// Whether nested defaults may have to be filled in.
    has_parts: bool,
    /// What the schema says of its own default; none when it has none.
    default_fault: Option<Result<(), String>>,
}

impl Check {
    /// Prepares the schema of one parameter.
    pub(crate) fn new(schema: &Map<String, Value>) -> Self {
        let default = schema.get("default");
        let schema = accepting_null(&Value::Object(schema.clone()), true);
        let has_parts = schema.get("properties").is_some() || schema.get("items").is_some();
        let mut check = Self { schema, has_parts, default_fault: None };
        check.default_fault = default.map(|default| check.value(default));
        check
    }

    fn value(&self, value: &Value) -> Checked {
        if self.has_parts {
            return validate(&filled(value, &self.schema), &self.schema, 0);
        }
        validate(value, &self.schema, 0)
    }
}

/// Checks any value against a schema, such as a trigger's payload.
///
/// # Errors
/// The first fault, in words.
pub fn check_value(value: &Value, schema: &Map<String, Value>) -> Result<(), String> {
    let schema = Value::Object(schema.clone());
    validate(&filled(value, &schema), &schema, 0)
}

fn unexpected(names: &[String]) -> String {
    let verb = if names.len() == 1 { "was" } else { "were" };
    format!("Additional properties are not allowed ({} {verb} unexpected)", names.join(", "))
}

/// The schema of a property with null among its types where st2 allows null.
fn accepting_null(schema: &Value, top: bool) -> Value {
    let Value::Object(original) = schema else {
        return schema.clone();
    };
    let mut schema = original.clone();
    if schema.is_empty() && top {
        return json!({"anyOf": [
            {"type": "array"}, {"type": "boolean"}, {"type": "integer"}, {"type": "number"},
            {"type": "object"}, {"type": "string"}, {"type": "null"},
        ]});
    }
    let optional = !schema.get("required").is_some_and(is_true);
    let no_default = schema.get("default").is_none_or(Value::is_null);
    if (optional || schema.contains_key("default")) && no_default {
        add_null(&mut schema);
    }
    let types = original.get("type").cloned().unwrap_or(Value::Null);
    let has_type = |word: &str| {
        types.as_str() == Some(word)
            || types.as_array().is_some_and(|types| types.iter().any(|t| t.as_str() == Some(word)))
    };
    if has_type("array")
        && let Some(items) = schema.get_mut("items")
    {
        properties_accepting_null(items);
    }
    if has_type("object") {
        let mut object = Value::Object(schema);
        properties_accepting_null(&mut object);
        return object;
    }
    Value::Object(schema)
}

fn properties_accepting_null(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        *property = accepting_null(property, false);
    }
}

fn add_null(schema: &mut Map<String, Value>) {
    let null_type = json!({"type": "null"});
    for combination in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = schema.get_mut(combination) {
            if !choices.iter().any(|choice| *choice == null_type || choice == "null") {
                choices.push(null_type);
            }
            return;
        }
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => {
            if !types.iter().any(|word| word == "null") {
                types.push(json!("null"));
            }
        }
        Some(Value::String(word)) if word == "null" => {}
        Some(Value::String(word)) => {
            let types = json!([word, "null"]);
            schema.insert("type".to_owned(), types);
        }
        Some(_) | None => {
            schema.insert("type".to_owned(), json!(["string", "null"]));
        }
    }
}

/// The value with the defaults of nested properties in place.
fn filled(value: &Value, schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    match value {
        Value::Object(map) => {
            let mut map = map.clone();
            for (name, property) in properties.into_iter().flatten() {
                if map.get(name).is_none_or(Value::is_null)
                    && let Some(default) = property.get("default")
                {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(inner) = map.get_mut(name) {
                    *inner = filled(inner, property);
                }
            }
            Value::Object(map)
        }
        Value::Array(items) => {
            let of = |index: usize| match schema.get("items") {
                Some(Value::Array(schemas)) => schemas.get(index),
                other => other,
            };
            let items = items.iter().enumerate().map(|(index, item)| match of(index) {
                Some(schema) => filled(item, schema),
                None => item.clone(),
            });
            Value::Array(items.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

type Checked = Result<(), String>;

fn validate(value: &Value, schema: &Value, depth: usize) -> Checked {
    if depth > DEPTH_MAX {
        return Err("the schema is nested too deeply".to_owned());
    }
    let Value::Object(schema) = schema else {
        return Ok(());
    };
    check_type(value, schema)?;
    if let Some(Value::Array(choices)) = schema.get("enum")
        && !choices.iter().any(|choice| same(choice, value))
    {
        let choices = repr(&Value::Array(choices.clone()));
        return Err(format!("{} is not one of {choices}", repr(value)));
    }
    check_combinations(value, schema, depth)?;
    match value {
        Value::Number(number) => check_number(value, number.as_f64().unwrap_or(f64::NAN), schema),
        Value::String(text) => check_text(text, schema),
        Value::Array(items) => check_items(value, items, schema, depth),
        Value::Object(map) => check_properties(value, map, schema, depth),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

/// Equal, but true is not 1.
fn same(left: &Value, right: &Value) -> bool {
    left.is_boolean() == right.is_boolean() && equal(left, right)
}

fn is_of_type(value: &Value, word: &str) -> bool {
    match word {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        "any" => true,
        _ => false,
    }
}

fn check_type(value: &Value, schema: &Map<String, Value>) -> Checked {
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => return Ok(()),
    };
    if words.iter().any(|word| is_of_type(value, word)) {
        return Ok(());
    }
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    Err(format!("{} is not of type {}", repr(value), words.join(", ")))
}

fn check_combinations(value: &Value, schema: &Map<String, Value>, depth: usize) -> Checked {
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    let holds = |choice: &Value| validate(value, choice, depth + 1).is_ok();
    for part in list("allOf").into_iter().flatten() {
        validate(value, part, depth + 1)?;
    }
    let refused = || format!("{} is not valid under any of the given schemas", repr(value));
    if list("anyOf").is_some_and(|choices| !choices.iter().any(holds)) {
        return Err(refused());
    }
    if let Some(choices) = list("oneOf") {
        match choices.iter().filter(|choice| holds(choice)).count() {
            0 => return Err(refused()),
            1 => {}
            _ => return Err(format!("{} is valid under each of several schemas", repr(value))),
        }
    }
    if let Some(not) = schema.get("not")
        && holds(not)
    {
        return Err(format!("{} should not be valid under {}", repr(value), repr(not)));
    }
    Ok(())
}

fn check_number(value: &Value, number: f64, schema: &Map<String, Value>) -> Checked {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let exclusive = |name: &str| schema.get(name).is_some_and(is_true);
    if let Some(minimum) = bound("minimum") {
        let open = exclusive("exclusiveMinimum");
        if number < minimum || (open && number <= minimum) {
            let relation = if open { "less than or equal to" } else { "less than" };
            return Err(format!("{} is {relation} the minimum of {minimum}", repr(value)));
        }
    }
    if let Some(maximum) = bound("maximum") {
        let open = exclusive("exclusiveMaximum");
        if number > maximum || (open && number >= maximum) {
            let relation = if open { "greater than or equal to" } else { "greater than" };
            return Err(format!("{} is {relation} the maximum of {maximum}", repr(value)));
        }
    }
    match bound("multipleOf") {
        Some(step) if step != 0.0 && (number / step).fract() != 0.0 => {
            Err(format!("{} is not a multiple of {step}", repr(value)))
        }
        Some(_) | None => Ok(()),
    }
}

fn limit(schema: &Map<String, Value>, name: &str) -> Option<usize> {
    schema.get(name).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok())
}

fn check_text(text: &str, schema: &Map<String, Value>) -> Checked {
    let shown = || repr(&Value::String(text.to_owned()));
    let length = text.chars().count();
    if limit(schema, "minLength").is_some_and(|minimum| length < minimum) {
        return Err(format!("{} is too short", shown()));
    }
    if limit(schema, "maxLength").is_some_and(|maximum| length > maximum) {
        return Err(format!("{} is too long", shown()));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let regex = Regex::new(pattern, Flags::default()).map_err(|error| error.to_string())?;
        if !regex.is_match(text).map_err(|error| error.to_string())? {
            let pattern = repr(&Value::String(pattern.to_owned()));
            return Err(format!("{} does not match {pattern}", shown()));
        }
    }
    Ok(())
}

fn check_items(
    value: &Value,
    items: &[Value],
    schema: &Map<String, Value>,
    depth: usize,
) -> Checked {
    if limit(schema, "minItems").is_some_and(|minimum| items.len() < minimum) {
        return Err(format!("{} is too short", repr(value)));
    }
    if limit(schema, "maxItems").is_some_and(|maximum| items.len() > maximum) {
        return Err(format!("{} is too long", repr(value)));
    }
    if schema.get("uniqueItems").is_some_and(is_true) {
        let repeated = items
            .iter()
            .enumerate()
            .any(|(at, item)| items.iter().take(at).any(|earlier| same(earlier, item)));
        if repeated {
            return Err(format!("{} has non-unique elements", repr(value)));
        }
    }
    match schema.get("items") {
        Some(Value::Array(schemas)) => {
            for (item, schema) in items.iter().zip(schemas) {
                validate(item, schema, depth + 1)?;
            }
            let more = items.get(schemas.len()..).unwrap_or_default();
            match schema.get("additionalItems") {
                Some(Value::Bool(false)) if !more.is_empty() => Err(format!(
                    "Additional items are not allowed ({} unexpected)",
                    more.iter().map(repr).collect::<Vec<_>>().join(", ")
                )),
                Some(schema) => more.iter().try_for_each(|item| validate(item, schema, depth + 1)),
                None => Ok(()),
            }
        }
        Some(schema) => items.iter().try_for_each(|item| validate(item, schema, depth + 1)),
        None => Ok(()),
    }
}

fn check_properties(
    value: &Value,
    map: &Map<String, Value>,
    schema: &Map<String, Value>,
    depth: usize,
) -> Checked {
    if limit(schema, "minProperties").is_some_and(|minimum| map.len() < minimum) {
        return Err(format!("{} does not have enough properties", repr(value)));
    }
    if limit(schema, "maxProperties").is_some_and(|maximum| map.len() > maximum) {
        return Err(format!("{} has too many properties", repr(value)));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        match map.get(name) {
            Some(inner) => validate(inner, property, depth + 1)?,
            None if property.get("required").is_some_and(is_true) => {
                return Err(format!("'{name}' is a required property"));
            }
            None => {}
        }
    }
    let mut patterns = Vec::new();
    let pattern_properties = schema.get("patternProperties").and_then(Value::as_object);
    for (pattern, property) in pattern_properties.into_iter().flatten() {
        let regex = Regex::new(pattern, Flags::default()).map_err(|error| error.to_string())?;
        patterns.push((regex, property));
    }
    let mut strangers = Vec::new();
    for (name, inner) in map {
        let mut known = properties.is_some_and(|properties| properties.contains_key(name));
        for (regex, property) in &patterns {
            if regex.is_match(name).map_err(|error| error.to_string())? {
                known = true;
                validate(inner, property, depth + 1)?;
            }
        }
        if known {
            continue;
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => strangers.push(repr(&Value::String(name.clone()))),
            Some(additional) => validate(inner, additional, depth + 1)?,
            None => {}
        }
    }
    if strangers.is_empty() { Ok(()) } else { Err(unexpected(&strangers)) }
}

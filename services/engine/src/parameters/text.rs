//! Parameters as they are typed on a command line: `k=v`, cast by the action's schema.

use serde_json::{Map, Value};

use super::Error;
use super::cast::cast;
use crate::definition::{Action, ParameterKind};
use crate::value::literal;

/// Reads `k=v` arguments for `action`. A name that is given several times makes a list where the
/// schema wants one; elsewhere the last value counts.
///
/// # Errors
/// [`Error::Text`] for an argument that cannot be read.
pub fn from_text<S: AsRef<str>>(
    action: &Action,
    arguments: &[S],
) -> Result<Map<String, Value>, Error> {
    let mut parameters: Map<String, Value> = Map::new();
    for argument in arguments {
        let argument = argument.as_ref();
        let refused = |reason: String| Error::Text { argument: argument.to_owned(), reason };
        let Some((name, text)) = argument.split_once('=') else {
            return Err(refused("it is not of the form name=value".to_owned()));
        };
        let parameter = action.effective.get(name);
        let kind = parameter.and_then(|parameter| parameter.kind);
        let items = parameter
            .and_then(|parameter| parameter.schema.get("items"))
            .and_then(|items| items.get("type"))
            .and_then(Value::as_str)
            .and_then(ParameterKind::parse);
        let value = read(kind, items, text).map_err(refused)?;
        match (parameters.get_mut(name), value) {
            (Some(Value::Array(before)), Value::Array(more)) => before.extend(more),
            (_, value) => {
                parameters.insert(name.to_owned(), value);
            }
        }
    }
    Ok(parameters)
}

fn read(
    kind: Option<ParameterKind>,
    items: Option<ParameterKind>,
    text: &str,
) -> Result<Value, String> {
    // A template is for the server to render.
    if crate::template::looks_like_template(text) {
        return Ok(Value::String(text.to_owned()));
    }
    match kind {
        None | Some(ParameterKind::String) => Ok(Value::String(text.to_owned())),
        Some(ParameterKind::Boolean) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "y" | "t" | "on" => Ok(Value::Bool(true)),
            "false" | "0" | "no" | "n" | "f" | "off" => Ok(Value::Bool(false)),
            _ => Err("true or false is wanted".to_owned()),
        },
        Some(kind @ (ParameterKind::Integer | ParameterKind::Number)) => {
            cast(kind, Value::String(text.to_owned()))
        }
        Some(ParameterKind::Null) => match text {
            "" | "null" | "none" | "None" => Ok(Value::Null),
            _ => Err("nothing but null is wanted".to_owned()),
        },
        Some(ParameterKind::Object) => object(text),
        Some(ParameterKind::Array) => list(items, text),
    }
}

/// JSON, or `a=1,b=2` with plain values.
fn object(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .or_else(|| literal::parse(text).ok().filter(Value::is_object))
            .ok_or_else(|| "it begins like JSON but is no mapping".to_owned());
    }
    let mut map = Map::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err("write JSON, or a=1,b=2".to_owned());
        };
        map.insert(name.trim().to_owned(), plain(value));
    }
    Ok(Value::Object(map))
}

/// `true`, `5`, `null` and the like are what they look like; all else is text.
fn plain(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// JSON, or values between commas, each of the type the schema wants.
fn list(items: Option<ParameterKind>, text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .ok()
            .filter(Value::is_array)
            .or_else(|| literal::parse(text).ok().filter(Value::is_array))
            .ok_or_else(|| "it begins like JSON but is no list".to_owned());
    }
    if text.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let values = text.split(',').map(|item| match items {
        Some(kind) if kind != ParameterKind::Array && kind != ParameterKind::Object => {
            read(Some(kind), None, item.trim())
        }
        Some(ParameterKind::Object) => object(item),
        Some(_) | None => Ok(Value::String(item.trim().to_owned())),
    });
    values.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn typed_texts_are_cast_by_the_schema() {
        let action = json!({
            "name": "a", "runner_type": "noop",
            "parameters": {
                "s": {"type": "string"}, "n": {"type": "integer"}, "f": {"type": "number"},
                "b": {"type": "boolean"}, "o": {"type": "object"}, "l": {"type": "array"},
                "li": {"type": "array", "items": {"type": "integer"}}, "u": {},
            },
        });
        let action = Action::from_value("demo", &action).0.unwrap();
        let rows = [
            ("s=5", Some(json!({"s": "5"}))),
            ("s=a=b", Some(json!({"s": "a=b"}))),
            ("s=", Some(json!({"s": ""}))),
            ("n=5", Some(json!({"n": 5}))),
            ("n=five", None),
            ("f=1e3", Some(json!({"f": 1000.0}))),
            ("b=Yes", Some(json!({"b": true}))),
            ("b=0", Some(json!({"b": false}))),
            ("b=maybe", None),
            ("o={\"a\": 1}", Some(json!({"o": {"a": 1}}))),
            ("o=a=1,b=x", Some(json!({"o": {"a": 1, "b": "x"}}))),
            ("o=a", None),
            ("l=[1, 2]", Some(json!({"l": [1, 2]}))),
            ("l=a, b", Some(json!({"l": ["a", "b"]}))),
            ("l=", Some(json!({"l": []}))),
            ("li=1,2", Some(json!({"li": [1, 2]}))),
            ("li=1,x", None),
            ("u=5", Some(json!({"u": "5"}))),
            ("unknown=x", Some(json!({"unknown": "x"}))),
            ("n={{ st2kv.system.n }}", Some(json!({"n": "{{ st2kv.system.n }}"}))),
            ("nothing", None),
        ];
        for (argument, expected) in rows {
            let actual = from_text(&action, &[argument]).ok().map(Value::Object);
            assert_eq!(actual, expected, "{argument}");
        }
        let repeated = from_text(&action, &["l=a", "l=b", "s=x", "s=y"]).map(Value::Object);
        assert_eq!(repeated, Ok(json!({"l": ["a", "b"], "s": "y"})));
    }
}

//! Casting to a declared type, with Python's ideas of what can become what.

use serde_json::{Number, Value};

use crate::definition::ParameterKind;
use crate::template::NONE_TEXT;
use crate::value::compare::type_name;
use crate::value::literal;
use crate::value::text::repr;

/// Makes `value` what `kind` says; null stays null.
///
/// # Errors
/// What stood in the way.
pub(super) fn cast(kind: ParameterKind, value: Value) -> Result<Value, String> {
    if value.is_null() {
        return Ok(value);
    }
    let is_none = value.as_str() == Some(NONE_TEXT);
    match kind {
        ParameterKind::Integer | ParameterKind::Number if is_none => {
            Err("a number cannot be None".to_owned())
        }
        ParameterKind::Null => Ok(value),
        _ if is_none => Ok(Value::Null),
        ParameterKind::Array | ParameterKind::Object => structure(value),
        ParameterKind::Boolean => boolean(value),
        ParameterKind::Integer => integer(&value),
        ParameterKind::Number => number(&value),
        ParameterKind::String => match value {
            Value::String(_) => Ok(value),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(format!(
                "Value \"{}\" must either be a string or None. Got \"{}\".",
                crate::value::text::text(&value),
                type_name(&value)
            )),
        },
    }
}

/// JSON, or else a Python literal.
fn structure(value: Value) -> Result<Value, String> {
    let Value::String(text) = &value else {
        return Ok(value);
    };
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) => literal::parse(text).map_err(|error| error.to_string()),
    }
}

/// The Python literal of the capitalised text, whatever it is: the schema refuses what is neither.
fn boolean(value: Value) -> Result<Value, String> {
    let Value::String(text) = &value else {
        return Ok(value);
    };
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let capitalised = first + &letters.as_str().to_lowercase();
    if capitalised.starts_with([' ', '\t']) {
        // A literal must not be indented.
        return Err(format!("unexpected indent in {}", repr(&value)));
    }
    literal::parse(&capitalised).map_err(|error| error.to_string())
}

fn integer(value: &Value) -> Result<Value, String> {
    let refused = || format!("invalid literal for int() with base 10: {}", repr(value));
    match value {
        Value::Bool(truth) => Ok(Value::from(u8::from(*truth))),
        Value::Number(number) if !number.is_f64() => Ok(value.clone()),
        Value::Number(number) => {
            /// Floats from here on have no exact whole number in 128 bits.
            const WHOLE_MAX: f64 = 1e38;
            let floating = number.as_f64().filter(|floating| floating.abs() < WHOLE_MAX);
            let whole = floating.ok_or_else(|| "the number is too large".to_owned())?.trunc();
            #[expect(clippy::cast_possible_truncation, reason = "checked against WHOLE_MAX")]
            literal::whole_value(whole as i128).ok_or_else(refused)
        }
        Value::String(text) => {
            literal::integer(text).and_then(literal::whole_value).ok_or_else(refused)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            type_name(value)
        )),
    }
}

fn number(value: &Value) -> Result<Value, String> {
    let floating = match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => literal::float(text)
            .ok_or_else(|| format!("could not convert string to float: {}", repr(value)))?,
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "float() argument must be a string or a real number, not '{}'",
                type_name(value)
            ));
        }
    };
    let number = Number::from_f64(floating).map(Value::Number);
    number.ok_or_else(|| format!("{} has no JSON", repr(value)))
}

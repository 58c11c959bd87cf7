//! Equality, order, membership and truth of JSON values, as Python has them.
//!
//! `1 == 1.0 == True`, lists order element by element, and what cannot be compared is an error and
//! never a silent `false`.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// An operation between values of kinds that do not go together; the text is Python's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

/// What Python calls the type of `value`.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A number as Python compares it: whole or floating.
#[derive(Clone, Copy, Debug)]
enum Numeric {
    Whole(i128),
    Floating(f64),
}

fn numeric_of(number: &Number) -> Numeric {
    if let Some(whole) = number.as_i64() {
        return Numeric::Whole(i128::from(whole));
    }
    if let Some(whole) = number.as_u64() {
        return Numeric::Whole(i128::from(whole));
    }
    Numeric::Floating(number.as_f64().unwrap_or(f64::NAN))
}

/// Booleans are the numbers 0 and 1.
fn numeric(value: &Value) -> Option<Numeric> {
    match value {
        Value::Bool(truth) => Some(Numeric::Whole(i128::from(*truth))),
        Value::Number(number) => Some(numeric_of(number)),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn order(left: Numeric, right: Numeric) -> Option<Ordering> {
    match (left, right) {
        (Numeric::Whole(left), Numeric::Whole(right)) => Some(left.cmp(&right)),
        (Numeric::Floating(left), Numeric::Floating(right)) => left.partial_cmp(&right),
        (Numeric::Whole(left), Numeric::Floating(right)) => order_mixed(left, right),
        (Numeric::Floating(left), Numeric::Whole(right)) => {
            order_mixed(right, left).map(Ordering::reverse)
        }
    }
}

/// Exact: a float of 2^53 and more is not the neighbour it would round to.
fn order_mixed(whole: i128, floating: f64) -> Option<Ordering> {
    /// Beyond any whole number that JSON can hold here, so the sign alone decides.
    const BEYOND: f64 = 1e30;
    if floating.is_nan() {
        return None;
    }
    if floating.abs() > BEYOND {
        return Some(if floating > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let floor = floating.floor();
    // In range by the test above, and without fraction.
    #[expect(clippy::cast_possible_truncation, reason = "checked against BEYOND")]
    let floor_whole = floor as i128;
    let fraction = if floating > floor { Ordering::Less } else { Ordering::Equal };
    Some(whole.cmp(&floor_whole).then(fraction))
}

/// `left == right`.
#[must_use]
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| equal(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => match (numeric(left), numeric(right)) {
            (Some(left), Some(right)) => order(left, right) == Some(Ordering::Equal),
            _ => false,
        },
    }
}

/// `left < right`.
///
/// # Errors
/// When Python would raise a `TypeError`.
pub fn less(left: &Value, right: &Value) -> Result<bool, TypeError> {
    compare(left, right, "<", |ordering| ordering == Some(Ordering::Less))
}

/// `left > right`.
///
/// # Errors
/// When Python would raise a `TypeError`.
pub fn greater(left: &Value, right: &Value) -> Result<bool, TypeError> {
    compare(left, right, ">", |ordering| ordering == Some(Ordering::Greater))
}

fn compare(
    left: &Value,
    right: &Value,
    operator: &str,
    accept: fn(Option<Ordering>) -> bool,
) -> Result<bool, TypeError> {
    if let (Some(left), Some(right)) = (numeric(left), numeric(right)) {
        return Ok(accept(order(left, right)));
    }
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(accept(Some(left.cmp(right)))),
        (Value::Array(left), Value::Array(right)) => {
            match left.iter().zip(right).find(|(a, b)| !equal(a, b)) {
                Some((a, b)) => compare(a, b, operator, accept),
                None => Ok(accept(Some(left.len().cmp(&right.len())))),
            }
        }
        _ => Err(TypeError(format!(
            "'{operator}' not supported between instances of '{}' and '{}'",
            type_name(left),
            type_name(right)
        ))),
    }
}

/// `item in container`.
///
/// # Errors
/// When Python would raise a `TypeError`: nothing is in a number, only text is in a text, and a
/// list or map cannot be a key.
pub fn contains(container: &Value, item: &Value) -> Result<bool, TypeError> {
    match container {
        Value::Array(items) => Ok(items.iter().any(|member| equal(member, item))),
        Value::String(text) => match item {
            Value::String(part) => Ok(text.contains(part.as_str())),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(TypeError(format!(
                "'in <string>' requires string as left operand, not {}",
                type_name(item)
            ))),
        },
        Value::Object(map) => match item {
            Value::String(key) => Ok(map.contains_key(key)),
            Value::Array(_) | Value::Object(_) => {
                Err(TypeError(format!("unhashable type: '{}'", type_name(item))))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(false),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err(TypeError(format!("argument of type '{}' is not iterable", type_name(container))))
        }
    }
}

/// Whether Python takes `value` for true.
#[must_use]
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equality_is_pythons() {
        let rows = [
            (json!(1), json!(1.0), true),
            (json!(true), json!(1), true),
            (json!(false), json!(0.0), true),
            (json!("1"), json!(1), false),
            (json!(null), json!(0), false),
            (json!([1, [true]]), json!([1.0, [1]]), true),
            (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1.0}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992.0), false),
            (json!(u64::MAX), json!(-1), false),
        ];
        for (left, right, expected) in rows {
            assert_eq!(equal(&left, &right), expected, "{left} == {right}");
            assert_eq!(equal(&right, &left), expected, "{right} == {left}");
        }
    }

    #[test]
    fn order_is_pythons() {
        let rows = [
            (json!(1), json!(1.5), Some(true)),
            (json!(-1), json!(-1.5), Some(false)),
            (json!("10"), json!("9"), Some(true)),
            (json!(true), json!(2), Some(true)),
            (json!([1, 2]), json!([1, 3]), Some(true)),
            (json!([1]), json!([1, 0]), Some(true)),
            (json!([1, "a"]), json!([1, 2]), None),
            (json!(null), json!(1), None),
            (json!("1"), json!(2), None),
            (json!({}), json!({}), None),
        ];
        for (left, right, expected) in rows {
            assert_eq!(less(&left, &right).ok(), expected, "{left} < {right}");
            assert_eq!(greater(&right, &left).ok(), expected, "{right} > {left}");
        }
    }
}

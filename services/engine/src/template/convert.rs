//! Between JSON values and the template engine's values, and from those to text.
//!
//! The engine prints nearly as Python does; floats and unprintable characters are where it differs,
//! so printing goes through here.

use std::fmt::Write;

use minijinja::Value as Native;
use minijinja::value::ValueKind;
use serde_json::{Map, Number, Value};

use super::datastore::Lookup;
use crate::value::text::{float_text, write_text_repr};

/// Deepest nesting that is turned back into JSON or text.
const DEPTH_MAX: usize = 128;

/// What a value of the template engine is, in one closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Undefined,
    None,
    Bool,
    Whole,
    Float,
    Text,
    /// A list or a tuple.
    List,
    /// Something that can be gone through once or more, but not indexed.
    Iterable,
    Map,
    /// A view of the datastore.
    Lookup,
    /// A function, a macro, bytes, a value that could not be made.
    Other,
}

impl Kind {
    /// What Python calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::None => "NoneType",
            Self::Bool => "bool",
            Self::Whole => "int",
            Self::Float => "float",
            Self::Text => "str",
            Self::List => "list",
            Self::Iterable => "generator",
            Self::Map => "dict",
            Self::Lookup => "KeyValueLookup",
            Self::Other => "object",
        }
    }
}

/// The kind of a value.
pub(super) fn kind_of(native: &Native) -> Kind {
    let kind = native.kind();
    let rows = [
        (ValueKind::Undefined, Kind::Undefined),
        (ValueKind::None, Kind::None),
        (ValueKind::Bool, Kind::Bool),
        (ValueKind::String, Kind::Text),
        (ValueKind::Seq, Kind::List),
        (ValueKind::Iterable, Kind::Iterable),
        (ValueKind::Map, Kind::Map),
    ];
    if let Some((_, kind)) = rows.iter().find(|(known, _)| *known == kind) {
        return *kind;
    }
    if kind == ValueKind::Number {
        return if native.is_integer() { Kind::Whole } else { Kind::Float };
    }
    if native.downcast_object_ref::<Lookup>().is_some() { Kind::Lookup } else { Kind::Other }
}

/// A JSON value for the template engine.
pub(super) fn to_native(value: &Value) -> Native {
    match value {
        Value::Null => Native::from(()),
        Value::Bool(truth) => Native::from(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Native::from(whole),
            (None, Some(whole)) => Native::from(whole),
            (None, None) => Native::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Native::from(text.as_str()),
        Value::Array(items) => Native::from(items.iter().map(to_native).collect::<Vec<_>>()),
        Value::Object(map) => {
            Native::from_pairs(map.iter().map(|(key, item)| (key.as_str(), to_native(item))))
        }
    }
}

/// A value of the template engine as JSON.
pub(super) fn from_native(native: &Native) -> Result<Value, String> {
    from_native_at(native, 0)
}

fn from_native_at(native: &Native, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err("the value is nested too deeply".to_owned());
    }
    let refused = |what: &str| Err(format!("Object of type {what} is not JSON serializable"));
    match kind_of(native) {
        Kind::None => Ok(Value::Null),
        Kind::Bool => Ok(Value::Bool(native.is_true())),
        Kind::Whole | Kind::Float => number(native),
        Kind::Text => Ok(Value::String(native.as_str().unwrap_or_default().to_owned())),
        Kind::List | Kind::Iterable => {
            let items = native.try_iter().map_err(|error| error.to_string())?;
            items.map(|item| from_native_at(&item, depth + 1)).collect()
        }
        Kind::Map => {
            let mut map = Map::new();
            for key in native.try_iter().map_err(|error| error.to_string())? {
                let item = native.get_item(&key).map_err(|error| error.to_string())?;
                let key = match key.as_str() {
                    Some(text) => text.to_owned(),
                    None => from_native_at(&key, depth + 1)?.to_string(),
                };
                map.insert(key, from_native_at(&item, depth + 1)?);
            }
            Ok(Value::Object(map))
        }
        Kind::Undefined => refused("StrictUndefined"),
        Kind::Lookup => refused("KeyValueLookup"),
        Kind::Other => refused(&native.kind().to_string()),
    }
}

fn number(native: &Native) -> Result<Value, String> {
    if native.is_integer() {
        if let Some(whole) = native.as_i64() {
            return Ok(Value::from(whole));
        }
        if let Ok(whole) = u64::try_from(native.clone()) {
            return Ok(Value::from(whole));
        }
    }
    let floating = f64::try_from(native.clone()).map_err(|error| error.to_string())?;
    match Number::from_f64(floating) {
        Some(number) => Ok(Value::Number(number)),
        None => Err(format!("{} has no JSON", float_text(floating))),
    }
}

/// What Python's `str()` makes of a value.
pub(super) fn native_text(native: &Native) -> String {
    match native.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let mut out = String::new();
            write_native(&mut out, native, 0);
            out
        }
    }
}

fn write_native(out: &mut String, native: &Native, depth: usize) {
    if depth > DEPTH_MAX {
        out.push_str("...");
        return;
    }
    match kind_of(native) {
        Kind::Text => write_text_repr(out, native.as_str().unwrap_or_default()),
        Kind::Float => match f64::try_from(native.clone()) {
            Ok(floating) => out.push_str(&float_text(floating)),
            Err(_) => out.push_str(&native.to_string()),
        },
        Kind::List => {
            let (open, close) = if native.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.push(open);
            let items: Vec<_> = native.try_iter().into_iter().flatten().collect();
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_native(out, item, depth + 1);
            }
            if native.is_tuple() && items.len() == 1 {
                out.push(',');
            }
            out.push(close);
        }
        Kind::Map => {
            out.push('{');
            for (index, key) in native.try_iter().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_native(out, &key, depth + 1);
                out.push_str(": ");
                if let Ok(item) = native.get_item(&key) {
                    write_native(out, &item, depth + 1);
                }
            }
            out.push('}');
        }
        Kind::Undefined
        | Kind::None
        | Kind::Bool
        | Kind::Whole
        | Kind::Iterable
        | Kind::Lookup
        | Kind::Other => {
            // Writing into a String cannot fail.
            let _ = write!(out, "{native}");
        }
    }
}

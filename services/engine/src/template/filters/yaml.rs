//! YAML in and out: block style with sorted keys, as PyYAML's `safe_dump` writes it.
//!
//! Reading YAML is another crate's work, so whoever sets up the surroundings lends a reader. Long
//! lines are not folded here; any reader reads the same value from them.

use minijinja::{Environment, Error, State, Value as Native};
use serde_json::{Map, Value};

use super::super::arguments::{Given, invalid, named, text_of};
use super::super::convert::{from_native, to_native};
use super::super::datastore::Keeper;
use super::super::scope::KEEPER;
use crate::value::text::float_text;

/// Blanks per level when nothing is said.
const INDENT_DEFAULT: usize = 2;
/// Blanks per level that PyYAML accepts; others fall back to the default.
const INDENT_MAX: usize = 9;

/// Adds the filters.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("to_yaml_string", to_yaml_string);
    environment.add_filter("from_yaml_string", from_yaml_string);
}

fn from_yaml_string(state: &State<'_, '_>, value: &Native) -> Result<Native, Error> {
    let text = text_of(value)?;
    let keeper = state.lookup(KEEPER);
    let read = keeper
        .as_ref()
        .and_then(|keeper| keeper.downcast_object_ref::<Keeper>())
        .and_then(|keeper| keeper.yaml)
        .ok_or_else(|| invalid("nobody reads YAML here"))?;
    read(&text).map(|value| to_native(&value)).map_err(invalid)
}

fn to_yaml_string(value: &Native, given: Given) -> Result<String, Error> {
    let [indent, _allow_unicode] = named(given.into_values(), ["indent", "allow_unicode"])?;
    let indent = indent
        .and_then(|indent| indent.as_usize())
        .filter(|indent| (2..=INDENT_MAX).contains(indent))
        .unwrap_or(INDENT_DEFAULT);
    let value = from_native(value).map_err(invalid)?;
    let mut out = String::new();
    match &value {
        Value::Array(items) if !items.is_empty() => write_items(&mut out, items, 0, indent),
        Value::Object(map) if !map.is_empty() => write_entries(&mut out, map, 0, indent),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push_str(&scalar(&value));
            // A lone scalar is closed by the mark of a document's end.
            out.push_str("\n...\n");
        }
        Value::Array(_) | Value::Object(_) => {
            out.push_str(&scalar(&value));
            out.push('\n');
        }
    }
    Ok(out)
}

fn blanks(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

fn write_items(out: &mut String, items: &[Value], column: usize, indent: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            blanks(out, column);
        }
        out.push('-');
        // What follows the dash begins in the column of the next level.
        match item {
            Value::Array(inner) if !inner.is_empty() => {
                blanks(out, indent - 1);
                write_items(out, inner, column + indent, indent);
            }
            Value::Object(inner) if !inner.is_empty() => {
                blanks(out, indent - 1);
                write_entries(out, inner, column + indent, indent);
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                out.push(' ');
                out.push_str(&scalar(item));
                out.push('\n');
            }
        }
    }
}

fn write_entries(out: &mut String, map: &Map<String, Value>, column: usize, indent: usize) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    for (index, (key, item)) in entries.into_iter().enumerate() {
        if index > 0 {
            blanks(out, column);
        }
        out.push_str(&text_scalar(key));
        out.push(':');
        match item {
            // A list stands under its key without a step to the right.
            Value::Array(inner) if !inner.is_empty() => {
                out.push('\n');
                blanks(out, column);
                write_items(out, inner, column, indent);
            }
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                blanks(out, column + indent);
                write_entries(out, inner, column + indent, indent);
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                out.push(' ');
                out.push_str(&scalar(item));
                out.push('\n');
            }
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(floating) if number.is_f64() => yaml_float(floating),
            Some(_) | None => number.to_string(),
        },
        Value::String(text) => text_scalar(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// An exponent needs a point before it, or YAML 1.1 reads text.
fn yaml_float(floating: f64) -> String {
    let text = float_text(floating);
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        Some(_) | None => text,
    }
}

/// A text as it is where it reads back as itself, else in quotes.
fn text_scalar(text: &str) -> String {
    let special = text.chars().any(|c| c.is_control() || c == '\u{feff}');
    if special {
        return double_quoted(text);
    }
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || c == '\u{feff}' => {
                out.push_str("\\u");
                let code = u32::from(c);
                for shift in [12, 8, 4, 0] {
                    out.extend(char::from_digit(code >> shift & 15, 16));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether YAML 1.1 reads the text back as the same text.
fn is_plain(text: &str) -> bool {
    let indicator = |c: char| "#,[]{}&*!|>'\"%@`".contains(c);
    let Some(first) = text.chars().next() else {
        return false;
    };
    let second_is_blank = text.chars().nth(1).is_none_or(char::is_whitespace);
    let starts_badly = indicator(first) || (matches!(first, '-' | '?' | ':') && second_is_blank);
    let blank_ends = text.starts_with(' ') || text.ends_with(' ');
    let breaks = text.contains(": ") || text.ends_with(':') || text.contains(" #");
    let marks = text.starts_with("---") || text.starts_with("...");
    !(starts_badly || blank_ends || breaks || marks || is_other_type(text))
}

/// Whether YAML 1.1 takes the text for something that is no text.
fn is_other_type(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "yes",
        "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "=", "<<", ".inf",
        ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.inf", ".nan", ".NaN", ".NAN",
    ];
    if WORDS.contains(&text) {
        return true;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let numeric = |c: char| c.is_ascii_hexdigit() || "_.:xXoebE+-".contains(c);
    // Numbers, sexagesimal numbers and dates all look like this; a quote too many does no harm.
    starts && digits.chars().any(|c| c.is_ascii_digit()) && digits.chars().all(numeric)
        || looks_like_time(text)
}

fn looks_like_time(text: &str) -> bool {
    let date = text.get(..10).is_some_and(|date| {
        date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    });
    date && text.chars().all(|c| c.is_ascii_digit() || " -:.tTzZ+".contains(c))
}

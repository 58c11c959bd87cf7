//! `str()` and `repr()` of JSON values: what a template prints.
//!
//! Packs print lists and maps into text and cast them back, so the text must be Python's to the
//! letter: `['a', 'b']`, `{'k': None}`, `True`, `1e+16`.

use std::fmt::Write;

use serde_json::{Number, Value};

/// `str(value)`.
#[must_use]
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write_text(&mut out, value);
    out
}

/// Appends `str(value)` to `out`.
pub fn write_text(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            write_repr(out, value);
        }
    }
}

/// `repr(value)`.
#[must_use]
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_text_repr(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_text_repr(out, key);
                out.push_str(": ");
                write_repr(out, item);
            }
            out.push('}');
        }
    }
}

fn write_number(out: &mut String, number: &Number) {
    match number.as_f64() {
        Some(floating) if number.is_f64() => out.push_str(&float_text(floating)),
        Some(_) | None => {
            // Writing into a String cannot fail.
            let _ = write!(out, "{number}");
        }
    }
}

/// `str()` of a float: shortest text that reads back, exponents from 1e16 on and below 1e-4.
#[must_use]
pub fn float_text(floating: f64) -> String {
    if floating.is_nan() {
        return "nan".to_owned();
    }
    if floating.is_infinite() {
        return if floating > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Rust's debug text has Python's thresholds, but writes the exponent without sign and padding.
    let text = format!("{floating:?}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
            format!("{mantissa}e{exponent:+03}")
        }
        None => text,
    }
}

/// Appends the `repr()` of a text: single quotes unless that would need an escape and double quotes
/// would not.
pub fn write_text_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => write_escape(out, c),
        }
    }
    out.push(quote);
}

fn write_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    // Writing into a String cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Python's `str.isprintable` for one character: no controls, separators other than the blank,
/// format characters or private ones. Unassigned code points count as printable here.
fn is_printable(c: char) -> bool {
    if c == ' ' {
        return true;
    }
    let format = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'..='\u{e007f}');
    let private = matches!(c,
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}');
    !c.is_control() && !c.is_whitespace() && !format && !private
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_python_prints_them() {
        let rows = [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(1.0), "1.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e-7), "1.5e-07"),
            (json!(0.0001), "0.0001"),
            (json!(123_456_789_012_345.6), "123456789012345.6"),
            (json!("it's"), "it's"),
            (json!(["it's", "a\"b", "it's \"x\""]), r#"["it's", 'a"b', 'it\'s "x"']"#),
            (
                json!({"k": [1, null], "é": "a\nb\u{7}\u{a0}"}),
                "{'k': [1, None], 'é': 'a\\nb\\x07\\xa0'}",
            ),
            (json!([]), "[]"),
            (json!({}), "{}"),
        ];
        for (value, expected) in rows {
            assert_eq!(text(&value), expected);
        }
    }
}

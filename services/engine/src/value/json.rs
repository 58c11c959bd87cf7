//! `json.dumps` as Python writes it: ASCII only, a blank after each comma and colon.

use std::fmt::Write;

use serde_json::Value;

use super::text::float_text;

/// How JSON is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Blanks per level; none puts everything on one line.
    pub indent: Option<usize>,
    /// Whether keys are sorted.
    pub sort_keys: bool,
    /// What stands between items.
    pub item_separator: String,
    /// What stands between a key and its value.
    pub key_separator: String,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            indent: None,
            sort_keys: false,
            item_separator: ", ".to_owned(),
            key_separator: ": ".to_owned(),
        }
    }
}

/// `json.dumps(value)`.
#[must_use]
pub fn dumps(value: &Value, layout: &Layout) -> String {
    let mut out = String::new();
    write_value(&mut out, value, layout, 1);
    out
}

fn write_value(out: &mut String, value: &Value, layout: &Layout, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(floating) if number.is_f64() => out.push_str(&float_text(floating)),
            Some(_) | None => {
                // Writing into a String cannot fail.
                let _ = write!(out, "{number}");
            }
        },
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            if items.is_empty() {
                out.push_str("[]");
                return;
            }
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, layout, depth, index);
                write_value(out, item, layout, depth + 1);
            }
            close(out, layout, depth);
            out.push(']');
        }
        Value::Object(map) => {
            if map.is_empty() {
                out.push_str("{}");
                return;
            }
            let mut entries: Vec<_> = map.iter().collect();
            if layout.sort_keys {
                entries.sort_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                separate(out, layout, depth, index);
                write_text(out, key);
                out.push_str(&layout.key_separator);
                write_value(out, item, layout, depth + 1);
            }
            close(out, layout, depth);
            out.push('}');
        }
    }
}

fn separate(out: &mut String, layout: &Layout, depth: usize, index: usize) {
    if index > 0 {
        out.push_str(&layout.item_separator);
    }
    if let Some(indent) = layout.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
}

fn close(out: &mut String, layout: &Layout, depth: usize) {
    if let Some(indent) = layout.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth.saturating_sub(1)));
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    // Writing into a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// JSON with sorted keys and no blanks: the same text for the same value, whoever wrote it.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let layout = Layout {
        indent: None,
        sort_keys: true,
        item_separator: ",".to_owned(),
        key_separator: ":".to_owned(),
    };
    dumps(value, &layout)
}

/// How deep a value nests: 0 for what holds nothing.
#[must_use]
pub fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(map) => map.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    1 + below.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({"b": [1, 2.5, null, true], "a": "é\u{1F600}\u{7f}\n/"});
        assert_eq!(
            dumps(&value, &Layout::default()),
            r#"{"b": [1, 2.5, null, true], "a": "\u00e9\ud83d\ude00\u007f\n/"}"#
        );
        let indented = Layout { indent: Some(2), item_separator: ",".into(), ..Layout::default() };
        assert_eq!(
            dumps(&json!({"a": [1], "b": {}}), &indented),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"
        );
        assert_eq!(canonical(&json!({"b": 1, "a": [ ]})), r#"{"a":[],"b":1}"#);
    }
}

//! Values as YAML: the block style, with quotes wherever a reader could take a text for something
//! else. Only what JSON has can occur, so this stays small.

use serde_json::Value;

/// A value as a YAML document, with a newline at its end.
pub(super) fn text(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0, true);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Writes `value`; `fresh` says that the line has only its indentation so far.
fn write(text: &mut String, value: &Value, depth: usize, fresh: bool) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            if !fresh {
                text.push('\n');
            }
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !fresh {
                    indent(text, depth);
                }
                text.push_str("- ");
                write(text, item, depth + 1, true);
                end_line(text);
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            if !fresh {
                text.push('\n');
            }
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 || !fresh {
                    indent(text, depth);
                }
                text.push_str(&scalar(name));
                text.push(':');
                if is_nested(field) {
                    write(text, field, depth + 1, false);
                } else {
                    text.push(' ');
                    write(text, field, depth + 1, true);
                }
                end_line(text);
            }
        }
        Value::String(value) => text.push_str(&scalar(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&value.to_string());
        }
    }
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn end_line(text: &mut String) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

/// A text, plain where that is safe for every reader, else quoted as JSON, which YAML reads too.
fn scalar(text: &str) -> String {
    let first = text.chars().next();
    let word = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./@".contains(c));
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let safe = word && plain && !text.ends_with(' ');
    if safe && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_are_indented_and_doubtful_texts_quoted() {
        let value = json!({
            "id": "65a", "ok": true, "text": "yes", "time": "12:30", "list": [1, {"a": "b", "c": []}],
            "empty": {}, "deep": {"x": {"y": null}}, "lines": "a\nb",
        });
        let expected = "id: \"65a\"\nok: true\ntext: \"yes\"\ntime: \"12:30\"\nlist:\n  - 1\n  - a: b\n    c: []\nempty: {}\ndeep:\n  x:\n    \"y\": null\nlines: \"a\\nb\"\n";
        assert_eq!(text(&value), expected);
        assert_eq!(text(&json!([])), "[]\n");
    }
}

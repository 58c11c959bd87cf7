//! Forms: what a field may look like, once for the reader and for the schema that editors use.
//!
//! Every field of a file of checks is in one table (`fields.rs`). [`examine`] holds a file against
//! it and [`schema`] writes it down as JSON Schema, so that the two cannot disagree. What a form
//! accepts can be taken without another look.

use serde_json::{Map, Value, json};

use crate::check::plugin::Range;
use crate::definition::period;
use crate::definition::problem::{Problem, pointer_token};
use crate::definition::reader::{Reader, plain_name};
use crate::pattern::regex::{Flags, Regex};

/// A field of a mapping.
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// What it may look like.
    pub(super) form: Form,
    /// What it is for, in one sentence.
    pub(super) says: &'static str,
}

/// What a value may look like.
pub(super) enum Form {
    /// A text; a number is taken as one.
    Text,
    /// A text, or a list of texts.
    Texts,
    /// Yes or no.
    Flag,
    /// A whole number.
    Whole(u64, u64),
    /// Any number within bounds.
    Number(f64, f64),
    /// A span of time.
    Span,
    /// Spans of time.
    Spans,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A regular expression.
    Pattern,
    /// A range of a threshold, or a number.
    Limit,
    /// A mapping of fields.
    Section(&'static [Field]),
    /// A mapping of fields, or the value of one of them alone.
    Short(&'static str, &'static [Field]),
    /// A list of one form.
    List(&'static Form),
    /// Names, each with a value of one form.
    Names(&'static Form),
    /// Texts, or lists of texts of which one is enough.
    Parents,
    /// Anything.
    Free,
}

/// Short for a row of a table.
pub(super) const fn field(name: &'static str, form: Form, says: &'static str) -> Field {
    Field { name, form, says }
}

/// Everything that is wrong with the mapping at `at`.
pub(super) fn examine(value: &Value, fields: &[Field], at: &str) -> Vec<Problem> {
    let mut reader = match Reader::new(value, at) {
        Ok(reader) => reader,
        Err(problem) => return vec![problem],
    };
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    reader.refuse_unknown(&names);
    for field in fields {
        if let Some(value) = reader.get(field.name) {
            let at = reader.at(field.name);
            field.form.examine(field.name, value, &at, &mut reader.problems);
        }
    }
    reader.problems
}

impl Form {
    fn examine(&self, name: &str, value: &Value, at: &str, problems: &mut Vec<Problem>) {
        match (self, value) {
            (Self::Section(fields), value) => problems.extend(examine(value, fields, at)),
            (Self::Short(_, fields), Value::Object(_)) => {
                problems.extend(examine(value, fields, at));
            }
            (Self::Short(main, fields), value) => {
                if let Some(field) = fields.iter().find(|field| field.name == *main) {
                    field.form.examine(name, value, at, problems);
                }
            }
            (Self::List(form), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    form.examine(name, item, &format!("{at}/{index}"), problems);
                }
            }
            (Self::Names(form), Value::Object(map)) => {
                for (key, value) in map {
                    let at = format!("{at}/{}", pointer_token(key));
                    form.examine(key, value, &at, problems);
                }
            }
            (Self::Spans, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    Self::Span.examine(name, item, &format!("{at}/{index}"), problems);
                }
            }
            (form, value) => {
                if let Err((message, hint)) = form.single(name, value) {
                    let problem = Problem::fatal(at, message);
                    problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
                }
            }
        }
    }

    /// What is wrong with a value that has no parts of its own, and a hint.
    fn single(&self, name: &str, value: &Value) -> Result<(), (String, String)> {
        let wrong = |wanted: &str| {
            let message = format!("{name} must be {wanted}, not {}", plain_name(value));
            Err((message, String::new()))
        };
        let is_text = |value: &Value| value.is_string() || value.is_number();
        let are_texts = |value: &Value| {
            value.as_array().is_some_and(|items| items.iter().all(is_text)) || is_text(value)
        };
        match self {
            Self::Free => Ok(()),
            Self::Text if is_text(value) => Ok(()),
            Self::Text => wrong("text"),
            Self::Texts if are_texts(value) => Ok(()),
            Self::Texts => wrong("a text or a list of texts"),
            Self::Flag if value.is_boolean() => Ok(()),
            Self::Flag => wrong("true or false"),
            Self::Whole(least, most) => match value.as_u64() {
                Some(number) if (*least..=*most).contains(&number) => Ok(()),
                Some(_) | None => {
                    let message = format!("{name} must be a whole number from {least} to {most}");
                    Err((message, format!("not {value}")))
                }
            },
            Self::Number(least, most) => match value.as_f64() {
                Some(number) if (*least..=*most).contains(&number) => Ok(()),
                Some(_) | None => {
                    let message = format!("{name} must be a number from {least} to {most}");
                    Err((message, format!("not {value}")))
                }
            },
            Self::Span | Self::Spans => period::read(value).map(|_| ()),
            Self::Word(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                Some(_) | None => {
                    let message = format!("{name} cannot be {value}");
                    Err((message, format!("one of {}", words.join(", "))))
                }
            },
            Self::Pattern => match value.as_str().map(|text| Regex::new(text, Flags::default())) {
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => Err((error.to_string(), String::new())),
                None => wrong("a regular expression"),
            },
            Self::Limit => match limit(value).map(|text| Range::parse(&text)) {
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => {
                    let hint = "write 10 for more than 10, or 10: for less, 10:20, or @10:20";
                    Err((format!("{name}: {error}"), hint.to_owned()))
                }
                None => wrong("a number or a range"),
            },
            Self::Parents => match value {
                Value::Array(items) if items.iter().all(are_texts) => Ok(()),
                Value::String(_) => Ok(()),
                Value::Array(_)
                | Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Object(_) => wrong("a list of names, or of lists of names"),
            },
            Self::List(_) => wrong("a list"),
            Self::Names(_) | Self::Section(_) | Self::Short(..) => wrong("a mapping"),
        }
    }

    fn schema(&self) -> Value {
        let text = || json!({"type": ["string", "number"]});
        let texts = || json!({"anyOf": [text(), {"type": "array", "items": text()}]});
        match self {
            Self::Text => text(),
            Self::Pattern => json!({"type": "string", "format": "regex"}),
            Self::Texts => texts(),
            Self::Flag => json!({"type": "boolean"}),
            Self::Whole(least, most) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::Number(least, most) => {
                json!({"type": "number", "minimum": least, "maximum": most})
            }
            Self::Span => json!({"anyOf": [
                {"type": "string", "pattern": "^ *([0-9]+(d|h|m|s|ms))+ *$"},
                {"type": "number", "exclusiveMinimum": 0},
            ]}),
            Self::Spans => json!({"anyOf": [
                Self::Span.schema(), {"type": "array", "items": Self::Span.schema()},
            ]}),
            Self::Word(words) => json!({"enum": words}),
            Self::Limit => json!({"type": ["string", "number"]}),
            Self::Section(fields) => schema(fields),
            Self::Short(main, fields) => {
                let own = fields.iter().find(|field| field.name == *main);
                let own = own.map_or(Value::Bool(true), |field| field.form.schema());
                json!({"anyOf": [schema(fields), own]})
            }
            Self::List(form) => json!({"type": "array", "items": form.schema()}),
            Self::Names(form) => json!({"type": "object", "additionalProperties": form.schema()}),
            Self::Parents => json!({"anyOf": [
                {"type": "string"}, {"type": "array", "items": texts()},
            ]}),
            Self::Free => Value::Bool(true),
        }
    }
}

/// The JSON Schema of a mapping with these fields.
pub(super) fn schema(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.form.schema();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), json!(field.says));
        }
        properties.insert(field.name.to_owned(), schema);
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// A range as text.
pub(super) fn limit(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

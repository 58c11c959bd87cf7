//! Reads the fields of a definition and collects what is wrong with them.

use serde_json::{Map, Value};

use super::problem::{Problem, pointer_token, suggestion};
use crate::value::compare::type_name;

/// The fields of one mapping.
pub(super) struct Reader<'a> {
    map: &'a Map<String, Value>,
    /// Where the mapping stands in its file.
    base: String,
    /// What was found wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Starts reading; a definition that is no mapping has no fields at all.
    pub(super) fn new(value: &'a Value, base: &str) -> Result<Self, Problem> {
        match value.as_object() {
            Some(map) => Ok(Self { map, base: base.to_owned(), problems: Vec::new() }),
            None => Err(Problem::fatal(
                base,
                format!("a mapping is needed here, not {}", plain_name(value)),
            )),
        }
    }

    /// The pointer to a field.
    pub(super) fn at(&self, field: &str) -> String {
        format!("{}/{}", self.base, pointer_token(field))
    }

    /// A fault of the whole mapping, such as a field that is missing.
    pub(super) fn fault(&mut self, message: String, hint: String) {
        self.problems.push(Problem::fatal(self.base.clone(), message).hint(hint));
    }

    /// The field, when it is there and not null.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, field: &str, wanted: &str, value: &Value) {
        let message = format!("{field} must be {wanted}, not {}", plain_name(value));
        let problem = Problem::fatal(self.at(field), message);
        self.problems.push(problem);
    }

    /// A text; numbers are taken as text, as YAML authors write `version: 1.0`.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        let value = self.get(field)?;
        if let Value::String(text) = value {
            return Some(text.clone());
        }
        if value.is_number() {
            return Some(value.to_string());
        }
        self.wrong(field, "text", value);
        None
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, field: &str) -> Option<String> {
        if self.get(field).is_none() {
            let problem = Problem::fatal(self.base.clone(), format!("{field} is missing"));
            self.problems.push(problem);
            return None;
        }
        self.text(field).filter(|text| {
            let empty = text.is_empty();
            if empty {
                let problem = Problem::fatal(self.at(field), format!("{field} is empty"));
                self.problems.push(problem);
            }
            !empty
        })
    }

    /// Yes or no, with `default` when absent.
    pub(super) fn boolean(&mut self, field: &str, default: bool) -> bool {
        match self.get(field) {
            None => default,
            Some(Value::Bool(truth)) => *truth,
            Some(other) => {
                self.wrong(field, "true or false", other);
                default
            }
        }
    }

    /// A whole number of at least 1, with `default` when absent.
    pub(super) fn count(&mut self, field: &str, default: u32) -> u32 {
        match self.get(field) {
            None => default,
            Some(value) => {
                let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
                count.filter(|count| *count > 0).unwrap_or_else(|| {
                    self.wrong(field, "a whole number of at least 1", value);
                    default
                })
            }
        }
    }

    /// A mapping; absent counts as empty, and so does an empty list, which old packs write.
    pub(super) fn mapping(&mut self, field: &str) -> Map<String, Value> {
        match self.get(field) {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(Value::Array(items)) if items.is_empty() => Map::new(),
            Some(other) => {
                self.wrong(field, "a mapping", other);
                Map::new()
            }
        }
    }

    /// Notices for fields that nobody knows.
    pub(super) fn unknown(&mut self, known: &[&str]) {
        for field in self.map.keys() {
            if known.contains(&field.as_str()) {
                continue;
            }
            let mut problem =
                Problem::notice(self.at(field), format!("unknown field {field:?} is ignored"));
            if let Some(meant) = suggestion(field, known) {
                problem = problem.hint(format!("did you mean {meant:?}?"));
            }
            self.problems.push(problem);
        }
    }

    /// Faults for fields that nobody knows, where to ignore one would change the meaning of all.
    pub(super) fn refuse_unknown(&mut self, known: &[&str]) {
        for field in self.map.keys().filter(|field| !known.contains(&field.as_str())) {
            let problem = Problem::fatal(self.at(field), format!("unknown field {field:?}"));
            self.problems.push(match suggestion(field, known) {
                Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
                None => problem.hint(format!("one of {}", known.join(", "))),
            });
        }
    }

    /// The pack that the file names must be the folder it lies in.
    pub(super) fn pack(&mut self, pack: &str) {
        if let Some(named) = self.text("pack")
            && named != pack
        {
            let message = format!("the file belongs to pack {named:?} but lies in {pack:?}");
            let problem = Problem::fatal(self.at("pack"), message).hint("remove the field");
            self.problems.push(problem);
        }
    }

    /// Whether anything found so far keeps the definition from being used.
    pub(super) fn is_fatal(&self) -> bool {
        self.problems.iter().any(|problem| problem.fatal)
    }
}

/// What an author of YAML calls a value.
pub(super) fn plain_name(value: &Value) -> &'static str {
    match type_name(value) {
        "NoneType" => "nothing",
        "bool" => "true or false",
        "str" => "text",
        "list" => "a list",
        "dict" => "a mapping",
        _ => "a number",
    }
}

//! Parameters of actions, triggers and configurations: a schema per name.
//!
//! Draft-4 JSON schema, `required` as a boolean on the parameter, and StackStorm's own `immutable`,
//! `secret` and `position`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::problem::{Problem, pointer_token, suggestion};
use super::reader::plain_name;
use crate::parameters::mask::has_secret;
use crate::parameters::schema::Check;

/// The attributes a parameter may carry.
const ATTRIBUTES: &[&str] = &[
    "type",
    "description",
    "default",
    "required",
    "immutable",
    "secret",
    "position",
    "enum",
    "items",
    "properties",
    "patternProperties",
    "additionalProperties",
    "additionalItems",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "multipleOf",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "title",
    "id",
    "$schema",
    "$ref",
    "definitions",
    "dependencies",
];

/// The simple type a parameter is cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// A list.
    Array,
    /// Yes or no.
    Boolean,
    /// A whole number.
    Integer,
    /// Nothing but null.
    Null,
    /// Any number.
    Number,
    /// A mapping.
    Object,
    /// A text.
    String,
}

impl ParameterKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Array,
        Self::Boolean,
        Self::Integer,
        Self::Null,
        Self::Number,
        Self::Object,
        Self::String,
    ];

    /// The word in a schema.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Null => "null",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }

    /// The kind called `word`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// All its attributes, as they are validated.
    pub schema: Map<String, Value>,
    /// What its values are cast to; none when the author says nothing.
    pub kind: Option<ParameterKind>,
    /// The value it has when none is given. Null counts as none.
    pub default: Option<Value>,
    /// Whether a value must be given.
    pub required: bool,
    /// Whether the default is the only value it may have.
    pub immutable: bool,
    /// Whether its value, or a part of it, must not be shown.
    pub secret: bool,
    /// Its place among the positional arguments of a script.
    pub position: Option<u32>,
    /// What it is for.
    pub description: String,
    /// What values are checked against.
    pub(crate) check: Check,
}

impl Parameter {
    /// A parameter with these attributes, taken as they are.
    fn from_schema(name: &str, schema: Map<String, Value>) -> Self {
        let flag = |field: &str| schema.get(field).and_then(Value::as_bool).unwrap_or(false);
        Self {
            name: name.to_owned(),
            kind: schema.get("type").and_then(Value::as_str).and_then(ParameterKind::parse),
            default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            required: flag("required"),
            immutable: flag("immutable"),
            secret: has_secret(&schema),
            position: schema
                .get("position")
                .and_then(Value::as_u64)
                .and_then(|position| u32::try_from(position).ok()),
            description: schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            check: Check::new(&schema),
            schema,
        }
    }
}

/// Parameters in the order in which they are written. Large packs have thousands of actions, each
/// with its runner's parameters beside its own, so what is the same is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Vec<Arc<Parameter>>);

impl Parameters {
    /// Reads a mapping of names to schemas that stands at `base` in its file.
    #[must_use]
    pub fn from_map(map: &Map<String, Value>, base: &str) -> (Self, Vec<Problem>) {
        let mut parameters = Vec::new();
        let mut problems = Vec::new();
        for (name, schema) in map {
            let at = format!("{base}/{}", pointer_token(name));
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                let message = format!("{name:?} is no name of a parameter");
                problems.push(
                    Problem::fatal(at.clone(), message).hint("use letters, digits and _ only"),
                );
            }
            let schema = if schema.is_null() {
                Map::new()
            } else if let Value::Object(schema) = schema {
                schema.clone()
            } else {
                let message =
                    format!("a parameter is described by a mapping, not {}", plain_name(schema));
                problems.push(Problem::fatal(at, message));
                continue;
            };
            check_attributes(&schema, &at, &mut problems);
            parameters.push(Arc::new(Parameter::from_schema(name, schema)));
        }
        (Self(parameters), problems)
    }

    /// The parameter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.iter().find(|parameter| parameter.name == name)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter().map(Arc::as_ref)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These parameters with the attributes of `over` on top: an author may redeclare only what
    /// differs.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let mut merged: Vec<Arc<Parameter>> = self
            .0
            .iter()
            .map(|parameter| match over.get(&parameter.name) {
                Some(above) => {
                    let mut schema = parameter.schema.clone();
                    deep_update(&mut schema, &above.schema);
                    Arc::new(Parameter::from_schema(&parameter.name, schema))
                }
                None => Arc::clone(parameter),
            })
            .collect();
        merged.extend(over.0.iter().filter(|above| self.get(&above.name).is_none()).cloned());
        Self(merged)
    }

    /// The schemas as a mapping, for those who show them.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(
            self.0
                .iter()
                .map(|parameter| (parameter.name.clone(), Value::Object(parameter.schema.clone())))
                .collect(),
        )
    }
}

fn deep_update(below: &mut Map<String, Value>, above: &Map<String, Value>) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(over)) => deep_update(inner, over),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

fn check_attributes(schema: &Map<String, Value>, at: &str, problems: &mut Vec<Problem>) {
    for attribute in schema.keys() {
        if !ATTRIBUTES.contains(&attribute.as_str()) {
            let mut problem = Problem::notice(
                format!("{at}/{}", pointer_token(attribute)),
                format!("unknown attribute {attribute:?} is ignored"),
            );
            if let Some(meant) = suggestion(attribute, ATTRIBUTES) {
                problem = problem.hint(format!("did you mean {meant:?}?"));
            }
            problems.push(problem);
        }
    }
    match schema.get("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(word)) if ParameterKind::parse(word).is_some() => {}
        Some(Value::String(word)) => {
            let words = ParameterKind::ALL.map(ParameterKind::word);
            let mut problem = Problem::fatal(format!("{at}/type"), format!("{word:?} is no type"));
            problem = match suggestion(word, &words) {
                Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
                None => problem.hint(format!("one of {}", words.join(", "))),
            };
            problems.push(problem);
        }
        Some(_) => problems.push(Problem::fatal(
            format!("{at}/type"),
            "the type of a parameter is one word".to_owned(),
        )),
    }
    for flag in ["required", "immutable", "secret"] {
        if schema.get(flag).is_some_and(|value| !value.is_boolean()) {
            problems.push(Problem::fatal(
                format!("{at}/{flag}"),
                format!("{flag} must be true or false"),
            ));
        }
    }
    let position = schema.get("position").filter(|position| !position.is_null());
    if position.is_some_and(|position| {
        position.as_u64().is_none_or(|position| u32::try_from(position).is_err())
    }) {
        problems.push(Problem::fatal(
            format!("{at}/position"),
            "position must be a whole number from 0 on",
        ));
    }
}

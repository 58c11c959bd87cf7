//! Patterns: constants, or Jinja texts whose value keeps its type.
//!
//! StackStorm puts `| to_complex` before the last `}}` of each line and reads the outcome as JSON;
//! only if that is not JSON does it render the pattern as it stands. The quirks of that (operators
//! bind to the last operand, `True` stays text) are contract, so it is done literally, except where
//! a pattern is one plain path: there the value itself is the outcome.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::Value;

use super::criterion::Criterion;
use super::operator::Operator;
use crate::pattern::regex::{Flags, Regex};
use crate::pattern::wildcard::Wildcard;
use crate::template::{Error, Scope, Template};
use crate::value::compare::type_name;
use crate::value::text::text;

/// StackStorm's own expression for "has a variable in it": greedy, line by line.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"({{)\s*(.*)\s*(}})", Flags::default()).expect("a constant pattern")
});

/// A pattern, prepared as far as can be without an event.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// A value that is the same for every event.
    Fixed { value: Value, prepared: Prepared },
    /// A text to be rendered.
    Rendered {
        /// With `to_complex`; none when no variable is in it.
        complex: Option<Result<Template, Error>>,
        /// As it stands.
        plain: Result<Template, Error>,
    },
}

/// What an operator makes of a fixed pattern, made once.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    Nothing,
    Regex(Result<Box<Regex>, String>),
    Wildcard(Wildcard),
    /// The criteria of a search; one that cannot be read says why.
    Nested(Vec<Result<Criterion, String>>),
}

impl Pattern {
    /// Prepares `pattern` for `operator`.
    pub(super) fn new(pattern: &Value, operator: Option<Operator>) -> Self {
        let Value::String(text) = pattern else {
            return Self::fixed(pattern.clone(), operator);
        };
        let plain = Template::parse(text);
        let variable = VARIABLE.is_match(text).unwrap_or(false);
        if !variable
            && let Ok(template) = &plain
            && template.roots().is_empty()
            && let Ok(rendered) = template.render(&Scope::new())
        {
            return Self::fixed(Value::String(rendered), operator);
        }
        let complex = variable.then(|| {
            let rewritten = VARIABLE
                .replace(text, r"\1\2 | to_complex\3")
                .map_err(|error| Error::Syntax { reason: error.to_string() })?;
            Template::parse(&rewritten)
        });
        Self::Rendered { complex, plain }
    }

    fn fixed(value: Value, operator: Option<Operator>) -> Self {
        let prepared = match operator.zip(value.as_str()) {
            Some((Operator::MatchWildcard, text)) => Prepared::Wildcard(Wildcard::parse(text)),
            Some((operator, text)) => match operator.regex_flags() {
                Some(flags) => Prepared::Regex(
                    Regex::new(text, flags).map(Box::new).map_err(|error| error.to_string()),
                ),
                None => Prepared::Nothing,
            },
            None => match (operator, &value) {
                (Some(Operator::Search), Value::Object(map)) => {
                    Prepared::Nested(map.iter().map(|(k, v)| Criterion::nested(k, v)).collect())
                }
                _ => Prepared::Nothing,
            },
        };
        Self::Fixed { value, prepared }
    }

    /// The value, when it is the same for every event.
    pub(super) fn constant(&self) -> Option<&Value> {
        match self {
            Self::Fixed { value, .. } => Some(value),
            Self::Rendered { .. } => None,
        }
    }

    /// Why it can never be used, when that is known beforehand.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Fixed { prepared: Prepared::Regex(Err(reason)), .. } => Some(reason.clone()),
            Self::Fixed { .. } => None,
            Self::Rendered { complex: Some(Err(error)), .. }
            | Self::Rendered { plain: Err(error), .. } => Some(error.to_string()),
            Self::Rendered { .. } => None,
        }
    }

    /// The pattern for the event in `scope`.
    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Result<Matcher<'_>, String> {
        match self {
            Self::Fixed { value, prepared } => {
                Ok(Matcher { value: Cow::Borrowed(value), prepared: Some(prepared) })
            }
            Self::Rendered { complex, plain } => {
                let value = render(complex.as_ref(), plain, scope)
                    .map_err(|error| format!("the pattern cannot be rendered: {error}"))?;
                Ok(Matcher { value: Cow::Owned(value), prepared: None })
            }
        }
    }
}

fn render(
    complex: Option<&Result<Template, Error>>,
    plain: &Result<Template, Error>,
    scope: &Scope<'_>,
) -> Result<Value, Error> {
    let plain = plain.as_ref().map_err(Clone::clone);
    if let Some(complex) = complex {
        if let Ok(template) = plain
            && let Some(value) = template.bare(scope)
        {
            return value;
        }
        let rendered = complex.as_ref().map_err(Clone::clone)?.render(scope)?;
        if let Ok(value) = serde_json::from_str(&rendered) {
            return Ok(value);
        }
    }
    plain?.render(scope).map(Value::String)
}

/// A pattern as one event has it.
#[derive(Debug)]
pub(super) struct Matcher<'p> {
    /// The value to compare with.
    pub(super) value: Cow<'p, Value>,
    /// What was made of it beforehand; none for a rendered one.
    prepared: Option<&'p Prepared>,
}

impl Matcher<'_> {
    /// The same with the pattern as the text it prints as.
    pub(super) fn as_text(&self) -> Self {
        let value = if self.value.is_null() || self.value.is_string() {
            self.value.clone()
        } else {
            Cow::Owned(Value::String(text(&self.value)))
        };
        Self { value, prepared: self.prepared }
    }

    /// The pattern as a regular expression.
    pub(super) fn regex(&self, operator: Operator) -> Result<Cow<'_, Regex>, String> {
        if let Some(Prepared::Regex(regex)) = self.prepared {
            return regex.as_ref().map(|regex| Cow::Borrowed(&**regex)).map_err(Clone::clone);
        }
        let Value::String(text) = self.value.as_ref() else {
            let name = type_name(&self.value);
            return Err(format!("first argument must be string or compiled pattern, not {name}"));
        };
        let regex = Regex::new(text, operator.regex_flags().unwrap_or_default());
        regex.map(Cow::Owned).map_err(|error| error.to_string())
    }

    /// The pattern as a wildcard.
    pub(super) fn wildcard(&self) -> Result<Cow<'_, Wildcard>, String> {
        if let Some(Prepared::Wildcard(wildcard)) = self.prepared {
            return Ok(Cow::Borrowed(wildcard));
        }
        let Value::String(text) = self.value.as_ref() else {
            let name = type_name(&self.value);
            return Err(format!("expected str, bytes or os.PathLike object, not {name}"));
        };
        Ok(Cow::Owned(Wildcard::parse(text)))
    }

    /// The criteria of a search, when they were prepared.
    pub(super) fn nested(&self) -> Option<&[Result<Criterion, String>]> {
        match self.prepared {
            Some(Prepared::Nested(nested)) => Some(nested),
            Some(Prepared::Nothing | Prepared::Regex(_) | Prepared::Wildcard(_)) | None => None,
        }
    }
}

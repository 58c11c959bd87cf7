//! One criterion: compiled when its rule is loaded, evaluated for every event.

use hearken_proto::Timestamp;
use serde_json::Value;

use super::operator::{Operator, apply};
use super::pattern::{Matcher, Pattern};
use super::search;
use crate::definition::problem::{Problem, pointer_token, suggestion};
use crate::path::{self, Found, Path, Root};
use crate::template::{Scope, Views};
use crate::value::text::text;

/// A condition on one value of the event.
#[derive(Clone, Debug)]
pub struct Criterion {
    /// The key as it is written, `#` and all.
    pub key: String,
    /// The operator's name as it is written; empty when there is none.
    pub operator_name: String,
    /// The pattern as it is written.
    pub raw_pattern: Value,
    path: Result<Path, path::Error>,
    operator: Choice,
    pattern: Pattern,
    condition: Value,
    /// Whether value and pattern are compared as the texts they print as.
    as_text: bool,
}

/// What the `type` field says.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    /// Nothing: never matches.
    Missing,
    Known(Operator),
    /// No operator: an error for every event.
    Unknown(String),
}

/// What a criterion looks at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What paths start from.
    pub root: Root<'a>,
    /// What patterns see.
    pub scope: &'a Scope<'a>,
    /// The datastore: `system.x` as a key, `st2kv` in patterns.
    pub views: &'a Views,
    /// Log time of the event: "now" for differences in time.
    pub time: Timestamp,
}

/// What was seen while a criterion was evaluated, for those who explain it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Witness {
    /// The value the path led to; null when it led nowhere.
    pub value: Value,
    /// The pattern, rendered.
    pub pattern: Option<Value>,
    /// What else there is to say.
    pub note: Option<String>,
}

impl Criterion {
    /// Reads the criterion under `key`, standing at `base` in its file.
    ///
    /// There is always a criterion; with a fatal problem it never matches.
    #[must_use]
    pub fn from_value(key: &str, value: &Value, base: &str) -> (Self, Vec<Problem>) {
        let at = format!("{base}/{}", pointer_token(key));
        let mut problems = Vec::new();
        let criterion = Self::read(key, value);
        if !value.is_object() {
            problems.push(
                Problem::fatal(at, "a criterion is a mapping with type and pattern")
                    .hint("write {type: equals, pattern: …}"),
            );
            return (criterion, problems);
        }
        check_key(&criterion, &at, &mut problems);
        check_operator(&criterion, &at, &mut problems);
        check_pattern(&criterion, &at, &mut problems);
        (criterion, problems)
    }

    /// Reads a criterion inside a search.
    pub(super) fn nested(key: &str, value: &Value) -> Result<Self, String> {
        if value.is_object() {
            Ok(Self::read(key, value))
        } else {
            Err(format!("{key:?} inside a search is no mapping"))
        }
    }

    fn read(key: &str, value: &Value) -> Self {
        let field = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
        let (operator_name, operator) = match value.get("type") {
            None => (String::new(), Choice::Missing),
            Some(Value::String(name)) => {
                // Case is forgiven at run time, except for `search`.
                let lower = name.to_lowercase();
                let choice = match Operator::parse(&lower) {
                    Some(Operator::Search) if lower != *name => Choice::Unknown(name.clone()),
                    Some(operator) => Choice::Known(operator),
                    None => Choice::Unknown(name.clone()),
                };
                (name.clone(), choice)
            }
            Some(other) => (other.to_string(), Choice::Unknown(other.to_string())),
        };
        let known = match &operator {
            Choice::Known(operator) => Some(*operator),
            Choice::Missing | Choice::Unknown(_) => None,
        };
        let raw_pattern = field("pattern");
        // All from the first # on is a comment that makes the key unique.
        let path = key.split('#').next().unwrap_or_default();
        Self {
            key: key.to_owned(),
            operator_name,
            path: Path::parse(path),
            operator,
            pattern: Pattern::new(&raw_pattern, known),
            raw_pattern,
            condition: field("condition"),
            as_text: false,
        }
    }

    /// Makes it compare value and pattern as texts, as StackStorm did in 2014.
    pub fn compare_as_text(&mut self) {
        self.as_text = true;
    }

    /// The path and constant of an equality that can be looked up in a table: names only, and a
    /// pattern that is the same for every event.
    #[must_use]
    pub fn equality(&self) -> Option<(&[String], &Value)> {
        if self.operator != Choice::Known(Operator::Equals) || self.as_text {
            return None;
        }
        let names = self.path.as_ref().ok()?.names()?;
        Some((names, self.pattern.constant()?))
    }

    /// Whether evaluating it can never be an error.
    #[must_use]
    pub fn is_infallible(&self) -> bool {
        let operator = match self.operator {
            Choice::Missing => return true,
            Choice::Unknown(_) => return false,
            Choice::Known(operator) => operator,
        };
        let harmless = matches!(
            operator,
            Operator::Equals | Operator::NotEquals | Operator::Exists | Operator::ExistsNot
        );
        let names_only = self.path.as_ref().is_ok_and(|path| path.names().is_some());
        harmless && names_only && self.pattern.constant().is_some()
    }

    /// Whether its `type` names nothing that exists.
    pub(super) fn has_unknown_operator(&self) -> bool {
        matches!(self.operator, Choice::Unknown(_))
    }

    /// Whether the event meets the criterion; `witness` takes down what was seen.
    ///
    /// # Errors
    /// What Python would raise; the criterion then does not match.
    pub fn evaluate(
        &self,
        input: &Input<'_>,
        mut witness: Option<&mut Witness>,
    ) -> Result<bool, String> {
        if self.operator == Choice::Missing {
            if let Some(witness) = witness {
                witness.note = Some("it has no type".to_owned());
            }
            return Ok(false);
        }
        let matcher = self.pattern.evaluate(input.scope)?;
        if let Some(witness) = witness.as_deref_mut() {
            witness.pattern = Some(matcher.value.as_ref().clone());
        }
        let path = self.path.as_ref().map_err(ToString::to_string)?;
        let found = path.first(&input.root).map_err(|error| error.to_string())?;
        if let Some(witness) = witness {
            witness.value = shown(&found, input);
            if found == Found::Missing {
                witness.note = Some("nothing is there".to_owned());
            }
        }
        self.compare(&found, &matcher, input)
    }

    fn compare(
        &self,
        found: &Found<'_>,
        matcher: &Matcher<'_>,
        input: &Input<'_>,
    ) -> Result<bool, String> {
        match &self.operator {
            Choice::Missing => Ok(false),
            Choice::Unknown(name) if name.to_lowercase() == "search" => {
                Err(format!("{name:?} is no operator: write search in lower case"))
            }
            Choice::Unknown(name) => Err(format!("{name:?} is no operator")),
            Choice::Known(Operator::Search) => {
                search::evaluate(found, matcher, &self.condition, input)
            }
            Choice::Known(operator) if self.as_text => {
                let lookup = |key: &str| datastore_text(input.views, key);
                let found = as_text(found);
                apply(*operator, &found, &matcher.as_text(), input.time, lookup)
            }
            Choice::Known(operator) => {
                let lookup = |key: &str| datastore_text(input.views, key);
                apply(*operator, found, matcher, input.time, lookup)
            }
        }
    }
}

/// The text a value prints as; nothing and null stay what they are, or `exists` would mean nothing.
fn as_text<'a>(found: &Found<'a>) -> Found<'a> {
    let made = |value: &Value| {
        if value.is_null() { Found::Missing } else { Found::Made(Value::String(text(value))) }
    };
    match found {
        Found::Missing => Found::Missing,
        Found::Value(value) => made(value),
        Found::Made(value) => made(value),
        Found::Lookup(key) => Found::Lookup(key.clone()),
    }
}

fn datastore_text(views: &Views, key: &str) -> String {
    if key.is_empty() { String::new() } else { views.system().below(key).text() }
}

fn shown(found: &Found<'_>, input: &Input<'_>) -> Value {
    match found {
        Found::Missing => Value::Null,
        Found::Value(value) => (*value).clone(),
        Found::Made(value) => value.clone(),
        Found::Lookup(key) => Value::String(datastore_text(input.views, key)),
    }
}

fn check_key(criterion: &Criterion, at: &str, problems: &mut Vec<Problem>) {
    let first = match &criterion.path {
        Err(error) => {
            problems.push(
                Problem::notice(at, format!("{error}: the criterion is an error for every event"))
                    .hint("quote names that are not plain words: trigger['a b']"),
            );
            return;
        }
        Ok(path) => path.names().and_then(|names| names.first()),
    };
    let Some(first) = first else {
        return;
    };
    if first == "system" {
        let message = "a key that begins with system never equals a text";
        problems.push(
            Problem::notice(at, message).hint("use '{{ st2kv.system.… | string }}' in a pattern"),
        );
    } else if first != "trigger" {
        let message =
            format!("{:?} does not begin with \"trigger.\" and finds nothing", criterion.key);
        // What other tools call an event is not a part of it.
        let meant = ["payload.", "event."].iter().find_map(|name| criterion.key.strip_prefix(name));
        let meant = meant.unwrap_or(&criterion.key);
        problems.push(Problem::notice(at, message).hint(format!("write \"trigger.{meant}\"")));
    }
}

fn check_operator(criterion: &Criterion, at: &str, problems: &mut Vec<Problem>) {
    match &criterion.operator {
        Choice::Missing => problems
            .push(Problem::fatal(at, "the criterion has no type").hint("for example type: equals")),
        Choice::Unknown(name) => {
            let names = Operator::names();
            let mut problem =
                Problem::fatal(format!("{at}/type"), format!("{name:?} is no operator"));
            problem = match suggestion(name, &names) {
                Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
                None => problem.hint(format!("one of {}", names.join(", "))),
            };
            problems.push(problem);
        }
        Choice::Known(operator) if Operator::parse(&criterion.operator_name).is_none() => {
            let message = format!("operators are written in lower case: {operator}");
            problems.push(Problem::fatal(format!("{at}/type"), message));
        }
        Choice::Known(Operator::Search) => {
            if search::Condition::parse(&criterion.condition).is_none() {
                let message = format!("condition {} is not known to search", criterion.condition);
                problems.push(
                    Problem::notice(format!("{at}/condition"), message)
                        .hint("one of any, all, all2any, any2any"),
                );
            }
        }
        Choice::Known(_) => {}
    }
}

fn check_pattern(criterion: &Criterion, at: &str, problems: &mut Vec<Problem>) {
    let Choice::Known(operator) = &criterion.operator else {
        return;
    };
    if criterion.raw_pattern.is_null() && !operator.works_without_pattern() {
        problems.push(Problem::fatal(at, format!("{operator} needs a pattern")));
    }
    if let Some(reason) = criterion.pattern.fault() {
        let message = format!("{reason}: the criterion is an error for every event");
        problems.push(Problem::notice(format!("{at}/pattern"), message));
    }
}

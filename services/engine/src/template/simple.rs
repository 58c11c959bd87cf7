//! Templates that are only literal text and plain paths: rendered without the template engine.
//!
//! Anything this file does not recognise is left to the engine, so it may only accept what it
//! renders exactly as the engine would.

use serde_json::Value;

use super::compiled::Error;
use super::scope::Scope;
use crate::value::compare::type_name;
use crate::value::text::write_text;

/// Names that mean something else than a variable, or are views of the datastore.
const NOT_PLAIN: &[&str] = &[
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "not",
    "and",
    "or",
    "in",
    "is",
    "if",
    "else",
    "loop",
    "self",
    "caller",
    "super",
    "varargs",
    "kwargs",
    "range",
    "dict",
    "namespace",
    "cycler",
    "joiner",
    "lipsum",
    "st2kv",
    "system",
];

/// Attributes of Python's maps, lists and texts: methods, even where a map has such a key.
pub(super) const MAP_METHODS: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

/// A template in pieces.
#[derive(Clone, Debug)]
pub(super) struct Simple(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Path { root: String, steps: Vec<Step> },
}

#[derive(Clone, Debug)]
enum Step {
    /// `.name`: in Python a method wins over a key.
    Attribute(String),
    /// `['name']`
    Key(String),
    /// `[0]`, `[-1]`
    Index(i64),
}

impl Simple {
    /// Reads `source` when it is this simple.
    pub(super) fn parse(source: &str) -> Option<Self> {
        if source.contains("{%") || source.contains("{#") {
            return None;
        }
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("{{") {
            let (expression, behind) = after.split_once("}}")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(path(expression)?);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Some(Self(pieces))
    }

    /// The names it needs.
    pub(super) fn roots(&self) -> Vec<String> {
        let mut roots: Vec<String> = Vec::new();
        for piece in &self.0 {
            if let Piece::Path { root, .. } = piece
                && !roots.contains(root)
            {
                roots.push(root.clone());
            }
        }
        roots
    }

    /// The value it stands for, when it is one path and nothing else.
    pub(super) fn value<'a>(&self, scope: &'a Scope<'_>) -> Option<Result<Found<'a>, Error>> {
        match self.0.as_slice() {
            [Piece::Path { root, steps }] => Some(follow(root, steps, scope)),
            _ => None,
        }
    }

    /// The text, path by path.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<String, Error> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Path { root, steps } => match follow(root, steps, scope)? {
                    Found::Value(value) => write_text(&mut out, value),
                    Found::Letter(letter) => out.push(letter),
                },
            }
        }
        Ok(out)
    }
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Value(&'a Value),
    Letter(char),
}

fn path(expression: &str) -> Option<Piece> {
    // `{{-` and `-}}` trim blanks around: not simple.
    let mut rest = expression.trim_matches([' ', '\t', '\n']);
    if expression.starts_with(['-', '+']) || expression.ends_with(['-', '+']) {
        return None;
    }
    let root = identifier(&mut rest)?;
    if NOT_PLAIN.contains(&root.as_str()) {
        return None;
    }
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            steps.push(Step::Attribute(identifier(&mut rest)?));
        } else {
            let (inside, behind) = rest.strip_prefix('[')?.split_once(']')?;
            rest = behind;
            steps.push(subscript(inside.trim_matches(' '))?);
        }
    }
    Some(Piece::Path { root, steps })
}

fn identifier(rest: &mut &str) -> Option<String> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    // Python's sandbox hides what begins with an underscore.
    let lawful = name.starts_with(|c: char| c.is_ascii_alphabetic());
    *rest = behind;
    lawful.then(|| name.to_owned())
}

fn subscript(inside: &str) -> Option<Step> {
    for quote in ['\'', '"'] {
        let quoted = inside.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(key) = quoted {
            let plain = !key.contains(['\\', '\'', '"']) && !key.starts_with('_');
            return plain.then(|| Step::Key(key.to_owned()));
        }
    }
    inside.parse().ok().map(Step::Index)
}

fn follow<'a>(root: &str, steps: &[Step], scope: &'a Scope<'_>) -> Result<Found<'a>, Error> {
    let Some(mut at) = scope.value(root) else {
        return Err(Error::Undefined { reason: format!("'{root}' is undefined") });
    };
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        let next = match (step, at) {
            (Step::Attribute(name), Value::Object(_)) if MAP_METHODS.contains(&name.as_str()) => {
                return Err(Error::Undefined {
                    reason: format!("'{name}' is a method of a map: write ['{name}'] for the key"),
                });
            }
            (Step::Attribute(name) | Step::Key(name), Value::Object(map)) => map.get(name),
            (Step::Index(index), Value::Array(items)) => {
                place(*index, items.len()).and_then(|at| items.get(at))
            }
            (Step::Index(index), Value::String(text)) => {
                let letter = place(*index, text.chars().count())
                    .and_then(|at| text.chars().nth(at))
                    .ok_or_else(|| missing(at, step))?;
                // A letter has no parts but itself.
                return if steps.next().is_none() {
                    Ok(Found::Letter(letter))
                } else {
                    Err(missing(at, step))
                };
            }
            _ => None,
        };
        at = next.ok_or_else(|| missing(at, step))?;
    }
    Ok(Found::Value(at))
}

fn place(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(at) => Some(at),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The text is Jinja's, so that a search engine knows it.
fn missing(at: &Value, step: &Step) -> Error {
    let kind = type_name(at);
    let reason = match step {
        Step::Attribute(name) | Step::Key(name) => {
            format!("'{kind} object' has no attribute '{name}'")
        }
        Step::Index(index) => format!("{kind} object has no element {index}"),
    };
    Error::Undefined { reason }
}

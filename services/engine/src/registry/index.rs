//! Finds the rules that an event could match without asking them all.
//!
//! A rule with an equality on a plain path stands in a table of that path, under the value it
//! wants; all other rules are candidates for every event. A criterion counts only if everything
//! before it in the file can never be an error, because an error is an outcome too and must not be
//! lost. Trees of criteria are never looked up.

use std::collections::HashMap;

use serde_json::Value;

use super::bucket::Candidate;
use crate::criteria::Clause;
use crate::value::compare::is_true;

/// Rules of one trigger, by place in the registry.
#[derive(Debug, Default)]
pub(super) struct Index {
    tables: Vec<Table>,
    /// Rules that must always be asked.
    rest: Vec<usize>,
    /// Rules without criteria: they match even an event without payload.
    free: Vec<usize>,
}

/// The rules that want certain values at one path below the payload.
#[derive(Debug)]
struct Table {
    path: Vec<String>,
    texts: HashMap<String, Vec<Candidate>>,
    numbers: HashMap<Number, Vec<Candidate>>,
}

/// A number as equality sees it: 1, 1.0 and true are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Number {
    Whole(i128),
    /// Bits of a float with a fraction, or beyond any whole number of JSON.
    Bits(u64),
}

/// A value that can be looked up.
enum Key<'a> {
    Text(&'a str),
    Number(Number),
}

impl Index {
    /// Adds a rule by its criteria.
    pub(super) fn insert(&mut self, place: usize, criteria: &[Clause]) {
        if criteria.is_empty() {
            self.free.push(place);
            return;
        }
        match lookup_criterion(criteria) {
            Some((at, path, Key::Text(text))) => {
                // Two texts are equal or not: what was looked up need not be compared again.
                let candidate = Candidate { place, holds: Some(at) };
                self.table(path).texts.entry(text.to_owned()).or_default().push(candidate);
            }
            Some((_at, path, Key::Number(number))) => {
                let candidate = Candidate { place, holds: None };
                self.table(path).numbers.entry(number).or_default().push(candidate);
            }
            None => self.rest.push(place),
        }
    }

    fn table(&mut self, path: &[String]) -> &mut Table {
        let at = self.tables.iter().position(|table| table.path == path);
        let at = at.unwrap_or_else(|| {
            self.tables.push(Table {
                path: path.to_vec(),
                texts: HashMap::new(),
                numbers: HashMap::new(),
            });
            self.tables.len() - 1
        });
        self.tables.get_mut(at).expect("the place was just found or made")
    }

    /// Adds the rules that `payload` could match.
    pub(super) fn candidates(&self, payload: &Value, candidates: &mut Vec<Candidate>) {
        let asked = |place: &usize| Candidate { place: *place, holds: None };
        candidates.extend(self.free.iter().map(asked));
        // Criteria on an event without payload match nothing and fail on nothing.
        if !is_true(payload) {
            return;
        }
        candidates.extend(self.rest.iter().map(asked));
        for table in &self.tables {
            let mut at = Some(payload);
            for name in &table.path {
                at = at.and_then(|value| value.as_object()).and_then(|map| map.get(name));
            }
            let found = match at.and_then(key) {
                Some(Key::Text(text)) => table.texts.get(text),
                Some(Key::Number(number)) => table.numbers.get(&number),
                None => None,
            };
            candidates.extend(found.into_iter().flatten());
        }
    }
}

/// The first criterion that can be looked up: its place, and its path below `trigger`.
fn lookup_criterion(criteria: &[Clause]) -> Option<(usize, &[String], Key<'_>)> {
    for (at, clause) in criteria.iter().enumerate() {
        if let Clause::One(leaf) = clause
            && let Some((names, pattern)) = leaf.criterion.equality()
            && let Some((root, path)) = names.split_first()
            && root == "trigger"
            && let Some(key) = key(pattern)
        {
            return Some((at, path, key));
        }
        if !clause.is_infallible() {
            return None;
        }
    }
    None
}

fn key(value: &Value) -> Option<Key<'_>> {
    match value {
        Value::String(text) => Some(Key::Text(text)),
        Value::Bool(truth) => Some(Key::Number(Number::Whole(i128::from(*truth)))),
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                return Some(Key::Number(Number::Whole(i128::from(whole))));
            }
            if let Some(whole) = number.as_u64() {
                return Some(Key::Number(Number::Whole(i128::from(whole))));
            }
            Some(Key::Number(float_key(number.as_f64()?)))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn float_key(number: f64) -> Number {
    /// Every whole number of JSON is below this.
    const WHOLE_MAX: f64 = 1e30;
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "checked against WHOLE_MAX")]
        return Number::Whole(number as i128);
    }
    Number::Bits(number.to_bits())
}

//! `search`: criteria on the elements of a list.

use serde_json::Value;

use super::criterion::{Criterion, Input};
use super::pattern::Matcher;
use crate::path::{Found, Root};
use crate::template::Scope;
use crate::value::compare::type_name;

/// How many elements must meet how many of the inner criteria.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Some element meets all.
    Any,
    /// Every element meets all.
    All,
    /// Every element meets at least one.
    AllToAny,
    /// Some element meets at least one.
    AnyToAny,
}

impl Condition {
    /// The condition that a criterion names.
    #[must_use]
    pub fn parse(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "any" => Some(Self::Any),
            "all" => Some(Self::All),
            "all2any" => Some(Self::AllToAny),
            "any2any" => Some(Self::AnyToAny),
            _ => None,
        }
    }

    const fn wants_every_element(self) -> bool {
        matches!(self, Self::All | Self::AllToAny)
    }

    const fn wants_every_criterion(self) -> bool {
        matches!(self, Self::Any | Self::All)
    }
}

/// Applies the inner criteria to each element.
pub(super) fn evaluate(
    found: &Found<'_>,
    matcher: &Matcher<'_>,
    condition: &Value,
    input: &Input<'_>,
) -> Result<bool, String> {
    let Some(condition) = Condition::parse(condition) else {
        return Err(format!(
            "the {condition} condition is not recognized for type search: any, all, any2any and \
             all2any are allowed"
        ));
    };
    let null = Value::Null;
    let value = match found {
        Found::Missing => &null,
        Found::Value(value) => *value,
        Found::Made(value) => value,
        Found::Lookup(_) => return Err("the datastore has no end of elements".to_owned()),
    };
    let made;
    let elements: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(_) => vec![value],
        // Python goes through a text letter by letter.
        Value::String(text) => {
            made = text.chars().map(|c| Value::String(c.to_string())).collect::<Vec<_>>();
            made.iter().collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            return Err(format!("'{}' object is not iterable", type_name(value)));
        }
    };
    if elements.is_empty() {
        return Ok(condition.wants_every_element());
    }
    let compiled;
    let criteria = match (matcher.nested(), matcher.value.as_object()) {
        (Some(criteria), _) => criteria,
        (None, Some(map)) => {
            compiled = map.iter().map(|(k, v)| Criterion::nested(k, v)).collect::<Vec<_>>();
            &compiled
        }
        (None, None) => {
            return Err(format!("'{}' object has no criteria", type_name(&matcher.value)));
        }
    };
    // No short cut: an error in a later criterion must not depend on an earlier one.
    let mut verdicts = Vec::with_capacity(elements.len());
    for element in elements {
        verdicts.push(element_matches(element, criteria, condition, input)?);
    }
    Ok(if condition.wants_every_element() {
        verdicts.iter().all(|verdict| *verdict)
    } else {
        verdicts.iter().any(|verdict| *verdict)
    })
}

fn element_matches(
    element: &Value,
    criteria: &[Result<Criterion, String>],
    condition: Condition,
    input: &Input<'_>,
) -> Result<bool, String> {
    let values = [("item", element)];
    let root = Root { values: &values, lookups: &["system"] };
    let mut scope = Scope::viewing_within(input.scope, input.views);
    scope.put("item", element);
    let inner = Input { root, scope: &scope, ..*input };
    let mut verdicts = Vec::with_capacity(criteria.len());
    for criterion in criteria {
        let criterion = criterion.as_ref().map_err(Clone::clone)?;
        if criterion.has_unknown_operator() {
            // The one error that st2 lets escape to the criterion around.
            return Err(format!("{:?} is no operator", criterion.operator_name));
        }
        // Any other error makes this inner criterion false and nothing else.
        verdicts.push(criterion.evaluate(&inner, None).unwrap_or(false));
    }
    Ok(if condition.wants_every_criterion() {
        verdicts.iter().all(|verdict| *verdict)
    } else {
        verdicts.iter().any(|verdict| *verdict)
    })
}

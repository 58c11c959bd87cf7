//! Explaining: would this rule match this event, and why not.
//!
//! The same evaluator as live judging, except that it goes on after the first criterion that does
//! not hold, so that all reasons show at once.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Context, Event, event_scope, input, surroundings};
use crate::criteria::{Criterion, Input, Witness};
use crate::definition::{Action, Rule};
use crate::parameters::{self, Given, Plan, Wanted};
use crate::template::Scope;
use crate::value::compare::is_true;

/// What a criterion comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// It could not be decided, which counts as not holding.
    Error,
}

impl Serialize for Truth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Holds => serializer.serialize_bool(true),
            Self::Fails => serializer.serialize_bool(false),
            Self::Error => serializer.serialize_str("error"),
        }
    }
}

/// One criterion, and what it saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CriterionVerdict {
    /// The key as the rule writes it.
    pub path: String,
    /// The operator as the rule writes it.
    pub operator: String,
    /// The pattern, rendered if that was possible.
    pub pattern: Value,
    /// The value at the path; null when nothing is there.
    pub value: Value,
    /// What it comes to.
    pub verdict: Truth,
    /// Why, when there is more to say.
    pub why: Option<String>,
}

/// What a rule makes of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The rule.
    pub rule: String,
    /// The event.
    pub event: String,
    /// Whether the rule matches.
    pub matches: bool,
    /// Each criterion, in file order.
    pub criteria: Vec<CriterionVerdict>,
    /// The action's parameters; null when the rule does not match or they cannot be made.
    pub parameters: Option<Map<String, Value>>,
    /// What stands in the way of a match or of the parameters.
    pub error: Option<String>,
}

/// Explains what `rule` makes of `event`. Whether the rule is switched on does not matter here.
///
/// With the `action` at hand parameters are cast and checked; without, they are only rendered.
#[must_use]
pub fn explain(
    rule: &Rule,
    action: Option<&Action>,
    event: &Event<'_>,
    context: &Context,
) -> Verdict {
    let scope = event_scope(event, context);
    let values = [("trigger", event.payload)];
    let input = input(&values, event, &scope, context);
    let criteria: Vec<CriterionVerdict> =
        rule.criteria.iter().map(|criterion| look(criterion, &input)).collect();
    let obstacle = obstacle(rule, event, &criteria);
    let mut verdict = Verdict {
        rule: rule.reference.clone(),
        event: event.id.to_owned(),
        matches: obstacle.is_none() && criteria.iter().all(|c| c.verdict == Truth::Holds),
        criteria,
        parameters: None,
        error: obstacle,
    };
    if verdict.matches {
        match parameters_of(rule, action, event, &scope, context) {
            Ok(parameters) => verdict.parameters = Some(parameters),
            Err(error) => verdict.error = Some(error.to_string()),
        }
    }
    verdict
}

fn look(criterion: &Criterion, input: &Input<'_>) -> CriterionVerdict {
    let mut witness = Witness::default();
    let (verdict, why) = match criterion.evaluate(input, Some(&mut witness)) {
        Ok(true) => (Truth::Holds, None),
        Ok(false) => (Truth::Fails, witness.note),
        Err(reason) => (Truth::Error, Some(reason)),
    };
    CriterionVerdict {
        path: criterion.key.clone(),
        operator: criterion.operator_name.clone(),
        pattern: witness.pattern.unwrap_or_else(|| criterion.raw_pattern.clone()),
        value: witness.value,
        verdict,
        why,
    }
}

/// Why the rule cannot match whatever its criteria say, or which criterion failed by error.
fn obstacle(rule: &Rule, event: &Event<'_>, criteria: &[CriterionVerdict]) -> Option<String> {
    if rule.trigger.reference != event.trigger {
        return Some(format!(
            "the rule is about {:?}, the event is a {:?}",
            rule.trigger.reference, event.trigger
        ));
    }
    if !rule.criteria.is_empty() && !is_true(event.payload) {
        return Some("the event has no payload for the criteria to look at".to_owned());
    }
    // Judging stops at the first that does not hold; an error behind that one never shows.
    let first = criteria.iter().find(|criterion| criterion.verdict != Truth::Holds)?;
    let reason = first.why.as_ref().filter(|_| first.verdict == Truth::Error)?;
    Some(format!("criterion {:?}: {reason}", first.path))
}

fn parameters_of(
    rule: &Rule,
    action: Option<&Action>,
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> Result<Map<String, Value>, parameters::Error> {
    let given = &rule.action.parameters;
    let scope = &Scope::on_with(scope, context.views());
    if let Some(action) = action {
        let surroundings = surroundings(rule, action, event, context);
        return Plan::live(action, given, &["trigger"])?.live_parameters(
            action,
            scope,
            &surroundings,
        );
    }
    let mut parameters = Map::new();
    for (name, value) in given {
        let rendered = Given::compile(value).render(scope, Wanted::Text);
        let value = rendered.map_err(|error| parameters::Error::Render {
            parameter: name.clone(),
            reason: error.to_string(),
        })?;
        parameters.insert(name.clone(), value);
    }
    Ok(parameters)
}

//! Explaining: would this rule match this event, and why not.
//!
//! The same evaluator as live judging, except that it goes on after the first criterion that does
//! not hold, so that all reasons show at once. A tree of criteria has a verdict of its own,
//! followed by those of the criteria in it, which are named by all the keys that lead to them.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Context, Event, event_scope, input, matches, surroundings};
use crate::criteria::{Clause, Input, Leaf, Tree, Witness};
use crate::definition::{Action, Remember, Rule};
use crate::parameters::mask::{MASK, masked, secret_names};
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
    /// The key as the rule writes it; inside a tree, after the keys around it.
    pub path: String,
    /// The operator as the rule writes it; `any`, `all` or `not` for a tree.
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
    /// Each criterion, in file order; a tree stands before what is in it.
    pub criteria: Vec<CriterionVerdict>,
    /// The action's parameters; null when the rule does not match or they cannot be made.
    pub parameters: Option<Map<String, Value>>,
    /// What stands in the way of a match or of the parameters.
    pub error: Option<String>,
    /// What the rule remembers, in one line: a match alone is then no request yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remembers: Option<String>,
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
    let mut criteria = Vec::new();
    rule.criteria.iter().for_each(|clause| look(clause, &input, &mut criteria));
    // The judges' own answer: an error behind the first criterion that does not hold never shows.
    let answer = match obstacle(rule, event) {
        Some(obstacle) => Err(obstacle),
        None => matches(&rule.criteria, event, &scope, context),
    };
    let mut verdict = Verdict {
        rule: rule.reference.clone(),
        event: event.id.to_owned(),
        matches: answer == Ok(true),
        criteria,
        parameters: None,
        error: answer.err(),
        remembers: rule.remember.as_ref().map(Remember::describe),
    };
    if verdict.matches {
        match parameters_of(rule, action, event, &scope, context) {
            // People read it: secrets are not for them.
            Ok(parameters) => {
                verdict.parameters = Some(match action {
                    Some(action) => shown(rule, action, &parameters),
                    None => parameters,
                });
            }
            Err(error) => verdict.error = Some(error.to_string()),
        }
    }
    verdict
}

/// The parameters as people may see them.
fn shown(rule: &Rule, action: &Action, parameters: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = masked(&action.effective, parameters);
    for name in secret_names(action, &rule.action.parameters) {
        let is_untouched = shown.get(&name) == parameters.get(&name);
        if let Some(value) = shown.get_mut(&name).filter(|value| is_untouched && !value.is_null()) {
            *value = Value::from(MASK);
        }
    }
    shown
}

/// Adds the verdict on a clause, and on everything in it.
fn look(clause: &Clause, input: &Input<'_>, verdicts: &mut Vec<CriterionVerdict>) {
    match clause {
        Clause::One(leaf) => verdicts.push(look_at_leaf(leaf, input)),
        Clause::Tree(tree) => {
            verdicts.push(look_at_tree(tree, clause, input));
            for clause in tree.branches.iter().flatten() {
                look(clause, input, verdicts);
            }
        }
    }
}

fn look_at_leaf(leaf: &Leaf, input: &Input<'_>) -> CriterionVerdict {
    let criterion = &leaf.criterion;
    let mut witness = Witness::default();
    let (verdict, why) = match criterion.evaluate(input, Some(&mut witness)) {
        Ok(true) => (Truth::Holds, None),
        Ok(false) => (Truth::Fails, witness.note),
        Err(reason) => (Truth::Error, Some(reason)),
    };
    CriterionVerdict {
        path: leaf.path.clone(),
        operator: criterion.operator_name.clone(),
        pattern: witness.pattern.unwrap_or_else(|| criterion.raw_pattern.clone()),
        value: witness.value,
        verdict,
        why,
    }
}

fn look_at_tree(tree: &Tree, clause: &Clause, input: &Input<'_>) -> CriterionVerdict {
    let (verdict, why) = match clause.evaluate(input) {
        Ok(true) => (Truth::Holds, None),
        Ok(false) => (Truth::Fails, None),
        Err(reason) => (Truth::Error, Some(reason)),
    };
    CriterionVerdict {
        path: tree.path.clone(),
        operator: tree.junction.word().to_owned(),
        pattern: Value::Null,
        value: Value::Null,
        verdict,
        why,
    }
}

/// Why the rule cannot match whatever its criteria say.
fn obstacle(rule: &Rule, event: &Event<'_>) -> Option<String> {
    if rule.trigger.reference != event.trigger {
        return Some(format!(
            "the rule is about {:?}, the event is a {:?}",
            rule.trigger.reference, event.trigger
        ));
    }
    if !rule.criteria.is_empty() && !is_true(event.payload) {
        return Some("the event has no payload for the criteria to look at".to_owned());
    }
    None
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

//! Explaining: would this rule match this event, and why not.
//!
//! The same evaluator as live judging, except that it goes on after the first criterion that does
//! not hold, so that all reasons show at once. A tree of criteria has a verdict of its own,
//! followed by those of the criteria in it, which are named by all the keys that lead to them.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Context, Event, UNTOLD, event_scope, input, matches, surroundings};
use crate::criteria::{Clause, Input, Leaf, Tree, Witness};
use crate::definition::{Action, Remember, Rule};
use crate::parameters::mask::{MASK, masked};
use crate::parameters::{self, Given, Plan, Resolved, Wanted};
use crate::registry::parameters_digest;
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
    /// Why a match alone tells less than it seems, for a rule that remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
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
        notice: rule.remember.as_ref().map(not_looked_at),
    };
    if verdict.matches {
        match parameters_of(rule, action, event, &scope, context) {
            // People read it: secrets are not for them.
            Ok(resolved) => verdict.parameters = Some(shown(action, resolved)),
            Err(error) => verdict.error = Some(error.to_string()),
        }
    }
    verdict
}

/// What the rule's absence makes of an event that may be what it waits for, if it has one.
#[must_use]
pub fn explain_expected(rule: &Rule, event: &Event<'_>, context: &Context) -> Option<Verdict> {
    let absence = rule.remember.as_ref()?.absence.as_ref()?;
    let mut expected = rule.clone();
    expected.trigger = absence.of.trigger.clone();
    expected.criteria.clone_from(&absence.of.criteria);
    expected.action.parameters.clear();
    expected.remember = None;
    Some(Verdict { parameters: None, ..explain(&expected, None, event, context) })
}

/// That a verdict on one event leaves out what the rule remembers of others.
fn not_looked_at(remember: &Remember) -> String {
    let all = remember.describe();
    match &remember.window {
        Some(window) if window.count > 1 => {
            format!("a single event is not enough for {all}: what is remembered is not looked at")
        }
        Some(_) | None => format!("{all}: what is remembered is not looked at"),
    }
}

/// The parameters as people may see them.
fn shown(action: Option<&Action>, resolved: Resolved) -> Map<String, Value> {
    let Resolved { parameters, secret } = resolved;
    let masked = action.map(|action| masked(&action.effective, &parameters));
    let mut shown = masked.unwrap_or_else(|| parameters.clone());
    for name in secret {
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
    let scope = Scope::watching(input.scope);
    let input = Input { scope: &scope, ..*input };
    let (verdict, why) = match criterion.evaluate(&input, Some(&mut witness)) {
        Ok(true) => (Truth::Holds, None),
        Ok(false) => (Truth::Fails, witness.note),
        Err(reason) => (Truth::Error, Some(reason)),
    };
    // What is made with a secret is told to nobody, and neither is how it compares.
    let uses_secret = scope.take_opened();
    let why = if uses_secret { why.map(|_| UNTOLD.to_owned()) } else { why };
    let pattern = witness.pattern.map(|p| if uses_secret { Value::from(MASK) } else { p });
    CriterionVerdict {
        path: leaf.path.clone(),
        operator: criterion.operator_name.clone(),
        pattern: pattern.unwrap_or_else(|| criterion.raw_pattern.clone()),
        value: witness.value,
        verdict,
        why,
    }
}

fn look_at_tree(tree: &Tree, clause: &Clause, input: &Input<'_>) -> CriterionVerdict {
    let scope = Scope::watching(input.scope);
    let (verdict, why) = match clause.evaluate(&Input { scope: &scope, ..*input }) {
        Ok(true) => (Truth::Holds, None),
        Ok(false) => (Truth::Fails, None),
        Err(_) if scope.take_opened() => (Truth::Error, Some(UNTOLD.to_owned())),
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
    if let Some(heard) = event.parameters_digest
        && let Some(wanted) = parameters_digest(&rule.trigger)
        && wanted != heard
    {
        let wanted = Value::Object(rule.trigger.parameters.clone());
        return Some(format!(
            "the rule does not hear this event: it was published for other trigger parameters than \
             {wanted}"
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
) -> Result<Resolved, parameters::Error> {
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
    let mut resolved = Resolved::default();
    let scope = Scope::watching(scope);
    for (name, value) in given {
        let rendered = Given::compile(value).render(&scope, Wanted::Text);
        let uses_secret = scope.take_opened();
        let value = rendered.map_err(|error| parameters::Error::Render {
            parameter: name.clone(),
            reason: if uses_secret {
                "it uses a secret: no more is told".to_owned()
            } else {
                error.to_string()
            },
        })?;
        if uses_secret {
            resolved.secret.push(name.clone());
        }
        resolved.parameters.insert(name.clone(), value);
    }
    Ok(resolved)
}

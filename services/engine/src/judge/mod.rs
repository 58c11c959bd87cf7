//! Judging: which rules an event matches, and what they ask for.
//!
//! Standard rules first, in the order of their references; backstop rules only where no standard
//! rule matched. A rule that fails is one judgement among others and never keeps the rest from
//! being judged.

mod context;
mod explain;

use serde_json::{Map, Value, json};

use crate::criteria::Input;
use crate::definition::{Action, Rule, RuleKind};
use crate::parameters::{self, Surroundings};
use crate::path::Root;
use crate::registry::{Link, LiveRule, Registry};
use crate::template::Scope;
use crate::value::compare::is_true;

pub use context::{Context, Event};
pub use explain::{CriterionVerdict, Truth, Verdict, explain};

/// What became of one rule for one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The rule.
    pub rule: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a rule that did not simply stay silent leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Work.
    Request(RequestDraft),
    /// A failed enforcement: a criterion or a parameter was an error.
    Failed {
        /// Why.
        reason: String,
        /// The parameters as the rule writes them, not rendered.
        parameters: Map<String, Value>,
        /// Whether StackStorm would also show a failed execution with those parameters.
        leaves_execution: bool,
    },
}

/// A request that only lacks its ids.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestDraft {
    /// The action, `pack.name`.
    pub action: String,
    /// Pack of the action.
    pub pack: String,
    /// Runners that may take it.
    pub pool: String,
    /// Digest of the pack's content.
    pub digest: String,
    /// Parameters, rendered and cast.
    pub parameters: Map<String, Value>,
    /// Names of those whose values must not be shown.
    pub secret: Vec<String>,
}

/// Judges one event by all rules in force. Rules that do not match are not mentioned.
#[must_use]
pub fn judge(registry: &Registry, event: &Event<'_>, context: &Context) -> Vec<Judgement> {
    let scope = event_scope(event, context);
    let mut judgements = Vec::new();
    let mut matched = false;
    for kind in [RuleKind::Standard, RuleKind::Backstop] {
        if matched {
            break;
        }
        let candidates =
            registry.candidates(event.trigger, event.parameters_digest, event.payload, kind);
        for live in candidates {
            match matches(&live.rule, event, &scope, context) {
                Ok(false) => {}
                Ok(true) => {
                    matched = true;
                    judgements.push(enforce(live, event, &scope, context));
                }
                Err(reason) => judgements.push(failed(&live.rule, reason, false)),
            }
        }
    }
    judgements
}

/// The names every criterion sees for this event.
fn event_scope<'a>(event: &'a Event<'_>, context: &'a Context) -> Scope<'a> {
    let mut scope = Scope::viewing(context.public_views());
    scope.put("trigger", event.payload);
    scope
}

/// Whether all criteria hold, in file order, up to the first that does not.
fn matches(
    rule: &Rule,
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> Result<bool, String> {
    if rule.criteria.is_empty() {
        return Ok(true);
    }
    if !is_true(event.payload) {
        return Ok(false);
    }
    let values = [("trigger", event.payload)];
    let input = input(&values, event, scope, context);
    for criterion in &rule.criteria {
        let verdict = criterion.evaluate(&input, None);
        if !verdict.map_err(|reason| format!("criterion {:?}: {reason}", criterion.key))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn input<'a>(
    values: &'a [(&'a str, &'a Value)],
    event: &Event<'_>,
    scope: &'a Scope<'a>,
    context: &'a Context,
) -> Input<'a> {
    Input {
        root: Root { values, lookups: &["system"] },
        scope,
        views: context.public_views(),
        time: event.time,
    }
}

fn failed(rule: &Rule, reason: String, leaves_execution: bool) -> Judgement {
    let parameters = rule.action.parameters.clone();
    Judgement {
        rule: rule.reference.clone(),
        outcome: Outcome::Failed { reason, parameters, leaves_execution },
    }
}

fn enforce(live: &LiveRule, event: &Event<'_>, scope: &Scope<'_>, context: &Context) -> Judgement {
    let rule = &live.rule;
    let target = match &live.link {
        Link::Action(target) => target,
        Link::Missing(reason) => return failed(rule, reason.clone(), false),
    };
    let action = &target.action;
    let surroundings = if target.needs_contexts() {
        surroundings(rule, action, event, context)
    } else {
        Surroundings::default()
    };
    match target.parameters(&Scope::on_with(scope, context.views()), &surroundings) {
        Ok(parameters) => Judgement {
            rule: rule.reference.clone(),
            outcome: Outcome::Request(RequestDraft {
                action: action.reference.clone(),
                pack: action.pack.clone(),
                pool: action.pool.clone(),
                digest: target.digest.clone(),
                parameters,
                secret: action.secret_parameters().into_iter().map(str::to_owned).collect(),
            }),
        },
        Err(error) => {
            let leaves_execution = error.leaves_execution()
                && parameters::check(action, &rule.action.parameters).is_ok();
            failed(rule, error.to_string(), leaves_execution)
        }
    }
}

/// What `action_context` and `config_context` are for a match.
fn surroundings(
    rule: &Rule,
    action: &Action,
    event: &Event<'_>,
    context: &Context,
) -> Surroundings {
    Surroundings {
        action_context: json!({
            "trigger_instance": {"id": event.id, "name": Value::Null},
            "rule": {"id": rule.reference, "name": rule.name},
            "user": context.user(),
            "pack": action.pack,
        }),
        config_context: context.config(&action.pack),
    }
}

//! Judging: which rules an event matches, and what they ask for.
//!
//! Standard rules first, in the order of their references; backstop rules only where no standard
//! rule matched. A rule that fails is one judgement among others and never keeps the rest from
//! being judged.

mod context;
mod explain;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::criteria::{Clause, Input};
use crate::definition::{Action, Rule, RuleKind};
use crate::parameters::{self, Surroundings};
use crate::path::Root;
use crate::registry::{Link, LiveRule, Registry};
use crate::template::Scope;
use crate::value::compare::is_true;

pub use context::{Context, Event, USER_DEFAULT};
pub use explain::{CriterionVerdict, Truth, Verdict, explain, explain_expected};

/// Why criteria that use a secret cannot be decided.
const UNTOLD: &str = "a criterion cannot be decided; no more is told of criteria that use a secret";

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
    /// Nothing yet, or nothing at all: what the rule remembers speaks against a request.
    Held {
        /// Which field of the rule.
        by: HeldBy,
        /// Why.
        reason: String,
    },
}

/// The field of a rule that holds a match back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// It is a repeat.
    Dedupe,
    /// There were too few yet.
    Window,
    /// What is expected may still come.
    Absence,
    /// There were too many requests.
    Throttle,
    /// There was a request a short while ago.
    Cooldown,
}

impl HeldBy {
    /// The field as rules write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dedupe => "dedupe",
            Self::Window => "window",
            Self::Absence => "absence",
            Self::Throttle => "throttle",
            Self::Cooldown => "cooldown",
        }
    }
}

/// A request that only lacks its ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Names of those whose values must not be shown.
    #[serde(default)]
    pub secret: Vec<String>,
}

/// Judges one event by all rules in force. Rules that do not match are not mentioned, and neither
/// are rules that remember, which [`crate::memory`] decides.
#[must_use]
pub fn judge(registry: &Registry, event: &Event<'_>, context: &Context) -> Vec<Judgement> {
    let scope = event_scope(event, context);
    let standard = candidates(registry, event, RuleKind::Standard);
    let backstop = candidates(registry, event, RuleKind::Backstop);
    let mut judgements = Vec::new();
    let mut matched = false;
    for (live, holds) in standard {
        let remembers = live.rule.remember.is_some();
        if remembers && (matched || backstop.is_empty()) {
            // Whether it matches would only matter to backstop rules.
            continue;
        }
        let verdict = matches_as_known(&live.rule.criteria, holds, event, &scope, context);
        matched |= verdict == Ok(true);
        if !remembers {
            judgements.extend(judgement(live, verdict, event, &scope, context));
        }
    }
    if matched {
        return judgements;
    }
    for (live, holds) in backstop {
        if live.rule.remember.is_some() {
            continue;
        }
        let verdict = matches_as_known(&live.rule.criteria, holds, event, &scope, context);
        judgements.extend(judgement(live, verdict, event, &scope, context));
    }
    judgements
}

/// Whether any standard rule matches, which silences backstop rules.
pub(crate) fn standard_matches(
    registry: &Registry,
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> bool {
    candidates(registry, event, RuleKind::Standard).into_iter().any(|(live, holds)| {
        matches_as_known(&live.rule.criteria, holds, event, scope, context) == Ok(true)
    })
}

fn candidates<'r>(
    registry: &'r Registry,
    event: &Event<'_>,
    kind: RuleKind,
) -> Vec<(&'r LiveRule, Option<usize>)> {
    registry.candidates(event.trigger, event.parameters_digest, event.payload, kind)
}

fn judgement(
    live: &LiveRule,
    verdict: Result<bool, String>,
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> Option<Judgement> {
    let outcome = match verdict {
        Ok(false) => return None,
        Ok(true) => enforce(live, event, scope, context),
        Err(reason) => failed(&live.rule, reason, false),
    };
    Some(Judgement { rule: live.rule.reference.clone(), outcome })
}

/// The names every criterion sees for this event.
pub(crate) fn event_scope<'a>(event: &'a Event<'_>, context: &'a Context) -> Scope<'a> {
    let mut scope = Scope::viewing(context.public_views());
    scope.put("trigger", event.payload);
    scope
}

/// As [`matches`], where the criterion at the place `holds` is known to.
fn matches_as_known(
    criteria: &[Clause],
    holds: Option<usize>,
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> Result<bool, String> {
    let Some((before, [_, after @ ..])) = holds.and_then(|at| criteria.split_at_checked(at)) else {
        return matches(criteria, event, scope, context);
    };
    Ok(matches(before, event, scope, context)? && matches(after, event, scope, context)?)
}

/// Whether all criteria hold, in file order, up to the first that does not.
pub(crate) fn matches(
    criteria: &[Clause],
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> Result<bool, String> {
    if criteria.is_empty() {
        return Ok(true);
    }
    if !is_true(event.payload) {
        return Ok(false);
    }
    let values = [("trigger", event.payload)];
    let scope = Scope::watching(scope);
    let answer = Clause::all_hold(criteria, &input(&values, event, &scope, context));
    // Reasons quote what they are about.
    answer.map_err(|reason| if scope.take_opened() { UNTOLD.to_owned() } else { reason })
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

/// A failed enforcement of `rule`.
pub(crate) fn failed(rule: &Rule, reason: String, leaves_execution: bool) -> Outcome {
    Outcome::Failed { reason, parameters: rule.action.parameters.clone(), leaves_execution }
}

/// What a match of the rule leads to: a request, or why there cannot be one.
pub(crate) fn enforce(
    live: &LiveRule,
    event: &Event<'_>,
    scope: &Scope<'_>,
    context: &Context,
) -> Outcome {
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
        Ok(resolved) => Outcome::Request(RequestDraft {
            action: action.reference.clone(),
            pack: action.pack.clone(),
            pool: action.pool.clone(),
            digest: target.digest.clone(),
            parameters: resolved.parameters,
            secret: resolved.secret,
        }),
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

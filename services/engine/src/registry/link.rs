//! What a rule leads to: its action, and the plan of the parameters it gives.
//!
//! Worked out when definitions are loaded, together with everything that makes each match a
//! failure, so that judging an event only renders.

use std::sync::Arc;

use crate::definition::{Action, Rule};
use crate::parameters::{self, Plan, Resolved, Surroundings};
use crate::template::Scope;

/// Where a match leads.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// To a request.
    Action(Box<Target>),
    /// Nowhere: the action is not there.
    Missing(String),
}

/// An action with what a rule gives it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) action: Arc<Action>,
    /// Digest of the action's pack.
    pub(crate) digest: String,
    plan: Result<Plan, parameters::Error>,
}

impl Link {
    pub(super) fn new(rule: &Rule, action: Option<&Arc<Action>>, digest: Option<&String>) -> Self {
        let Some(action) = action else {
            return Self::Missing(format!("Action \"{}\" doesn't exist", rule.action.reference));
        };
        Self::Action(Box::new(Target {
            action: Arc::clone(action),
            digest: digest.cloned().unwrap_or_default(),
            plan: Plan::live(action, &rule.action.parameters, &["trigger"]),
        }))
    }

    /// What will keep every match from becoming a request, and where the rule says it.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Missing(reason) => Some(("/action/ref", reason.clone())),
            Self::Action(target) => match &target.plan {
                Err(error) => Some(("/action/parameters", error.to_string())),
                Ok(_) if !target.action.enabled => {
                    let reason = format!("action {:?} is disabled", target.action.reference);
                    Some(("/action/ref", reason))
                }
                Ok(_) => None,
            },
        }
    }
}

impl Target {
    /// Whether the plan looks at `action_context` or `config_context`.
    pub(crate) fn needs_contexts(&self) -> bool {
        self.plan.as_ref().is_ok_and(Plan::needs_contexts)
    }

    /// The parameters for the event in `scope`.
    pub(crate) fn parameters(
        &self,
        scope: &Scope<'_>,
        surroundings: &Surroundings,
    ) -> Result<Resolved, parameters::Error> {
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        plan.live_parameters(&self.action, scope, surroundings)
    }
}

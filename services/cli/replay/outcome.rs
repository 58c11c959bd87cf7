//! What was decided about a rule and an event, as far as two decisions can be compared.

use hearken_engine::judge::{HeldBy, Outcome};
use hearken_proto::ActionRequest;
use hearken_proto::record::Enforcement;
use serde_json::{Map, Value, json};

/// A decision.
#[derive(Clone, Debug)]
pub(super) enum Decided {
    /// Work was asked for.
    Request {
        action: String,
        parameters: Map<String, Value>,
        /// Parameters whose values cannot be compared.
        secret: Vec<String>,
    },
    /// The rule's memory held it back.
    Held(String),
    /// It failed.
    Failed(String),
}

impl Decided {
    /// What the engine decided.
    pub(super) fn new(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Request(draft) => Self::Request {
                action: draft.action,
                parameters: draft.parameters,
                secret: draft.secret,
            },
            Outcome::Held { by, .. } => Self::Held(by.word().to_owned()),
            Outcome::Failed { reason, .. } => Self::Failed(reason),
        }
    }

    /// What a request on record asked for.
    pub(super) fn of_request(request: ActionRequest) -> Self {
        let ActionRequest { action, parameters, secret, .. } = request;
        Self::Request { action, parameters, secret }
    }

    /// What an enforcement on record says.
    pub(super) fn of_enforcement(enforcement: Enforcement) -> Self {
        match enforcement.held_by {
            Some(by) => Self::Held(by),
            None => Self::Failed(enforcement.reason),
        }
    }

    /// Whether the event only waits for what becomes of it.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Held(by) if by == HeldBy::Absence.word())
    }

    /// Whether both lead to the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Request { action, parameters, secret },
                Self::Request { action: action_2, parameters: parameters_2, secret: secret_2 },
            ) => {
                let open = |parameters: &Map<String, Value>| {
                    let mut open = parameters.clone();
                    open.retain(|name, _| !secret.contains(name) && !secret_2.contains(name));
                    open
                };
                action == action_2 && open(parameters) == open(parameters_2)
            }
            (Self::Held(by), Self::Held(by_2)) => by == by_2,
            (Self::Failed(why), Self::Failed(why_2)) => why == why_2,
            (Self::Request { .. } | Self::Held(_) | Self::Failed(_), _) => false,
        }
    }

    /// For people and programs.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Request { action, parameters, secret } => {
                let parameters = hearken_kit::seal::masked(parameters, secret);
                json!({
                    "summary": format!("{action} {}", Value::Object(parameters.clone())),
                    "action": action,
                    "parameters": parameters,
                })
            }
            Self::Held(by) => json!({ "summary": format!("held back by {by}"), "held_by": by }),
            Self::Failed(why) => json!({ "summary": format!("failed: {why}"), "error": why }),
        }
    }
}

//! Where the gates of an execution are: which entity, and which lane in it.

use std::fmt;

use hearken_proto::{ActionRequest, id};
use serde_json::Value;

use crate::definition::{Action, Policy, PolicyKind};
use crate::value::json::canonical;

/// Entities that the lanes of one policy are spread over: enough that executions with different
/// values seldom write to the same one, few enough to look at all of them.
const SHARDS: usize = 64;
/// The lane of a policy that counts all executions together.
const LANE_ALL: &str = "all";
/// Entity of executions that wait for a moment, before its shard.
const TIMED: &str = "retry";

/// The place of one gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The entity it is kept in.
    pub entity: String,
    /// Its name there.
    pub lane: String,
}

impl Place {
    /// Where an execution waits for the moment that its request names.
    #[must_use]
    pub fn timed(execution: &str) -> Self {
        let hash = id::derived(&[id::execution_key(execution)]);
        Self { entity: format!("{TIMED}#{}", shard(&hash)), lane: LANE_ALL.to_owned() }
    }

    /// Reads what its text gives.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (entity, lane) = text.rsplit_once('/')?;
        Some(Self { entity: entity.to_owned(), lane: lane.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.entity, self.lane)
    }
}

/// The gate of `policy` for an execution; none for policies that let everything in.
#[must_use]
fn place(policy: &Policy, action: Option<&Action>, request: &ActionRequest) -> Option<Place> {
    let attributes = match &policy.kind {
        PolicyKind::Concurrency { attributes, .. } | PolicyKind::Rate { attributes, .. } => {
            attributes
        }
        PolicyKind::Retry { .. } | PolicyKind::Unknown(_) => return None,
    };
    if attributes.is_empty() {
        let entity = format!("{}#00", policy.reference);
        return Some(Place { entity, lane: LANE_ALL.to_owned() });
    }
    let mut parts = Vec::new();
    // Sealed, equal values have different forms: what is secret cannot be told apart.
    for name in attributes.iter().filter(|name| !request.secret.contains(name)) {
        let given = request.parameters.get(name);
        // What was not given counts as what the action takes for it.
        let default = || action?.effective.get(name)?.default.as_ref();
        parts.push(name.clone());
        parts.push(canonical(given.or_else(default).unwrap_or(&Value::Null)));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let hash = id::derived(&parts);
    Some(Place { entity: format!("{}#{}", policy.reference, shard(&hash)), lane: hash })
}

/// The gates of an execution with their policies, in the order in which it passes them.
pub fn places<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    action: Option<&Action>,
    request: &ActionRequest,
) -> Vec<(Place, &'a Policy)> {
    let mut found: Vec<(Place, &Policy)> = policies
        .into_iter()
        .filter_map(|policy| Some((place(policy, action, request)?, policy)))
        .collect();
    // Rates come last: a start that is counted should be a start.
    found.sort_by_key(|(place, policy)| {
        (matches!(policy.kind, PolicyKind::Rate { .. }), place.entity.clone())
    });
    found
}

/// Two digits that stand for a share of all hashes.
fn shard(hash: &str) -> String {
    let digits = u64::from_str_radix(hash.get(..8).unwrap_or_default(), 16).unwrap_or(0);
    format!("{:02}", digits % SHARDS as u64)
}

#[cfg(test)]
mod tests {
    use hearken_proto::Timestamp;
    use serde_json::json;

    use super::*;

    fn policy(name: &str, policy_type: &str, parameters: &Value) -> Policy {
        let value = json!({
            "name": name, "resource_ref": "p.a", "policy_type": policy_type,
            "parameters": parameters,
        });
        Policy::from_value("p", &value).0.expect("well-formed")
    }

    fn request(parameters: &Value) -> ActionRequest {
        ActionRequest {
            execution: "6957353500112233445566aa".into(),
            action: "p.a".into(),
            digest: String::new(),
            parameters: parameters.as_object().cloned().unwrap_or_default(),
            secret: Vec::new(),
            rule: None,
            trigger_instance: None,
            pool: hearken_proto::request::POOL_ANY.into(),
            requested_at: Timestamp::EPOCH,
            user: String::new(),
            rerun_of: None,
            context: serde_json::Map::new(),
            not_before: None,
        }
    }

    #[test]
    fn equal_values_share_a_lane_and_a_default_counts_as_given() {
        let attr = json!({"threshold": 1, "attributes": ["host"]});
        let policy = policy("one", "action.concurrency.attr", &attr);
        let action = json!({
            "name": "a", "runner_type": "noop",
            "parameters": {"host": {"type": "string", "default": "x"}},
        });
        let action = Action::from_value("p", &action).0.expect("well-formed");
        let lane = |given: Value| place(&policy, Some(&action), &request(&given)).expect("a gate");
        assert_eq!(lane(json!({"host": "x", "other": 1})), lane(json!({"other": 2})));
        assert_ne!(lane(json!({"host": "x"})), lane(json!({"host": "y"})));
        let text = lane(json!({})).to_string();
        assert_eq!(Place::parse(&text), Some(lane(json!({}))));
    }

    #[test]
    fn what_is_secret_is_left_out() {
        let attr = json!({"threshold": 1, "attributes": ["host", "token"]});
        let policy = policy("one", "action.concurrency.attr", &attr);
        let lane = |given: Value| {
            let request = ActionRequest { secret: vec!["token".into()], ..request(&given) };
            place(&policy, None, &request).expect("a gate")
        };
        let sealed = |text: &str| json!({"$sealed": text});
        let one = lane(json!({"host": "x", "token": sealed("v1:k:1")}));
        assert_eq!(one, lane(json!({"host": "x", "token": sealed("v1:k:2")})));
        assert_ne!(one, lane(json!({"host": "y", "token": sealed("v1:k:1")})));
    }

    #[test]
    fn rates_come_last_and_retries_are_no_gates() {
        let policies = [
            policy("a", "action.rate", &json!({"limit": 1, "period": 1})),
            policy("c", "action.concurrency", &json!({"threshold": 1})),
            policy("b", "action.concurrency", &json!({"threshold": 1})),
            policy("d", "action.retry", &json!({"retry_on": "failure"})),
        ];
        let found = places(&policies, None, &request(&json!({})));
        let names: Vec<&str> = found.iter().map(|(_, policy)| policy.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }
}

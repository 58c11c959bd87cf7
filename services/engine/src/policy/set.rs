//! The policies in force, and which action each is about.

use std::collections::{BTreeMap, HashMap};

use crate::definition::{Policy, PolicyKind};

/// All policies, and those that are in effect by action.
#[derive(Debug, Default)]
pub struct Policies {
    all: BTreeMap<String, Policy>,
    /// References of those in effect, in order, by action.
    in_effect: HashMap<String, Vec<String>>,
}

impl Policies {
    /// Adds one; false when its reference is taken.
    pub(crate) fn insert(&mut self, policy: Policy) -> bool {
        if self.all.contains_key(&policy.reference) {
            return false;
        }
        if policy.enabled && !matches!(policy.kind, PolicyKind::Unknown(_)) {
            let of_action = self.in_effect.entry(policy.action.clone()).or_default();
            let at = of_action.partition_point(|other| *other < policy.reference);
            of_action.insert(at, policy.reference.clone());
        }
        self.all.insert(policy.reference.clone(), policy);
        true
    }

    /// Those in effect for an action, by reference; none for most actions.
    pub fn of(&self, action: &str) -> impl Iterator<Item = &Policy> + Clone {
        let references = self.in_effect.get(action).into_iter().flatten();
        references.filter_map(|reference| self.all.get(reference))
    }

    /// The one called `reference`.
    #[must_use]
    pub fn get(&self, reference: &str) -> Option<&Policy> {
        self.all.get(reference)
    }

    /// Every policy, by reference.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.all.values()
    }

    /// Whether any is in effect.
    #[must_use]
    pub fn are_in_effect(&self) -> bool {
        !self.in_effect.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use crate::definition::{Action, Policy};
    use crate::registry::{PackDefinitions, Registry};

    #[test]
    fn policies_are_found_by_their_action_and_a_missing_action_is_told() {
        let policy = |name: &str, action: &str, policy_type: &str, enabled: bool| {
            let value = json!({
                "name": name, "resource_ref": action, "policy_type": policy_type,
                "enabled": enabled, "parameters": {"threshold": 1},
            });
            Policy::from_value("p", &value).0.expect("well-formed")
        };
        let action = json!({"name": "a", "runner_type": "noop"});
        let pack = PackDefinitions {
            name: "p".into(),
            actions: vec![Action::from_value("p", &action).0.expect("well-formed").into()],
            policies: vec![
                policy("b", "p.a", "action.concurrency", true),
                policy("a", "p.a", "action.concurrency", true),
                policy("off", "p.a", "action.concurrency", false),
                policy("strange", "p.a", "action.else", true),
                policy("lost", "p.missing", "action.concurrency", true),
                policy("a", "p.a", "action.concurrency", true),
            ],
            ..PackDefinitions::default()
        };
        let (registry, findings) = Registry::new([pack], &BTreeMap::new());
        let names: Vec<&str> = registry.policies_of("p.a").map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(registry.policies_of("p.other").count(), 0);
        assert_eq!(registry.policies().iter().count(), 5);
        let told: Vec<(&str, &str)> =
            findings.iter().map(|f| (f.reference.as_str(), f.problem.pointer.as_str())).collect();
        assert_eq!(told, [("p.a", ""), ("p.lost", "/resource_ref")]);
        assert!(findings.iter().all(|finding| !finding.problem.fatal));
    }

    #[test]
    fn an_attribute_that_is_secret_is_told() {
        let policy = json!({
            "name": "each", "resource_ref": "p.a", "policy_type": "action.concurrency.attr",
            "parameters": {"threshold": 1, "attributes": ["host", "token"]},
        });
        let action = json!({
            "name": "a", "runner_type": "noop",
            "parameters": {"host": {"type": "string"}, "token": {"type": "string", "secret": true}},
        });
        let pack = PackDefinitions {
            name: "p".into(),
            actions: vec![Action::from_value("p", &action).0.expect("well-formed").into()],
            policies: vec![Policy::from_value("p", &policy).0.expect("well-formed")],
            ..PackDefinitions::default()
        };
        let (_registry, findings) = Registry::new([pack], &BTreeMap::new());
        let told: Vec<&str> = findings.iter().map(|f| f.problem.message.as_str()).collect();
        let expected = "attribute \"token\" of policy \"p.each\" is secret: it cannot be compared";
        assert_eq!(told, [expected]);
    }
}

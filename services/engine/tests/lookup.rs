//! What is looked up is not asked again: for any list of criteria, judging through the index agrees
//! with asking each rule by itself, wherever the criterion that was looked up stands.

use std::collections::BTreeMap;

use hearken_engine::definition::{Action, Rule};
use hearken_engine::judge::{Context, Event, Outcome, explain, judge};
use hearken_engine::registry::{PackDefinitions, Registry};
use hearken_proto::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A criterion on one of two members: equalities that can be looked up, conditions that may stand
/// before one, and one that may be an error.
fn criterion() -> impl Strategy<Value = (&'static str, Value)> {
    let wanted = prop::sample::select(vec![json!("x"), json!("y"), json!(1), json!(true)]);
    let kind = prop::sample::select(vec![
        "equals",
        "equals",
        "nequals",
        "iequals",
        "exists",
        "startswith",
    ]);
    (prop::sample::select(vec!["trigger.a", "trigger.b"]), kind, wanted)
        .prop_map(|(path, kind, wanted)| (path, json!({"type": kind, "pattern": wanted})))
}

fn rule(number: usize, kind: &str, criteria: &[(&'static str, Value)]) -> Rule {
    let entry = |(at, (path, value)): (usize, &(&str, Value))| {
        // The comment tells criteria on one path apart.
        (format!("{path}#{at}"), value.clone())
    };
    let criteria: Map<_, _> = criteria.iter().enumerate().map(entry).collect();
    let written = json!({
        "name": format!("r{number}"), "enabled": true, "trigger": "demo.a", "type": {"ref": kind},
        "criteria": criteria, "action": {"ref": "demo.note"},
    });
    let (rule, problems) = Rule::from_value("demo", &written);
    rule.unwrap_or_else(|| panic!("{written}: {problems:?}"))
}

fn event(payload: &Value) -> Event<'_> {
    Event { id: "e", trigger: "demo.a", parameters_digest: None, payload, time: Timestamp::EPOCH }
}

/// Whether each rule that says anything requests, by reference.
fn judged(rules: Vec<Rule>, payload: &Value) -> BTreeMap<String, bool> {
    let note = json!({"name": "note", "runner_type": "noop"});
    let pack = PackDefinitions {
        name: "demo".into(),
        actions: vec![
            Action::from_value("demo", &note).0.expect("the action is well-formed").into(),
        ],
        rules,
        ..PackDefinitions::default()
    };
    let (registry, _) = Registry::new([pack], &BTreeMap::new());
    let judgements = judge(&registry, &event(payload), &Context::default()).into_iter();
    let told = judgements
        .map(|judgement| (judgement.rule, matches!(judgement.outcome, Outcome::Request(_))));
    told.collect()
}

proptest! {
    #[test]
    fn the_index_agrees_with_asking_each_rule(
        rules in prop::collection::vec(prop::collection::vec(criterion(), 1..4), 1..6),
        kind in prop::sample::select(vec!["standard", "backstop"]),
        a in prop::sample::select(vec![json!("x"), json!("y"), json!("X"), json!(1), json!(null)]),
        b in prop::sample::select(vec![json!("x"), json!("y"), json!(1.0), json!([])]),
    ) {
        let payload = json!({"a": a, "b": b});
        let rules: Vec<Rule> =
            rules.iter().enumerate().map(|(at, criteria)| rule(at, kind, criteria)).collect();
        let mut expected = BTreeMap::new();
        for rule in &rules {
            let verdict = explain(rule, None, &event(&payload), &Context::default());
            if verdict.matches || verdict.error.is_some() {
                expected.insert(rule.reference.clone(), verdict.matches);
            }
        }
        prop_assert_eq!(judged(rules, &payload), expected);
    }
}

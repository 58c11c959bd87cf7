//! `any`, `all` and `not` in criteria: what holds, what is an error, what is shown and refused; and
//! for any tree, that judging, explaining and the index agree with naive logic.

use std::collections::BTreeMap;

use hearken_engine::definition::{Action, Rule};
use hearken_engine::judge::{Context, Event, Outcome, Truth, Verdict, explain, judge};
use hearken_engine::registry::{PackDefinitions, Registry};
use hearken_proto::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn written(criteria: &Value) -> Value {
    json!({
        "name": "r", "enabled": true, "trigger": "demo.a", "criteria": criteria,
        "action": {"ref": "demo.note"},
    })
}

fn rule(criteria: &Value) -> Rule {
    let (rule, problems) = Rule::from_value("demo", &written(criteria));
    rule.unwrap_or_else(|| panic!("{criteria}: {problems:?}"))
}

fn explained(criteria: &Value, payload: &Value) -> Verdict {
    explain(&rule(criteria), None, &event(payload), &Context::default())
}

fn event(payload: &Value) -> Event<'_> {
    Event { id: "e", trigger: "demo.a", parameters_digest: None, payload, time: Timestamp::EPOCH }
}

/// What the rules of a registry make of an event: whether each requests, by reference.
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
    let judgements = judge(&registry, &event(payload), &Context::default());
    judgements
        .into_iter()
        .map(|judgement| (judgement.rule, matches!(judgement.outcome, Outcome::Request(_))))
        .collect()
}

#[test]
fn trees_mean_or_and_not() {
    let is = |name: &str, value: i64| json!({name: {"type": "equals", "pattern": value}});
    let broken = json!({"trigger.none": {"type": "startswith", "pattern": "x"}});
    let both = json!({
        "trigger.a": {"type": "equals", "pattern": 1},
        "trigger.b": {"type": "equals", "pattern": 2},
    });
    let (a, b) = (is("trigger.a", 1), is("trigger.b", 2));
    let holds = Some(true);
    let fails = Some(false);
    let rows = [
        (json!({"any": [a, b]}), [holds, holds, fails]),
        (json!({"any": both}), [holds, holds, fails]),
        (json!({"any": [both, is("trigger.a", 7)]}), [holds, fails, fails]),
        (json!({"all": [a, b]}), [holds, fails, fails]),
        (json!({"all": both}), [holds, fails, fails]),
        (json!({"not": a}), [fails, fails, holds]),
        (json!({"not": both}), [fails, holds, holds]),
        (json!({"not": {"any": [a, b]}}), [fails, fails, holds]),
        (json!({"any": [{"not": b}, {"all#x": [a, a], "not": {"not": b}}]}), [holds; 3]),
        (json!({"any#1": [a, b], "any#2": [b, is("trigger.a", 0)]}), [holds, fails, fails]),
        // An error counts in `any` only when nothing holds, and everywhere else.
        (json!({"any": [broken, a]}), [holds, holds, None]),
        (json!({"all": [a, broken]}), [None, None, fails]),
        (json!({"not": broken}), [None, None, None]),
        (json!({"not": {"any": [a, broken]}}), [fails, fails, None]),
        // What stands behind a criterion that does not hold is not looked at.
        (json!({"trigger.a": a["trigger.a"], "not": broken}), [None, None, fails]),
        // With a type it is an ordinary criterion, which finds nothing.
        (json!({"any": {"type": "nexists"}}), [holds; 3]),
    ];
    let payloads = [json!({"a": 1, "b": 2}), json!({"a": 1, "b": 0}), json!({"a": 0, "b": 0})];
    for (criteria, expected) in rows {
        let actual: Vec<Option<bool>> = payloads
            .iter()
            .map(|payload| {
                let verdict = explained(&criteria, payload);
                let judged = judged(vec![rule(&criteria)], payload);
                let judged = judged.get("demo.r").copied();
                let failed = verdict.error.is_some();
                assert_eq!(judged, (verdict.matches || failed).then_some(verdict.matches));
                (!failed).then_some(verdict.matches)
            })
            .collect();
        assert_eq!(actual, expected, "{criteria}");
    }
}

#[test]
fn a_tree_shows_its_verdict_and_where_each_criterion_stands() {
    let criteria = json!({
        "trigger.a": {"type": "exists"},
        "any#hosts": [
            {"trigger.a": {"type": "eq", "pattern": 5}},
            {"not": {"trigger.b": {"type": "gt", "pattern": 1}}, "trigger.a": {"type": "exists"}},
        ],
    });
    let verdict = explained(&criteria, &json!({"a": 1, "b": null}));
    let shown: Vec<(&str, &str, Truth)> =
        verdict.criteria.iter().map(|c| (&*c.path, &*c.operator, c.verdict)).collect();
    assert_eq!(
        shown,
        [
            ("trigger.a", "exists", Truth::Holds),
            ("any#hosts", "any", Truth::Error),
            ("any#hosts[0] trigger.a", "eq", Truth::Fails),
            ("any#hosts[1] not", "not", Truth::Error),
            ("any#hosts[1] not trigger.b", "gt", Truth::Error),
            ("any#hosts[1] trigger.a", "exists", Truth::Holds),
        ]
    );
    assert!(!verdict.matches);
    let error = verdict.error.expect("a criterion is an error");
    assert!(error.starts_with("criterion \"any#hosts[1] not trigger.b\": "), "{error}");
    // What fails inside stands in nobody's way when the tree holds.
    let verdict = explained(&criteria, &json!({"a": 5, "b": null}));
    assert!(verdict.matches && verdict.error.is_none());
}

#[test]
fn what_is_no_tree_says_where_and_how_to_repair() {
    let leaf = json!({"trigger.a": {"type": "exists"}});
    let deep = |levels: usize| (0..levels).fold(leaf.clone(), |inner, _| json!({"not": inner}));
    let many: Vec<Value> = vec![leaf.clone(); 1_000];
    let needs_list = "write any: [{trigger.name: {type: equals, pattern: …}}, …]";
    let needs_map = "write {trigger.name: {type: equals, pattern: …}}";
    let rows = [
        (json!({"any": 5}), "/criteria/any", needs_list),
        (json!({"any": []}), "/criteria/any", "remove it"),
        (json!({"all": {}}), "/criteria/all", "remove it"),
        (json!({"not": {}}), "/criteria/not", "remove it"),
        (json!({"any": [5]}), "/criteria/any/0", needs_map),
        (json!({"any": [leaf, {}]}), "/criteria/any/1", needs_map),
        (
            json!({"not": [leaf]}),
            "/criteria/not",
            "write not: {trigger.name: {type: equals, pattern: …}}",
        ),
        (
            json!({"any": [{"trigger.a": {"type": "exsts"}}]}),
            "/criteria/any/0/trigger.a/type",
            "did you mean \"exists\"?",
        ),
        (json!({"any": {"trigger.a": {}}}), "/criteria/any/trigger.a", "for example type: equals"),
        (deep(9), "/criteria/not/not/not/not/not/not/not/not/not", "split the rule"),
        (json!({"any": many}), "/criteria", "split the rule, or use the operator inside"),
    ];
    for (criteria, pointer, hint) in rows {
        let (parsed, problems) = Rule::from_value("demo", &written(&criteria));
        assert!(parsed.is_none());
        let fatal: Vec<_> = problems.into_iter().filter(|problem| problem.fatal).collect();
        let [problem] = fatal.as_slice() else {
            panic!("{pointer}: {fatal:?}");
        };
        assert_eq!((&*problem.pointer, problem.hint.as_deref()), (pointer, Some(hint)));
    }
    // At the bounds all is well.
    assert!(explained(&deep(8), &json!({"a": 1})).matches);
    assert!(explained(&json!({"any": many[1..]}), &json!({"a": 1})).matches);
}

#[test]
fn trees_of_an_old_pack_compare_as_text_too() {
    let mut rule = rule(&json!({"any": [{"trigger.port": {"type": "equals", "pattern": "80"}}]}));
    let payload = json!({"port": 80});
    assert!(!explain(&rule, None, &event(&payload), &Context::default()).matches);
    rule.compare_as_text();
    assert!(explain(&rule, None, &event(&payload), &Context::default()).matches);
}

/// A mapping of criteria as a naive reader has it.
#[derive(Clone, Debug)]
enum Node {
    /// `trigger.<name>` equals this.
    Is(&'static str, i64),
    /// `trigger.<name>` begins with x, which is an error unless it is text.
    Begins(&'static str),
    /// In a list.
    Any(Vec<Vec<Node>>),
    All(Vec<Vec<Node>>),
    /// As one mapping.
    AnyOf(Vec<Node>),
    AllOf(Vec<Node>),
    Not(Vec<Node>),
}

fn node() -> impl Strategy<Value = Node> {
    let name = || prop::sample::select(vec!["a", "b"]);
    let leaf = prop_oneof![
        4 => (name(), 0_i64..2).prop_map(|(name, value)| Node::Is(name, value)),
        1 => name().prop_map(Node::Begins),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let mapping = prop::collection::vec(inner, 1..4);
        let list = prop::collection::vec(mapping.clone(), 1..3);
        prop_oneof![
            list.clone().prop_map(Node::Any),
            list.prop_map(Node::All),
            mapping.clone().prop_map(Node::AnyOf),
            mapping.clone().prop_map(Node::AllOf),
            mapping.prop_map(Node::Not),
        ]
    })
}

fn value(nodes: &[Node]) -> Value {
    let list = |branches: &[Vec<Node>]| branches.iter().map(|branch| value(branch)).collect();
    let entry = |(at, node): (usize, &Node)| {
        let (key, value) = match node {
            Node::Is(name, wanted) => {
                (format!("trigger.{name}"), json!({"type": "equals", "pattern": wanted}))
            }
            Node::Begins(name) => {
                (format!("trigger.{name}"), json!({"type": "startswith", "pattern": "x"}))
            }
            Node::Any(branches) => ("any".to_owned(), list(branches)),
            Node::All(branches) => ("all".to_owned(), list(branches)),
            Node::AnyOf(nodes) => ("any".to_owned(), value(nodes)),
            Node::AllOf(nodes) => ("all".to_owned(), value(nodes)),
            Node::Not(nodes) => ("not".to_owned(), value(nodes)),
        };
        (format!("{key}#{at}"), value)
    };
    Value::Object(nodes.iter().enumerate().map(entry).collect::<Map<_, _>>())
}

/// `None` is an error.
fn holds(nodes: &[Node], payload: &Value) -> Option<bool> {
    let verdicts = nodes.iter().map(|node| match node {
        Node::Is(name, wanted) => Some(payload.get(name) == Some(&json!(wanted))),
        Node::Begins(name) => payload.get(name)?.as_str().map(|text| text.starts_with('x')),
        Node::Any(branches) => either(branches.iter().map(|branch| holds(branch, payload))),
        Node::AnyOf(nodes) => {
            either(nodes.iter().map(|node| holds(std::slice::from_ref(node), payload)))
        }
        Node::All(branches) => both(branches.iter().map(|branch| holds(branch, payload))),
        Node::AllOf(nodes) => holds(nodes, payload),
        Node::Not(nodes) => holds(nodes, payload).map(|holds| !holds),
    });
    both(verdicts)
}

/// The first that does not hold decides.
fn both(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    verdicts.into_iter().find(|verdict| *verdict != Some(true)).unwrap_or(Some(true))
}

/// One that holds decides, then an error.
fn either(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let verdicts: Vec<_> = verdicts.collect();
    if verdicts.contains(&Some(true)) {
        return Some(true);
    }
    if verdicts.contains(&None) { None } else { Some(false) }
}

proptest! {
    #[test]
    fn trees_and_the_index_agree_with_naive_logic(
        rules in prop::collection::vec(prop::collection::vec(node(), 1..4), 1..5),
        payload in prop::collection::btree_map(
            prop::sample::select(vec!["a", "b"]),
            prop_oneof![
                4 => (0_i64..2).prop_map(Value::from),
                1 => Just(json!("x")),
                1 => Just(json!("y")),
                1 => Just(Value::Null),
            ],
            1..3,
        ),
    ) {
        let payload = Value::Object(
            payload.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        );
        let mut expected = BTreeMap::new();
        let mut parsed = Vec::new();
        for (at, nodes) in rules.iter().enumerate() {
            let mut written = written(&value(nodes));
            written["name"] = json!(format!("r{at}"));
            let (rule, problems) = Rule::from_value("demo", &written);
            let rule = rule.ok_or_else(|| TestCaseError::fail(format!("{problems:?}")))?;
            let verdict = explain(&rule, None, &event(&payload), &Context::default());
            let holds = holds(nodes, &payload);
            prop_assert_eq!(verdict.matches, holds == Some(true));
            prop_assert_eq!(verdict.error.is_some(), holds.is_none());
            if holds != Some(false) {
                expected.insert(rule.reference.clone(), holds.is_some());
            }
            parsed.push(rule);
        }
        prop_assert_eq!(judged(parsed, &payload), expected);
    }
}

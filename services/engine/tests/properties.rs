//! Claims that hold for any input: the index finds what asking every rule finds, nothing panics,
//! what is printed reads back.

use std::collections::BTreeMap;

use hearken_engine::criteria::Operator;
use hearken_engine::definition::{Action, Rule};
use hearken_engine::judge::{Context, Event, Outcome, Truth, explain, judge};
use hearken_engine::path::Path;
use hearken_engine::pattern::regex::{Flags, Regex};
use hearken_engine::pattern::wildcard::Wildcard;
use hearken_engine::registry::{PackDefinitions, Registry};
use hearken_engine::schedule::Schedule;
use hearken_engine::template::{Scope, Template};
use hearken_engine::value::compare::equal;
use hearken_engine::value::{literal, moment, text};
use hearken_proto::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        (-2.0_f64..2.0).prop_map(Value::from),
        Just(json!(1.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn criterion() -> impl Strategy<Value = (String, Value)> {
    let key = prop_oneof![
        4 => "trigger\\.[ab]".prop_map(|key| key),
        1 => Just("trigger.a.b".to_owned()),
        1 => Just("trigger.a[0]".to_owned()),
        1 => Just("trigger.a[*]".to_owned()),
        1 => Just("a".to_owned()),
    ];
    let operator = prop_oneof![
        6 => Just("equals"),
        4 => prop::sample::select(Operator::names()),
        1 => Just("nosuch"),
    ];
    let pattern = prop_oneof![
        6 => leaf(),
        1 => value(),
        1 => Just(json!("{{ trigger.b }}")),
        1 => Just(json!("{{ trigger.b + 1 }}")),
    ];
    (key, operator, pattern).prop_map(|(key, operator, pattern)| {
        (key, json!({"type": operator, "pattern": pattern, "condition": "any"}))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let criteria = prop::collection::vec(criterion(), 0..3);
    (criteria, any::<bool>()).prop_map(|(criteria, backstop)| {
        json!({
            "enabled": true,
            "type": {"ref": if backstop { "backstop" } else { "standard" }},
            "trigger": {"type": "demo.event"},
            "criteria": criteria.into_iter().collect::<Map<_, _>>(),
            "action": {"ref": "core.noop"},
        })
    })
}

/// What asking every rule in turn gives: (rule, whether it became a request).
fn ask_every_rule(rules: &[Rule], event: &Event<'_>, context: &Context) -> Vec<(String, bool)> {
    let mut outcomes = Vec::new();
    let mut matched = false;
    for backstop in [false, true] {
        if matched {
            break;
        }
        for rule in rules {
            let is_backstop = rule.kind == hearken_engine::definition::RuleKind::Backstop;
            if is_backstop != backstop {
                continue;
            }
            let verdict = explain(rule, None, event, context);
            let first = verdict.criteria.iter().find(|c| c.verdict != Truth::Holds);
            let empty = matches!(event.payload, Value::Object(map) if map.is_empty());
            if verdict.matches {
                matched = true;
                outcomes.push((rule.reference.clone(), true));
            } else if !empty && first.is_some_and(|c| c.verdict == Truth::Error) {
                outcomes.push((rule.reference.clone(), false));
            }
        }
    }
    outcomes
}

proptest! {
    #[test]
    fn the_index_finds_what_asking_every_rule_finds(
        rules in prop::collection::vec(rule(), 1..12),
        payload in prop::collection::btree_map("[ab]", value(), 0..3),
    ) {
        let noop = json!({"name": "noop", "runner_type": "noop"});
        let noop = Action::from_value("core", &noop).0.expect("the action is well-formed");
        let rules: Vec<Rule> = rules
            .into_iter()
            .enumerate()
            .map(|(index, mut rule)| {
                rule["name"] = json!(format!("r{index:02}"));
                Rule::for_trial("demo", &rule).0.expect("the rule can be tried")
            })
            .collect();
        let core = PackDefinitions {
            name: "core".into(),
            actions: vec![noop.into()],
            rules: rules.clone(),
            ..PackDefinitions::default()
        };
        let (registry, _) = Registry::new([core], &BTreeMap::new());
        let payload = Value::Object(payload.into_iter().collect());
        let event = Event {
            id: "1",
            trigger: "demo.event",
            parameters_digest: None,
            payload: &payload,
            time: Timestamp::EPOCH,
        };
        let context = Context::default();
        let judged: Vec<(String, bool)> = judge(&registry, &event, &context)
            .into_iter()
            .map(|j| (j.rule, matches!(j.outcome, Outcome::Request(_))))
            .collect();
        prop_assert_eq!(judged, ask_every_rule(&rules, &event, &context));
    }

    #[test]
    fn rendering_never_panics(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "{{", "}}", "{%", "%}", "{#", "#}", " trigger", ".a", "[0]", "[1:]", "['a']",
                    " | ", "upper", "default('x')", "(", ")", "[", "]", "{", "}", ",", ":", " if ",
                    " else ", " for x in ", "endfor", "endif", " set x = ", "+", "-", "*", "/",
                    "%", "~", "**", "//", "==", "<", ">=", " in ", " not ", " and ", " is defined",
                    "'", "\"", "\\", "1", "2.5", "x", ".items()", ".split(',')", "\n", "é", " raw ",
                    "to_complex", "regex_replace('(', 'b')", "range(9)", "none", "true", "=", ".",
                ]).prop_map(str::to_owned),
                ".{0,3}",
            ],
            0..14,
        ),
        payload in value(),
    ) {
        let mut scope = Scope::new();
        scope.put("trigger", &payload);
        if let Ok(template) = Template::parse(&pieces.concat()) {
            drop(template.render(&scope));
        }
    }

    #[test]
    fn readers_never_panic(text in "\\PC{0,40}", other in "[0-9a-zA-Z:./+ ,-]{0,30}") {
        for text in [&text, &other] {
            drop(Path::parse(text));
            drop(Regex::new(text, Flags::default()).and_then(|regex| regex.is_match(&other)));
            let _ = Wildcard::parse(text).matches(&other);
            let _ = moment::parse(text, Timestamp::EPOCH);
            drop(literal::parse(text));
            let parameters = json!({"hour": text, "day": other});
            if let Ok(schedule) = Schedule::parse("core.st2.CronTimer", &parameters, "UTC") {
                let _ = schedule.next(Timestamp::EPOCH, Timestamp::EPOCH);
            }
        }
    }

    #[test]
    fn what_python_prints_reads_back(value in value(), letters in "\\PC{0,12}") {
        let value = json!([value, letters]);
        let read = literal::parse(&text::repr(&value));
        prop_assert!(read.is_ok_and(|read| equal(&read, &value)));
    }

    #[test]
    fn ticks_only_go_forward(
        minute in 0_i64..60,
        step in 1_i64..29,
        start in 0_i64..2_000_000_000,
    ) {
        let parameters = json!({
            "minute": format!("{minute},*/{step}"), "timezone": "Europe/Berlin",
        });
        let schedule = Schedule::parse("core.st2.CronTimer", &parameters, "UTC")
            .map_err(|problem| TestCaseError::fail(problem.message))?;
        let mut at = Timestamp::from_nanos(start * 1_000_000_000);
        for _ in 0..20 {
            let next = schedule.next(at, at).ok_or_else(|| TestCaseError::fail("it ends"))?;
            prop_assert!(next > at);
            prop_assert!(next.since(at) <= std::time::Duration::from_secs(2 * 3_600));
            at = next;
        }
    }
}

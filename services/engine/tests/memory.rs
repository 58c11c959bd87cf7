//! What rules that remember make of a series of events: one table per kind, the edges of periods,
//! outages, edits, limits.

#![expect(clippy::indexing_slicing, reason = "a story of the wrong shape fails its test")]

use std::collections::BTreeMap;

use hearken_engine::definition::{Action, Rule};
use hearken_engine::judge::{Context, Event, Outcome, judge};
use hearken_engine::memory::{Decision, Memory};
use hearken_engine::registry::{PackDefinitions, Registry, trigger_parameters_digest};
use hearken_proto::Timestamp;
use hearken_proto::request::TriggerInstance;
use serde_json::{Value, json};

const NO_EVENT: &str = "mark";

/// A moment of the story, which begins at zero.
fn at(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "stories are short")]
    let nanos = (seconds * 1e9) as i64;
    Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos)
}

/// A rule about `demo.a` that notes `trigger.k`, with `fields` besides.
fn rule(name: &str, fields: &Value) -> Value {
    let mut rule = json!({
        "name": name, "enabled": true, "trigger": "demo.a",
        "action": {"ref": "demo.note", "parameters": {"message": "{{ trigger.k }}"}},
    });
    for (field, value) in fields.as_object().expect("fields are a mapping") {
        rule[field] = value.clone();
    }
    rule
}

fn registry(rules: &[Value]) -> Registry {
    let note = json!({
        "name": "note", "runner_type": "noop",
        "parameters": {"message": {}, "list": {"type": "array"}},
    });
    let parsed = rules.iter().map(|value| {
        let (rule, problems) = Rule::from_value("demo", value);
        rule.unwrap_or_else(|| panic!("{problems:?}"))
    });
    let pack = PackDefinitions {
        name: "demo".into(),
        actions: vec![
            Action::from_value("demo", &note).0.expect("the action is well-formed").into(),
        ],
        rules: parsed.collect(),
        ..PackDefinitions::default()
    };
    Registry::new([pack], &BTreeMap::new()).0
}

/// One event, named by its time.
fn tell(
    memory: &mut Memory,
    registry: &Registry,
    seconds: f64,
    trigger: &str,
    payload: &Value,
) -> Vec<Decision> {
    if trigger == NO_EVENT {
        return memory.advance(at(seconds));
    }
    let id = format!("{seconds}");
    let event = Event { id: &id, trigger, parameters_digest: None, payload, time: at(seconds) };
    let instance = TriggerInstance {
        id: id.clone(),
        trigger: trigger.to_owned(),
        sequence: 1,
        definitions: 1,
    };
    memory.event(registry, &event, &instance, &Context::default())
}

/// A decision in one line: the event it is about, and what was decided.
fn line(decision: &Decision) -> String {
    let what = match &decision.outcome {
        Outcome::Request(draft) => format!("-> {}", draft.parameters["message"]),
        Outcome::Failed { reason, .. } => format!("failed: {reason}"),
        Outcome::Held { by, reason } => format!("{}: {reason}", by.word()),
    };
    format!("{} {what}", decision.instance.id)
}

/// Rows: when, which trigger, the key; and everything decided then.
fn check(rules: &[Value], rows: &[(f64, &str, &str, &[&str])]) {
    let registry = registry(rules);
    let mut memory = Memory::default();
    for (seconds, trigger, k, expected) in rows {
        let decisions = tell(&mut memory, &registry, *seconds, trigger, &json!({"k": k}));
        let lines: Vec<String> = decisions.iter().map(line).collect();
        let short: Vec<&str> = lines
            .iter()
            .zip(expected.iter().chain(std::iter::repeat(&"")))
            // A row may leave out the end of a reason.
            .map(|(line, wanted)| {
                let same = !wanted.is_empty() && line.starts_with(wanted);
                if same { *wanted } else { line.as_str() }
            })
            .collect();
        assert_eq!(short, *expected, "{trigger} at {seconds}");
    }
}

const KEY: &str = "{{ trigger.k }}";

#[test]
fn repeats_are_dropped_until_the_period_after_the_first_is_over() {
    check(
        &[rule("r", &json!({"dedupe": {"period": "10s", "key": KEY}}))],
        &[
            (0.0, "demo.a", "x", &["0 -> \"x\""]),
            (1.0, "demo.a", "y", &["1 -> \"y\""]),
            (
                9.0,
                "demo.a",
                "x",
                &["9 dedupe: a repeat within 10s, until 2023-11-14T22:13:30.000000Z for key \"x\""],
            ),
            (9.999, "demo.a", "x", &["9.999 dedupe: "]),
            // Repeats do not extend the period, and its end is outside.
            (10.0, "demo.a", "x", &["10 -> \"x\""]),
            (10.5, "demo.a", "y", &["10.5 dedupe: "]),
            (11.0, "demo.a", "y", &["11 -> \"y\""]),
        ],
    );
}

#[test]
fn a_window_fires_once_for_the_nth_event_and_starts_from_nothing() {
    let keyless = json!({"window": {"count": 3, "period": 60}});
    check(
        &[rule("r", &keyless)],
        &[
            (0.0, "demo.a", "x", &["0 window: 1 of 3 within 1m"]),
            (1.0, "demo.a", "y", &["1 window: 2 of 3 within 1m"]),
            (2.0, "demo.b", "x", &[]),
            (3.0, "demo.a", "z", &["3 -> \"z\""]),
            (4.0, "demo.a", "x", &["4 window: 1 of 3"]),
        ],
    );
    check(
        &[rule("r", &json!({"window": {"count": 3, "period": "1m", "key": KEY}}))],
        &[
            (0.0, "demo.a", "db1", &["0 window: 1 of 3 within 1m for key \"db1\""]),
            (30.0, "demo.a", "db1", &["30 window: 2 of 3"]),
            (31.0, "demo.a", "db2", &["31 window: 1 of 3"]),
            // The first is exactly a period old: outside.
            (60.0, "demo.a", "db1", &["60 window: 2 of 3"]),
            (89.5, "demo.a", "db1", &["89.5 -> \"db1\""]),
            (90.0, "demo.a", "db2", &["90 window: 2 of 3"]),
            (90.5, "demo.a", "db2", &["90.5 -> \"db2\""]),
        ],
    );
    check(
        &[rule("r", &json!({"window": {"count": 1, "period": "1m"}}))],
        &[(0.0, "demo.a", "x", &["0 -> \"x\""]), (1.0, "demo.a", "x", &["1 -> \"x\""])],
    );
}

#[test]
fn an_absence_fires_when_nothing_came_and_is_settled_by_what_came() {
    let absence = json!({"absence": {"period": "10s", "key": KEY, "of": {"trigger": "demo.b"}}});
    check(
        &[rule("r", &absence)],
        &[
            (
                0.0,
                "demo.a",
                "x",
                &["0 absence: waits until 2023-11-14T22:13:30.000000Z for demo.b for key \"x\""],
            ),
            (1.0, "demo.a", "y", &["1 absence: waits until"]),
            (
                2.0,
                "demo.a",
                "x",
                &["2 absence: an earlier event waits until 2023-11-14T22:13:30.000000Z for demo.b"],
            ),
            (5.0, "demo.b", "y", &[]),
            (9.0, NO_EVENT, "", &[]),
            // The event that waited is the one it is about.
            (10.0, NO_EVENT, "", &["0 -> \"x\""]),
            (11.0, "demo.a", "y", &["11 absence: waits"]),
            (20.0, NO_EVENT, "", &[]),
            // Exactly a period later is too late: it is due first.
            (21.0, "demo.b", "y", &["11 -> \"y\""]),
            (22.0, "demo.a", "x", &["22 absence: waits"]),
            (31.999, "demo.b", "x", &[]),
            (40.0, NO_EVENT, "", &[]),
        ],
    );
}

#[test]
fn what_waits_for_its_own_kind_is_settled_and_waits_again() {
    let of = json!({"trigger": {"type": "demo.a"}});
    let beat = json!({"absence": {"period": "10s", "key": KEY, "of": of}});
    check(
        &[rule("r", &beat)],
        &[
            (0.0, "demo.a", "x", &["0 absence: waits"]),
            (8.0, "demo.a", "x", &["8 absence: waits until 2023-11-14T22:13:38.000000Z"]),
            (17.0, NO_EVENT, "", &[]),
            (18.0, NO_EVENT, "", &["8 -> \"x\""]),
            (30.0, NO_EVENT, "", &[]),
        ],
    );
}

#[test]
fn an_expected_event_may_name_its_key_and_conditions() {
    let of = json!({
        "trigger": "demo.b", "criteria": {"trigger.ok": {"type": "eq", "pattern": true}},
        "key": "{{ trigger.job }}",
    });
    let registry =
        registry(&[rule("r", &json!({"absence": {"period": 10, "key": KEY, "of": of}}))]);
    let mut memory = Memory::default();
    let mut say = |seconds, trigger, payload: Value| -> Vec<String> {
        tell(&mut memory, &registry, seconds, trigger, &payload).iter().map(line).collect()
    };
    // While nothing waits, what is expected is not even looked at.
    assert_eq!(say(0.0, "demo.b", json!({"ok": true})), Vec::<String>::new());
    assert_eq!(say(1.0, "demo.a", json!({"k": 7})).len(), 1);
    assert_eq!(say(2.0, "demo.b", json!({"job": "7", "ok": false})), Vec::<String>::new());
    let failed = say(3.0, "demo.b", json!({"ok": true}));
    assert!(failed[0].contains("waits for: its key cannot be rendered"), "{failed:?}");
    assert_eq!(say(4.0, "demo.b", json!({"job": 7, "ok": true})), Vec::<String>::new());
    assert_eq!(say(12.0, "demo.b", json!({"job": 7})), Vec::<String>::new());
}

#[test]
fn a_throttle_counts_requests_and_a_cooldown_follows_each() {
    check(
        &[rule("r", &json!({"throttle": {"limit": 2, "period": "10s"}}))],
        &[
            (0.0, "demo.a", "x", &["0 -> \"x\""]),
            (5.0, "demo.a", "y", &["5 -> \"y\""]),
            (9.0, "demo.a", "x", &["9 throttle: 2 within 10s is the limit"]),
            (10.0, "demo.a", "x", &["10 -> \"x\""]),
            (14.0, "demo.a", "x", &["14 throttle"]),
            (15.0, "demo.a", "x", &["15 -> \"x\""]),
        ],
    );
    check(
        &[rule("r", &json!({"cooldown": {"period": "10s", "key": KEY}}))],
        &[
            (0.0, "demo.a", "x", &["0 -> \"x\""]),
            (5.0, "demo.a", "y", &["5 -> \"y\""]),
            (
                9.0,
                "demo.a",
                "x",
                &["9 cooldown: silent until 2023-11-14T22:13:30.000000Z for key \"x\""],
            ),
            (10.0, "demo.a", "x", &["10 -> \"x\""]),
            (14.0, "demo.a", "y", &["14 cooldown"]),
        ],
    );
}

#[test]
fn fields_apply_in_their_order() {
    let all = json!({
        "dedupe": {"period": "2s", "key": KEY},
        "window": {"count": 2, "period": "20s"},
        "throttle": {"limit": 1, "period": "10s"},
        "cooldown": {"period": "14s"},
    });
    check(
        &[rule("r", &all)],
        &[
            (0.0, "demo.a", "x", &["0 window: 1 of 2"]),
            (1.0, "demo.a", "x", &["1 dedupe"]),
            (2.0, "demo.a", "x", &["2 -> \"x\""]),
            (4.0, "demo.a", "x", &["4 window: 1 of 2"]),
            (6.0, "demo.a", "y", &["6 throttle"]),
            (8.0, "demo.a", "y", &["8 window: 1 of 2"]),
            (12.0, "demo.a", "y", &["12 cooldown: silent until 2023-11-14T22:13:36"]),
            (15.0, "demo.a", "y", &["15 window: 1 of 2"]),
            (17.0, "demo.a", "y", &["17 -> \"y\""]),
        ],
    );
    // Two absences that come due together pass the same cooldown, the older first.
    let absence = json!({
        "absence": {"period": "9s", "key": KEY, "of": {"trigger": "demo.b"}},
        "cooldown": {"period": "5s"},
    });
    check(
        &[rule("r", &absence)],
        &[
            (0.0, "demo.a", "y", &["0 absence"]),
            (1.0, "demo.a", "x", &["1 absence"]),
            (11.0, NO_EVENT, "", &["0 -> \"y\"", "1 cooldown"]),
            (12.0, "demo.a", "z", &["12 absence"]),
            (21.0, NO_EVENT, "", &["12 -> \"z\""]),
        ],
    );
}

#[test]
fn a_silence_of_ours_is_not_counted_and_time_never_runs_back() {
    let absence = json!({"absence": {"period": "30s", "key": KEY, "of": {"trigger": "demo.b"}}});
    check(
        &[rule("r", &absence)],
        &[
            (0.0, "demo.a", "x", &["0 absence"]),
            // Exactly 15 s is no outage yet.
            (15.0, "other.event", "", &[]),
            // 20 s of nothing: what was due at 30 is due at 50, and at 50 again not.
            (35.0, NO_EVENT, "", &[]),
            (49.0, NO_EVENT, "", &[]),
            // An old event counts as one of now: its wait ends at 79.
            (10.0, "demo.a", "y", &["10 absence: waits until 2023-11-14T22:14:39.000000Z"]),
            (50.0, NO_EVENT, "", &["0 -> \"x\""]),
            (60.0, NO_EVENT, "", &[]),
            (70.0, NO_EVENT, "", &[]),
            (78.9, NO_EVENT, "", &[]),
            (79.0, NO_EVENT, "", &["10 -> \"y\""]),
        ],
    );
    // Nothing waits: a long night is nothing special to a dedupe.
    check(
        &[rule("r", &json!({"dedupe": {"period": "1h"}}))],
        &[
            (0.0, "demo.a", "x", &["0 -> \"x\""]),
            (3_599.0, "demo.a", "x", &["3599 dedupe"]),
            (3_600.0, "demo.a", "x", &["3600 -> \"x\""]),
        ],
    );
}

#[test]
fn what_cannot_be_rendered_or_is_too_large_fails_at_once() {
    let fields = [
        json!({"dedupe": {"period": 10, "key": "{{ trigger.none }}"}}),
        json!({"window": {"count": 2, "period": 10, "key": "{{ trigger.none }}"}}),
        json!({"throttle": {"limit": 2, "period": 10, "key": "{{ trigger.none }}"}}),
        json!({"cooldown": {"period": 10, "key": "{{ trigger.none }}"}}),
        json!({"absence": {
            "period": 10, "key": "{{ trigger.none }}", "of": {"trigger": "demo.b"},
        }}),
        json!({
            "absence": {"period": 10, "of": {"trigger": "demo.b"}},
            "cooldown": {"period": 10, "key": "{{ trigger.none }}"},
        }),
    ];
    for fields in fields {
        let word = fields.as_object().and_then(|map| map.keys().next_back()).expect("a field");
        let failed = format!("0 failed: the key of {word} cannot be rendered");
        check(&[rule("r", &fields)], &[(0.0, "demo.a", "x", &[&failed])]);
    }
    let mut large = rule("r", &json!({"absence": {"period": 10, "of": {"trigger": "demo.b"}}}));
    let registry = |rule: &Value| self::registry(std::slice::from_ref(rule));
    let deep = (0..80).fold(json!(1), |value, _| json!([value]));
    let rows = [
        (json!({"k": "x".repeat(70_000), "l": []}), "bytes long, and at most 65536 can wait"),
        (json!({"k": 1, "l": deep}), "nests deeper than 64"),
        (json!({"l": []}), "no attribute 'k'"),
    ];
    large["action"]["parameters"] =
        json!({"message": "{{ trigger.k }}", "list": "{{ trigger.l }}"});
    for (payload, words) in rows {
        let mut memory = Memory::default();
        let decisions = tell(&mut memory, &registry(&large), 0.0, "demo.a", &payload);
        assert!(line(&decisions[0]).contains(words), "{}", line(&decisions[0]));
        assert!(memory.is_empty());
    }
}

#[test]
fn a_failure_is_no_request_to_a_throttle() {
    let mut failing = rule("r", &json!({"throttle": {"limit": 1, "period": "10s"}}));
    failing["action"]["parameters"]["message"] = json!("{{ {'x': 1}[trigger.k] }}");
    check(
        &[failing],
        &[
            (0.0, "demo.a", "none", &["0 failed"]),
            (1.0, "demo.a", "x", &["1 -> "]),
            (2.0, "demo.a", "none", &["2 throttle"]),
        ],
    );
}

#[test]
fn keys_have_a_limit_and_a_wait_that_is_given_up_says_so() {
    let registry = registry(&[
        rule(
            "absence",
            &json!({
                "absence": {"period": "1h", "key": KEY, "of": {"trigger": "demo.b"}},
            }),
        ),
        rule("dedupe", &json!({"dedupe": {"period": "1h", "key": KEY}})),
    ]);
    let mut memory = Memory::default();
    for number in 0..10_000_u32 {
        let decisions =
            tell(&mut memory, &registry, f64::from(number) / 1e3, "demo.a", &json!({"k": number}));
        assert_eq!(decisions.len(), 2);
    }
    let decisions = tell(&mut memory, &registry, 10.0, "demo.a", &json!({"k": 10_000}));
    let lines: Vec<String> = decisions.iter().map(line).collect();
    assert_eq!(
        lines[0],
        "0 failed: more than 10000 keys wait: the first due is given up for key \"0\""
    );
    assert!(
        lines[1].starts_with("10 absence: waits") && lines[2] == "10 -> \"10000\"",
        "{lines:?}"
    );
    // The key that was forgotten passes again, and another is forgotten for it.
    let decisions = tell(&mut memory, &registry, 11.0, "demo.a", &json!({"k": 0}));
    assert_eq!(line(&decisions[2]), "11 -> \"0\"");
    let decisions = tell(&mut memory, &registry, 12.0, "demo.a", &json!({"k": 9_999}));
    assert!(line(&decisions[1]).starts_with("12 dedupe"));
}

#[test]
fn a_long_key_is_told_apart_by_its_hash() {
    let registry = registry(&[rule("r", &json!({"dedupe": {"period": "1h", "key": KEY}}))]);
    let mut memory = Memory::default();
    let keys = ["a".repeat(300), "a".repeat(301), "a".repeat(300)];
    let lines: Vec<String> = (0_u32..)
        .zip(keys)
        .map(|(n, k)| tell(&mut memory, &registry, f64::from(n), "demo.a", &json!({"k": k})))
        .map(|decisions| line(&decisions[0]))
        .collect();
    assert!(lines[0].contains("->") && lines[1].contains("->"));
    assert!(lines[2].contains("for key \"#") && lines[2].len() < 200, "{}", lines[2]);
}

#[test]
fn an_edit_forgets_what_rests_on_it_and_nothing_else() {
    let original = rule(
        "r",
        &json!({
            "dedupe": {"period": "1h"},
            "criteria": {"trigger.k": {"type": "exists"}},
            "absence": {"period": "10m", "of": {"trigger": "demo.b"}},
        }),
    );
    let edit = |change: fn(&mut Value)| {
        let mut rule = original.clone();
        change(&mut rule);
        rule
    };
    let rows: [(Value, bool); 9] = [
        (edit(|_| {}), true),
        (edit(|rule| rule["description"] = json!("the same")), true),
        (edit(|rule| rule["action"]["parameters"]["message"] = json!("other")), true),
        (edit(|rule| rule["trigger"] = json!({"type": "demo.a", "parameters": {}})), true),
        (edit(|rule| rule["trigger"] = json!("demo.c")), false),
        (edit(|rule| rule["criteria"] = json!({})), false),
        (edit(|rule| rule["dedupe"]["period"] = json!("2h")), false),
        (edit(|rule| rule["throttle"] = json!({"limit": 1, "period": 1})), false),
        (edit(|rule| rule["enabled"] = json!(false)), false),
    ];
    let before = registry(std::slice::from_ref(&original));
    for (edited, kept) in rows {
        let mut memory = Memory::default();
        tell(&mut memory, &before, 0.0, "demo.a", &json!({"k": 1}));
        assert_eq!(memory.due(), Some(at(600.0)));
        let after = registry(std::slice::from_ref(&edited));
        let mut same = memory.clone();
        same.retain(&after);
        assert_eq!(same == memory, kept, "{edited}");
        assert_eq!(same.is_empty(), !kept, "{edited}");
        assert_eq!(same.due().is_some(), kept, "{edited}");
        // An event under the new definition alone does not revive the old memory either.
        let decisions = tell(&mut memory, &after, 1.0, "demo.a", &json!({"k": 1}));
        let repeat = decisions.iter().any(|decision| line(decision).contains("dedupe"));
        assert_eq!(repeat, kept, "{edited}");
    }
}

#[test]
fn backstops_stay_silent_when_any_standard_rule_matches() {
    let backstop = |name: &str, fields: Value| {
        let mut rule = rule(name, &fields);
        rule["type"] = json!("backstop");
        rule
    };
    let only = |k: &str| json!({"trigger.k": {"type": "eq", "pattern": k}});
    let dedupe = json!({"period": "1h"});
    let rules = [
        backstop("a-forgetful", json!({})),
        backstop("b-remembering", json!({"dedupe": dedupe})),
        rule("c", &json!({"criteria": only("stateless")})),
        rule("d", &json!({"criteria": only("remembering"), "dedupe": dedupe})),
    ];
    let registry = registry(&rules);
    let mut memory = Memory::default();
    let mut all = |seconds: f64, k: &str| -> Vec<String> {
        let payload = json!({"k": k});
        let event = Event {
            id: "e",
            trigger: "demo.a",
            parameters_digest: None,
            payload: &payload,
            time: at(seconds),
        };
        let judged = judge(&registry, &event, &Context::default()).into_iter().map(|j| j.rule);
        let decided = tell(&mut memory, &registry, seconds, "demo.a", &payload);
        judged.chain(decided.into_iter().map(|decision| decision.rule)).collect()
    };
    assert_eq!(all(0.0, "stateless"), ["demo.c"]);
    assert_eq!(all(1.0, "remembering"), ["demo.d"]);
    // A match that is held is a match.
    assert_eq!(all(2.0, "remembering"), ["demo.d"]);
    assert_eq!(all(3.0, "neither"), ["demo.a-forgetful", "demo.b-remembering"]);
}

#[test]
fn a_registry_knows_who_remembers_and_whom_an_absence_needs() {
    assert!(!registry(&[rule("r", &json!({}))]).remembers());
    let off = rule("r", &json!({"enabled": false, "dedupe": {"period": 1}}));
    assert!(!registry(&[off]).remembers());
    let url = json!({"url": "paid"});
    let of = json!({"trigger": {"type": "core.st2.webhook", "parameters": url}});
    let waits = rule("r", &json!({"absence": {"period": "5m", "of": of}}));
    let registry = registry(&[waits]);
    assert!(registry.remembers());
    let needed = registry.needed_triggers();
    assert_eq!((needed.len(), &*needed[0].trigger), (1, "core.st2.webhook"));
    assert_eq!(needed[0].digest, trigger_parameters_digest("core.st2.webhook", &url));
    // Only an event with those parameters is what it waits for.
    let mut memory = Memory::default();
    tell(&mut memory, &registry, 0.0, "demo.a", &json!({"k": 1}));
    let instance = TriggerInstance {
        id: "e".into(),
        trigger: "core.st2.webhook".into(),
        sequence: 2,
        definitions: 1,
    };
    for (digest, waits) in [("other", true), (&*needed[0].digest, false)] {
        let event = Event {
            id: "e",
            trigger: "core.st2.webhook",
            parameters_digest: Some(digest),
            payload: &json!({"body": {}}),
            time: at(1.0),
        };
        assert!(memory.event(&registry, &event, &instance, &Context::default()).is_empty());
        assert_eq!(memory.due().is_some(), waits, "{digest}");
    }
}

#[test]
fn a_memory_of_another_version_reads() {
    let memory: Memory = serde_json::from_str("{}").expect("nothing is a memory");
    assert_eq!(memory, Memory::default());
    let text = r#"{"now": 5, "rules": {"demo.r": {"fingerprint": "f", "dedupe": {"x": 9},
        "window": {"y": {"ends": 8, "times": [1, 2]}}, "later": 1}}, "more": []}"#;
    let mut memory: Memory = serde_json::from_str(text).expect("unknown fields are skipped");
    assert!(!memory.is_empty());
    memory.advance(Timestamp::from_nanos(9));
    assert!(memory.is_empty());
}

#[test]
fn the_same_event_once_more_counts_once() {
    let registry = registry(&[rule("r", &json!({"window": {"count": 2, "period": "1h"}}))]);
    let mut memory = Memory::default();
    let mut tell = |id: &str, seconds: f64| {
        let payload = json!({"k": "a"});
        let time = at(seconds);
        let event =
            Event { id, trigger: "demo.a", parameters_digest: None, payload: &payload, time };
        let instance = TriggerInstance {
            id: id.to_owned(),
            trigger: "demo.a".to_owned(),
            sequence: 1,
            definitions: 1,
        };
        memory.event(&registry, &event, &instance, &Context::default()).len()
    };
    assert_eq!([tell("one", 0.0), tell("one", 300.0), tell("two", 600.0)], [1, 0, 1]);
    // Those that come without a name are named by their place.
    assert_eq!([tell("@x-1", 700.0), tell("@x-2", 800.0)], [1, 1]);
}

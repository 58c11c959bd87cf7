//! The fields that make a rule remember: how they are shown, and what of them is refused.

use hearken_engine::definition::{Problem, Rule};
use hearken_engine::judge::{Context, Event, explain};
use hearken_proto::Timestamp;
use serde_json::{Value, json};

/// A rule about `demo.a`, with `fields` besides.
fn rule(fields: &Value) -> Value {
    let mut rule = json!({
        "name": "r", "enabled": true, "trigger": "demo.a", "action": {"ref": "demo.note"},
    });
    let map = rule.as_object_mut().expect("a rule is a mapping");
    map.extend(fields.as_object().expect("fields are a mapping").clone());
    rule
}

#[test]
fn a_rule_shows_what_it_remembers() {
    let fields = json!({
        "dedupe": {"period": "10m", "key": "{{ trigger.host }}"},
        "absence": {"period": 300, "of": {"trigger": "shop.paid"}},
        "throttle": {"limit": 5, "period": "1m"},
    });
    let (parsed, problems) = Rule::from_value("demo", &rule(&fields));
    let parsed = parsed.unwrap_or_else(|| panic!("{problems:?}"));
    assert!(problems.is_empty(), "{problems:?}");
    let shown = parsed.to_value(true);
    for field in ["dedupe", "absence", "throttle"] {
        assert_eq!(shown[field], fields[field]);
    }
    assert!(shown.get("window").is_none() && shown.get("cooldown").is_none());
    let payload = json!({"k": 1});
    let event = Event {
        id: "e",
        trigger: "demo.a",
        parameters_digest: None,
        payload: &payload,
        time: Timestamp::EPOCH,
    };
    let verdict = explain(&parsed, None, &event, &Context::default());
    assert_eq!(
        verdict.remembers.as_deref(),
        Some("dedupe 10m by {{ trigger.host }}; absence of shop.paid for 5m; throttle 5 per 1m")
    );
}

#[test]
fn an_expected_trigger_may_stand_for_itself() {
    for of in [
        json!("shop.paid"),
        json!({"trigger": "shop.paid"}),
        json!({"trigger": {"type": "shop.paid"}}),
    ] {
        let absence = json!({"absence": {"period": "5m", "of": of}});
        let (rule, problems) = Rule::from_value("demo", &rule(&absence));
        assert_eq!(problems, Vec::new(), "{of}");
        let remember = rule.unwrap().remember.unwrap();
        assert_eq!(remember.absence.unwrap().of.trigger.reference, "shop.paid", "{of}");
    }
}

#[test]
fn what_cannot_be_remembered_is_refused_with_a_hint() {
    let of = json!({"trigger": "demo.b"});
    let rows = [
        (json!({"dedupe": {"perod": "5m"}}), "/dedupe/perod", "did you mean \"period\"?"),
        (json!({"dedupe": {"key": "x"}}), "/dedupe", "for example period: 5m"),
        (json!({"dedupe": "5m"}), "/dedupe", "write {period: …, key: …}"),
        (json!({"dedupe": {"period": "0s"}}), "/dedupe/period", "for example 90s or 5m"),
        (json!({"cooldown": {"period": -1}}), "/cooldown/period", "for example 90s or 5m"),
        (
            json!({"cooldown": {"period": "soon"}}),
            "/cooldown/period",
            "for example 90s, 5m, 1h30m or 2d",
        ),
        (
            json!({"cooldown": {"period": "367d"}}),
            "/cooldown/period",
            "for what is rarer use a timer and the datastore",
        ),
        (
            json!({"cooldown": {"period": 1, "key": "{{ trigger"}}),
            "/cooldown/key",
            "for example \"{{ trigger.host }}\"",
        ),
        (json!({"window": {"period": 1}}), "/window", "for example count: 5"),
        (json!({"window": {"period": 1, "count": 0}}), "/window/count", "for example count: 5"),
        (
            json!({"throttle": {"period": 1, "limit": 1_001}}),
            "/throttle/limit",
            "for example limit: 5",
        ),
        (
            json!({"throttle": {"period": 1, "count": 1, "limit": 1}}),
            "/throttle/count",
            "one of limit, period, key",
        ),
        (json!({"absence": {"period": 1}}), "/absence", "write of: {trigger: pack.name}"),
        (
            json!({"absence": {"period": 1, "of": {"trigger": "demo.b", "criterea": {}}}}),
            "/absence/of/criterea",
            "did you mean \"criteria\"?",
        ),
        (
            json!({"absence": {"period": 1, "of": {
                "trigger": "demo.b", "criteria": {"trigger.a": {"type": "equls", "pattern": 1}},
            }}}),
            "/absence/of/criteria/trigger.a/type",
            "did you mean \"equals\"?",
        ),
        (
            json!({"absence": {"period": 1, "of": of}, "window": {"count": 2, "period": 1}}),
            "/absence",
            "make two rules of it",
        ),
    ];
    for (fields, pointer, hint) in rows {
        let (parsed, problems) = Rule::from_value("demo", &rule(&fields));
        assert!(parsed.is_none(), "{fields}");
        let fatal: Vec<&Problem> = problems.iter().filter(|problem| problem.fatal).collect();
        let found = fatal.iter().find(|problem| problem.pointer == pointer);
        assert_eq!(
            found.and_then(|problem| problem.hint.as_deref()),
            Some(hint),
            "{fields}: {problems:?}"
        );
    }
}

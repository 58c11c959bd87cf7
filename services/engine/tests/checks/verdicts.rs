//! What measured values mean.

use hearken_engine::check::plugin::perfdata;
use hearken_engine::check::verdict::{composite, judge, of_metrics};
use hearken_engine::definition::CheckFile;
use hearken_proto::Timestamp;
use hearken_proto::check::CheckStatus::{self, Critical, Ok, Unknown, Warning};
use serde_json::{Value, json};

fn verdict(fields: &Value, measured: &Value) -> (CheckStatus, String) {
    let mut check = json!({"name": "c"});
    check
        .as_object_mut()
        .expect("a mapping")
        .extend(fields.as_object().expect("a mapping").clone());
    let (file, problems) = CheckFile::from_value(&json!({"checks": [check]}));
    assert!(problems.is_empty(), "{problems:?}");
    let measured = measured.as_object().expect("a mapping");
    let verdict = judge(file.checks.first().expect("a check"), measured, Timestamp::EPOCH);
    (verdict.status, verdict.reasons.join("; "))
}

#[test]
fn thresholds_and_conditions_say_what_is_wrong() {
    let fields = json!({
        "http": "/", "warning": {"seconds": 1}, "critical": {"seconds": 2, "certificate_days": "7:"},
        "conditions": [
            {"path": "status", "operator": "lessthan", "pattern": 400},
            {"path": "body.items[0].name", "pattern": "a", "level": "warning"},
        ],
    });
    let good = json!({
        "seconds": 0.5, "certificate_days": 30, "status": 200, "body": {"items": [{"name": "a"}]},
    });
    let with = |name: &str, value: Value| {
        let mut measured = good.clone();
        measured[name] = value;
        measured
    };
    let rows = [
        (good.clone(), Ok, ""),
        (with("seconds", json!(1.5)), Warning, "seconds is 1.5, warning 1"),
        (with("seconds", json!(2.5)), Critical, "seconds is 2.5, critical 2"),
        (with("certificate_days", json!(6)), Critical, "certificate_days is 6, critical 7:"),
        (with("seconds", json!(null)), Unknown, "seconds was not measured"),
        (with("status", json!(500)), Critical, "status lessthan 400 does not hold: it is 500"),
        (
            with("body", json!({"items": [{"name": "b"}]})),
            Warning,
            "body.items[0].name equals a does not hold: it is \"b\"",
        ),
        (
            with("body", json!("text")),
            Warning,
            "body.items[0].name equals a does not hold: it is null",
        ),
    ];
    for (measured, status, reason) in rows {
        assert_eq!(verdict(&fields, &measured), (status, reason.to_owned()), "{measured}");
    }
    // The worst counts, and everything is told.
    let (status, reasons) = verdict(&fields, &json!({"seconds": 1.5, "status": 500}));
    assert_eq!((status, reasons.matches("; ").count()), (Critical, 3));
}

#[test]
fn what_a_plugin_measured_has_thresholds_too() {
    let measured = Value::Object(of_metrics(&perfdata("'/ used'=85%;;;0;100 inodes=U")));
    let fields = json!({"plugin": "check_disk", "warning": {"/ used": "80", "inodes": 5}});
    let told = "/ used is 85, warning 80; inodes was not measured";
    assert_eq!(verdict(&fields, &measured), (Unknown, told.to_owned()));
}

#[test]
fn a_composite_is_bad_when_too_many_are() {
    let of = |fields: Value| {
        let check = json!({"name": "c", "composite": fields});
        CheckFile::from_value(&json!({"checks": [check]})).0.checks.remove(0)
    };
    let all = of(json!({"of": ["a", "b", "c"]}));
    let any = of(json!({"of": ["a", "b", "c"], "all": false}));
    let two = of(json!({"of": ["a", "b", "c"], "at_least": 2}));
    for (good, bad, expected) in [
        (3, 0, [Ok, Ok, Ok]),
        (2, 0, [Unknown, Ok, Ok]),
        (2, 1, [Critical, Ok, Ok]),
        (1, 1, [Critical, Ok, Unknown]),
        (1, 2, [Critical, Ok, Critical]),
        (0, 3, [Critical, Critical, Critical]),
    ] {
        assert_eq!(
            [&all, &any, &two].map(|check| composite(check, good, bad)),
            expected,
            "{good} {bad}"
        );
    }
}

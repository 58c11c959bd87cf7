//! What an event leads to: whole rules, from their files' values to requests.

use std::collections::BTreeMap;

use hearken_engine::definition::{
    Action, PackManifest, Problem, Rule, RunnerKind, Sensor, TriggerType,
};
use hearken_engine::judge::{Context, Event, Judgement, Outcome, explain, judge};
use hearken_engine::registry::{Finding, PackDefinitions, Registry, trigger_parameters_digest};
use hearken_proto::Timestamp;
use serde_json::{Value, json};

fn action(pack: &str, value: &Value) -> Action {
    let (action, problems) = Action::from_value(pack, value);
    action.unwrap_or_else(|| panic!("{problems:?}"))
}

fn rule(pack: &str, value: &Value) -> Rule {
    let (rule, problems) = Rule::from_value(pack, value);
    rule.unwrap_or_else(|| panic!("{problems:?}"))
}

/// A pack `demo` with an action `note` that takes a message, a count and a secret.
fn registry(rules: &[Value]) -> (Registry, Vec<Finding>) {
    let note = json!({
        "name": "note", "runner_type": "local-shell-script", "entry_point": "note.sh",
        "pool": "desk",
        "parameters": {
            "message": {"type": "string", "required": true},
            "count": {"type": "integer", "default": 1},
            "token": {"type": "string", "secret": true},
        },
    });
    let off = json!({"name": "off", "runner_type": "noop", "enabled": false});
    let demo = PackDefinitions {
        name: "demo".into(),
        digest: "d1".into(),
        actions: vec![action("demo", &note).into(), action("demo", &off).into()],
        rules: rules.iter().map(|value| rule("demo", value)).collect(),
        triggers: vec![
            TriggerType::from_value("demo", &json!({"name": "event"})).0.expect("well-formed"),
        ],
        ..PackDefinitions::default()
    };
    Registry::new([demo], &BTreeMap::new())
}

fn simple(name: &str, criteria: &Value, parameters: &Value) -> Value {
    json!({
        "name": name, "enabled": true, "trigger": {"type": "demo.event"}, "criteria": criteria,
        "action": {"ref": "demo.note", "parameters": parameters},
    })
}

fn judged(rules: &[Value], payload: &Value) -> Vec<Judgement> {
    let (registry, _) = registry(rules);
    judge(&registry, &event("demo.event", payload), &Context::default())
}

fn event<'a>(trigger: &'a str, payload: &'a Value) -> Event<'a> {
    Event { id: "e1", trigger, parameters_digest: None, payload, time: Timestamp::EPOCH }
}

fn names(judgements: &[Judgement]) -> Vec<&str> {
    judgements.iter().map(|judgement| judgement.rule.as_str()).collect()
}

#[test]
fn a_match_becomes_a_request_with_rendered_and_cast_parameters() {
    let rules = [simple(
        "late",
        &json!({"trigger.days": {"type": "gt", "pattern": 3}}),
        &json!({"message": "order {{ trigger.order }} is late", "count": "{{ trigger.days }}",
                "token": "t0p"}),
    )];
    let judgements = judged(&rules, &json!({"order": 42, "days": 5}));
    let [Judgement { rule, outcome: Outcome::Request(request) }] = judgements.as_slice() else {
        panic!("{judgements:?}");
    };
    assert_eq!(rule, "demo.late");
    assert_eq!((&*request.action, &*request.pack), ("demo.note", "demo"));
    assert_eq!((&*request.pool, &*request.digest), ("desk", "d1"));
    assert_eq!(
        Value::Object(request.parameters.clone()),
        json!({"message": "order 42 is late", "count": 5, "token": "t0p"})
    );
    assert!(request.secret.contains(&"token".to_owned()));
    assert!(judged(&rules, &json!({"order": 42, "days": 2})).is_empty());
}

#[test]
fn rules_are_judged_by_reference_and_backstops_only_when_none_matched() {
    let backstop = |name: &str| {
        let mut rule = simple(name, &json!({}), &json!({"message": "x"}));
        rule["type"] = json!({"ref": "backstop"});
        rule
    };
    let rules = [
        backstop("a-backstop"),
        simple("z", &json!({"trigger.v": {"type": "eq", "pattern": 1}}), &json!({"message": "x"})),
        simple("b", &json!({"trigger.v": {"type": "eq", "pattern": 1}}), &json!({"message": "x"})),
    ];
    assert_eq!(names(&judged(&rules, &json!({"v": 1}))), ["demo.b", "demo.z"]);
    assert_eq!(names(&judged(&rules, &json!({"v": 2}))), ["demo.a-backstop"]);
    // A criterion that is an error is no match.
    let broken = simple(
        "c",
        &json!({"trigger.none": {"type": "contains", "pattern": "x"}}),
        &json!({"message": "x"}),
    );
    let rules = [backstop("a-backstop"), broken];
    assert_eq!(names(&judged(&rules, &json!({"v": 1}))), ["demo.c", "demo.a-backstop"]);
}

#[test]
fn what_fails_says_why_and_whether_an_execution_would_remain() {
    let rows = [
        (json!({"message": "{{ trigger.none }}"}), "has no attribute 'none'", true),
        // The schema refuses the text that stands for the count, so nothing would remain.
        (json!({"message": "x", "count": "{{ trigger.none }}"}), "no attribute 'none'", false),
        (json!({"message": "x", "count": "{{ trigger.s }}"}), "cannot be made integer", false),
        (json!({}), "'message' is a required property", false),
        (json!({"message": "x", "other": 1}), "'other' was unexpected", false),
        (json!({"message": "{{ nobody }}"}), "Dependency unsatisfied", true),
    ];
    for (parameters, words, remains) in rows {
        let judgements = judged(&[simple("r", &json!({}), &parameters)], &json!({"s": "abc"}));
        let [Judgement { outcome, .. }] = judgements.as_slice() else {
            panic!("{parameters}: {judgements:?}");
        };
        let Outcome::Failed { reason, parameters: given, leaves_execution } = outcome else {
            panic!("{parameters}: {outcome:?}");
        };
        assert!(reason.contains(words), "{parameters}: {reason}");
        assert_eq!(*leaves_execution, remains, "{parameters}");
        assert_eq!(Value::Object(given.clone()), parameters);
    }
}

#[test]
fn a_rule_without_its_action_is_live_and_fails_when_it_matches() {
    let mut lost = simple("lost", &json!({}), &json!({}));
    lost["action"]["ref"] = json!("demo.nowhere");
    let mut off = simple("off", &json!({}), &json!({}));
    off["action"]["ref"] = json!("demo.off");
    let mut early = simple("early", &json!({}), &json!({"message": "x"}));
    early["trigger"]["type"] = json!("shop.nobody_registered_this");
    let (registry, findings) = registry(&[lost, off, early]);
    let about: Vec<(&str, &str)> =
        findings.iter().map(|f| (&*f.reference, &*f.problem.pointer)).collect();
    assert_eq!(
        about,
        [
            ("demo.early", "/trigger/type"),
            ("demo.lost", "/action/ref"),
            ("demo.off", "/action/ref")
        ]
    );
    assert!(findings.iter().all(|finding| !finding.problem.fatal));
    let payload = json!({"v": 1});
    let judgements = judge(&registry, &event("demo.event", &payload), &Context::default());
    for judgement in &judgements {
        assert!(matches!(judgement.outcome, Outcome::Failed { .. }), "{judgement:?}");
    }
    assert_eq!(names(&judgements), ["demo.lost", "demo.off"]);
    let event = event("shop.nobody_registered_this", &payload);
    assert_eq!(names(&judge(&registry, &event, &Context::default())), ["demo.early"]);
}

#[test]
fn rules_are_on_by_their_file_or_by_somebodys_word() {
    let mut silent = simple("silent", &json!({}), &json!({"message": "x"}));
    silent.as_object_mut().expect("a mapping").remove("enabled");
    let (parsed, problems) = Rule::from_value("demo", &silent);
    assert!(!parsed.expect("well-formed").enabled);
    assert!(problems.iter().any(|problem| problem.message.contains("so it is off")));
    let pack = |rules: Vec<Rule>| PackDefinitions {
        name: "demo".into(),
        rules,
        ..PackDefinitions::default()
    };
    let rules = vec![
        rule("demo", &silent),
        rule("demo", &simple("loud", &json!({}), &json!({"message": "x"}))),
    ];
    let overrides =
        BTreeMap::from([("demo.silent".to_owned(), true), ("demo.loud".to_owned(), false)]);
    for (overrides, on) in [(BTreeMap::new(), "demo.loud"), (overrides, "demo.silent")] {
        let (registry, _) = Registry::new([pack(rules.clone())], &overrides);
        let heard: Vec<&str> = registry
            .rules_of("demo.event", None)
            .into_iter()
            .map(|live| live.rule.reference.as_str())
            .collect();
        assert_eq!(heard, [on]);
    }
}

#[test]
fn triggers_with_parameters_are_told_apart_and_needed_once() {
    let hook = |name: &str, url: &str| {
        json!({
            "name": name, "enabled": true,
            "trigger": {"type": "core.st2.webhook", "parameters": {"url": url}},
            "action": {"ref": "demo.note", "parameters": {"message": "x"}},
        })
    };
    let timer = json!({
        "name": "timer", "enabled": true,
        "trigger": {
            "type": "core.st2.IntervalTimer", "parameters": {"unit": "seconds", "delta": 10},
        },
        "action": {"ref": "demo.note", "parameters": {"message": "x"}},
    });
    let rules = [hook("a", "deploy"), hook("b", "/deploy/"), hook("c", "other"), timer];
    let (registry, findings) = registry(&rules);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(registry.needed_triggers().len(), 3);
    let timers = registry.timers();
    assert_eq!(timers.len(), 1);
    assert_eq!(timers[0].parameters, json!({"unit": "seconds", "delta": 10}));
    let digest = trigger_parameters_digest("core.st2.webhook", &json!({"url": "deploy"}));
    let payload = json!({"body": {}});
    let event = Event { parameters_digest: Some(&digest), ..event("core.st2.webhook", &payload) };
    let judgements = judge(&registry, &event, &Context::default());
    assert_eq!(names(&judgements), ["demo.a", "demo.b"]);
    // The same when one is asked alone, and nothing is held against it where nothing is known.
    let other = rule("demo", &rules[2]);
    let verdict = explain(&other, None, &event, &Context::default());
    assert!(!verdict.matches);
    let error = verdict.error.expect("a reason");
    assert!(error.contains("does not hear this event"), "{error}");
    let unknown = Event { parameters_digest: None, ..event };
    assert!(explain(&other, None, &unknown, &Context::default()).matches);
}

#[test]
fn a_trigger_that_never_comes_keeps_its_rule_out() {
    let with = |trigger: &str, parameters: Value| {
        let mut rule = simple("r", &json!({}), &json!({}));
        rule["trigger"] = json!({"type": trigger, "parameters": parameters});
        Rule::from_value("demo", &rule).1
    };
    let (interval, date) = ("core.st2.IntervalTimer", "core.st2.DateTimer");
    let (cron, hook) = ("core.st2.CronTimer", "core.st2.webhook");
    let bare = Some("write parameters: {url: NAME}");
    let mut waits = simple("r", &json!({}), &json!({}));
    let of = json!({"type": cron, "parameters": {"minute": 77}});
    waits["absence"] = json!({"period": "5m", "of": {"trigger": of}});
    check_fatal(vec![
        (
            with(interval, json!({"unit": "fortnights", "delta": 1})),
            "/trigger/parameters/unit",
            Some("one of weeks, days, hours, minutes, seconds"),
        ),
        (with(interval, json!({"unit": "days", "delta": -1})), "/trigger/parameters/delta", None),
        (
            with(date, json!({"date": "2026-13-45"})),
            "/trigger/parameters/date",
            Some("write 2030-12-31 23:59:59"),
        ),
        (with(cron, json!({"minute": 77})), "/trigger/parameters/minute", None),
        (
            with(cron, json!({"minutes": 7})),
            "/trigger/parameters/minutes",
            Some("did you mean \"minute\"?"),
        ),
        (
            with(cron, json!({"hour": 1, "timezone": "Mars/Base"})),
            "/trigger/parameters/timezone",
            Some("write an IANA name such as Europe/Berlin, or UTC"),
        ),
        (with(hook, json!({})), "/trigger/parameters", bare),
        (
            with(hook, json!({"url": "/"})),
            "/trigger/parameters/url",
            Some("write url: NAME, then post to /v1/webhooks/NAME"),
        ),
        (Rule::from_value("demo", &waits).1, "/absence/of/trigger/parameters/minute", None),
    ]);
}

#[test]
fn a_key_that_finds_nothing_says_what_was_meant() {
    for (key, meant) in [("payload.c", "trigger.c"), ("c", "trigger.c"), ("event.c", "trigger.c")] {
        let criteria = json!({key: {"type": "equals", "pattern": 1}});
        let (_, problems) = Rule::from_value("demo", &simple("r", &criteria, &json!({})));
        let hint = problems[0].hint.as_deref();
        assert_eq!(hint, Some(&*format!("write \"{meant}\"")), "{key}");
    }
}

#[test]
fn explaining_says_what_each_criterion_saw() {
    let criteria = json!({
        "trigger.status": {"type": "equals", "pattern": "{{ trigger.wanted }}"},
        "trigger.load": {"type": "gt", "pattern": 5},
        "trigger.host": {"type": "startswith", "pattern": "web"},
    });
    let rule = rule("demo", &simple("r", &criteria, &json!({"message": "{{ trigger.status }}"})));
    let context = Context::default();
    let payload = json!({"status": "down", "wanted": "down", "load": 2, "host": null});
    let verdict = explain(&rule, None, &event("demo.event", &payload), &context);
    assert_eq!(
        serde_json::to_value(&verdict).expect("it has a JSON form"),
        json!({
            "rule": "demo.r", "event": "e1", "matches": false,
            "criteria": [
                {"path": "trigger.status", "operator": "equals", "pattern": "down",
                 "value": "down", "verdict": true, "why": null},
                {"path": "trigger.load", "operator": "gt", "pattern": 5, "value": 2,
                 "verdict": false, "why": null},
                {"path": "trigger.host", "operator": "startswith", "pattern": "web", "value": null,
                 "verdict": "error",
                 "why": "'NoneType' object has no attribute 'startswith'"},
            ],
            "parameters": null, "error": null,
        })
    );
    let payload = json!({"status": "down", "wanted": "down", "load": 9, "host": "web1"});
    let verdict = explain(&rule, None, &event("demo.event", &payload), &context);
    assert!(verdict.matches);
    assert_eq!(verdict.parameters.map(Value::Object), Some(json!({"message": "down"})));
    let verdict = explain(&rule, None, &event("demo.other", &payload), &context);
    assert!(!verdict.matches && verdict.error.is_some_and(|error| error.contains("demo.other")));
}

/// The traits of StackStorm's first sample pack, of 2014.
#[test]
fn a_pack_of_2014_means_what_it_meant() {
    let (manifest, problems) = PackManifest::from_value("hello-st2", Some(&Value::Null));
    assert_eq!(manifest.expect("an empty manifest will do").name, "hello-st2");
    assert!(problems.iter().all(|problem| !problem.fatal));
    let value = json!({
        "name": "hello", "runner_type": "run-local", "description": "Says hello.", "enabled": true,
        "entry_point": "hello.sh", "parameters": {},
    });
    let (action, problems) = Action::from_value("hello-st2", &value);
    let action = action.expect("the action is well-formed");
    assert_eq!(action.reference, "hello-st2.hello");
    assert_eq!(action.runner, RunnerKind::LocalShellScript);
    assert!(problems.iter().all(|problem| !problem.fatal), "{problems:?}");
    let rule = rule(
        "hello-st2",
        &json!({
            "name": "rule1", "description": "Says hello to every event.", "enabled": true,
            "trigger": {"type": "hello-st2.event1"}, "criteria": {},
            "action": {"ref": "hello-st2.hello", "parameters": {}},
        }),
    );
    let pack = PackDefinitions {
        name: "hello-st2".into(),
        digest: "d".into(),
        actions: vec![action.into()],
        rules: vec![rule],
        ..PackDefinitions::default()
    };
    let (registry, _) = Registry::new([pack], &BTreeMap::new());
    let payload = json!({});
    let judgements = judge(&registry, &event("hello-st2.event1", &payload), &Context::default());
    assert!(
        matches!(judgements.as_slice(), [Judgement { outcome: Outcome::Request(_), .. }]),
        "{judgements:?}"
    );
}

#[test]
fn rules_of_a_pack_that_says_so_compare_everything_as_text() {
    let value = simple(
        "r",
        &json!({"trigger.port": {"type": "equals", "pattern": "80"}}),
        &json!({"message": "x"}),
    );
    let (modern, _) = registry(std::slice::from_ref(&value));
    let payload = json!({"port": 80});
    let event = event("demo.event", &payload);
    assert!(judge(&modern, &event, &Context::default()).is_empty());
    let pack = PackDefinitions {
        name: "demo".into(),
        compares_text: true,
        actions: vec![
            action(
                "demo",
                &json!({"name": "note", "runner_type": "noop",
            "parameters": {"message": {"type": "string"}}}),
            )
            .into(),
        ],
        rules: vec![rule("demo", &value)],
        ..PackDefinitions::default()
    };
    let (old, _) = Registry::new([pack], &BTreeMap::new());
    assert_eq!(names(&judge(&old, &event, &Context::default())), ["demo.r"]);
}

/// Each row: the problems of one definition, where its only fatal one stands, and its hint.
fn check_fatal(rows: Vec<(Vec<Problem>, &str, Option<&str>)>) {
    for (problems, pointer, hint) in rows {
        let fatal: Vec<_> = problems.iter().filter(|problem| problem.fatal).collect();
        let [problem] = fatal.as_slice() else {
            panic!("{pointer}: {problems:?}");
        };
        assert_eq!((&*problem.pointer, problem.hint.as_deref()), (pointer, hint), "{problem:?}");
    }
}

#[test]
fn a_broken_rule_says_where_and_how_to_repair() {
    let with = |field: &str, value: Value| {
        let mut rule = simple("r", &json!({}), &json!({}));
        rule[field] = value;
        Rule::from_value("demo", &rule).1
    };
    let at = "/criteria/trigger.name";
    let mut aimless = simple("r", &json!({}), &json!({}));
    aimless.as_object_mut().expect("a mapping").remove("action");
    check_fatal(vec![
        (
            with("criteria", json!({"trigger.name": {"type": "equls", "pattern": 1}})),
            "/criteria/trigger.name/type",
            Some("did you mean \"equals\"?"),
        ),
        (with("criteria", json!({"trigger.name": {"type": "equals"}})), at, None),
        (
            with("criteria", json!({"trigger.name": "x"})),
            at,
            Some("write {type: equals, pattern: …}"),
        ),
        (with("enabled", json!("yes")), "/enabled", None),
        (with("pack", json!("other")), "/pack", Some("remove the field")),
        (with("type", json!({"ref": "never"})), "/type/ref", Some("standard or backstop")),
        (Rule::from_value("demo", &aimless).1, "", None),
        (Rule::from_value("demo", &json!([])).1, "", None),
    ]);
    // What is only unknown is a notice, with the name that was probably meant.
    let problems = with("critera", json!({}));
    assert!(problems.iter().all(|problem| !problem.fatal));
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean \"criteria\"?"));
}

#[test]
fn a_broken_action_or_sensor_says_where_and_how_to_repair() {
    let action = |value: Value| Action::from_value("demo", &value).1;
    let script = |parameters: Value| {
        action(json!({
            "name": "a", "runner_type": "local-shell-script", "entry_point": "a.sh",
            "parameters": parameters,
        }))
    };
    let twice = "/parameters/q/position";
    check_fatal(vec![
        (
            script(json!({"p": {"type": "strng"}})),
            "/parameters/p/type",
            Some("did you mean \"string\"?"),
        ),
        (script(json!({"p": {"position": 0}, "q": {"position": 2}})), twice, None),
        (script(json!({"p": {"position": 0}, "q": {"position": 0}})), twice, None),
        (script(json!({"p": {"immutable": true}})), "/parameters/p", Some("give it a default")),
        (script(json!({"p q": {}})), "/parameters/p q", Some("use letters, digits and _ only")),
        (action(json!({"name": "a", "runner_type": "python-script"})), "/entry_point", None),
        (action(json!({"name": "a"})), "", None),
        (Sensor::from_value("demo", &json!({"class_name": "S"})).1, "", None),
    ]);
    // The first generation hid parameters so; and the runner's own default is one, even null.
    for (runner, name) in [("run-local-script", "dir"), ("local-shell-script", "sudo_password")] {
        let value = json!({
            "name": "a", "runner_type": runner, "entry_point": "a.sh",
            "parameters": {name: {"immutable": true}},
        });
        let (action, problems) = Action::from_value("demo", &value);
        assert!(action.is_some(), "{name}: {problems:?}");
    }
    // A runner that nobody knows is listed, not lost.
    let value = json!({"name": "a", "runner_type": "mistral-v2", "entry_point": "a.yaml"});
    let (action, problems) = Action::from_value("demo", &value);
    assert_eq!(
        action.map(|action| action.runner),
        Some(RunnerKind::Unsupported("mistral-v2".into()))
    );
    assert!(problems[0].hint.as_deref().is_some_and(|hint| hint.contains("orquestaconvert")));
}

//! Which triggers a sensor is told of, and what its events become.

use hearken_engine::definition::Rule;
use hearken_engine::registry::PackDefinitions;

use super::*;

/// A registry with a rule for each set of parameters.
fn registry(wanted: &[Value]) -> Registry {
    let rules = wanted.iter().enumerate().map(|(number, parameters)| {
        let trigger = json!({"type": "shop.file", "parameters": parameters});
        let action = json!({"ref": "core.noop"});
        let name = format!("rule{number}");
        let value = json!({"name": name, "enabled": true, "trigger": trigger, "action": action});
        Rule::from_value("shop", &value).0.unwrap()
    });
    let pack = PackDefinitions {
        name: "shop".into(),
        rules: rules.collect(),
        ..PackDefinitions::default()
    };
    Registry::new([pack], &BTreeMap::new()).0
}

fn triggers() -> Triggers {
    let kinds = [
        json!({"name": "plain"}),
        json!({"name": "file", "parameters_schema": {"type": "object", "properties": {}}}),
    ];
    let kinds = kinds.map(|kind| TriggerType::from_value("shop", &kind).0.unwrap());
    Triggers::new("shop", &kinds)
}

fn told(changes: &[(&'static str, Value)]) -> Vec<String> {
    let word = |(what, trigger): &(&str, Value)| {
        format!("{what} {} {}", trigger["type"].as_str().unwrap(), trigger["parameters"])
    };
    changes.iter().map(word).collect()
}

#[test]
fn triggers_come_and_go_with_the_rules_that_ask_for_them() {
    let mut triggers = triggers();
    assert_eq!(told(&triggers.follow(&registry(&[]))), ["added shop.plain {}"]);
    let one = registry(&[json!({"path": "/a"}), json!({"path": "/a"})]);
    assert_eq!(told(&triggers.follow(&one)), [r#"added shop.file {"path":"/a"}"#]);
    assert!(triggers.follow(&one).is_empty());
    let other = registry(&[json!({"path": "/b"})]);
    let changes = triggers.follow(&other);
    let expected = [r#"removed shop.file {"path":"/a"}"#, r#"added shop.file {"path":"/b"}"#];
    assert_eq!(told(&changes), expected);
}

#[test]
fn what_events_carry_is_known_of_all_types_and_the_own_ones_first() {
    let kind = |name: &str, field: &str| {
        let schema = json!({"type": "object", "properties": {field: {"type": "integer"}}});
        let value = json!({"name": name, "payload_schema": schema});
        TriggerType::from_value("shop", &value).0.unwrap()
    };
    let pack = PackDefinitions {
        name: "shop".into(),
        triggers: vec![kind("own", "b"), kind("other", "c")],
        ..PackDefinitions::default()
    };
    let mut triggers = Triggers::new("shop", &[kind("own", "a")]);
    triggers.follow(&Registry::new([pack], &BTreeMap::new()).0);
    let field = |trigger: &str| {
        let schema = triggers.schema(trigger)?;
        schema["properties"].as_object()?.keys().next().cloned()
    };
    let found = ["shop.own", "shop.other", "shop.unheard_of"].map(field);
    assert_eq!(found, [Some("a".to_owned()), Some("c".to_owned()), None]);
    assert_eq!(self::triggers().schema("shop.plain"), None);
}

#[test]
fn events_find_their_trigger_however_it_is_named() {
    let mut triggers = triggers();
    let parameters = json!({"path": "/a"});
    let changes = triggers.follow(&registry(std::slice::from_ref(&parameters)));
    let (_, concrete) = changes.iter().find(|(_, trigger)| trigger["type"] == "shop.file").unwrap();
    let digest = trigger_parameters_digest("shop.file", &parameters);
    let with = Resolved { trigger: "shop.file".into(), digest: Some(digest) };
    let without = |trigger: &str| Ok(Resolved { trigger: trigger.into(), digest: None });
    assert_eq!(triggers.resolve(&concrete["ref"]).as_ref(), Ok(&with));
    assert_eq!(triggers.resolve(concrete).as_ref(), Ok(&with));
    let chosen = json!({"type": "shop.file", "parameters": parameters});
    assert_eq!(triggers.resolve(&chosen), Ok(with));
    for (trigger, expected) in [
        (json!("shop.plain"), "shop.plain"),
        (json!({"trigger": "hello-st2.event1"}), "hello-st2.event1"),
        (json!({"name": "plain", "pack": "shop"}), "shop.plain"),
        (json!({"name": "x", "pack": "shop", "type": "shop.y", "parameters": {}}), "shop.y"),
        (json!("core.st2.webhook"), "core.st2.webhook"),
    ] {
        assert_eq!(triggers.resolve(&trigger), without(expected), "{trigger}");
    }
    for wrong in [
        json!("plain"),
        json!("hearken.definitions"),
        json!("shop.a b"),
        json!("shop..b"),
        json!("shop.>"),
        json!(5),
        json!({}),
    ] {
        assert!(triggers.resolve(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn types_registered_at_run_time_are_told_and_bad_ones_refused() {
    let mut triggers = Triggers::new("hello-st2", &[]);
    let wrong = triggers.register(&[json!({"name": "event1", "payload_schema": {}}), json!({})]);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    let types = triggers.types();
    assert!(types[0].contains(r#""ref":"hello-st2.event1""#), "{types:?}");
    assert_eq!(told(&triggers.follow(&registry(&[]))), ["added hello-st2.event1 {}"]);
    let many: Vec<Value> =
        (0..TYPES_MAX).map(|number| json!({"name": number.to_string()})).collect();
    assert_eq!(triggers.register(&many).len(), 1);
    assert_eq!(triggers.types().len(), TYPES_MAX);
}

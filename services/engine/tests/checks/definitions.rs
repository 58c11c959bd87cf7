//! Files of checks: what they say, what is wrong with them, and the schema that editors use.

use std::time::Duration;

use hearken_engine::check::{Contact, Definitions};
use hearken_engine::definition::check::{Family, Probe, Timing, schema};
use hearken_engine::definition::{Check, CheckFile};
use hearken_proto::check::CheckStatus;
use serde_json::{Value, json};

/// A file with every field there is.
fn whole() -> Value {
    serde_json::from_str(include_str!("whole.json")).expect("the file is JSON")
}

fn read(value: &Value) -> Vec<Check> {
    let (file, problems) = CheckFile::from_value(value);
    assert!(problems.is_empty(), "{problems:?}");
    file.checks
}

#[test]
fn a_file_says_what_it_says() {
    let checks = read(&whole());
    assert_eq!(checks.len(), 21);
    let ping = &checks[1];
    assert_eq!((ping.id.as_str(), ping.title().as_str()), ("web/ping", "site="));
    let labels =
        [("all", "yes"), ("check", "ping"), ("host", "web"), ("kind", "net"), ("team", "net")];
    assert_eq!(ping.labels, labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(checks[0].labels["site"], "berlin");
    let Timing::Every { every, error_every, retry_every } = ping.timing else { panic!("every") };
    assert_eq!([every, error_every, retry_every].map(|d| d.as_secs()), [300, 60, 10]);
    assert_eq!(ping.timeout, Duration::from_secs(4));
    let Probe::Icmp(icmp) = &checks[0].probe else { panic!("{:?}", checks[0].probe) };
    assert_eq!((icmp.host.as_str(), icmp.family), ("2001:db8::1", Family::Ipv4));
    assert_eq!(checks[0].address(Family::Ipv4), Some("192.0.2.1"));
    assert_eq!(checks[1].address(Family::Ipv6), None);
    // What is critical is looked at first, and steps are in their order.
    assert_eq!(ping.thresholds[0].level, CheckStatus::Critical);
    assert_eq!(ping.notices.escalation[0].contacts, ["lead"]);
    let Probe::Plugin(nightly) = &checks[2].probe else { panic!("{:?}", checks[2].probe) };
    assert_eq!(nightly.command, ["check_it", "-t", "10"]);
    assert!(checks[2].freshness.is_none());
    let old = &checks[3];
    let Probe::Plugin(plugin) = &old.probe else { panic!("{:?}", old.probe) };
    assert_eq!(plugin.command, ["check_http", "-I", "192.0.2.2", "-s", "a b"]);
    let Timing::Every { every, error_every, retry_every } = old.timing else { panic!("every") };
    assert_eq!([every, error_every, retry_every].map(|d| d.as_secs()), [240, 120, 240]);
    assert_eq!((old.attempts.failures, old.timeout.as_secs()), (1, 2));
    let Probe::Udp(udp) = &checks[6].probe else { panic!("{:?}", checks[6].probe) };
    assert_eq!((udp.send.as_slice(), udp.expect.as_slice()), (&[0x38, 1][..], &[0x40][..]));
    let beat = checks[19].freshness.expect("a heartbeat is missed");
    assert_eq!((beat.within.as_secs(), beat.status), (90_000, Some(CheckStatus::Critical)));
}

#[test]
fn faults_are_told_at_their_place_with_a_hint() {
    let check = |fields: Value| {
        let mut check = json!({"name": "c"});
        check
            .as_object_mut()
            .expect("a mapping")
            .extend(fields.as_object().expect("a mapping").clone());
        json!({"hosts": {"web": {}}, "checks": [check]})
    };
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("faults.json")).expect("the file is JSON");
    for row in &rows {
        let text = |cell: &str| row[cell].as_str().expect("a text");
        let (pointer, message) = (text("at"), text("says"));
        let file = row.get("file").cloned().unwrap_or_else(|| check(row["fields"].clone()));
        let (read, problems) = CheckFile::from_value(&file);
        assert!(read.checks.is_empty(), "{file}");
        let found = problems.iter().find(|problem| problem.pointer == pointer && problem.fatal);
        let found = found.unwrap_or_else(|| panic!("{file}: {problems:?}"));
        if message.is_empty() {
            assert!(!found.message.is_empty());
        } else {
            assert_eq!(found.message, message);
        }
    }
    let (_, problems) = CheckFile::from_value(&check(json!({"memroy": {}})));
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean \"memory\"?"));
}

#[test]
fn a_fault_of_one_check_keeps_no_other_and_is_told_once() {
    let file = json!({
        "hosts": {"a": {}, "b": {}, "c": {}},
        "checks": [
            {"name": "good", "hosts": "*", "memory": {}},
            {"name": "bad", "hosts": "*", "http": {}},
            {"name": "worse", "evry": 5, "memory": {}},
        ],
    });
    let (file, problems) = CheckFile::from_value(&file);
    assert_eq!(file.checks.len(), 3);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn what_a_check_says_takes_the_place_of_its_templates() {
    let checks = read(&json!({
        "templates": {
            "slow": {"every": "1h", "http": "/", "labels": {"a": "1", "b": "1"}, "reminders": ["1h"]},
            "disks": {"disk": "/", "warning": {"used_percent": 80}},
        },
        "checks": [
            {"name": "one", "use": ["slow", "disks"], "labels": {"b": "2"}, "reminders": []},
            {"name": "two", "use": "slow", "cron": {"hour": 3}},
        ],
    }));
    // Neither two probes nor two timings.
    assert_eq!(checks[0].probe, Probe::Disk("/".to_owned()));
    assert_eq!((checks[0].labels["a"].as_str(), checks[0].labels["b"].as_str()), ("1", "2"));
    assert!(checks[0].notices.reminders.is_empty());
    assert!(matches!(checks[1].timing, Timing::Cron { .. }));
}

#[test]
fn what_does_not_fit_together_is_told() {
    let checks = |list: Value| read(&json!({"hosts": {"h": {}}, "checks": list}));
    let memory =
        |name: &str, parents: Value| json!({"name": name, "memory": {}, "parents": parents});
    let contact = Contact { name: "ops".to_owned(), ..Contact::default() };
    let rows = [
        (
            json!([memory("a", json!([])), memory("a", json!([]))]),
            "another check is called \"a\" too",
        ),
        (
            json!([
                memory("a", json!(["b"])),
                memory("b", json!(["c"])),
                memory("c", json!(["a"]))
            ]),
            "it stands behind itself, or behind one that does: its parents are left out",
        ),
        (
            json!([memory("a", json!(["nowhere"]))]),
            "no check and no host with one that says alive is called \"nowhere\"",
        ),
        (
            json!([{"name": "a", "memory": {}, "notify": "nobody"}]),
            "no contact is called \"nobody\": nobody is told",
        ),
        (
            json!([{"name": "a", "composite": {"of": ["nowhere"]}}]),
            "no check is called \"nowhere\": it is unknown for ever",
        ),
    ];
    for (list, message) in rows {
        let (definitions, problems) =
            Definitions::new(checks(list.clone()), [contact.clone()], Vec::new());
        assert!(
            problems.iter().any(|(_, problem)| problem.message == message),
            "{list}: {problems:?}"
        );
        assert!(definitions.check("a").is_some());
        assert!(definitions.parents("a").is_empty());
    }
    let list = json!([
        {"name": "ping", "hosts": "h", "alive": true, "icmp": {}}, {"name": "http", "hosts": "h", "http": "/"},
        memory("m", json!("h")),
    ]);
    let (definitions, problems) = Definitions::new(checks(list), [], Vec::new());
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(definitions.children("h/ping"), ["h/http", "m"]);
}

/// Whether a value fits a schema: as much of JSON Schema as ours uses.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let any = choices.iter().any(|choice| fits(choice, value).is_ok());
        return if any { Ok(()) } else { Err(format!("{value} fits no choice")) };
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return Err(format!("{value} is none of {words:?}"));
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("{other} is not used"),
    };
    match schema.get("type") {
        Some(Value::String(kind)) if !is(kind) => return Err(format!("{value} is no {kind}")),
        Some(Value::Array(kinds)) if !kinds.iter().filter_map(Value::as_str).any(is) => {
            return Err(format!("{value} is none of {kinds:?}"));
        }
        _ => {}
    }
    for item in value.as_array().into_iter().flatten() {
        if let Some(schema) = schema.get("items") {
            fits(schema, item)?;
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match (
            schema.get("properties").and_then(|p| p.get(name)),
            schema.get("additionalProperties"),
        ) {
            (Some(schema), _) => fits(schema, value).map_err(|why| format!("{name}: {why}"))?,
            (None, Some(Value::Bool(false))) => return Err(format!("{name} is not known")),
            (None, Some(schema)) => fits(schema, value).map_err(|why| format!("{name}: {why}"))?,
            (None, None) => {}
        }
    }
    Ok(())
}

#[test]
fn the_schema_knows_what_the_reader_knows() {
    let schema = schema();
    assert_eq!(fits(&schema, &whole()), Ok(()));
    let mut odd = whole();
    odd["checks"][0]["icmp"]["cuont"] = json!(3);
    assert!(fits(&schema, &odd).is_err());
    // The whole file uses every field of a check and of every probe, so that none is forgotten.
    let check = &schema["properties"]["checks"]["items"]["properties"];
    let used = |name: &str| {
        whole()["checks"].as_array().into_iter().flatten().any(|check| check.get(name).is_some())
    };
    for (name, field) in check.as_object().expect("fields") {
        assert!(used(name), "{name} is not shown");
        assert!(field["description"].as_str().is_some_and(|says| says.ends_with('.')), "{name}");
        // And the reader refuses what has another form.
        let odd = json!({"checks": [{"name": "c", name: [[[{}]]]}]});
        let (_, problems) = CheckFile::from_value(&odd);
        let at = format!("/checks/0/{name}");
        assert!(
            problems.iter().any(|p| p.fatal && p.pointer.starts_with(&at)),
            "{name}: {problems:?}"
        );
    }
}

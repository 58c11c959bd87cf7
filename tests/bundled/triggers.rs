//! Triggers that Hearken publishes by itself, heard by rules, with the payloads that StackStorm's
//! rules rely on. Timers, webhooks and keys have tests of their own.

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value, json};

use super::{WAIT, run};
use crate::harness::{App, On, eventually, on_both};

on_both!(an_action_tells_its_routes_how_it_ended);

/// Writes a rule that prints the payload of each event of a trigger that `criteria` lets through.
fn hear(app: &App, name: &str, trigger: &str, criteria: &str) -> anyhow::Result<()> {
    let rule = format!(
        "name: {name}\nenabled: true\ntrigger: {{type: {trigger}}}\ncriteria: {{{criteria}}}\n\
         action: {{ref: core.echo, parameters: {{message: '{{{{ trigger | to_json_string \
         }}}}'}}}}\n"
    );
    app.write(&format!("ears/rules/{name}.yaml"), &rule)
}

/// Payloads that a rule has heard, oldest first.
fn heard(app: &App, name: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    let rule = format!("ears.{name}");
    eventually(&format!("{count} of {rule}"), WAIT, || {
        let mut done = app.executions(&["--rule", &rule, "--status", "succeeded"])?;
        done.reverse();
        let payloads: Vec<Value> =
            done.iter().map(|done| done["result"]["stdout"].clone()).collect();
        Ok((payloads.len() >= count).then_some(payloads))
    })
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().into_iter().flatten().map(|(k, _)| &**k).collect();
    names.sort_unstable();
    names
}

const DEPLOY: &str = "
name: deploy
runner_type: local-shell-cmd
parameters:
  host: {type: string, required: true}
  key: {type: string, secret: true}
  cmd: {immutable: true, default: 'echo \"{\\\"free\\\": 7}\"; test {{ host }} = web1'}
notify:
  on-complete:
    message: >-
      {{ action_parameters.host }} {{ action_parameters.key }} {{ action_results.return_code }}
    data: {free: '{{ action_results.stdout.free }}', of: '{{ st2kv.system.shop.region }}'}
    routes: [ops, log]
  on-failure:
    channels: [pager]
";

fn an_action_tells_its_routes_how_it_ended(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("shop/actions/deploy.yaml", DEPLOY)?;
    for route in ["ops", "log", "pager"] {
        let criteria = format!("trigger.route: {{type: equals, pattern: {route}}}");
        hear(&app, route, "core.st2.generic.notifytrigger", &criteria)?;
    }
    let _up = app.up()?;
    app.json(&["kv", "set", "shop.region", "eu"])?;
    let done = run(&app, &["shop.deploy", "host=web1", "key=hush"])?;
    let told = heard(&app, "ops", 1)?;
    let result = told[0]["data"]["result"].as_str().context("a text")?;
    assert_eq!(serde_json::from_str::<Value>(result)?, done["result"]);
    let expected = json!({
        "execution_id": done["id"],
        "status": "succeeded",
        "start_timestamp": done["start_timestamp"],
        "end_timestamp": done["end_timestamp"],
        "action_ref": "shop.deploy",
        "runner_ref": "local-shell-cmd",
        "channel": "ops",
        "route": "ops",
        "message": "web1 ******** 0",
        "data": {"free": "7", "of": "eu", "result": result},
    });
    assert_eq!(told[0], expected);
    assert_eq!(heard(&app, "log", 1)?[0]["message"], "web1 ******** 0");
    let failed = run(&app, &["shop.deploy", "host=web2"])?;
    let paged = heard(&app, "pager", 1)?;
    assert_eq!(paged[0]["message"], "Action shop.deploy failed.");
    assert_eq!(paged[0]["execution_id"], failed["id"]);
    assert_eq!((paged.len(), heard(&app, "ops", 2)?.len()), (1, 2));
    Ok(())
}

#[test]
fn an_end_is_told_with_secrets_masked() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("shop/actions/deploy.yaml", DEPLOY)?;
    let only = "trigger.action_ref: {type: equals, pattern: shop.deploy}";
    hear(&app, "ends", "core.st2.generic.actiontrigger", only)?;
    let _up = app.up()?;
    let done = run(&app, &["shop.deploy", "host=web2", "key=hush"])?;
    let expected = json!({
        "execution_id": done["id"],
        "status": "failed",
        "start_timestamp": done["start_timestamp"],
        "action_name": "shop.deploy",
        "action_ref": "shop.deploy",
        "runner_ref": "local-shell-cmd",
        "parameters": done["parameters"],
        "result": done["result"],
    });
    assert_eq!(heard(&app, "ends", 1)?[0], expected);
    assert_eq!(done["parameters"]["key"], "********");
    Ok(())
}

#[test]
fn a_question_is_told_by_its_id_and_route() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    hear(&app, "asked", "core.st2.generic.inquiry", "")?;
    let _up = app.up()?;
    let asked = app.json(&["run", "core.ask", "--async", "route=ops"])?;
    assert_eq!(heard(&app, "asked", 1)?[0], json!({"id": asked["id"], "route": "ops"}));
    Ok(())
}

#[test]
fn the_start_and_the_end_of_a_sensor_are_told() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    for word in ["spawn", "exit"] {
        hear(&app, word, &format!("core.st2.sensor.process_{word}"), "")?;
    }
    app.write("shop/sensors/brief.yaml", "class_name: Brief\nentry_point: brief.sh\n")?;
    app.write("shop/sensors/brief.sh", "#!/bin/sh\nexit 3\n")?;
    let _up = app.up()?;
    let ours = |payload: &&Value| payload["object"]["id"] == "Brief";
    for (word, members) in [
        ("spawn", &["cmd", "id", "pid", "timestamp"][..]),
        ("exit", &["exit_code", "id", "timestamp"]),
    ] {
        let object = eventually(word, WAIT, || {
            Ok(heard(&app, word, 1)?.iter().find(ours).map(|told| told["object"].clone()))
        })?;
        assert_eq!(names(&object), members, "{object}");
        ensure!(object["timestamp"].as_i64().context("seconds")? > 1_700_000_000, "{object}");
        let numbers: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
        let number = numbers.get("exit_code").or_else(|| numbers.get("pid"));
        ensure!(number.is_some_and(Value::is_number), "{object}");
    }
    Ok(())
}

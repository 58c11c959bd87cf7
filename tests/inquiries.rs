//! Questions to people: who hears of them, who answers, and what becomes of those nobody answers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, on_both};

/// How long things in general may take.
const WAIT: Duration = Duration::from_secs(60);

on_both!(a_question_waits_through_a_restart_and_is_answered_once);

/// How long a question of a minute may take to run out.
const MINUTE: Duration = Duration::from_secs(120);

const HEARD: &str = "
name: heard
enabled: true
trigger: {type: core.st2.generic.inquiry}
criteria: {trigger.route: {type: equals, pattern: ops}}
action: {ref: core.local, parameters: {cmd: 'echo asked {{trigger.id}}'}}
";
const ENDED: &str = "
name: ended
enabled: true
trigger: {type: core.st2.generic.actiontrigger}
criteria: {trigger.action_ref: {type: equals, pattern: core.ask}}
action: {ref: core.echo, parameters: {message: '{{trigger.status}} {{trigger.execution_id}}'}}
";
const ONE_AT_A_TIME: &str = "
name: one
resource_ref: core.ask
policy_type: action.concurrency
parameters: {threshold: 1}
";

fn asked(app: &App, more: &[&str]) -> anyhow::Result<String> {
    let asked = app.json(&[&["run", "core.ask", "--async"], more].concat())?;
    let id = asked.get("id").and_then(Value::as_str).context("an id")?.to_owned();
    eventually("the question", WAIT, || Ok((status(app, &id)? == "pending").then_some(())))?;
    Ok(id)
}

fn status(app: &App, id: &str) -> anyhow::Result<String> {
    let found = app.json(&["execution", "get", id])?;
    Ok(found.get("status").and_then(Value::as_str).context("a status")?.to_owned())
}

/// Waits until an action has printed this.
fn printed(app: &App, action: &str, text: &str) -> anyhow::Result<()> {
    eventually(&format!("{action} to print {text:?}"), WAIT, || {
        let all = app.executions(&["--action", action, "--status", "succeeded"])?;
        let has = |found: &Value| found.pointer("/result/stdout") == Some(&json!(text));
        Ok(all.iter().any(has).then_some(()))
    })
}

fn a_question_waits_through_a_restart_and_is_answered_once(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("shop/rules/heard.yaml", HEARD)?;
    app.write("shop/rules/ended.yaml", ENDED)?;
    app.write("shop/policies/one.yaml", ONE_AT_A_TIME)?;
    let mut up = app.up()?;
    let first = asked(&app, &["route=ops", "ttl=60"])?;
    printed(&app, "core.local", &format!("asked {first}"))?;
    // It waits, and keeps nobody out meanwhile.
    let second = asked(&app, &["ttl=0", "users=[\"ann\"]"])?;
    up.kill()?;
    let _up = app.up()?;
    let listed = app.json(&["inquiry", "list"])?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(status(&app, &first)?, "pending");
    for (arguments, code, why) in [
        (&["respond", &first, "continue=maybe"][..], 2, "boolean"),
        (&["respond", &first][..], 2, "continue"),
        (&["respond", &second, "continue=true"][..], 1, "is not for"),
        (&["respond", &second, "continue=true", "--user", "bob"][..], 1, "is not for"),
        (&["respond", "6957353500112233445566aa", "continue=true"][..], 1, "no question"),
        (&["respond", &first, "--response", "[]"][..], 2, "JSON object"),
        (&["respond", &first, "continue=true"][..], 0, ""),
        (&["respond", &first, "continue=true"][..], 2, "any more"),
        (&["respond", &second, "continue=false", "--user", "ann"][..], 0, ""),
    ] {
        let said = app.run(&[&["inquiry"], arguments].concat())?;
        let errors = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.code() == Some(code), "{arguments:?}: {} {errors}", said.status);
        ensure!(errors.contains(why), "{arguments:?}: {errors}");
    }
    let done = app.json(&["execution", "get", &first])?;
    assert_eq!(done.pointer("/status"), Some(&json!("succeeded")), "{done}");
    assert_eq!(done.pointer("/result/response"), Some(&json!({"continue": true})), "{done}");
    printed(&app, "core.echo", &format!("succeeded {first}"))?;
    printed(&app, "core.echo", &format!("succeeded {second}"))?;
    let third = asked(&app, &["route=ops"])?;
    app.json(&["execution", "cancel", &third])?;
    assert_eq!(status(&app, &third)?, "canceled");
    printed(&app, "core.echo", &format!("canceled {third}"))
}

#[test]
fn a_question_that_nobody_answers_runs_out() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("shop/rules/ended.yaml", ENDED)?;
    let mut up = app.up()?;
    let id = asked(&app, &["ttl=1"])?;
    // The time runs on while nobody is there.
    up.kill()?;
    let _up = app.up()?;
    eventually("the end of its time", MINUTE, || {
        Ok((status(&app, &id)? == "timeout").then_some(()))
    })?;
    let late = app.run(&["inquiry", "respond", &id, "continue=true"])?;
    assert_eq!(late.status.code(), Some(2));
    printed(&app, "core.echo", &format!("timeout {id}"))
}

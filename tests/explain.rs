//! What rules and the log say of themselves: why not, what waits, what repeats, what is newest.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually};

const WAIT: Duration = Duration::from_secs(60);

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn out(app: &App, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let ran = app.run(arguments)?;
    let said = [ran.stdout, ran.stderr].concat();
    Ok((ran.status.code(), String::from_utf8(said)?))
}

fn rule(name: &str, trigger: &str, more: &str) -> String {
    format!("name: {name}\nenabled: true\ntrigger: {trigger}\n{more}\naction: {{ref: core.noop}}\n")
}

#[test]
fn a_rule_is_tried_on_what_it_hears_alone() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let hook = |name: &str, delta: u32| {
        let parameters = format!("{{unit: seconds, delta: {delta}}}");
        rule(name, &format!("{{type: core.st2.IntervalTimer, parameters: {parameters}}}"), "")
    };
    app.write("t/rules/often.yaml", &hook("often", 1))?;
    app.write("t/rules/seldom.yaml", &hook("seldom", 3600))?;
    app.write("t/rules/window.yaml", &rule("window", "t.a", "window: {count: 3, period: 1m}"))?;
    let _up = app.up()?;
    let ticks = eventually("a tick", WAIT, || {
        let found = app.json(&["rule", "test", "t.often", "--last", "5"]).ok();
        Ok(found.filter(Value::is_object))
    })?;
    let tick = text(&ticks, "/event").to_owned();
    assert_eq!(out(&app, &["rule", "test", "t.often", "--event", &tick])?.0, Some(0));
    let (code, said) = out(&app, &["rule", "test", "t.seldom", "--event", &tick])?;
    assert_eq!(code, Some(1), "{said}");
    ensure!(said.contains("does not hear this event"), "{said}");
    let (code, said) = out(&app, &["rule", "test", "t.seldom", "--last", "1"])?;
    ensure!(code != Some(0) && said.contains("with the parameters of the rule"), "{said}");
    app.event("t.a", "{}")?;
    let (_, said) = out(&app, &["rule", "test", "t.window", "--last", "1"])?;
    ensure!(said.contains("a single event is not enough for window 3 per 1m"), "{said}");
    Ok(())
}

#[test]
fn what_is_wrong_between_files_is_told_once_when_one_is_saved() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let up = app.up()?;
    let wrong = rule("wrong", "t.a", "").replace("core.noop", "core.nop");
    app.write("t/rules/wrong.yaml", &wrong)?;
    let timer = "{type: core.st2.CronTimer, parameters: {minute: 77}}";
    app.write("t/rules/timer.yaml", &rule("timer", timer, ""))?;
    let policy = "name: p\npolicy_type: action.concurrency\nresource_ref: t.gone\nparameters: \
                  {threshold: 1}\n";
    app.write("t/policies/p.yaml", policy)?;
    eventually("all to be told", WAIT, || {
        let said = up.said();
        let parts = ["rules/wrong.yaml:5", "core.noop", "rules/timer.yaml:3", "policies/p.yaml:3"];
        Ok(parts.iter().all(|part| said.contains(part)).then_some(()))
    })?;
    // Another change, after which everything is looked at again.
    app.write("t/rules/other.yaml", "name: other\nenabled: what\n")?;
    eventually("the next", WAIT, || Ok(up.said().contains("other.yaml").then_some(())))?;
    let said = up.said();
    assert_eq!(said.matches("rules/wrong.yaml").count(), 1, "{said}");
    assert_eq!(out(&app, &["rule", "get", "t.timer"])?.0, Some(1));
    Ok(())
}

#[test]
fn an_absence_tells_what_it_waits_for_and_what_came() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let absence = |period: &str| {
        format!("absence: {{period: {period}, key: '{{{{ trigger.n }}}}', of: t.paid}}")
    };
    app.write("t/rules/late.yaml", &rule("late", "t.ordered", &absence("1h")))?;
    app.write("t/rules/soon.yaml", &rule("soon", "t.asked", &absence("2s")))?;
    let _up = app.up()?;
    let waits = app.event("t.ordered", r#"{"n": 1}"#)?;
    let answered = app.event("t.ordered", r#"{"n": 2}"#)?;
    let fires = app.event("t.asked", r#"{"n": 3}"#)?;
    let paid = app.event("t.paid", r#"{"n": 2}"#)?;
    app.run(&["run", "core.noop"])?;
    let state = |id: &str, wanted: &str| {
        eventually(wanted, WAIT, || {
            let chain = app.json(&["log", "explain", id])?;
            let wait = chain.pointer("/enforcements/0/wait").cloned();
            Ok(wait.filter(|wait| text(wait, "/state") == wanted))
        })
    };
    state(&waits, "waits")?;
    assert_eq!(text(&state(&answered, "answered")?, "/event"), paid);
    state(&fires, "fired")?;
    let (_, drawn) = out(&app, &["log", "explain", &paid])?;
    ensure!(drawn.contains("rule t.late waits for this after t.ordered"), "{drawn}");
    let (_, drawn) = out(&app, &["log", "explain", &answered])?;
    ensure!(drawn.contains(&format!("it was answered by event {paid}")), "{drawn}");
    // It was asked for last, although its id has the time of the event that began the wait.
    let newest = app.executions(&[])?;
    assert_eq!(text(newest.first().context("one")?, "/rule/ref"), "t.soon");
    let one = app.json(&["execution", "list", "--limit", "1"])?;
    assert_eq!(text(&one, "/0/rule/ref"), "t.soon");
    app.write("t/rules/late.yaml", &rule("late", "t.ordered", &absence("2h")))?;
    state(&waits, "forgotten")?;
    Ok(())
}

#[test]
fn repeats_name_what_they_repeat_and_are_named_by_it() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let script =
        "name: bad\nrunner_type: local-shell-cmd\nparameters: {cmd: {default: 'exit 1'}}\n";
    app.write("t/actions/bad.yaml", script)?;
    let policy = json!({
        "name": "again", "policy_type": "action.retry", "resource_ref": "t.bad",
        "parameters": {"retry_on": "failure", "max_retry_count": 1},
    });
    app.write("t/policies/again.yaml", &policy.to_string())?;
    let _up = app.up()?;
    let first = app.json(&["run", "t.bad", "--async"])?;
    let first = text(&first, "/id").to_owned();
    let again = eventually("the retry", WAIT, || {
        let found = app.executions(&["--status", "failed"])?;
        Ok(found.into_iter().find(|execution| text(execution, "/context/rerun_of") == first))
    })?;
    let retried = format!("tried again by policy t.again of execution {first}");
    let (_, drawn) = out(&app, &["log", "explain", text(&again, "/id")])?;
    ensure!(drawn.starts_with(&retried), "{drawn}");
    app.run(&["execution", "rerun", &first])?;
    let (_, drawn) = out(&app, &["log", "explain", &first])?;
    ensure!(drawn.contains(&retried) && drawn.contains(&format!("rerun of {first}")), "{drawn}");
    ensure!(drawn.starts_with("asked for by a person"), "{drawn}");
    Ok(())
}

#[test]
fn what_is_delayed_says_why() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let script = "name: work\nrunner_type: local-shell-cmd\nparameters: {cmd: {default: 'true'}}\n";
    app.write("t/actions/work.yaml", script)?;
    let policy = json!({
        "name": "rate", "policy_type": "action.rate", "resource_ref": "t.work",
        "parameters": {"limit": 1, "period": "3s"},
    });
    app.write("t/policies/rate.yaml", &policy.to_string())?;
    let _up = app.up()?;
    app.run(&["run", "t.work"])?;
    let (code, said) = out(&app, &["run", "t.work"])?;
    assert_eq!(code, Some(0), "{said}");
    ensure!(said.contains("waits: policy t.rate (1 per 3s, not before 2"), "{said}");
    Ok(())
}

#[test]
fn a_match_that_cannot_be_asked_for_is_one_story() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let broken = "name: r\nenabled: true\ntrigger: {type: t.a}\naction: {ref: core.local, \
                  parameters: {cmd: '{{ trigger.missing.deep }}'}}\n";
    app.write("t/rules/r.yaml", broken)?;
    let _up = app.up()?;
    let event = app.event("t.a", r#"{"n": 1}"#)?;
    let failed = app.execution("core.local", "failed")?;
    let id = text(&failed, "/id");
    let (_, drawn) = out(&app, &["log", "explain", &event])?;
    ensure!(drawn.contains(&format!("could not be asked for, and left execution {id}")), "{drawn}");
    ensure!(!drawn.contains("no request"), "{drawn}");
    assert_eq!(out(&app, &["log", "explain", id])?.1, drawn);
    let rows = app.json(&["rule", "enforcements", "t.r"])?;
    assert_eq!(text(&rows, "/0/execution_id"), id);
    assert_eq!(text(&rows, "/0/status"), "failed", "{rows}");
    Ok(())
}

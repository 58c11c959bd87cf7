//! From a fact to an outcome and back to the reason, on both buses.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, on_both};

const WAIT: Duration = Duration::from_secs(30);

const ACTION: &str = "
name: note
runner_type: local-shell-script
entry_point: note.sh
parameters:
  order: {type: integer, required: true, position: 0}
  loud: {type: boolean, default: false, position: 1}
";

const SCRIPT: &str = "#!/bin/sh\necho \"order $1 loud $2\"\n";

const RULE: &str = r#"
name: order_late
description: An order is late and large
enabled: true
trigger: {type: shop.late}
criteria:
  trigger.amount: {type: greaterthan, pattern: 100}
  trigger.state: {type: regex, pattern: "^(late|lost)$"}
  trigger.tags: {type: contains, pattern: urgent}
  trigger.customer: {type: exists}
  trigger.country: {type: equals, pattern: "{{ trigger.home }}"}
action:
  ref: shop.note
  parameters: {order: "{{ trigger.order }}", loud: "true"}
"#;

const EVENT: &str = r#"{"order": 7, "amount": 150, "state": "late", "tags": ["urgent"],
    "customer": {"id": 1}, "country": "fr", "home": "fr"}"#;

fn shop(on: On) -> anyhow::Result<App> {
    let app = App::new(on)?;
    app.write("shop/pack.yaml", "name: shop\nversion: 1.0.0\n")?;
    app.write("shop/actions/note.yaml", ACTION)?;
    app.write("shop/actions/note.sh", SCRIPT)?;
    app.write("shop/rules/order_late.yaml", RULE)?;
    Ok(app)
}

on_both!(
    a_fact_becomes_an_action_and_the_log_says_why,
    a_rule_that_is_edited_judges_the_next_event,
    a_broken_file_is_told_and_the_rest_works,
    a_restart_goes_on_where_it_stopped,
    a_run_streams_its_output_and_exits_by_its_status,
    an_execution_is_canceled_with_everything_it_started,
    a_rule_is_switched_off_and_on,
    a_timer_ticks,
    a_shadow_records_and_runs_nothing,
    an_idempotent_action_starts_again_after_a_crash_and_no_other_does,
);

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn a_fact_becomes_an_action_and_the_log_says_why(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let _up = app.up()?;
    let other = app.event("shop.late", r#"{"order": 8, "amount": 5}"#)?;
    let id = app.event("shop.late", EVENT)?;
    let execution = app.execution("shop.note", "succeeded")?;
    assert_eq!(text(&execution, "/result/stdout"), "order 7 loud 1");
    assert_eq!(execution.pointer("/parameters/order"), Some(&json!(7)));
    assert_eq!(text(&execution, "/rule/ref"), "shop.order_late");
    assert_eq!(text(&execution, "/trigger_instance/id"), id);
    assert_eq!(text(&execution, "/id").len(), 24);

    let chain = app.json(&["log", "explain", text(&execution, "/id")])?;
    let verdicts = chain.pointer("/rules/0/criteria").and_then(Value::as_array).context("some")?;
    assert_eq!(verdicts.len(), 5);
    ensure!(verdicts.iter().all(|verdict| verdict.get("verdict") == Some(&json!(true))), "{chain}");
    assert_eq!(text(&chain, "/executions/0/status"), "succeeded");
    let statuses: Vec<&str> = chain
        .pointer("/executions/0/log")
        .and_then(Value::as_array)
        .context("a log")?
        .iter()
        .map(|step| text(step, "/status"))
        .collect();
    assert_eq!(statuses, ["requested", "running", "succeeded"]);

    let chain = app.json(&["log", "explain", &other])?;
    assert_eq!(chain.pointer("/rules/0/matches"), Some(&json!(false)));
    assert_eq!(chain.pointer("/rules/0/criteria/0/verdict"), Some(&json!(false)));
    ensure!(chain.pointer("/executions/0").is_none(), "{chain}");

    let drawn = app.run(&["log", "explain", &id])?;
    let drawn = String::from_utf8(drawn.stdout)?;
    for part in ["shop.order_late", "trigger.amount = 150  greaterthan  100", "succeeded"] {
        ensure!(drawn.contains(part), "{part} is missing:\n{drawn}");
    }
    let verified = app.run(&["log", "verify"])?;
    ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    Ok(())
}

fn a_rule_that_is_edited_judges_the_next_event(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let _up = app.up()?;
    let digest = |app: &App| -> anyhow::Result<String> {
        Ok(text(&app.json(&["pack", "get", "shop"])?, "/digest").to_owned())
    };
    let before = digest(&app)?;
    app.write("shop/rules/order_late.yaml", &RULE.replace("pattern: 100", "pattern: 1000"))?;
    eventually("the edit", WAIT, || Ok((digest(&app)? != before).then_some(())))?;
    app.event("shop.late", EVENT)?;
    let large = EVENT.replace("150", "1500").replace("\"order\": 7", "\"order\": 9");
    app.event("shop.late", &large)?;
    let execution = app.execution("shop.note", "succeeded")?;
    assert_eq!(execution.pointer("/parameters/order"), Some(&json!(9)));
    assert_eq!(text(&execution, "/pack_digest"), digest(&app)?);
    assert_eq!(app.executions(&["--action", "shop.note"])?.len(), 1);
    Ok(())
}

fn a_broken_file_is_told_and_the_rest_works(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let up = app.up()?;
    app.write("shop/rules/broken.yaml", "name: broken\ntrigger: {type: shop.x\naction: [\n")?;
    let other = "name: other\nenabled: true\ntrigger: {type: shop.x}\ncriteria:\n  trigger.a:\n    \
                 type: equalz\n    pattern: 1\naction: {ref: core.noop}\n";
    app.write("shop/rules/other.yaml", other)?;
    let said = eventually("both to be told", WAIT, || {
        let said = up.said();
        Ok((said.contains("rules/broken.yaml:") && said.contains("rules/other.yaml:6"))
            .then_some(said))
    })?;
    ensure!(said.contains("equalz") && said.contains("hint"), "{said}");
    app.event("shop.late", EVENT)?;
    app.execution("shop.note", "succeeded")?;
    app.write("shop/rules/broken.yaml", &RULE.replace("order_late", "broken"))?;
    eventually("the mended rule", WAIT, || {
        Ok(app.run(&["rule", "get", "shop.broken"])?.status.success().then_some(()))
    })
}

fn a_restart_goes_on_where_it_stopped(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let mut up = app.up()?;
    app.event("shop.late", EVENT)?;
    let first = app.execution("shop.note", "succeeded")?;
    assert_eq!(up.stop()?, Some(0));
    let _up = app.up()?;
    app.event("shop.late", &EVENT.replace("\"order\": 7", "\"order\": 8"))?;
    eventually("the second execution", WAIT, || {
        let found = app.executions(&["--action", "shop.note", "--status", "succeeded"])?;
        Ok((found.len() == 2).then_some(()))
    })?;
    let again = app.json(&["execution", "get", text(&first, "/id")])?;
    assert_eq!(again.get("result"), first.get("result"));
    // Nothing of the first life was done again.
    assert_eq!(app.executions(&["--action", "shop.note"])?.len(), 2);
    Ok(())
}

fn a_run_streams_its_output_and_exits_by_its_status(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let _up = app.up()?;
    let ran = app.run(&["run", "core.local", "cmd=echo one; sleep 0.3; echo two; echo bad >&2"])?;
    assert_eq!(String::from_utf8(ran.stdout)?, "one\ntwo\n");
    ensure!(String::from_utf8(ran.stderr)?.starts_with("bad\n"));
    assert_eq!(ran.status.code(), Some(0));
    let failed = app.run(&["run", "core.local", "cmd=exit 3"])?;
    assert_eq!(failed.status.code(), Some(1));
    let execution: Value = serde_json::from_slice(
        &app.run(&["-o", "json", "run", "core.local", "cmd=exit 3"])?.stdout,
    )?;
    assert_eq!(execution.pointer("/result/return_code"), Some(&json!(3)));
    let timed = app.run(&["-o", "json", "run", "core.local", "cmd=sleep 60", "timeout=1"])?;
    let timed: Value = serde_json::from_slice(&timed.stdout)?;
    assert_eq!(text(&timed, "/status"), "timeout");
    assert_eq!(timed.pointer("/result/return_code"), Some(&json!(-9)));
    let parsed = app.json(&["run", "core.local", r#"cmd=echo '{"a": [1]}'"#])?;
    assert_eq!(parsed.pointer("/result/stdout/a/0"), Some(&json!(1)));
    for _ in 0..2 {
        app.run(&["run", "core.noop", "--idempotency-key", "once"])?;
    }
    assert_eq!(app.executions(&["--action", "core.noop"])?.len(), 1);
    Ok(())
}

fn an_execution_is_canceled_with_everything_it_started(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let _up = app.up()?;
    let seconds = format!("98{}{}", on as u8, std::process::id());
    let command = format!("cmd=trap '' TERM; sleep {seconds} & sleep {seconds}; wait");
    let asked = app.run(&["run", "core.local", &command, "timeout=300", "--async"])?;
    let id = String::from_utf8(asked.stdout)?.trim().to_owned();
    let sleeping = format!("sleep\0{seconds}");
    eventually("the child", WAIT, || Ok(crate::harness::is_running(&sleeping)?.then_some(())))?;
    let canceled = app.run(&["execution", "cancel", &id])?;
    ensure!(canceled.status.success(), "{}", String::from_utf8_lossy(&canceled.stderr));
    app.execution("core.local", "canceled")?;
    ensure!(!crate::harness::is_running(&sleeping)?, "something is left of it");
    Ok(())
}

fn a_rule_is_switched_off_and_on(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let _up = app.up()?;
    ensure!(app.run(&["rule", "disable", "shop.order_late"])?.status.success());
    app.event("shop.late", EVENT)?;
    ensure!(app.run(&["rule", "enable", "shop.order_late"])?.status.success());
    app.event("shop.late", &EVENT.replace("\"order\": 7", "\"order\": 8"))?;
    let execution = app.execution("shop.note", "succeeded")?;
    assert_eq!(execution.pointer("/parameters/order"), Some(&json!(8)));
    assert_eq!(app.executions(&["--action", "shop.note"])?.len(), 1);
    Ok(())
}

fn a_timer_ticks(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let rule = |name: &str, trigger: &str| {
        format!("name: {name}\nenabled: true\ntrigger: {trigger}\naction: {{ref: core.noop}}\n")
    };
    let interval = "{type: core.st2.IntervalTimer, parameters: {unit: seconds, delta: 1}}";
    let cron = "{type: core.st2.CronTimer, parameters: {second: '*'}}";
    app.write("tick/rules/interval.yaml", &rule("interval", interval))?;
    app.write("tick/rules/cron.yaml", &rule("cron", cron))?;
    let _up = app.up()?;
    for name in ["tick.interval", "tick.cron"] {
        let ticks = eventually("three ticks", WAIT, || {
            let found = app.executions(&["--rule", name, "--status", "succeeded"])?;
            Ok((found.len() >= 3).then_some(found))
        })?;
        // Each tick is one fact and one execution.
        let instances: std::collections::BTreeSet<&str> =
            ticks.iter().map(|tick| text(tick, "/trigger_instance/id")).collect();
        assert_eq!(instances.len(), ticks.len());
    }
    Ok(())
}

fn a_shadow_records_and_runs_nothing(on: On) -> anyhow::Result<()> {
    let app = shop(on)?.with(&["--shadow"]);
    let touched = app.path("touched");
    let script = format!("#!/bin/sh\ntouch {}\n", touched.display());
    app.write("shop/actions/note.sh", &script)?;
    let _up = app.up()?;
    app.event("shop.late", EVENT)?;
    let execution = app.execution("shop.note", "canceled")?;
    ensure!(text(&execution, "/result/message").contains("shadow"), "{execution}");
    ensure!(!touched.exists());
    Ok(())
}

fn an_idempotent_action_starts_again_after_a_crash_and_no_other_does(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    let starts = app.path("starts");
    let script = format!(
        "#!/bin/sh\necho $1 >> {}\n[ $1 = again ] || sleep 97\n\
        [ $(grep -c again {}) -gt 1 ] || sleep 97\n",
        starts.display(),
        starts.display()
    );
    app.write("crash/actions/start.sh", &script)?;
    for (name, more) in [("once", ""), ("again", "idempotent: true\nattempts_max: 2\n")] {
        let action = format!(
            "name: {name}\nrunner_type: local-shell-script\nentry_point: start.sh\n{more}\
             parameters: {{what: {{type: string, default: {name}, position: 0}}}}\n"
        );
        app.write(&format!("crash/actions/{name}.yaml"), &action)?;
    }
    let mut up = app.up()?;
    for name in ["once", "again"] {
        app.run(&["run", &format!("crash.{name}"), "--async"])?;
    }
    let lines = || std::fs::read_to_string(&starts).unwrap_or_default().lines().count();
    eventually("both starts", WAIT, || Ok((lines() == 2).then_some(())))?;
    up.kill()?;
    let _up = app.up()?;
    let abandoned = app.execution("crash.once", "abandoned")?;
    ensure!(text(&abandoned, "/result/error").contains("nobody knows"), "{abandoned}");
    let again = app.execution("crash.again", "succeeded")?;
    assert_eq!(again.get("attempt"), Some(&json!(2)));
    assert_eq!(lines(), 3);
    ensure!(!crate::harness::is_running("sleep\u{0}97\u{0}")?, "an orphan is left");
    Ok(())
}

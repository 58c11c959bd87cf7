//! Bad input and bad actions: a clear outcome, and the next good event works.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, is_running};

const WAIT: Duration = Duration::from_secs(30);

const RULE: &str = "name: seen\nenabled: true\ntrigger: {type: web.seen}\n\
    action: {ref: core.local, parameters: {cmd: 'echo {{ trigger.n }}'}}\n";

async fn publish(app: &App, subject: &str, body: Vec<u8>) -> anyhow::Result<()> {
    let options = async_nats::ConnectOptions::new();
    let options = if app.nats.is_some() { options } else { options.token(app.token()?) };
    let client = options.connect(app.gateway()?).await?;
    client.publish(subject.to_owned(), body.into()).await?;
    client.flush().await?;
    client.drain().await?;
    Ok(())
}

fn good_event_works(app: &App, n: u32) -> anyhow::Result<()> {
    app.event("web.seen", &json!({ "n": n }).to_string())?;
    eventually("the good event", WAIT, || {
        let found = app.executions(&["--rule", "web.seen", "--status", "succeeded"])?;
        let wanted = json!(n);
        Ok(found.iter().any(|e| e.pointer("/result/stdout") == Some(&wanted)).then_some(()))
    })
}

async fn undecodable_events_become_dead_letters(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("web/rules/seen.yaml", RULE)?;
    let _up = app.up()?;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let bad: [Vec<u8>; 7] = [
        b"".to_vec(),
        b"not json".to_vec(),
        b"[1, 2]".to_vec(),
        b"{\"n\": ".to_vec(),
        vec![0xc1, 0xff],
        vec![0x91; 3000],
        format!("{{\"n\": {deep}}}").into_bytes(),
    ];
    let count = bad.len();
    for body in bad {
        publish(&app, "hearken.event.web.seen", body).await?;
    }
    let letters = eventually("dead letters", WAIT, || {
        let found = app.json(&["log", "show", "LOG", "--subject", "deadletter.>"])?;
        let found = found.as_array().cloned().unwrap_or_default();
        Ok((found.len() >= count).then_some(found))
    })?;
    assert_eq!(letters.len(), count);
    for letter in &letters {
        let reason = letter.pointer("/body/reason").and_then(Value::as_str).context("a reason")?;
        ensure!(reason.contains("body is"), "{reason}");
    }
    good_event_works(&app, 1)
}

#[tokio::test]
async fn undecodable_events_become_dead_letters_embedded() -> anyhow::Result<()> {
    undecodable_events_become_dead_letters(On::Embedded).await
}

#[tokio::test]
async fn undecodable_events_become_dead_letters_on_nats() -> anyhow::Result<()> {
    undecodable_events_become_dead_letters(On::Nats).await
}

/// What a running command line uses of memory at most, from the kernel.
fn memory_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}

#[test]
fn a_script_that_writes_for_ever_is_capped_and_ended() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("web/rules/seen.yaml", RULE)?;
    let up = app.up()?;
    let before = memory_kib(up.pid())?;
    let ran = app.run(&["-o", "json", "run", "core.local", "cmd=yes", "timeout=2"])?;
    let execution: Value = serde_json::from_slice(&ran.stdout)?;
    assert_eq!(execution.get("status"), Some(&json!("timeout")));
    let kept = execution.pointer("/result/stdout").and_then(Value::as_str).context("output")?;
    ensure!(kept.len() <= 2 << 20, "{}", kept.len());
    let total = execution.pointer("/result/stdout_bytes").and_then(Value::as_u64);
    ensure!(total > Some(1 << 20), "{total:?}");
    let grown = memory_kib(up.pid())?.saturating_sub(before);
    ensure!(grown < 32 << 10, "{grown} KiB more");
    good_event_works(&app, 2)
}

#[test]
fn a_script_that_forks_away_or_ignores_the_signal_is_ended_with_its_children() -> anyhow::Result<()>
{
    let app = App::new(On::Embedded)?;
    app.write("web/rules/seen.yaml", RULE)?;
    let _up = app.up()?;
    let seconds = format!("96{}", std::process::id());
    let away = format!(
        "cmd=setsid sh -c 'trap \"\" TERM; sleep {seconds}' & trap '' TERM; sleep {seconds}; sleep {seconds}"
    );
    let ran = app.run(&["-o", "json", "run", "core.local", &away, "timeout=1"])?;
    let execution: Value = serde_json::from_slice(&ran.stdout)?;
    assert_eq!(execution.get("status"), Some(&json!("timeout")), "{execution}");
    ensure!(!is_running(&format!("sleep\0{seconds}"))?, "a child is left");
    // A child that only holds the output open delays nobody.
    let started = std::time::Instant::now();
    let holds = app.run(&["run", "core.local", "cmd=sleep 30 & echo done"])?;
    assert_eq!(String::from_utf8(holds.stdout)?, "done\n");
    ensure!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    good_event_works(&app, 3)
}

#[test]
fn what_cannot_be_run_says_what_is_missing() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write(
        "odd/actions/gone.yaml",
        "name: gone\nrunner_type: local-shell-script\nentry_point: gone.sh\n",
    )?;
    let shebang = "name: shebang\nrunner_type: local-shell-script\nentry_point: shebang.sh\n";
    app.write("odd/actions/shebang.yaml", shebang)?;
    app.write("odd/actions/shebang.sh", "#!/no/such/interpreter\n")?;
    let _up = app.up()?;
    let missing = app.run(&["run", "odd.nothing"])?;
    assert_eq!(missing.status.code(), Some(2));
    ensure!(String::from_utf8(missing.stderr)?.contains("no action is called \"odd.nothing\""));
    let broken = app.run(&["-o", "json", "run", "odd.shebang"])?;
    let execution: Value = serde_json::from_slice(&broken.stdout)?;
    assert_eq!(execution.get("status"), Some(&json!("failed")));
    let error = execution.pointer("/result/error").and_then(Value::as_str).context("an error")?;
    ensure!(error.contains("shebang.sh"), "{error}");
    let wrong = app.run(&["run", "core.local", "cmd=true", "timeout=soon"])?;
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
    let unknown = app.run(&["run", "core.local", "cmd=true", "tiemout=3"])?;
    assert_eq!(unknown.status.code(), Some(2), "{}", String::from_utf8_lossy(&unknown.stderr));
    Ok(())
}

/// Rules and an action that do harm where nothing bounds them: name, criteria, parameters of the
/// action, and what the enforcement says.
const HARMFUL: [(&str, &str, &str, &str); 9] = [
    (
        "regex",
        "trigger.text: {type: regex, pattern: '^(a|aa)+(?!x)\\1\\1b'}",
        "message: never",
        "too long",
    ),
    ("loop", "", "message: '{% for i in range(1000000000) %}x{% endfor %}'", ""),
    (
        "product",
        "",
        "message: '{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}'",
        "",
    ),
    ("recursion", "", "message: '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}'", ""),
    ("growth", "", "message: \"{{ 'x' * 9999999999 }}\"", ""),
    ("missing", "", "message: '{{ trigger.no.such.thing }}'", "no"),
    ("types", "trigger.list: {type: greaterthan, pattern: 3}", "message: never", "not supported"),
    ("operator", "trigger.text: {type: iregex, pattern: '('}", "message: never", ""),
    ("broken", "trigger.text: {type: equals, pattern: '{{ trigger. }}'}", "message: never", ""),
];

/// Each harmful rule is a failed enforcement, none delays the others, and good ones go on.
fn harmful_rules_fail_and_the_rest_works(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    app.write("web/rules/seen.yaml", RULE)?;
    for (name, criteria, parameters, _) in HARMFUL {
        let rule = format!(
            "name: {name}\nenabled: true\ntrigger: {{type: web.harm}}\ncriteria: {{{criteria}}}\n\
             action:\n  ref: core.echo\n  parameters:\n    {parameters}\n"
        );
        app.write(&format!("web/rules/{name}.yaml"), &rule)?;
    }
    let cyclic = "name: cyclic\nrunner_type: noop\nparameters:\n  a: {type: string, default: '{{ b }}'}\n  \
        b: {type: string, default: '{{ a }}'}\n";
    app.write("web/actions/cyclic.yaml", cyclic)?;
    for (name, action) in [("ring", "web.cyclic"), ("nowhere", "no.such"), ("fine", "core.noop")] {
        let rule = format!(
            "name: {name}\nenabled: true\ntrigger: {{type: web.harm}}\naction: {{ref: {action}}}\n"
        );
        app.write(&format!("web/rules/{name}.yaml"), &rule)?;
    }
    let up = app.up()?;
    let text = "a".repeat(4000) + "!";
    let id = app.event("web.harm", &json!({ "text": text, "list": [1] }).to_string())?;
    let explained = eventually("a decision of every rule", WAIT, || {
        let explained = app.json(&["log", "explain", &id])?;
        let told =
            |name: &str| explained.pointer(name).and_then(Value::as_array).map_or(0, Vec::len);
        let (enforcements, executions) = (told("/enforcements"), told("/executions"));
        ensure!(enforcements > HARMFUL.len(), "{enforcements} enforcements, {explained:#}");
        Ok((executions > 0).then_some(explained))
    })?;
    let enforcements = explained.get("enforcements").and_then(Value::as_array).context("some")?;
    for (name, _, _, why) in HARMFUL {
        let rule = json!(format!("web.{name}"));
        let found = enforcements.iter().find(|e| e.get("rule") == Some(&rule)).context(name)?;
        let reason = found.get("reason").and_then(Value::as_str).context("a reason")?;
        ensure!(!reason.is_empty() && reason.contains(why), "{name}: {reason}");
        ensure!(reason.len() < 4096, "{name}: {} bytes of reason", reason.len());
    }
    let said = up.said();
    ensure!(said.contains("web/rules/nowhere.yaml:4"), "nothing was said of it: {said}");
    app.execution("core.noop", "succeeded").context("the rule beside them")?;
    good_event_works(&app, 4)
}

#[test]
fn harmful_rules_fail_and_the_rest_works_embedded() -> anyhow::Result<()> {
    harmful_rules_fail_and_the_rest_works(On::Embedded)
}

#[test]
fn harmful_rules_fail_and_the_rest_works_on_nats() -> anyhow::Result<()> {
    harmful_rules_fail_and_the_rest_works(On::Nats)
}

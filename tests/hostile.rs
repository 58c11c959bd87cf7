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
    ensure!(kept.len() <= 192 << 10, "{}", kept.len());
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

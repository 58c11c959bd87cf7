//! Several processes on one nats-server: sharing, credentials, and a server that goes away.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, HEARKEN, NatsServer, On, eventually};

const WAIT: Duration = Duration::from_secs(40);

const RULE: &str = "name: seen\nenabled: true\ntrigger: {type: web.seen}\n\
    action: {ref: core.local, parameters: {cmd: 'echo first {{ trigger.n }}; sleep 0.1'}}\n";

fn front(app: &App) -> Vec<String> {
    let packs = app.path("packs").display().to_string();
    ["--pack-source", "--packs", &packs, "--listen", "127.0.0.1:0"].map(ToOwned::to_owned).to_vec()
}

#[test]
fn two_hosts_share_the_work_and_an_edit_reaches_both() -> anyhow::Result<()> {
    let app = App::new(On::Nats)?;
    app.write("web/rules/seen.yaml", RULE)?;
    let front = front(&app);
    let front: Vec<&str> = front.iter().map(String::as_str).collect();
    let _front = app.serve("data", "web,ledger,sensors", &front)?;
    let _one = app.serve("one", "rules,actions", &[])?;
    let _two = app.serve("two", "rules,actions", &[])?;
    let finished = |first: &str, wanted: usize| {
        eventually("the executions", WAIT, || {
            let found = app.executions(&["--rule", "web.seen", "--status", "succeeded"])?;
            let of = |e: &&Value| {
                let output = e.pointer("/result/stdout").and_then(Value::as_str);
                output.is_some_and(|output| output.starts_with(first))
            };
            let found: Vec<Value> = found.iter().filter(of).cloned().collect();
            Ok((found.len() == wanted).then_some(found))
        })
    };
    for n in 0..60 {
        app.event("web.seen", &json!({ "n": n }).to_string())?;
    }
    let done = finished("first", 60)?;
    let runners: BTreeSet<&str> =
        done.iter().filter_map(|e| e.get("runner_id").and_then(Value::as_str)).collect();
    ensure!(runners.len() == 2, "{runners:?}");
    let digest = |app: &App| app.json(&["pack", "get", "web"]);
    let before = digest(&app)?;
    app.write("web/rules/seen.yaml", &RULE.replace("first", "second"))?;
    eventually("the edit", WAIT, || Ok((digest(&app)? != before).then_some(())))?;
    for n in 0..60 {
        app.event("web.seen", &json!({ "n": n }).to_string())?;
    }
    // Each replica judged some of them, and every one by the new rule.
    finished("second", 60)?;
    finished("first", 60)?;
    Ok(())
}

#[test]
fn many_rules_on_many_events_never_wait_for_each_other() -> anyhow::Result<()> {
    const RULES: usize = 10;
    const EVENTS: usize = 600;
    let app = App::new(On::Nats)?;
    for n in 0..RULES {
        let rule = format!(
            "name: r{n}\nenabled: true\ntrigger: {{type: web.many}}\naction: {{ref: core.noop}}\n"
        );
        app.write(&format!("web/rules/r{n}.yaml"), &rule)?;
    }
    // Without a replica of the rules the events wait, so that they come all at once.
    let front = front(&app);
    let front: Vec<&str> = front.iter().map(String::as_str).collect();
    let _front = app.serve("data", "web,ledger", &front)?;
    for n in 0..EVENTS {
        app.event("web.many", &json!({ "n": n }).to_string())?;
    }
    let _rules = app.serve("rules", "rules", &[])?;
    eventually("every request", WAIT, || {
        let answer = app.json(&["log", "stats"])?;
        let log = answer.as_array().and_then(|streams| {
            streams.iter().find(|stream| stream.get("stream") == Some(&json!("LOG")))
        });
        let last = log.and_then(|log| log.get("last")).and_then(Value::as_u64).unwrap_or(0);
        Ok((last >= u64::try_from(RULES * EVENTS)?).then_some(()))
    })
}

#[test]
fn a_server_that_was_away_for_longer_than_the_wait_loses_nothing() -> anyhow::Result<()> {
    let mut app = App::new(On::Nats)?;
    app.write("web/rules/seen.yaml", RULE)?;
    let _up = app.up()?;
    for n in 0..5 {
        app.event("web.seen", &json!({ "n": n }).to_string())?;
    }
    let server = app.nats.as_mut().context("a server")?;
    server.kill()?;
    std::thread::sleep(Duration::from_secs(3));
    server.restart()?;
    eventually("all five", WAIT, || {
        let found = app.executions(&["--rule", "web.seen", "--status", "succeeded"])?;
        Ok((found.len() == 5).then_some(()))
    })?;
    eventually("a new event", WAIT, || {
        Ok(app.run(&["event", "send", "web.seen", "{\"n\": 9}"])?.status.success().then_some(()))
    })?;
    Ok(())
}

/// `hearken bus apply` against a server, with these arguments.
fn apply(url: &str, more: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let output = Command::new(HEARKEN)
        .env_clear()
        .args(["bus", "apply", "--nats", url])
        .args(more)
        .output()?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

#[test]
fn a_token_and_a_password_are_shown_or_refused() -> anyhow::Result<()> {
    let server = NatsServer::start_with(&["--auth", "secret"])?;
    let (code, said) = apply(&server.url(), &[])?;
    assert_eq!(code, Some(2), "{said}");
    ensure!(said.contains("hint: ") && !said.contains("secret"), "{said}");
    assert_eq!(apply(&server.url(), &["--nats-token", "secret"])?.0, Some(0));
    let server = NatsServer::start_with(&["--user", "me", "--pass", "pass"])?;
    let url = server.url().replace("nats://", "nats://me:pass@");
    assert_eq!(apply(&url, &[])?.0, Some(0));
    Ok(())
}

#[test]
fn an_nkey_is_shown_or_refused() -> anyhow::Result<()> {
    // A pair made for this test: the seed proves what the public key names.
    let pair = nkeys::KeyPair::new_user();
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("nats.conf");
    let public = pair.public_key();
    std::fs::write(&config, format!("authorization {{ users = [ {{ nkey: {public} }} ] }}\n"))?;
    let seed = folder.path().join("seed");
    std::fs::write(&seed, pair.seed()?)?;
    let config = config.display().to_string();
    let server = NatsServer::start_with(&["-c", &config])?;
    assert_eq!(apply(&server.url(), &[])?.0, Some(2));
    let seed = seed.display().to_string();
    let (code, said) = apply(&server.url(), &["--nkey", &seed])?;
    assert_eq!(code, Some(0), "{said}");
    Ok(())
}

#[test]
fn tls_is_used_and_a_stranger_is_not_trusted() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &file("key.pem"), "-out", &file("cert.pem")])
        .output()
        .context("openssl is needed")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = NatsServer::start_with(&[
        "--tls",
        "--tlscert",
        &file("cert.pem"),
        "--tlskey",
        &file("key.pem"),
    ])?;
    let (code, said) = apply(&server.url(), &["--nats-ca", &file("cert.pem")])?;
    assert_eq!(code, Some(0), "{said}");
    let (code, _said) = apply(&server.url(), &["--nats-tls"])?;
    ensure!(code != Some(0), "a certificate that nobody vouches for was taken");
    Ok(())
}

#[test]
fn streams_are_compared_and_shrunk_only_on_demand() -> anyhow::Result<()> {
    let server = NatsServer::start()?;
    assert_eq!(apply(&server.url(), &[])?.0, Some(0));
    let smaller = |more: &[&str]| -> anyhow::Result<(Option<i32>, String)> {
        let output = Command::new(HEARKEN)
            .env_clear()
            .env("HEARKEN_BUS_LOG_AGE", "1h")
            .args(["-o", "json", "bus", "apply", "--nats", &server.url()])
            .args(more)
            .output()?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    let (code, found) = smaller(&[])?;
    assert_eq!(code, Some(1), "{found}");
    let found: Value = serde_json::from_str(&found)?;
    ensure!(found.pointer("/0/shrinks") == Some(&json!(true)), "{found}");
    let (code, found) = smaller(&["--yes"])?;
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(apply(&server.url(), &["--yes"])?.0, Some(0));
    Ok(())
}

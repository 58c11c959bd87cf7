//! What verbs print and refuse, in front of a running server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::harness::{App, On};

const RULE: &str = "name: late\nenabled: true\ntrigger: {type: shop.order}\n\
    criteria:\n  trigger.n: {type: greaterthan, pattern: '{{ st2kv.system.limit | int }}'}\n\
    action: {ref: core.noop}\n";

/// Standard output and standard error, after a look at the exit code.
fn said(output: Output, code: i32) -> anyhow::Result<(String, String)> {
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.code() == Some(code), "{:?}: {out}{err}", output.status);
    Ok((out, err))
}

#[test]
fn a_rule_is_tried_with_the_keys_of_the_server_that_runs() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("shop/rules/late.yaml", RULE)?;
    let rule = app.path("packs/shop/rules/late.yaml").display().to_string();
    let event = app.path("event.json").display().to_string();
    std::fs::write(&event, r#"{"trigger": "shop.order", "payload": {"n": 7}}"#)?;
    let (_, err) = said(app.run(&["rule", "test", &rule, &event])?, 0)?;
    ensure!(err.contains("keys of the datastore are not seen"), "{err}");
    let _up = app.up()?;
    app.run(&["kv", "set", "limit", "5"])?;
    for rule in [rule.as_str(), "shop.late"] {
        let (out, err) = said(app.run(&["rule", "test", rule, &event])?, 0)?;
        ensure!(out.contains("late on event test: matches"), "{rule}: {out}");
        ensure!(err.is_empty(), "{rule}: {err}");
    }
    app.run(&["kv", "set", "limit", "9"])?;
    said(app.run(&["rule", "test", "shop.late", &event])?, 1)?;
    Ok(())
}

#[test]
fn what_cannot_be_tried_says_why() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("shop/rules/late.yaml", RULE)?;
    let rule = app.path("packs/shop/rules/late.yaml").display().to_string();
    let event = app.path("event.json").display().to_string();
    let check = |content: &str, expected: &str| -> anyhow::Result<()> {
        std::fs::write(&event, content)?;
        let (_, err) = said(app.run(&["rule", "test", &rule, &event])?, 2)?;
        ensure!(err.contains(expected), "{content}: {err}");
        ensure!(err.contains("hint: write {\"trigger\""), "{content}: {err}");
        Ok(())
    };
    check("[]", "this is no event")?;
    check(r#"{"n": 7}"#, "the event has no trigger")?;
    check(r#"{"trigger": "a.b"}"#, "no payload that is an object")?;
    check(r#"{"trigger": "a.b", "payload": {}, "n": 1}"#, "unknown field \"n\"")?;
    let (_, err) = said(app.run(&["rule", "test", "nosuch.yaml", &event])?, 2)?;
    ensure!(err.contains("there is no file nosuch.yaml"), "{err}");
    let (_, err) = said(app.run(&["rule", "test", "a.b", "--last", "0"])?, 2)?;
    ensure!(err.contains("give 1 or more"), "{err}");
    Ok(())
}

#[test]
fn a_rule_that_nobody_has_heard_of_is_no_empty_list() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let mut up = app.up()?;
    said(app.run(&["rule", "enforcements", "examples.order_late"])?, 0)?;
    let (_, err) = said(app.run(&["rule", "enforcements", "no.such"])?, 1)?;
    ensure!(err.contains("no rule is called \"no.such\""), "{err}");
    up.stop()?;
    said(app.run(&["log", "replay", "--rule", "examples.order_late"])?, 0)?;
    let (_, err) = said(app.run(&["log", "replay", "--rule", "no.such"])?, 1)?;
    ensure!(err.contains("no rule is called \"no.such\""), "{err}");
    Ok(())
}

#[test]
fn a_configuration_is_checked_with_the_files_that_it_names() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let file = app.path("hooks.toml").display().to_string();
    let config = |verb: &str| app.run(&["--config", &file, "config", verb]);
    let hook = "[[webhook]]\nurl = \"git\"\nsender = \"github\"\n";
    std::fs::write(&file, format!("{hook}secret_file = \"nosuch\"\n"))?;
    let (_, err) = said(config("check")?, 2)?;
    ensure!(err.contains("the secret cannot be read") && err.contains("/nosuch"), "{err}");
    std::fs::write(&file, "[secrets]\nkey_file = \"/nosuch\"\n")?;
    let (_, err) = said(config("check")?, 2)?;
    ensure!(err.contains("cannot read the key /nosuch"), "{err}");
    std::fs::write(&file, format!("{hook}secret = \"hush\"\n"))?;
    said(config("check")?, 0)?;
    let (out, _) = said(config("show")?, 0)?;
    ensure!(out.contains("github, secret in the configuration"), "{out}");
    ensure!(!out.contains("hush"), "{out}");
    ensure!(!app.data().exists(), "a look makes nothing");
    Ok(())
}

#[test]
fn an_action_is_shown_with_the_parameters_of_its_runner() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let http = app.json(&["action", "get", "core.http"])?;
    let from = |value: &serde_json::Value, name: &str| {
        value.pointer(&format!("/parameters/{name}/from")).cloned()
    };
    assert_eq!(from(&http, "body"), Some(json!("action")));
    assert_eq!(from(&http, "url"), Some(json!("runner")));
    let told = app.json(&["action", "get", "core.announcement"])?;
    assert_eq!(from(&told, "route"), Some(json!("runner")));
    assert_eq!(from(&told, "experimental"), Some(json!("runner, changed by the action")));
    assert_eq!(told.pointer("/parameters/route/default"), Some(&json!("general")));
    Ok(())
}

/// Answers one request.
fn answer_once(listener: &TcpListener, status: &str, body: &str) -> anyhow::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        ensure!(read > 0, "the request is cut");
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n"
    )?;
    write!(stream, "Connection: close\r\n\r\n{body}")?;
    Ok(())
}

#[test]
fn a_run_prints_the_result_of_an_action_without_output() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("url=http://{}/", listener.local_addr()?);
    let run = |status: &str, body: &str| -> anyhow::Result<Output> {
        std::thread::scope(|scope| {
            let answered = scope.spawn(|| answer_once(&listener, status, body));
            let output = app.run(&["run", "core.http", &url])?;
            answered.join().ok().context("the answer")??;
            Ok(output)
        })
    };
    let (out, err) = said(run("200 OK", "all is well")?, 0)?;
    ensure!(out.contains("body: all is well") && out.contains("status_code: 200"), "{out}");
    ensure!(err.starts_with("succeeded  ") && !err.contains("hint"), "{err}");
    let (out, err) = said(run("200 OK", &"x".repeat(5000))?, 0)?;
    ensure!(out.len() < 5000 && err.contains("hint: hearken execution get "), "{out}{err}");
    let (_, err) = said(run("404 Not Found", "no")?, 1)?;
    ensure!(err.contains("404"), "{err}");
    let (out, err) = said(app.run(&["run", "core.noop"])?, 0)?;
    ensure!(out.is_empty() && err.starts_with("succeeded"), "{out}{err}");
    Ok(())
}

#[test]
fn what_is_common_at_a_start_takes_one_line() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("shop/rules/late.yaml", RULE)?;
    let up = app.up()?;
    let told = up.said();
    ensure!(told.contains("2 rules listen to triggers that nobody has registered"), "{told}");
    ensure!(!told.contains("nobody has registered trigger"), "{told}");
    let (out, _) = said(app.run(&["-o", "json", "doctor"])?, 0)?;
    for rule in ["shop.late", "examples.order_late"] {
        ensure!(out.contains(&format!("{rule}: nobody has registered trigger")), "{out}");
    }
    Ok(())
}

#[test]
fn keys_are_listed_with_the_revision_that_a_write_may_name() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let set = |value: &str, revision: &str| {
        app.run(&["kv", "set", "shop.region", value, "--revision", revision])
    };
    said(set("eu", "0")?, 0)?;
    let (out, _) = said(app.run(&["kv", "list"])?, 0)?;
    let row = out.lines().nth(1).context("a row")?;
    ensure!(out.starts_with("NAME") && out.contains("REVISION"), "{out}");
    let revision = row.split_whitespace().nth(2).context("a revision")?;
    said(set("us", revision)?, 0)?;
    said(set("uk", revision)?, 1)?;
    Ok(())
}

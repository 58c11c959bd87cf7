//! Help, errors, exit codes and output formats, in a folder with nothing of the tester's.

mod servers;
mod verbs;

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On};

/// Runs without a server: arguments, exit code, and what standard error must say.
#[test]
fn errors_say_what_where_and_what_to_do() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    std::fs::write(app.path("bad.toml"), "[bus]\nprefiks = \"x\"\n")?;
    let bad = app.path("bad.toml").display().to_string();
    let rows: &[(&[&str], i32, &[&str])] = &[
        (&["nonsense"], 2, &["unrecognized subcommand 'nonsense'"]),
        (&["run"], 2, &["required arguments"]),
        (
            &["execution", "list"],
            3,
            &["no server runs on the data folder", "hint: start one with \"hearken --data "],
        ),
        (&["run", "core.noop", "novalue"], 2, &["\"novalue\" is not name=value"]),
        (&["event", "send", "a.b", "{"], 2, &["the payload is not JSON", "hint: "]),
        (
            &["--config", &bad, "config", "check"],
            2,
            &["unknown key \"prefiks\" in [bus]", "bad.toml:2", "did you mean \"prefix\"?"],
        ),
        (&["pack", "check", "/nowhere"], 2, &["/nowhere"]),
        (&["serve", "rules"], 2, &["meet on a NATS server", "hint: "]),
        (&["bus", "status"], 2, &["none is named"]),
        (&["bus", "status", "--nats", "nats://127.0.0.1:1"], 3, &["127.0.0.1:1"]),
        (&["up", "--listen", "nowhere"], 2, &["nowhere"]),
        (&["up", "--durability", "sometimes"], 2, &["\"sometimes\" is no durability", "hint: "]),
        (&["up", "--packs", "/nowhere"], 2, &["/nowhere"]),
    ];
    for (arguments, code, parts) in rows {
        let output = app.run(arguments)?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        for part in *parts {
            ensure!(said.contains(part), "{arguments:?} does not say {part:?}:\n{said}");
        }
        ensure!(output.stdout.is_empty(), "{arguments:?} prints data");
    }
    Ok(())
}

#[test]
fn a_taken_port_is_an_error_when_asked_for_and_a_note_when_not() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let output = app.run(&["up", "--listen", &address, "--gateway", "off"])?;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.contains("choose another port"), "{said}");
    Ok(())
}

#[test]
fn every_verb_has_help_whose_first_line_is_complete() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let verbs = [
        "up",
        "serve",
        "bus",
        "run",
        "event",
        "execution",
        "action",
        "rule",
        "trigger",
        "sensor",
        "pack",
        "log",
        "config",
        "doctor",
        "completion",
    ];
    for verb in verbs {
        let output = app.run(&[verb, "--help"])?;
        ensure!(output.status.success(), "{verb}");
        let help = String::from_utf8(output.stdout)?;
        let first = help.lines().next().unwrap_or_default();
        ensure!(first.len() > 10 && !first.ends_with('.'), "{verb}: {first:?}");
        ensure!(help.lines().all(|line| line.chars().count() <= 100), "{verb}: a line is too wide");
    }
    let script = app.run(&["completion", "bash"])?;
    ensure!(String::from_utf8(script.stdout)?.contains("_hearken"));
    Ok(())
}

#[test]
fn results_come_as_table_json_and_yaml() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    app.run(&["run", "core.noop"])?;
    let listed = app.json(&["execution", "list", "--action", "core.noop"])?;
    let execution = listed.pointer("/0").context("one")?;
    for field in [
        "id",
        "action",
        "status",
        "parameters",
        "result",
        "start_timestamp",
        "end_timestamp",
        "rule",
        "trigger_instance",
    ] {
        ensure!(execution.get(field).is_some(), "{field} is missing: {execution}");
    }
    assert_eq!(execution.pointer("/action/ref"), Some(&json!("core.noop")));
    let table = String::from_utf8(app.run(&["execution", "list"])?.stdout)?;
    ensure!(table.starts_with("ID") && table.contains("core.noop"), "{table}");
    let yaml = String::from_utf8(app.run(&["-o", "yaml", "execution", "list"])?.stdout)?;
    ensure!(yaml.contains("status: succeeded"), "{yaml}");
    // The last of a repeated option wins.
    let last = app.run(&["-o", "json", "-o", "table", "execution", "list"])?;
    ensure!(String::from_utf8(last.stdout)?.starts_with("ID"));
    for (arguments, code) in [
        (["execution", "get", "ffffffffffffffffffffffff"], 1),
        (["rule", "get", "no.rule"], 1),
        (["log", "explain", "nothing"], 1),
    ] {
        let output = app.run(&arguments)?;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        ensure!(!output.stderr.is_empty());
    }
    let stranger =
        app.command().env("HEARKEN_TOKEN", "wrong").args(["execution", "list"]).output()?;
    assert_eq!(stranger.status.code(), Some(2));
    ensure!(String::from_utf8(stranger.stderr)?.contains("token"));
    Ok(())
}

#[test]
fn the_running_server_is_found_from_another_folder() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let mut elsewhere = std::process::Command::new(crate::harness::HEARKEN);
    let output = elsewhere
        .env_clear()
        .env("HOME", app.path("."))
        .env("XDG_STATE_HOME", app.path("state"))
        .current_dir(std::env::temp_dir())
        .args(["-o", "json", "action", "list"])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn a_batch_of_rules_is_judged_without_a_server() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let mut child = app
        .command()
        .args(["rule", "test", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let rule = |operator: &str| {
        json!({"name": "r", "pack": "p", "trigger": {"type": "a.b"}, "action": {"ref": "core.noop"},
            "criteria": {"trigger.n": {"type": operator, "pattern": 5}}})
    };
    let event = json!({"trigger": "a.b", "payload": {"n": 7}});
    let mut lines = String::new();
    for operator in ["greaterthan", "lessthan", "startswith"] {
        lines += &json!({"rule": rule(operator), "event": event}).to_string();
        lines.push('\n');
    }
    lines.push_str("not json\n");
    lines += &json!({"rule": rule("lessthan")}).to_string();
    std::io::Write::write_all(&mut child.stdin.take().context("stdin")?, lines.as_bytes())?;
    let output = child.wait_with_output()?;
    let answers: Vec<Value> = String::from_utf8(output.stdout)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let verdicts: Vec<Option<&Value>> =
        answers.iter().map(|answer| answer.pointer("/criteria/0/verdict")).collect();
    let read = [Some(&json!(true)), Some(&json!(false)), Some(&json!("error"))];
    assert_eq!(verdicts, [read.as_slice(), &[None, None]].concat());
    let matches: Vec<Option<&Value>> = answers.iter().map(|a| a.get("matches")).collect();
    assert_eq!(matches, [Some(&json!(true)), Some(&json!(false)), Some(&json!(false)), None, None]);
    assert_eq!(answers.get(3).and_then(|a| a.get("line")), Some(&json!(4)));
    let error = answers.get(4).and_then(|a| a.get("error")).and_then(Value::as_str);
    ensure!(error.is_some_and(|error| error.starts_with("the line has no event")), "{error:?}");
    assert_eq!(output.status.code(), Some(1), "a line that could not be read");
    Ok(())
}

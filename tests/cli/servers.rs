//! Which server the command line talks to, and how one ends.

use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{App, HEARKEN, On, eventually};

/// How long things may take on a machine that does other things.
const WAIT: Duration = Duration::from_secs(30);

/// Runs in a folder that is nobody's data folder, naming none.
fn elsewhere(app: &App, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(HEARKEN);
    command.env_clear().env("HOME", app.path(".")).env("XDG_STATE_HOME", app.path("state"));
    Ok(command.current_dir(std::env::temp_dir()).args(arguments).output()?)
}

/// Where the server of a data folder answers.
fn announced(data: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(data.join("server.json"))?)?)
}

/// A second server beside that of `app`, in a data folder of its own.
fn second(app: &App) -> anyhow::Result<Child> {
    let data = app.path("second");
    let mut command = app.command();
    command.arg("--data").arg(&data);
    command.args(["up", "--listen", "127.0.0.1:0", "--gateway", "off"]);
    let child = command.stdout(std::process::Stdio::null()).spawn()?;
    let url = |server: Value| server.get("pid") == Some(&child.id().into());
    eventually("the second server", WAIT, || {
        Ok(announced(&data).ok().filter(|server| url(server.clone())).map(|_| ()))
    })?;
    Ok(child)
}

fn terminate(pid: u32) -> anyhow::Result<()> {
    ensure!(Command::new("kill").args(["-TERM", &pid.to_string()]).status()?.success());
    Ok(())
}

#[test]
fn a_named_data_folder_never_stands_for_another() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    let other = app.path("other").display().to_string();
    let named = |command: &mut Command| -> anyhow::Result<()> {
        let output = command.args(["kv", "list"]).output()?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(3), "{said}");
        ensure!(said.contains(&format!("no server runs on the data folder {other}")), "{said}");
        ensure!(said.contains(&format!("hint: start one with \"hearken --data {other} up\"")));
        Ok(())
    };
    named(app.command().args(["--data", &other]))?;
    let mut by_variable = Command::new(HEARKEN);
    by_variable.env_clear().env("HOME", app.path(".")).env("XDG_STATE_HOME", app.path("state"));
    named(by_variable.env("HEARKEN_DATA", &other))?;
    // What needs no server works on it.
    ensure!(app.run(&["--data", &other, "config", "show"])?.status.success());
    let named =
        app.command().env("HEARKEN_URL", "http://127.0.0.1:1").arg("kv").arg("list").output()?;
    ensure!(String::from_utf8(named.stderr)?.contains("at http://127.0.0.1:1"));
    Ok(())
}

#[test]
fn the_end_of_one_server_does_not_hide_another() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let _up = app.up()?;
    app.run(&["kv", "set", "which", "first"])?;
    let found = || -> anyhow::Result<Output> { elsewhere(&app, &["kv", "get", "which"]) };
    assert_eq!(found()?.stdout, b"first\n");
    let mut stopped = second(&app)?;
    assert_eq!(found()?.status.code(), Some(1), "the one that started last is asked");
    terminate(stopped.id())?;
    ensure!(stopped.wait()?.success());
    assert_eq!(found()?.stdout, b"first\n");
    // One that could not take its announcement back is passed over.
    let mut killed = second(&app)?;
    killed.kill()?;
    killed.wait()?;
    assert_eq!(found()?.stdout, b"first\n");
    let gone = app.run(&["--data", &app.path("second").display().to_string(), "kv", "list"])?;
    assert_eq!(gone.status.code(), Some(3));
    ensure!(String::from_utf8(gone.stderr)?.contains("no server runs on"));
    Ok(())
}

#[test]
fn an_end_that_waits_says_for_what() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let mut up = app.up()?;
    let gate = app.path("gate");
    let command = format!("cmd=until test -e '{}'; do sleep 0.05; done", gate.display());
    app.run(&["run", "-a", "core.local", &command])?;
    app.execution("core.local", "running")?;
    terminate(up.pid())?;
    eventually("what is waited for", WAIT, || {
        Ok(up.said().contains("ending: 1 action still runs").then_some(()))
    })?;
    std::fs::write(gate, "")?;
    // A second signal would end it at once, so the end is only awaited.
    let end = eventually("the end", WAIT, || Ok((announced(&app.data()).is_err()).then_some(())));
    end.with_context(|| up.said())?;
    up.kill()?;
    let mut again = app.up()?;
    app.execution("core.local", "succeeded")?;
    assert_eq!(again.stop()?, Some(0));
    ensure!(!again.said().contains("ending: 0"), "an idle end has nothing to say");
    Ok(())
}

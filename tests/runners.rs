//! What runners promise, and that secrets reach the action and nobody else.

mod printed;
mod secrets;
mod shell;
mod site;
mod web;

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{App, eventually};

/// How long things may take on a machine that does other things.
const WAIT: std::time::Duration = std::time::Duration::from_secs(30);

/// A row: arguments of `hearken run`, the status, and what stands at places of the execution.
type Row<'a> = (&'a [&'a str], &'a str, &'a [(&'a str, Value)]);

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// Bytes that are kept of a text in the result, which may be out of line with all of the result.
fn kept(execution: &Value, name: &str) -> usize {
    let inline = execution.pointer(&format!("/result/{name}")).and_then(Value::as_str);
    let bytes = execution.pointer("/result/bytes").and_then(Value::as_u64).unwrap_or_default();
    inline.map_or_else(|| usize::try_from(bytes).unwrap_or_default(), str::len)
}

/// Runs an action to its end, whatever that is.
fn run(app: &App, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = app.run(&[&["-o", "json", "run"], arguments].concat())?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Runs every row, and tells all that differ at once.
fn check(app: &App, rows: &[Row<'_>]) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for (arguments, status, places) in rows {
        let execution = run(app, arguments)?;
        if text(&execution, "/status") != *status {
            faults.push(format!("{arguments:?}: not {status}: {execution}"));
        }
        for (place, expected) in *places {
            let found = execution.pointer(place);
            if found != Some(expected) {
                faults.push(format!("{arguments:?}: {place}: {found:?}, not {expected}"));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// A server that was started in a way of its own. Killed when dropped.
struct Server(Child);

impl Server {
    /// Starts `command`, which is `hearken … up` in some form, and waits until it answers.
    fn start(app: &App, mut command: Command) -> anyhow::Result<Self> {
        let errors = std::fs::File::create(app.path("up.stderr"))?;
        let child = command.stdout(Stdio::null()).stderr(errors).spawn()?;
        let mut server = Self(child);
        eventually("the server", WAIT, || {
            if let Some(status) = server.0.try_wait()? {
                anyhow::bail!("it has ended: {status}");
            }
            Ok(app.data().join("server.json").exists().then_some(()))
        })
        .with_context(|| std::fs::read_to_string(app.path("up.stderr")).unwrap_or_default())?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait().map(drop)).unwrap_or(());
    }
}

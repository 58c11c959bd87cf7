//! What an action prints, returns, logs or fails with is told without its secrets, and no process
//! list shows them.

use anyhow::ensure;

use super::{WAIT, text};
use crate::harness::{App, On, eventually, is_within, on_both};

const MASK: &str = "********";

/// A secret of each origin: given, written in the configuration, kept in the datastore. None is
/// part of another, nor of those of a test that runs beside this one.
fn secrets(on: On) -> [String; 3] {
    ["given-4711", "literal-4712", "kept-4713"].map(|name| format!("{on:?}-{name}-of-{on:?}"))
}

const SCRIPT: &str = "
name: script
runner_type: local-shell-script
entry_point: script.sh
parameters:
  password: {type: string, secret: true, position: 0}
";

/// Prints what it was given, also in two halves and as JSON, and waits to be looked at.
const SCRIPT_TEXT: &str = r#"#!/bin/bash
echo "printed $1"
half=$((${#1} / 2))
printf '%s' "${1:0:half}"; sleep 0.2; echo "${1:half}"
echo "and to the other stream $1" >&2
touch "$HOME/ready-script"
while [ ! -e "$HOME/go" ]; do sleep 0.05; done
"#;

const LINE: &str = "
name: line
runner_type: local-shell-cmd
parameters:
  password: {type: string, secret: true}
  cmd:
    default: 'echo {\"is\": \"{{ password }}\"} | cat; touch $HOME/ready-line;
      while [ ! -e $HOME/go ]; do sleep 0.05; done'
";

const PYTHON: &str = "
name: python
runner_type: python-script
entry_point: python.py
parameters:
  password: {type: string, secret: true}
  fail: {type: boolean, default: false}
";

const PYTHON_TEXT: &str = "
import os, sys, time
from st2common.runners.base_action import Action


class Tell(Action):
    def run(self, password, fail=False):
        told = [password, self.config['token'], self.config['deep']['key']]
        print('printed', *told)
        sys.stderr.write('written %s\\n' % told)
        self.logger.info('logged %s', told)
        if fail:
            raise ValueError('failed with %s' % told)
        home = os.environ['HOME']
        open(home + '/ready-python', 'w').close()
        while not os.path.exists(home + '/go'):
            time.sleep(0.05)
        return {'told': told, password: {'nested': [told]}}
";

const SCHEMA: &str = "
token: {type: string, secret: true}
deep: {type: object, properties: {key: {type: string, secret: true}}}
open: {type: string}
";

fn teller(on: On) -> anyhow::Result<App> {
    let app = App::new(on)?;
    app.write("tell/actions/script.yaml", SCRIPT)?;
    app.write("tell/actions/script.sh", SCRIPT_TEXT)?;
    app.write("tell/actions/line.yaml", LINE)?;
    app.write("tell/actions/python.yaml", PYTHON)?;
    app.write("tell/actions/python.py", PYTHON_TEXT)?;
    app.write("tell/config.schema.yaml", SCHEMA)?;
    Ok(app)
}

/// Command lines of every process of the host but of those that ask for the executions.
fn process_list() -> anyhow::Result<String> {
    let mut all = String::new();
    for process in std::fs::read_dir("/proc")? {
        // One that has ended meanwhile has no command line.
        let line = std::fs::read(process?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        all.push_str(&line);
        all.push('\n');
    }
    Ok(all)
}

/// Everything that a user is shown of an execution.
fn shown(app: &App, id: &str) -> anyhow::Result<String> {
    let mut shown = String::new();
    for verb in [["execution", "get", id], ["execution", "tail", id], ["log", "explain", id]] {
        for form in [&["-o", "json"][..], &[]] {
            let output = app.run(&[form, &verb].concat())?;
            shown.push_str(&String::from_utf8_lossy(&output.stdout));
            shown.push_str(&String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(shown)
}

/// Asks for an action without waiting, so that the command line is gone, and answers its id.
fn begin(app: &App, action: &str, password: &str) -> anyhow::Result<String> {
    let asked = app.run(&["run", action, password, "--async"])?;
    ensure!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    Ok(String::from_utf8(asked.stdout)?.trim().to_owned())
}

fn no_secret_is_told_by_what_an_action_says(on: On) -> anyhow::Result<()> {
    let app = teller(on)?;
    let mut up = app.up()?;
    let secrets = secrets(on);
    let [given, literal, kept] = &secrets;
    let set = app.run(&["kv", "set", "key", kept, "--encrypt"])?;
    ensure!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let configs = app.data().join("configs");
    std::fs::create_dir_all(&configs)?;
    let config = format!("token: {literal}\ndeep: {{key: '{{{{ st2kv.system.key }}}}'}}\n");
    std::fs::write(configs.join("tell.yaml"), config)?;

    let password = format!("password={given}");
    let mut begun = Vec::new();
    for action in ["script", "line", "python"] {
        begun.push(begin(&app, &format!("tell.{action}"), &password)?);
        let ready = app.path(&format!("ready-{action}"));
        eventually(action, WAIT, || Ok(ready.exists().then_some(())))?;
    }
    let listed = process_list()?;
    ensure!(listed.contains("script.sh"), "the script is not running");
    std::fs::write(app.path("go"), "")?;
    let mut all = String::new();
    for id in &begun {
        let ended = eventually("the end", WAIT, || {
            let found = app.json(&["execution", "get", id])?;
            Ok((text(&found, "/status") == "succeeded").then_some(found))
        })?;
        all.push_str(&shown(&app, id)?);
        let told = ended.get("result").map(ToString::to_string).unwrap_or_default();
        ensure!(told.contains(MASK), "{told}");
    }
    let failed = super::run(&app, &["tell.python", &password, "fail=true"])?;
    assert_eq!(text(&failed, "/status"), "failed", "{failed}");
    ensure!(text(&failed, "/result/stderr").contains("ValueError: failed with ['********"));
    all.push_str(&shown(&app, text(&failed, "/id"))?);
    for stream in ["EVENTS", "LOG", "STATE", "SAMPLES"] {
        let exported = app.run(&["log", "export", stream])?;
        ensure!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
        let exported = String::from_utf8(exported.stdout)?;
        // What was passed on while it ran is there too, and goes on behind what was hidden.
        let is_live = exported.contains("printed") && exported.contains(MASK);
        // A ledger beside a nats-server does not keep samples.
        let is_kept = stream == "SAMPLES" && on == On::Embedded;
        ensure!(is_live || !is_kept, "nothing was passed on: {exported}");
        all.push_str(&exported);
    }
    ensure!(all.contains("printed ********"), "nothing was looked at");
    up.stop()?;
    let half = |text: &str| text.chars().take(text.len() / 2).collect::<String>();
    for hidden in &secrets {
        ensure!(!listed.contains(hidden), "{hidden} is in the process list");
        let at = all.find(&half(hidden)).map(|at| all.get(at.saturating_sub(300)..at + 40));
        ensure!(at.is_none(), "{hidden} is shown: {at:?}");
        ensure!(!up.said().contains(hidden), "{hidden} is in the server's log");
    }
    // The user's own file holds what the user wrote into it.
    std::fs::remove_dir_all(&configs)?;
    for hidden in &secrets {
        ensure!(!is_within(&app.data(), hidden)?, "{hidden} is in the data folder");
    }
    Ok(())
}

on_both!(no_secret_is_told_by_what_an_action_says);

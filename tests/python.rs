//! Python actions of a pack: what they get, what becomes of what they return, and how they end.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, is_running, on_both};

const WAIT: Duration = Duration::from_secs(30);

/// An action as packs of today write it: modern import, `lib`, configuration, status.
const LOOKUP: &str = r#"
import os
import sys

from st2common.runners.base_action import Action

import prices  # of actions/lib
import sibling  # beside this file

__all__ = ["LookupAction"]


class LookupAction(Action):
    def run(self, article, count=1):
        self.logger.info("looking up %s", article)
        print("on standard output")
        price = prices.of(article) * count
        return (price > 0, {
            "price": price,
            "shop": self.config["shop"],
            "token": self.config.get("token"),
            "limits": self.config["limits"],
            "sibling": sibling.NAME,
            "pack": os.environ["ST2_ACTION_PACK_NAME"],
            "execution": os.environ["ST2_ACTION_EXECUTION_ID"],
            "given": os.environ.get("GIVEN"),
            "run": os.environ["HEARKEN_RUN"].rpartition(":")[2],
            "stdin": sys.stdin.read(),
        })
"#;

/// An action as packs of the first years write it: the old import, a constructor of its own.
const WAYS: &str = r#"
import json
import os
import subprocess
import sys
import time

from st2actions.runners.pythonrunner import Action


class Odd(object):
    def __str__(self):
        return "an odd thing"


class Ways(Action):
    def __init__(self, config):
        super(Ways, self).__init__(config)
        self.calls = []

    def run(self, how, what=None):
        return getattr(self, "do_" + how)(what)

    def do_nothing(self, what):
        pass

    def do_list_of_two(self, what):
        return [False, "data"]

    def do_status(self, what):
        return ("yes", what)

    def do_odd(self, what):
        return Odd()

    def do_odd_pair(self, what):
        return (True, {"it": Odd()})

    def do_nan(self, what):
        return {"x": float("nan"), "big": 1 << 62, 5: None}

    def do_exit(self, what):
        print("leaving")
        sys.exit(int(what) if what.isdigit() else what)

    def do_raise(self, what):
        raise RuntimeError("broken: %s" % what)

    def do_config(self, what):
        return self.config["no_such_key"]

    def do_signal(self, what):
        os.kill(os.getpid(), 9)

    def do_flood(self, what):
        for _ in range(1024):
            sys.stdout.write("x" * 1023 + "\n")
        return "y" * (1 << 20)

    def do_sleep(self, what):
        subprocess.Popen(["sleep", what])
        print("asleep", flush=True)
        subprocess.call(["sh", "-c", "trap '' TERM; sleep %s; sleep %s" % (what, what)])

    def do_modules(self, what):
        command = [sys.executable, "-c", "import prices, st2common; print(1)"]
        child = subprocess.check_output(command)
        return {"child": child.decode().strip(), "json": json.loads("1"), "argv": len(sys.argv)}

    def do_threads(self, what):
        import atexit
        import threading
        atexit.register(lambda: print("at exit"))
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
        return os.getpid()

    def do_parent(self, what):
        with open("/proc/%d/cmdline" % os.getppid()) as file:
            return "serve" in file.read().split("\0")

    def do_surrogate(self, what):
        return "half \ud800 of a pair"

    def do_client(self, what):
        from st2client.client import Client
        from st2common.util import date, isotime, shell
        from st2common.content import utils
        code, out, err = shell.run_command("echo out; echo err >&2; exit 4", shell=True)
        when = isotime.format(date.parse("2014-03-04T05:06:07Z"), usec=False)
        own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        return {
            "keys": type(Client().keys).__name__, "shell": [code, out, err], "when": when,
            "own": utils.get_pack_base_path("shop") == own,
        }
"#;

fn shop(on: On) -> anyhow::Result<App> {
    let app = App::new(on)?;
    app.write("shop/pack.yaml", "name: shop\nversion: 1.0.0\n")?;
    app.write(
        "shop/actions/lookup.yaml",
        "
name: lookup
runner_type: python-script
entry_point: lookup.py
parameters:
  article: {type: string, required: true}
  count: {type: integer, default: 1}
",
    )?;
    app.write(
        "shop/actions/ways.yaml",
        "
name: ways
runner_type: run-python
entry_point: ways.py
parameters:
  how: {type: string, required: true}
  what: {}
",
    )?;
    app.write("shop/actions/lookup.py", LOOKUP)?;
    app.write("shop/actions/ways.py", WAYS)?;
    app.write("shop/actions/sibling.py", "NAME = 'sibling'\n")?;
    app.write("shop/actions/lib/prices.py", "def of(article):\n    return len(article)\n")?;
    app.write(
        "shop/config.schema.yaml",
        "
shop: {type: string, default: corner}
token: {type: string, secret: true}
limits: {type: object, properties: {retries: {type: integer, default: 3}}}
",
    )?;
    app.write("shop/config.yaml", "shop: own\n")?;
    Ok(app)
}

on_both!(
    an_action_gets_its_parameters_libraries_and_configuration,
    a_killed_server_leaves_nothing_behind_and_says_so,
);

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// Runs an action to its end, whatever that is.
fn run(app: &App, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = app.run(&[&["-o", "json", "run"], arguments].concat())?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// One of the ways: its state and its result.
fn way(app: &App, how: &str, what: &[&str]) -> anyhow::Result<(String, Value)> {
    let how = format!("how={how}");
    let execution = run(app, &[&["shop.ways", how.as_str()], what].concat())?;
    let result = execution.get("result").cloned().unwrap_or_default();
    Ok((text(&execution, "/status").to_owned(), result))
}

fn an_action_gets_its_parameters_libraries_and_configuration(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let _up = app.up()?;
    let configs = app.data().join("configs");
    std::fs::create_dir_all(&configs)?;
    std::fs::write(configs.join("shop.yaml"), "token: '{{ st2kv.system.no_such }}'\n")?;
    let execution =
        run(&app, &["shop.lookup", "article=apple", "count=2", r#"env={"GIVEN": "here"}"#])?;
    assert_eq!(text(&execution, "/status"), "succeeded", "{execution}");
    let expected = json!({
        "price": 10, "shop": "own", "token": "", "limits": {"retries": 3}, "sibling": "sibling",
        "pack": "shop", "execution": text(&execution, "/id"), "given": "here",
        "run": text(&execution, "/id"), "stdin": "",
    });
    assert_eq!(execution.pointer("/result/result"), Some(&expected));
    assert_eq!(text(&execution, "/result/stdout"), "on standard output\n");
    let logged = "actions.python.LookupAction: INFO looking up apple\n";
    assert_eq!(text(&execution, "/result/stderr"), logged);
    assert_eq!(execution.pointer("/result/exit_code"), Some(&json!(0)));

    // The status that it returns is the status that it has.
    let execution = run(&app, &["shop.lookup", "article="])?;
    assert_eq!(text(&execution, "/status"), "failed", "{execution}");
    assert_eq!(execution.pointer("/result/result/price"), Some(&json!(0)));
    // A change of the files is a change of what runs.
    app.write("shop/actions/lib/prices.py", "def of(article):\n    return 100\n")?;
    eventually("the change", WAIT, || {
        let execution = run(&app, &["shop.lookup", "article=apple"])?;
        let price = execution.pointer("/result/result/price").cloned();
        Ok((price == Some(json!(100))).then_some(()))
    })
}

#[test]
fn results_have_the_shape_that_packs_know() -> anyhow::Result<()> {
    let app = shop(On::Embedded)?;
    let _up = app.up()?;
    let rows: [(&str, &[&str], &str, i64, Value); 10] = [
        ("nothing", &[], "succeeded", 0, Value::Null),
        ("list_of_two", &[], "succeeded", 0, json!([false, "data"])),
        ("status", &[], "failed", 220, json!("None")),
        ("odd", &[], "succeeded", 0, json!("an odd thing")),
        ("nan", &[], "succeeded", 0, json!({"x": null, "big": 1_i64 << 62, "5": null})),
        ("exit", &["what=3"], "failed", 3, json!("None")),
        ("exit", &["what=0"], "succeeded", 0, json!("None")),
        ("raise", &["what=it"], "failed", 1, json!("None")),
        ("signal", &[], "failed", -9, json!("None")),
        ("surrogate", &[], "succeeded", 0, json!("half ? of a pair")),
    ];
    for (how, what, status, exit_code, result) in rows {
        let (found, whole) = way(&app, how, what)?;
        assert_eq!(found, status, "{how}: {whole}");
        assert_eq!(whole.get("exit_code"), Some(&json!(exit_code)), "{how}: {whole}");
        assert_eq!(whole.get("result"), Some(&result), "{how}: {whole}");
    }
    let (_, raised) = way(&app, "raise", &["what=it"])?;
    let trace = text(&raised, "/stderr");
    ensure!(trace.starts_with("Traceback (most recent call last):\n"), "{trace}");
    ensure!(trace.ends_with("\nRuntimeError: broken: it\n"), "{trace}");
    ensure!(!trace.contains("hearken_python"), "our own frames are shown: {trace}");
    let (_, raised) = way(&app, "config", &[])?;
    ensure!(text(&raised, "/stderr").contains("configs/shop.yaml"), "{raised}");
    let (_, pair) = way(&app, "odd_pair", &[])?;
    ensure!(text(&pair, "/result").starts_with("{'it': <"), "{pair}");
    let (_, left) = way(&app, "exit", &["what=it is over"])?;
    assert_eq!((text(&left, "/stderr"), text(&left, "/stdout")), ("it is over\n", "leaving\n"));
    assert_eq!(left.get("exit_code"), Some(&json!(1)));
    Ok(())
}

#[test]
fn an_action_finds_what_packs_import() -> anyhow::Result<()> {
    let app = shop(On::Embedded)?;
    let _up = app.up()?;
    let (_, found) = way(&app, "modules", &[])?;
    assert_eq!(found.get("result"), Some(&json!({"child": "1", "json": 1, "argv": 1})), "{found}");
    let (_, found) = way(&app, "client", &[])?;
    let expected = json!({
        "keys": "Keys", "shell": [4, "out\n", "err\n"], "when": "2014-03-04T05:06:07+00:00",
        "own": true,
    });
    assert_eq!(found.get("result"), Some(&expected), "{found}");
    let (_, found) = way(&app, "threads", &[])?;
    assert_eq!(text(&found, "/stdout"), "thread\nat exit\n", "{found}");
    // Prepared once and forked; started where the environment has to be heeded by the interpreter.
    let (_, forked) = way(&app, "parent", &[])?;
    assert_eq!(forked.get("result"), Some(&json!(true)), "{forked}");
    let (_, started) = way(&app, "parent", &[r#"env={"PYTHONHASHSEED": "1"}"#])?;
    assert_eq!(started.get("result"), Some(&json!(false)), "{started}");
    Ok(())
}

#[test]
fn floods_time_limits_and_cancellations_are_bounded() -> anyhow::Result<()> {
    let app = shop(On::Embedded)?;
    let _up = app.up()?;
    let execution = run(&app, &["shop.ways", "how=flood"])?;
    assert_eq!(text(&execution, "/status"), "succeeded");
    let shown = execution.get("result").cloned().unwrap_or_default();
    // Two megabytes are kept out of line.
    let bytes = shown.get("bytes").and_then(Value::as_u64).unwrap_or_default();
    let inline = text(&shown, "/stdout").len() as u64;
    ensure!(bytes > 2 << 20 || inline == 1 << 20, "{bytes} bytes out of line, {inline} inline");

    let seconds = format!("97{}", std::process::id());
    let sleeping = format!("sleep\0{seconds}");
    let what = format!("what={seconds}");
    let (status, timed) = way(&app, "sleep", &[&what, "timeout=1"])?;
    assert_eq!(status, "timeout", "{timed}");
    assert_eq!(timed.get("exit_code"), Some(&json!(-9)));
    assert_eq!(text(&timed, "/result"), "None");
    ensure!(text(&timed, "/error").contains("1 s"), "{timed}");
    ensure!(!is_running(&sleeping)?, "something is left of it");

    let asked = app.run(&["run", "shop.ways", "how=sleep", &what, "--async"])?;
    let id = String::from_utf8(asked.stdout)?.trim().to_owned();
    eventually("the child", WAIT, || Ok(is_running(&sleeping)?.then_some(())))?;
    ensure!(app.run(&["execution", "cancel", &id])?.status.success());
    app.execution("shop.ways", "canceled")?;
    ensure!(!is_running(&sleeping)?, "something is left of it");
    // The interpreter that it was forked from is as good as before.
    let (_, forked) = way(&app, "parent", &[])?;
    assert_eq!(forked.get("result"), Some(&json!(true)), "{forked}");
    Ok(())
}

fn a_killed_server_leaves_nothing_behind_and_says_so(on: On) -> anyhow::Result<()> {
    let app = shop(on)?;
    let mut up = app.up()?;
    let seconds = format!("96{}{}", on as u8, std::process::id());
    let (sleeping, what) = (format!("sleep\0{seconds}"), format!("what={seconds}"));
    app.run(&["run", "shop.ways", "how=sleep", &what, "--async"])?;
    eventually("the child", WAIT, || Ok(is_running(&sleeping)?.then_some(())))?;
    let serving = format!("serve\0{}", app.data().display());
    ensure!(is_running(&serving)?, "it was not forked");
    up.kill()?;
    // The prepared interpreter and what it forked end with the server.
    eventually("the end of all", WAIT, || Ok((!is_running(&serving)?).then_some(())))?;
    let _up = app.up()?;
    let abandoned = app.execution("shop.ways", "abandoned")?;
    ensure!(text(&abandoned, "/result/error").contains("nobody knows"), "{abandoned}");
    ensure!(!is_running(&sleeping)?, "an orphan is left");
    Ok(())
}

#[test]
fn without_an_interpreter_the_error_says_what_to_do() -> anyhow::Result<()> {
    let app = shop(On::Embedded)?;
    let bin = app.path("bin");
    std::fs::create_dir(&bin)?;
    let mut command = app.command();
    command.env("PATH", &bin).args(["up", "--listen", "127.0.0.1:0", "--gateway", "off"]);
    command.arg("--packs").arg(app.path("packs"));
    let mut server = command.stdout(std::process::Stdio::null()).spawn()?;
    let ran = eventually("the server", WAIT, || {
        let ran = app.run(&["-o", "json", "run", "shop.ways", "how=nothing"])?;
        Ok(serde_json::from_slice::<Value>(&ran.stdout).ok())
    });
    server.kill()?;
    server.wait()?;
    let ran = ran?;
    assert_eq!(text(&ran, "/status"), "failed");
    let error = text(&ran, "/result/error");
    ensure!(error.contains("3.9 or newer") && error.contains("PATH"), "{error}");
    Ok(())
}

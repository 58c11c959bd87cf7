//! Sensors of packs: both generations of Python classes and programs of any language; what they
//! tell, what becomes of them when they break, and what is seen of them.

#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what is not there")]

mod hour; // All kinds at once, for a while, and whatever can die is killed.
mod ticket; // What sensors show to the HTTP API.
mod trouble; // What sensors should not do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On, eventually, on_both};

/// The start of an interpreter and a lease that runs out are among what is waited for.
const WAIT: Duration = Duration::from_secs(60);

/// The sensor of the first documentation: a plain class, the function before the seconds, and three
/// methods that an indentation slip put outside of it.
const SENSOR1: &str = r"
import eventlet


class HelloSensor(object):
    def __init__(self, container_service, config=None):
        self._service = container_service
        self._config = config
        self._log = self._service.get_logger(self.__class__.__name__)
        self._runs = False

    def setup(self):
        pass

    def start(self):
        self._runs = True
        eventlet.spawn_after(self._fire, 10)

    def _fire(self):
        if self._runs:
            self._service.dispatch({'trigger': 'hello-st2.event1'}, {})
            eventlet.spawn_after(self._fire, 10)

    def stop(self):
        self._runs = False

    def get_trigger_types(self):
        return [{'name': 'event1', 'payload_schema': {'type': 'object', 'properties': {}}}]


# Methods that are required for programmable sensors.
def add_trigger(self, trigger):
    pass

def update_trigger(self, trigger):
    pass

def remove_trigger(self, trigger):
    pass
";

/// Counts by what it remembers: nothing may be missing however it ends.
const COUNTER: &str = r#"
from st2reactor.sensor.base import PollingSensor


class Counter(PollingSensor):
    def setup(self):
        self.set_poll_interval(0.2)

    def poll(self):
        number = int(self.sensor_service.get_value("number") or 0) + 1
        self.sensor_service.dispatch(
            trigger="watch.count", payload={"number": number, "step": self._config["step"]}
        )
        self.sensor_service.set_value("number", number)

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass
"#;

/// Waits by itself and serves the triggers that rules ask for.
const FILES: &str = r#"
import os
import time

from st2reactor.sensor.base import Sensor


class Files(Sensor):
    def __init__(self, sensor_service, config=None):
        super(Files, self).__init__(sensor_service=sensor_service, config=config)
        self._triggers = {}

    def setup(self):
        self.sensor_service.get_logger(__name__).info("set up")

    def run(self):
        while True:
            for reference, path in list(self._triggers.items()):
                self.sensor_service.dispatch(reference, {"path": path, "pid": os.getpid()})
            time.sleep(0.2)

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        self._triggers[trigger["ref"]] = trigger["parameters"]["path"]
        self.tell("added", trigger)

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        del self._triggers[trigger["ref"]]
        self.tell("removed", trigger)

    def tell(self, what, trigger):
        payload = {"what": what, "path": trigger["parameters"]["path"], "type": trigger["type"]}
        self.sensor_service.dispatch("watch.told", payload)
"#;

const FILES_METADATA: &str = "class_name: Files
entry_point: files.py
trigger_types:
  - name: file
    parameters_schema: {type: object, properties: {path: {type: string}}}
    payload_schema: {type: object}
";

/// A program: its configuration comes on standard input, events go to standard output.
const SHELL: &str = r#"#!/bin/sh
read -r start
case "$start" in *'"step":7'*) step=7 ;; *) step=none ;; esac
echo "no JSON"
while true; do
    printf '{"trigger": "%s", "payload": {"pid": %d, "step": "%s", "url": "%s"}}\n' \
        watch.shell $$ "$step" "$HEARKEN_URL"
    sleep 0.3
done
"#;

/// Tells what no sensor may tell, then something good, and ends.
const FORGER: &str = r#"
import os

from st2reactor.sensor.base import Sensor


class Forger(Sensor):
    def run(self):
        self.sensor_service.dispatch("hearken.definitions", {})
        self.sensor_service.dispatch("watch.odd", [1])
        self.sensor_service.dispatch("watch.long", {"text": "x" * (2 << 20)})
        self.sensor_service.dispatch("watch.good", {"text": "x" * 100000})
        os._exit(3)

    setup = cleanup = lambda self: None
    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None
"#;

/// Payloads of the events of a trigger, oldest first.
fn events(app: &App, trigger: &str) -> anyhow::Result<Vec<Value>> {
    let subject = format!("event.{trigger}");
    let shown = app.json(&["log", "show", "EVENTS", "--subject", &subject, "--limit", "1000"])?;
    let shown = shown.as_array().cloned().unwrap_or_default();
    Ok(shown.iter().filter_map(|entry| entry.get("body").cloned()).collect())
}

/// Waits until at least `count` events of a trigger satisfy `is_it`.
fn until(
    app: &App,
    trigger: &str,
    count: usize,
    is_it: impl Fn(&Value) -> bool,
) -> anyhow::Result<Vec<Value>> {
    eventually(&format!("{count} of {trigger}"), WAIT, || {
        let mut found = events(app, trigger)?;
        found.retain(&is_it);
        Ok((found.len() >= count).then_some(found))
    })
}

/// Waits until a sensor satisfies `is_it`, and shows it.
fn sensor(app: &App, name: &str, is_it: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    let found = eventually(&format!("the sensor {name}"), WAIT, || {
        last = app.json(&["sensor", "get", name])?;
        Ok(is_it(&last).then(|| last.clone()))
    });
    found.with_context(|| format!("{last}"))
}

fn running(app: &App, name: &str) -> anyhow::Result<u64> {
    let found = sensor(app, name, |sensor| sensor["status"] == "running")?;
    found["pid"].as_u64().context("a process id")
}

fn kill(pid: u64) -> anyhow::Result<()> {
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status()?;
    ensure!(killed.success(), "kill -9 {pid}");
    Ok(())
}

/// Whether a process lives; one that has ended and waits to be reaped does not.
fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn until_gone(pid: u64) -> anyhow::Result<()> {
    eventually(&format!("the end of {pid}"), WAIT, || Ok((!lives(pid)).then_some(())))
}

/// Gives a pack the virtual environment in which the test's libraries are.
fn with_libraries(app: &App, pack: &str) -> anyhow::Result<()> {
    let python = std::env::var("HEARKEN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let asked = std::process::Command::new(&python)
        .args(["-c", "import sys, eventlet; print(sys.prefix)"])
        .output()?;
    let errors = String::from_utf8_lossy(&asked.stderr).into_owned();
    ensure!(asked.status.success(), "eventlet is needed (tests/run installs it): {errors}");
    let prefix = PathBuf::from(String::from_utf8(asked.stdout)?.trim());
    let folder = app.data().join("virtualenvs").join(pack);
    std::fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(prefix, folder.join("current"))?;
    Ok(())
}

/// A pack with the sensors of this file, and its configuration.
fn watch(app: &App) -> anyhow::Result<()> {
    app.write("watch/pack.yaml", "name: watch\nversion: 1.0.0\n")?;
    std::fs::create_dir_all(app.data().join("configs"))?;
    std::fs::write(app.data().join("configs/watch.yaml"), "step: 7\n")?;
    Ok(())
}

on_both!(
    the_first_pack_of_the_documentation_works_as_typed,
    a_sensor_that_is_killed_goes_on_and_nothing_it_told_is_lost,
    rules_come_and_go_while_their_sensor_runs,
    a_crash_of_ours_leaves_no_sensor_behind,
);

fn the_first_pack_of_the_documentation_works_as_typed(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    with_libraries(&app, "hello-st2")?;
    let _up = app.up()?;
    for (file, content) in [
        ("sensors/sensor1.py", SENSOR1),
        (
            "actions/hello.json",
            r#"{
    "name": "hello",
    "runner_type": "run-local",
    "description": "Says hello.",
    "enabled": true,
    "entry_point": "hello.sh",
    "parameters": {}
}"#,
        ),
        // Without a first line and without the executable bit, as one types it.
        ("actions/hello.sh", "echo \"Hello st2!\"\n"),
        (
            "rules/rule1.json",
            r#"{
    "name": "rule1",
    "description": "Says hello when the sensor fires.",
    "trigger": {"type": "hello-st2.event1"},
    "action": {
        "ref": "hello-st2.hello",
        "parameters": {},
    },
    "enabled": true
}"#,
        ),
        ("config.yaml", ""),
        ("pack.yaml", ""),
    ] {
        app.write(&format!("hello-st2/{file}"), content)?;
    }
    let execution = app.execution("hello-st2.hello", "succeeded").or_else(|_| {
        // It fires every ten seconds, and an interpreter takes its time.
        app.execution("hello-st2.hello", "succeeded")
    })?;
    assert_eq!(execution["result"]["stdout"], "Hello st2!", "{execution}");
    let trigger = app.json(&["trigger", "get", "hello-st2.event1"])?;
    assert_eq!(trigger["payload_schema"]["type"], "object", "{trigger}");
    let listed = app.json(&["trigger", "list", "--pack", "hello-st2"])?;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let sensor = app.json(&["sensor", "get", "hello-st2.HelloSensor"])?;
    assert_eq!(sensor["trigger_types"], json!(["hello-st2.event1"]), "{sensor}");
    assert_eq!((&sensor["status"], &sensor["restarts"]), (&json!("running"), &json!(0)));
    Ok(())
}

fn a_sensor_that_is_killed_goes_on_and_nothing_it_told_is_lost(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    watch(&app)?;
    app.write("watch/sensors/counter.py", COUNTER)?;
    let metadata = "class_name: Counter\nentry_point: counter.py\npoll_interval: 4\n";
    app.write("watch/sensors/counter.yaml", metadata)?;
    let _up = app.up()?;
    for kills in 1..=2_u64 {
        let pid = running(&app, "watch.Counter")?;
        let told = events(&app, "watch.count")?.len();
        until(&app, "watch.count", told + 3, |_| true)?;
        kill(pid)?;
        let after = sensor(&app, "watch.Counter", |sensor| sensor["restarts"] == kills)?;
        assert_eq!(after["last_error"], "it was ended by signal 9", "{after}");
    }
    let told = events(&app, "watch.count")?.len();
    let told = until(&app, "watch.count", told + 3, |_| true)?;
    let mut last = 0;
    for event in told {
        let number = event["number"].as_i64().context("a number")?;
        // Killed between telling and remembering it tells again; it never skips.
        ensure!(number == last + 1 || number == last, "{number} after {last}");
        assert_eq!(event["step"], 7);
        last = number;
    }
    Ok(())
}

fn rules_come_and_go_while_their_sensor_runs(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    watch(&app)?;
    app.write("watch/sensors/files.py", FILES)?;
    app.write("watch/sensors/files.yaml", FILES_METADATA)?;
    let rule = |path: &str| {
        format!(
            "name: {path}\nenabled: true\n\
             trigger: {{type: watch.file, parameters: {{path: /{path}}}}}\n\
             action: {{ref: core.echo, parameters: {{message: '{path} {{{{ trigger.path }}}}'}}}}\n"
        )
    };
    app.write("first/rules/a.yaml", &rule("a"))?;
    let _up = app.up()?;
    let pid = running(&app, "watch.Files")?;
    let said = |wanted: &str| {
        eventually(wanted, WAIT, || {
            let done = app.executions(&["--action", "core.echo", "--status", "succeeded"])?;
            let hit = done.iter().any(|execution| execution["result"]["stdout"] == wanted);
            Ok(hit.then_some(()))
        })
    };
    said("a /a")?;
    app.write("second/rules/b.yaml", &rule("b"))?;
    said("b /b")?;
    std::fs::remove_dir_all(app.path("packs/first"))?;
    let told = until(&app, "watch.told", 3, |_| true)?;
    let words = |event: &Value| format!("{} {}", event["what"], event["path"]).replace('"', "");
    let told: Vec<String> = told.iter().map(words).collect();
    assert_eq!(told, ["added /a", "added /b", "removed /a"]);
    for execution in app.executions(&["--action", "core.echo"])? {
        let message = execution["parameters"]["message"].as_str().context("a message")?.to_owned();
        if message.starts_with("alive at ") {
            continue; // The bundled rule on a timer says so, where this takes more than 10 s.
        }
        ensure!(["a /a", "b /b"].contains(&message.as_str()), "{message}");
    }
    assert_eq!(running(&app, "watch.Files")?, pid, "it was started again for a rule of others");
    Ok(())
}

fn a_crash_of_ours_leaves_no_sensor_behind(on: On) -> anyhow::Result<()> {
    let app = App::new(on)?;
    watch(&app)?;
    app.write("watch/sensors/counter.py", COUNTER)?;
    let metadata = "class_name: Counter\nentry_point: counter.py\npoll_interval: 4\n";
    app.write("watch/sensors/counter.yaml", metadata)?;
    // Silent, so that it does not notice by itself that nobody reads any more.
    app.write("watch/sensors/silent.sh", "#!/bin/sh\nwhile true; do sleep 1000; done\n")?;
    let metadata = "class_name: Silent\nentry_point: silent.sh\n";
    app.write("watch/sensors/silent.yaml", metadata)?;
    let mut up = app.up()?;
    let (python, shell) = (running(&app, "watch.Counter")?, running(&app, "watch.Silent")?);
    up.kill()?;
    until_gone(python)?;
    ensure!(lives(shell), "this test shows nothing about what is left");
    let _up = app.up()?;
    until_gone(shell)?;
    let is_new = |old: u64| {
        move |sensor: &Value| {
            sensor["status"] == "running" && sensor["pid"].as_u64().is_some_and(|pid| pid != old)
        }
    };
    sensor(&app, "watch.Counter", is_new(python))?;
    sensor(&app, "watch.Silent", is_new(shell))?;
    let told = events(&app, "watch.count")?.len();
    until(&app, "watch.count", told + 2, |_| true)?;
    Ok(())
}

#[test]
fn one_bad_sensor_stops_no_other_and_says_why() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    watch(&app)?;
    app.write("watch/sensors/shell.sh", SHELL)?;
    app.write("watch/sensors/shell.yaml", "class_name: Shell\nentry_point: shell.sh\n")?;
    app.write("watch/sensors/broken.py", "import no_such_module\n")?;
    app.write("watch/sensors/broken.yaml", "class_name: Broken\nentry_point: broken.py\n")?;
    app.write("watch/sensors/absent.py", "class Other:\n    pass\n")?;
    app.write("watch/sensors/absent.yaml", "class_name: Absent\nentry_point: absent.py\n")?;
    app.write("watch/sensors/forger.py", FORGER)?;
    app.write("watch/sensors/forger.yaml", "class_name: Forger\nentry_point: forger.py\n")?;
    app.write(
        "watch/rules/spawn.yaml",
        "name: spawn\nenabled: true\ntrigger: {type: core.st2.sensor.process_spawn}\n\
         criteria: {trigger.object.id: {type: equals, pattern: Shell}}\n\
         action: {ref: core.echo, parameters: {message: 'spawned {{ trigger.object.pid }}'}}\n",
    )?;
    let _up = app.up()?;
    let told = until(&app, "watch.shell", 2, |_| true)?;
    assert_eq!(told[0]["step"], "7", "{}", told[0]);
    ensure!(told[0]["url"].as_str().is_some_and(|url| url.starts_with("http://")), "{}", told[0]);
    let errs = |text: &'static str| {
        move |sensor: &Value| {
            sensor["last_error"].as_str().is_some_and(|error| error.contains(text))
                && sensor["restarts"].as_u64() >= Some(2)
        }
    };
    sensor(&app, "watch.Broken", errs("ModuleNotFoundError: No module named 'no_such_module'"))?;
    sensor(&app, "watch.Absent", errs("has no class Absent; it has: Other"))?;
    sensor(&app, "watch.Forger", errs("it exited with 3"))?;
    let good = until(&app, "watch.good", 2, |_| true)?;
    assert_eq!(good[0]["text"].as_str().map(str::len), Some(100_000));
    assert_eq!(events(&app, "watch.odd")?.len() + events(&app, "watch.long")?.len(), 0);
    // What goes wrong while it runs is written with the next renewal of its lease.
    let shell = sensor(&app, "watch.Shell", |sensor| {
        let error = sensor["last_error"].as_str();
        error.is_some_and(|error| error.contains("a line is no JSON object"))
    })?;
    assert_eq!((&shell["status"], &shell["restarts"]), (&json!("running"), &json!(0)));
    let spawned = format!("spawned {}", shell["pid"]);
    eventually(&spawned, WAIT, || {
        let done = app.executions(&["--action", "core.echo", "--status", "succeeded"])?;
        Ok(done.iter().any(|execution| execution["result"]["stdout"] == spawned).then_some(()))
    })?;
    let table = String::from_utf8(app.run(&["sensor", "list", "--pack", "watch"])?.stdout)?;
    ensure!(table.starts_with("REF") && table.contains("ModuleNotFoundError"), "{table}");
    Ok(())
}

#[test]
fn sensors_follow_their_files() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    watch(&app)?;
    app.write("watch/sensors/shell.sh", SHELL)?;
    let metadata = "class_name: Shell\nentry_point: shell.sh\n";
    app.write("watch/sensors/shell.yaml", metadata)?;
    let _up = app.up()?;
    let first = running(&app, "watch.Shell")?;
    app.write("watch/sensors/shell.sh", &SHELL.replace("\"7\"", "x").replace("step=7", "step=8"))?;
    until(&app, "watch.shell", 1, |event| event["step"] == "8")?;
    ensure!(!lives(first), "the old one still runs beside the new one");
    let second = running(&app, "watch.Shell")?;
    app.write("watch/sensors/shell.yaml", &format!("{metadata}enabled: false\n"))?;
    sensor(&app, "watch.Shell", |sensor| sensor["status"] == "disabled")?;
    until_gone(second)?;
    app.write("watch/sensors/shell.yaml", metadata)?;
    let third = running(&app, "watch.Shell")?;
    std::fs::remove_dir_all(app.path("packs/watch"))?;
    until_gone(third)?;
    let listed = app.json(&["sensor", "list", "--pack", "watch"])?;
    assert_eq!(listed, json!([]));
    Ok(())
}

#[test]
fn no_sensor_outlives_an_orderly_end() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    watch(&app)?;
    app.write("watch/sensors/counter.py", COUNTER)?;
    let metadata = "class_name: Counter\nentry_point: counter.py\npoll_interval: 4\n";
    app.write("watch/sensors/counter.yaml", metadata)?;
    let mut up = app.up()?;
    let pid = running(&app, "watch.Counter")?;
    ensure!(Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(up.stop()?, Some(0), "{}", up.said());
    ensure!(!lives(pid), "it still runs");
    Ok(())
}

#[test]
fn one_replica_runs_a_sensor_and_another_takes_over() -> anyhow::Result<()> {
    let app = App::new(On::Nats)?;
    watch(&app)?;
    app.write("watch/sensors/shell.sh", SHELL)?;
    app.write("watch/sensors/shell.yaml", "class_name: Shell\nentry_point: shell.sh\n")?;
    let up = app.up()?;
    let first = running(&app, "watch.Shell")?;
    let mut second = app.serve("other", "sensors", &[])?;
    // The one that has the lease ends in good order, so the other need not wait for its end.
    let mut up = up;
    assert_eq!(up.stop()?, Some(0), "{}", up.said());
    ensure!(!lives(first), "it still runs");
    let _up = app.serve("data", "web,ledger", &[])?;
    let taken = running(&app, "watch.Shell")?;
    ensure!(taken != first && lives(taken), "{taken} {first}");
    assert_eq!(second.stop()?, Some(0), "{}", second.said());
    until_gone(taken)?;
    sensor(&app, "watch.Shell", |sensor| sensor["status"] == "unattended")?;
    Ok(())
}

//! Sensors that do what they should not: each is seen, none is lost, no neighbour suffers, and all
//! of them end when Hearken does.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{WAIT, lives, running, sensor, until, until_gone};
use crate::harness::{App, On, eventually};

/// Numbers that are told as fast as they can be.
const FLOOD: u64 = 5_000;

/// What the sensors in Python have in common.
const PLAIN: &str = r#"
import os
import time

from st2reactor.sensor.base import PollingSensor, Sensor


class Plain(Sensor):
    setup = run = cleanup = lambda self: None
    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None
"#;

/// A pack of a program for each name.
fn programs(app: &App, all: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, script) in all {
        let script = format!("#!/bin/sh\nread -r start\n{script}\n");
        app.write(&format!("odd/sensors/{name}.sh"), &script)?;
        let metadata = format!("class_name: {name}\nentry_point: {name}.sh\n");
        app.write(&format!("odd/sensors/{name}.yaml"), &metadata)?;
    }
    Ok(())
}

/// A class for each name.
fn classes(app: &App, all: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, class) in all {
        app.write(&format!("odd/sensors/{name}.py"), &format!("{PLAIN}\n{class}"))?;
        let metadata = format!("class_name: {name}\nentry_point: {name}.py\npoll_interval: 4\n");
        app.write(&format!("odd/sensors/{name}.yaml"), &metadata)?;
    }
    Ok(())
}

fn error(sensor: &Value) -> &str {
    sensor["last_error"].as_str().unwrap_or_default()
}

/// Waits until a sensor was started again so often, and says why in these words.
fn again(app: &App, name: &str, why: &str) -> anyhow::Result<()> {
    let is_so = |sensor: &Value| sensor["restarts"].as_u64() >= Some(2) && error(sensor) == why;
    sensor(app, name, is_so).map(drop)
}

#[test]
fn whatever_a_sensor_does_the_others_go_on_and_all_end() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let flood = format!(
        "seq {FLOOD} | sed 's/.*/{{\"trigger\": \"odd.flood\", \"payload\": {{\"n\": &}}}}/'\n\
         exec sleep 1000"
    );
    programs(
        &app,
        &[
            ("Flood", &flood),
            (
                "Huge",
                "head -c 3000000 /dev/zero | tr '\\0' x\necho\n\
                 echo '{\"trigger\": \"odd.after\"}'\nexec sleep 1000",
            ),
            ("Zero", "echo '{\"trigger\": \"odd.zero\"}'"),
            (
                "Parent",
                "sleep 1000 &\n\
                 printf '{\"trigger\": \"odd.child\", \"payload\": {\"pid\": %d}}\\n' $!\nexit 1",
            ),
        ],
    )?;
    classes(
        &app,
        &[
            (
                "Raising",
                "class Raising(PollingSensor):\n    def poll(self): raise OSError('no such host')\n\n    \
                 setup = cleanup = lambda self: None\n    \
                 add_trigger = update_trigger = remove_trigger = lambda self, trigger: None\n",
            ),
            (
                "Loud",
                "class Loud(Plain):\n    def run(self):\n        print('x' * 3000000)\n        \
                 self.sensor_service.dispatch('odd.loud', {'pid': os.getpid()})\n        \
                 time.sleep(1000)\n",
            ),
            ("Hanging", "class Hanging(Plain):\n    def setup(self):\n        time.sleep(1000)\n"),
            (
                "Stuck",
                "class Stuck(Plain):\n    def run(self):\n        time.sleep(1000)\n\n    \
                 def cleanup(self):\n        time.sleep(1000)\n",
            ),
        ],
    )?;
    let mut up = app.up()?;
    again(&app, "odd.Zero", "it ended by itself")?;
    again(&app, "odd.Parent", "it exited with 1")?;
    again(&app, "odd.Raising", "OSError: no such host")?;
    let zero = sensor(&app, "odd.Zero", |_| true)?;
    let restarts = usize::try_from(zero["restarts"].as_u64().context("a count")?)?;
    until(&app, "odd.zero", restarts, |_| true)?;
    for child in until(&app, "odd.child", 2, |_| true)?.iter().take(2) {
        until_gone(child["pid"].as_u64().context("a process")?)?;
    }
    sensor(&app, "odd.Huge", |sensor| error(sensor).contains("a line is longer than"))?;
    until(&app, "odd.after", 1, |_| true)?;
    until(&app, "odd.loud", 1, |_| true)?;
    let hanging = sensor(&app, "odd.Hanging", |sensor| {
        sensor["status"] == "starting" && sensor["pid"].is_u64()
    })?;
    ensure!(hanging["since"].is_string(), "{hanging}");
    all_of_the_flood(&app)?;
    let mut pids = vec![hanging["pid"].as_u64().context("a process")?];
    for name in ["odd.Flood", "odd.Huge", "odd.Loud", "odd.Stuck"] {
        pids.push(running(&app, name)?);
    }
    assert_eq!(up.stop()?, Some(0), "{}", up.said());
    ensure!(!pids.iter().any(|pid| lives(*pid)), "something still runs: {pids:?}");
    Ok(())
}

/// Every number once, in order.
fn all_of_the_flood(app: &App) -> anyhow::Result<()> {
    eventually("the whole flood", WAIT, || {
        let answer = app.run(&["log", "export", "EVENTS"])?;
        ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let mut numbers = Vec::new();
        for line in String::from_utf8(answer.stdout)?.lines() {
            let entry: Value = serde_json::from_str(line)?;
            if entry["subject"] == "hearken.event.odd.flood" {
                numbers.push(entry["body"]["n"].as_u64().context("a number")?);
            }
        }
        let is_all = numbers.len() >= usize::try_from(FLOOD)?;
        ensure!(!is_all || numbers.iter().copied().eq(1..=FLOOD), "{} numbers", numbers.len());
        Ok(is_all.then_some(()))
    })
}

#[test]
fn an_event_that_is_not_what_its_type_says_is_refused_and_told() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    classes(
        &app,
        &[(
            "Typed",
            "class Typed(Plain):\n    def run(self):\n        tell = self.sensor_service.dispatch\n        \
             tell('odd.typed', {'n': 'seven'}, trace_tag='bad')\n        \
             tell('odd.typed', {'n': 7}, trace_tag='order 7')\n        \
             tell('odd.list', [1])\n        time.sleep(1000)\n",
        )],
    )?;
    app.write(
        "odd/triggers/typed.yaml",
        "name: typed\npack: odd\npayload_schema:\n  type: object\n  properties:\n    \
         n: {type: integer, required: true}\n    unit: {type: string, default: pieces}\n",
    )?;
    let up = app.up()?;
    let told = until(&app, "odd.typed", 1, |_| true)?;
    assert_eq!(told, [serde_json::json!({"n": 7, "unit": "pieces"})]);
    sensor(&app, "odd.Typed", |sensor| {
        error(sensor) == "an event is dropped: the payload of an event is no mapping"
    })?;
    let said = up.said();
    let why = "odd.typed does not fit: payload.n: 'seven' is not of type 'integer'";
    ensure!(said.contains(why), "{said}");
    let shown = app.json(&["log", "show", "EVENTS", "--subject", "event.odd.typed"])?;
    ensure!(shown.to_string().contains("order 7"), "{shown}");
    Ok(())
}

/// Tells its step, its own process, and how long it has been told so.
const STEPPER: &str = r#"step=$(printf '%s' "$start" | sed 's/.*"step":"\([^"]*\)".*/\1/')
while true; do
    printf '{"trigger": "odd.step", "payload": {"step": "%s", "pid": %d}}\n' "$step" $$
    sleep 0.2
done"#;

#[test]
fn another_configuration_restarts_the_sensors_of_its_pack_once() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    programs(&app, &[("Stepper", STEPPER)])?;
    app.write("calm/sensors/calm.sh", "#!/bin/sh\nexec sleep 1000\n")?;
    app.write("calm/sensors/calm.yaml", "class_name: Calm\nentry_point: calm.sh\n")?;
    let configs = app.data().join("configs");
    std::fs::create_dir_all(&configs)?;
    let configure = |text: &str| std::fs::write(configs.join("odd.yaml"), text);
    let step = |step: &str| until(&app, "odd.step", 3, |event| event["step"] == step);
    configure("step: one\n")?;
    let _up = app.up()?;
    step("one")?;
    let calm = running(&app, "calm.Calm")?;
    configure("step: two\n")?;
    step("two")?;
    // From a file to a key, in one change of the file.
    app.run(&["kv", "set", "step", "three"])?;
    configure("step: '{{ st2kv.system.step }}'\n")?;
    step("three")?;
    app.run(&["kv", "set", "step", "four"])?;
    step("four")?;
    let stepper = running(&app, "odd.Stepper")?;
    configure("step: [four\n")?;
    sensor(&app, "odd.Stepper", |sensor| error(sensor).contains("the configuration "))?;
    configure("step: four # as before\n")?;
    let told = until(&app, "odd.step", 20, |event| event["step"] == "four")?;
    let pids: BTreeSet<u64> = told.iter().filter_map(|event| event["pid"].as_u64()).collect();
    assert_eq!(pids, BTreeSet::from([stepper]), "a configuration that is the same restarts nobody");
    let all = until(&app, "odd.step", 1, |_| true)?;
    let pids: BTreeSet<u64> = all.iter().filter_map(|event| event["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 4, "once for each configuration: {all:?}");
    let shown = sensor(&app, "odd.Stepper", |_| true)?;
    assert_eq!(shown["restarts"], 0, "{shown}");
    assert_eq!(running(&app, "calm.Calm")?, calm, "the configuration of another pack");
    // Nor does another content of that pack.
    app.write("odd/sensors/Stepper.sh", "#!/bin/sh\nexec sleep 1000\n")?;
    until_gone(stepper)?;
    assert_eq!(running(&app, "calm.Calm")?, calm, "the content of another pack");
    Ok(())
}

#[test]
fn a_sensor_is_taken_over_from_a_host_that_was_killed() -> anyhow::Result<()> {
    let app = App::new(On::Nats)?;
    let steps = "while true; do\n    printf '{\"trigger\": \"odd.step\", \"payload\": \
                 {\"pid\": %d}}\\n' $$\n    sleep 0.2\ndone";
    programs(&app, &[("Stepper", steps)])?;
    classes(
        &app,
        &[(
            "Beating",
            "class Beating(Plain):\n    def run(self):\n        while True:\n            \
             self.sensor_service.dispatch('odd.beat', {'pid': os.getpid()})\n            \
             time.sleep(0.2)\n",
        )],
    )?;
    let packs = app.path("packs").display().to_string();
    let front = ["--pack-source", "--packs", &packs, "--listen", "127.0.0.1:0"];
    let _front = app.serve("data", "web,ledger", &front)?;
    let mut first = app.serve("one", "sensors", &[])?;
    let names = ["odd.Stepper", "odd.Beating"];
    let before = names.map(|name| running(&app, name));
    let second = app.serve("two", "sensors", &[])?;
    first.kill()?;
    for (name, pid) in names.into_iter().zip(before) {
        let pid = pid?;
        let taken = sensor(&app, name, |sensor| {
            sensor["status"] == "running" && sensor["pid"].as_u64().is_some_and(|new| new != pid)
        })?;
        assert_eq!(taken["restarts"], 0, "nothing was wrong with it: {taken}");
        // The class notices by itself, the program when nobody reads what it prints.
        until_gone(pid)?;
    }
    for trigger in ["odd.step", "odd.beat"] {
        let told = until(&app, trigger, 1, |_| true)?;
        until(&app, trigger, told.len() + 3, |_| true)?;
    }
    ensure!(!second.said().contains("panicked"), "{}", second.said());
    Ok(())
}

#[test]
fn a_missing_library_is_told_with_the_way_to_have_it() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    app.write("odd/requirements.txt", "no_such_library\n")?;
    let class = "import no_such_library\n\n\nclass Broken(Plain):\n    def run(self):\n        \
                 time.sleep(1000)\n";
    classes(&app, &[("Broken", class)])?;
    app.write(
        "odd/actions/broken.yaml",
        "name: broken\nrunner_type: python-script\nentry_point: broken.py\n",
    )?;
    app.write("odd/actions/broken.py", "import no_such_library\n")?;
    let _up = app.up()?;
    let expected = "ModuleNotFoundError: No module named 'no_such_library'; the pack odd has no \
                    virtual environment on this host (try: hearken pack setup odd, or with the \
                    pack's folder where it is not installed)";
    sensor(&app, "odd.Broken", |sensor| error(sensor) == expected)?;
    app.run(&["run", "odd.broken"])?;
    let failed = app.execution("odd.broken", "failed")?;
    assert_eq!(failed["result"]["error"], expected, "{failed}");
    // It was found by the libraries that all packs share, once they are there.
    let base = app.data().join("virtualenvs/.base/current/bin");
    std::fs::create_dir_all(&base)?;
    let script = "#!/bin/sh\nPYTHONPATH=\"$PYTHONPATH:$(dirname \"$0\")\" exec python3 \"$@\"\n";
    for (file, content) in [("python", script), ("no_such_library.py", "")] {
        std::fs::write(base.join(file), content)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(base.join(file), mode)?;
    }
    sensor(&app, "odd.Broken", |sensor| sensor["status"] == "running").map(drop)
}

//! Sensors of every kind at work for a while, and whatever can die is killed meanwhile.
//!
//! Each sensor tells numbers and writes down, in files of its own, which number it has begun to
//! tell and which it knows to be stored. So what a sensor lost by its own end (begun, not known to
//! be stored) is told apart from what Hearken would have lost. A number is never told twice by
//! choice: after its end a sensor goes on with the next one.
//!
//! The short form takes a minute on each bus; `HEARKEN_SENSOR_HOUR=3600` makes it an hour. What was
//! counted is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{kill, lives, sensor, with_libraries};
use crate::harness::{App, On, Started, eventually, on_both};

/// The short form.
const SECONDS: u64 = 60;
/// Times at which something is killed.
const ROUNDS: u64 = 16;
/// Rounds in which all of Hearken is killed.
const OURS: [u64; 2] = [5, 10];
/// The round in which the bus is killed, where it is another process.
const BUS: u64 = 8;
/// How often what the passive sensor waits for happens.
const HAPPENS_EVERY: Duration = Duration::from_millis(900);
/// How long what was told may take to be done at the end, on a machine that does other things.
const SETTLE: Duration = Duration::from_secs(180);
/// Actions that run at a time at most: so many one kill of ours can leave unknown.
const CONCURRENCY: usize = 64;

/// The sensors, in the order in which they are killed.
const SENSORS: [&str; 4] = ["hour.Poller", "hour.Passive", "hour.Lanes", "hour.Bell"];
/// What they tell: each lane has numbers of its own.
const LANES: [&str; 5] = ["polled", "happened", "left", "right", "rang"];

/// What the sensors in Python have in common.
const TELLER: &str = r#"
import os


class Teller(object):
    """Tells the numbers of a lane, and writes down which."""

    def __init__(self, service, folder, lane):
        self.service, self.lane = service, lane
        path = os.path.join(folder, lane)
        self.begun = open(path + ".begun", "a+b", buffering=0)
        self.stored = open(path + ".stored", "ab", buffering=0)
        self.begun.seek(0)
        lines = self.begun.read().split()
        self.number = int(lines[-1]) if lines else 0

    def tell(self, trigger):
        self.number += 1
        self.begun.write(b"%d\n" % self.number)
        payload = {"lane": self.lane, "number": self.number}
        self.service.dispatch(trigger, payload, trace_tag="%s-%d" % (self.lane, self.number))
        self.stored.write(b"%d\n" % self.number)
"#;

const POLLER: &str = r#"
from st2reactor.sensor.base import PollingSensor
from teller import Teller


class Poller(PollingSensor):
    def setup(self):
        self.teller = Teller(self.sensor_service, self.config["folder"], "polled")
        self.set_poll_interval(0.9)

    def poll(self):
        self.teller.tell("hour.polled")

    cleanup = lambda self: None
    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None
"#;

/// Waits for lines of a file that somebody else writes: the number of a line is its own.
const PASSIVE: &str = r#"
import os
import time

from st2reactor.sensor.base import Sensor
from teller import Teller


class Passive(Sensor):
    def setup(self):
        self.teller = Teller(self.sensor_service, self.config["folder"], "happened")

    def run(self):
        with open(os.path.join(self.config["folder"], "source")) as source:
            for _ in range(self.teller.number):
                source.readline()
            while True:
                if source.readline():
                    self.teller.tell("hour.happened")
                else:
                    time.sleep(0.2)

    cleanup = lambda self: None
    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None
"#;

const LANES_OF_RULES: &str = r#"
import time

from st2reactor.sensor.base import Sensor
from teller import Teller


class Lanes(Sensor):
    def setup(self):
        self.tellers = {}

    def run(self):
        while True:
            for reference, teller in list(self.tellers.items()):
                teller.tell(reference)
            time.sleep(0.9)

    def add_trigger(self, trigger):
        lane = trigger["parameters"]["lane"]
        self.tellers[trigger["ref"]] = Teller(self.sensor_service, self.config["folder"], lane)

    def remove_trigger(self, trigger):
        del self.tellers[trigger["ref"]]

    cleanup = lambda self: None
    update_trigger = lambda self, trigger: None
"#;

const LANES_METADATA: &str = "class_name: Lanes
entry_point: lanes.py
trigger_types:
  - name: lane
    parameters_schema: {type: object, properties: {lane: {type: string}}}
    payload_schema: {type: object, properties: {number: {type: integer, required: true}}}
";

/// A program, which asks to be answered.
const BELL: &str = r#"#!/bin/sh
read -r start
lane=$(printf '%s' "$start" | sed 's/.*"folder":"\([^"]*\)".*/\1/')/rang
number=$(tail -n 1 "$lane.begun" 2> /dev/null)
number=${number:-0}
while true; do
    number=$((number + 1))
    echo "$number" >> "$lane.begun"
    printf '{"trigger": "hour.rang", "payload": {"lane": "rang", "number": %d}, "n": %d}\n' \
        "$number" "$number"
    while read -r answer; do
        case "$answer" in *refused*) exit 7 ;; *"\"stored\":$number}"*) break ;; esac
    done || exit 0
    [ -n "$answer" ] || exit 0
    echo "$number" >> "$lane.stored"
    sleep 0.9
done
"#;

const NOTE: &str = "name: note\nrunner_type: local-shell-script\nentry_point: note.sh\n\
    parameters: {lane: {type: string, position: 0}, number: {type: integer, position: 1}, \
    file: {type: string, position: 2}}\n";
/// One line a start, written by one small append.
const NOTE_SCRIPT: &str = "#!/bin/sh\necho \"$1 $2\" >> \"$3\"\n";

/// A number of a lane.
type Told = (String, u64);

on_both!(what_sensors_know_to_be_stored_is_done_once_whatever_is_killed);

fn what_sensors_know_to_be_stored_is_done_once_whatever_is_killed(on: On) -> anyhow::Result<()> {
    let seconds = std::env::var("HEARKEN_SENSOR_HOUR").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let mut app = installation(on)?;
    if on == On::Nats {
        // Cooperative threads there, those of the system here: sensors meet both.
        with_libraries(&app, "hour")?;
    }
    let mut up = app.up()?;
    let mut storm = Storm::default();
    for round in 0..ROUNDS {
        happen(&app, length / u32::try_from(ROUNDS)?)?;
        storm.strike(&mut app, &mut up, round)?;
    }
    for name in SENSORS {
        let shown = sensor(&app, name, |sensor| sensor["status"] == "running")?;
        let kills = storm.sensors.get(name).copied().unwrap_or_default();
        assert_eq!(shown["restarts"], kills, "{shown}");
        ensure!(kills >= 2, "{name} was killed {kills} times");
        assert_eq!(shown["last_error"], "it was ended by signal 9", "{shown}");
    }
    progress(&app)?;
    let executions = settled(&app)?;
    check(&app, &executions, storm.ours)?;
    let said = up.said();
    ensure!(!said.contains("an event is dropped"), "{said}");
    let (begun, stored) = (numbers(&app, "begun")?, numbers(&app, "stored")?);
    let by_themselves: Vec<_> = begun.difference(&stored).collect();
    let lost = by_themselves.iter().filter(|told| !executions.contains_key(**told)).count();
    let told = format!(
        "{on:?}, {length:?}: {} begun, {} known to be stored, {} executions; killed: {storm:?}; the \
         sensors themselves left {} numbers open, of which {lost} came to nothing",
        begun.len(),
        stored.len(),
        executions.len(),
        by_themselves.len(),
    );
    std::io::Write::write_all(&mut std::io::stderr(), (told + "\n").as_bytes())?;
    Ok(())
}

/// What was killed.
#[derive(Debug, Default)]
struct Storm {
    sensors: BTreeMap<&'static str, u64>,
    ours: usize,
    bus: usize,
}

impl Storm {
    /// Kills what it is the turn of, and sees it come back.
    fn strike(&mut self, app: &mut App, up: &mut Started, round: u64) -> anyhow::Result<()> {
        if OURS.contains(&round) {
            up.kill()?;
            *up = app.up()?;
            self.ours += 1;
            return Ok(());
        }
        if round == BUS
            && let Some(nats) = &mut app.nats
        {
            nats.restart()?;
            self.bus += 1;
            return Ok(());
        }
        let turn = usize::try_from(round)? % SENSORS.len();
        let name = SENSORS.get(turn).copied().context("a sensor")?;
        // After a crash of ours its state is what was written before, for a moment.
        let is_alive = |sensor: &Value| {
            sensor["status"] == "running" && sensor["pid"].as_u64().is_some_and(lives)
        };
        let found = sensor(app, name, is_alive)?;
        kill(found["pid"].as_u64().context("a process")?)?;
        let kills = self.sensors.entry(name).or_default();
        *kills += 1;
        let shown = sensor(app, name, |sensor| sensor["restarts"] == *kills)?;
        assert_eq!(shown["last_error"], "it was ended by signal 9", "{shown}");
        Ok(())
    }
}

fn installation(on: On) -> anyhow::Result<App> {
    let app = App::new(on)?;
    let folder = app.path("lanes");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("source"), "")?;
    std::fs::create_dir_all(app.data().join("configs"))?;
    let config = format!("folder: {}\n", folder.display());
    std::fs::write(app.data().join("configs/hour.yaml"), config)?;
    for (file, content) in [
        ("pack.yaml", "name: hour\nversion: 1.0.0\n"),
        ("actions/note.yaml", NOTE),
        ("actions/note.sh", NOTE_SCRIPT),
        ("sensors/teller.py", TELLER),
        ("sensors/poller.py", POLLER),
        ("sensors/poller.yaml", "class_name: Poller\nentry_point: poller.py\npoll_interval: 4\n"),
        ("sensors/passive.py", PASSIVE),
        ("sensors/passive.yaml", "class_name: Passive\nentry_point: passive.py\n"),
        ("sensors/lanes.py", LANES_OF_RULES),
        ("sensors/lanes.yaml", LANES_METADATA),
        ("sensors/bell.sh", BELL),
        ("sensors/bell.yaml", "class_name: Bell\nentry_point: bell.sh\n"),
    ] {
        app.write(&format!("hour/{file}"), content)?;
    }
    for lane in LANES {
        let trigger = match lane {
            "left" | "right" => format!("{{type: hour.lane, parameters: {{lane: {lane}}}}}"),
            _ => format!("{{type: hour.{lane}}}"),
        };
        let rule = format!(
            "name: {lane}\nenabled: true\ntrigger: {trigger}\naction:\n  ref: hour.note\n  \
             parameters: {{lane: '{{{{ trigger.lane }}}}', number: '{{{{ trigger.number }}}}', \
             file: '{}'}}\n",
            app.path("notes").display()
        );
        app.write(&format!("hour/rules/{lane}.yaml"), &rule)?;
    }
    Ok(app)
}

/// Lets time pass, in which things happen that the passive sensor waits for.
fn happen(app: &App, length: Duration) -> anyhow::Result<()> {
    let mut source = std::fs::File::options().append(true).open(app.path("lanes/source"))?;
    let end = Instant::now() + length;
    while Instant::now() < end {
        source.write_all(b"it happened\n")?;
        std::thread::sleep(HAPPENS_EVERY.min(length));
    }
    Ok(())
}

/// Waits until every lane has gone on: nobody is stuck after all that.
fn progress(app: &App) -> anyhow::Result<()> {
    happen(app, HAPPENS_EVERY)?;
    let last = |lane: &str| -> anyhow::Result<u64> {
        let told = numbers(app, "stored")?;
        Ok(told.iter().filter(|told| told.0 == lane).map(|told| told.1).max().unwrap_or_default())
    };
    for lane in LANES {
        let before = last(lane)?;
        happen(app, HAPPENS_EVERY)?;
        eventually(&format!("{lane} after {before}"), SETTLE, || {
            Ok((last(lane)? > before).then_some(()))
        })?;
    }
    Ok(())
}

/// Numbers of all lanes in the files of this ending.
fn numbers(app: &App, ending: &str) -> anyhow::Result<BTreeSet<Told>> {
    let mut found = BTreeSet::new();
    for lane in LANES {
        let path = app.path(&format!("lanes/{lane}.{ending}"));
        for line in std::fs::read_to_string(&path).unwrap_or_default().lines() {
            let told = (lane.to_owned(), line.parse().with_context(|| format!("{line:?}"))?);
            ensure!(found.insert(told.clone()), "{told:?} twice in {}", path.display());
        }
    }
    Ok(found)
}

/// The executions of what was told: by number its id and status, when all that the sensors knew to
/// be stored at the beginning of the wait has come to an end.
fn settled(app: &App) -> anyhow::Result<BTreeMap<Told, BTreeMap<String, String>>> {
    let stored = numbers(app, "stored")?;
    eventually("the end of every execution", SETTLE, || {
        let found = executions(app)?;
        let is_over = |told: &&Told| {
            let statuses = found.get(*told).into_iter().flatten();
            let over = statuses.filter(|(_, status)| {
                ["succeeded", "failed", "abandoned"].contains(&status.as_str())
            });
            over.count() > 0
        };
        let open: Vec<_> = stored.iter().filter(|told| !is_over(told)).take(5).collect();
        ensure!(open.is_empty(), "not done, for example: {open:?}");
        Ok(Some(found))
    })
}

fn executions(app: &App) -> anyhow::Result<BTreeMap<Told, BTreeMap<String, String>>> {
    let answer = app.run(&["log", "export", "LOG"])?;
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let mut found: BTreeMap<Told, BTreeMap<String, String>> = BTreeMap::new();
    for line in answer.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let entry: Value = serde_json::from_slice(line)?;
        let text = |at: &str| entry.pointer(at).and_then(Value::as_str).map(ToOwned::to_owned);
        let is_transition = text("/subject")
            .is_some_and(|subject| subject.starts_with("hearken.transition.execution."));
        if !is_transition || text("/body/request/action").as_deref() != Some("hour.note") {
            continue;
        }
        let given = &entry["body"]["request"]["parameters"];
        let lane = given["lane"].as_str().context("a lane")?.to_owned();
        let number = given["number"].as_u64().context("a number")?;
        let id = text("/body/request/execution").context("an id")?;
        let status = text("/body/status").context("a status")?;
        found.entry((lane, number)).or_default().insert(id, status);
    }
    Ok(found)
}

/// One execution each, started once at most, and nothing unknown but what a kill of ours explains.
fn check(
    app: &App,
    executions: &BTreeMap<Told, BTreeMap<String, String>>,
    kills: usize,
) -> anyhow::Result<()> {
    let begun = numbers(app, "begun")?;
    let mut abandoned = 0;
    let notes = std::fs::read_to_string(app.path("notes"))?;
    let mut noted = BTreeSet::new();
    for line in notes.lines() {
        ensure!(noted.insert(line.to_owned()), "{line} was done twice");
    }
    for (told, found) in executions {
        ensure!(begun.contains(told), "nobody told {told:?}");
        ensure!(found.len() == 1, "{told:?} is {found:?}");
        for status in found.values() {
            match status.as_str() {
                "abandoned" => abandoned += 1,
                "succeeded" => {
                    let line = format!("{} {}", told.0, told.1);
                    ensure!(noted.contains(&line), "{told:?} has succeeded and was not done");
                }
                "failed" => anyhow::bail!("{told:?} has failed"),
                // It was told after the wait for others began.
                _ => {}
            }
        }
    }
    ensure!(abandoned <= kills * CONCURRENCY, "{abandoned} of them are abandoned");
    Ok(())
}

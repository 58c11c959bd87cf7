//! What it costs to start a Python action, beside a bare process and a bare interpreter.
//!
//! A run is forked from an interpreter that was prepared for its pack, so four things are measured
//! in turn: that; the same action in an interpreter started for it; interpreters that do nothing or
//! only import; and `posix_spawn`. They go one at a time, because it is the time of a start that is
//! asked for. The forked run is put together here from what the runner is made of (the prepared
//! process, the modules, the message over the channel), without a bus; with the whole program
//! around it, it is the last candidate.
//!
//! Processor time is that of all processes of a candidate: of this one, which asks, of the prepared
//! interpreter, and of every run.

use std::ffi::OsString;
use std::os::unix::net::UnixStream as Pair;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hearken_kit::process::{self, Ending, Marker, Prepared, Running, Spawn, Stdin, environment};
use hearken_packs::python::{self, Layer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::chain;
use crate::figures::{Rounds, count, percentile, short};
use crate::machine::processor_of_tree;
use crate::packs::{self, Shape};
use crate::server::{Up, program};
use crate::table::{Goal, Line, say};

/// Rounds; each takes every candidate.
const ROUNDS: usize = 5;
/// Starts of what takes a millisecond or a few.
const STARTS: u64 = 400;
/// Starts of what takes ten milliseconds or more.
const SLOW_STARTS: u64 = 30;
/// Runs before those that count: the first one waits for an interpreter to be prepared.
const WARM: u64 = 20;
/// The bare process.
const PROGRAM: &str = "/bin/true";
/// An interpreter that is ready to do something: what the limit's table has imported.
const IMPORTS: &str = "import json, re, subprocess, smtplib, urllib.request, logging";
/// What StackStorm's wrapper took by what `posix_spawn` took, on one machine and in one round: it
/// is seldom installed where this runs.
const WRAPPER: f64 = 211.0;
/// Longer than preparing takes.
const PREPARE: Duration = Duration::from_secs(30);
/// Results that are not there by then never come.
const STUCK: Duration = Duration::from_secs(60);
/// Room for the markers of runs, as the runner leaves it.
const MARKER_BYTES: usize = 256;

/// One candidate in one round, in microseconds each.
#[derive(Clone, Copy, Debug)]
struct Cost {
    p50: f64,
    p99: f64,
    processor: f64,
}

/// What is measured, with a figure for each round.
#[derive(Debug, Default)]
struct Costs {
    bare: Vec<Cost>,
    empty: Vec<Cost>,
    importing: Vec<Cost>,
    own: Vec<Cost>,
    forked: Vec<Cost>,
    whole: Vec<Cost>,
}

/// The pack, and what runs it.
struct Means {
    program: PathBuf,
    layer: Layer,
    packs: TempDir,
    _data: TempDir,
}

/// Measures all candidates.
pub(crate) async fn measure() -> anyhow::Result<Vec<Line>> {
    let hearken = program()?;
    let data = tempfile::tempdir()?;
    let marker = Marker::new("bench", "find").context("a marker")?;
    let means = Means {
        program: python::find(&environment::path(), &marker).await?.program,
        layer: python::unpack(data.path())?,
        packs: packs::folder(Shape::Plain, 1, "answer")?,
        _data: data,
    };
    say(&format!("the interpreter is {}", means.program.display()));
    let mut costs = Costs::default();
    for round in 0..ROUNDS {
        let interpreter = |code: &str| {
            let mut command = Command::new(&means.program);
            command.args(["-c", code]);
            command
        };
        costs.bare.push(spawned(STARTS, || Command::new(PROGRAM))?);
        costs.empty.push(spawned(SLOW_STARTS, || interpreter("pass"))?);
        costs.importing.push(spawned(SLOW_STARTS, || interpreter(IMPORTS))?);
        costs.own.push(means.started().await?);
        costs.forked.push(means.forked().await?);
        costs.whole.push(whole(&hearken, means.packs.path()).await?);
        say(&format!("round {round}: {:?}", costs.last()));
    }
    Ok(costs.lines())
}

impl Costs {
    fn last(&self) -> Vec<Option<&Cost>> {
        let all = [&self.bare, &self.empty, &self.importing, &self.own, &self.forked, &self.whole];
        all.into_iter().map(|costs| costs.last()).collect()
    }

    fn lines(&self) -> Vec<Line> {
        let forked = line("a forked run, against posix_spawn", &self.forked, &self.bare);
        let empty = line("the same, against `python3 -c pass`", &self.forked, &self.empty);
        let wrapper = WRAPPER / dearer(&self.forked, &self.bare);
        let importing =
            line("the same, against an interpreter that imports", &self.forked, &self.importing);
        let own = line("an interpreter for one run, against posix_spawn", &self.own, &self.bare);
        let whole = line(
            "from its event to its result stored, against posix_spawn",
            &self.whole,
            &self.bare,
        );
        let p50 = Rounds::of(&self.forked, |cost| cost.p50 / 1e3).median();
        vec![
            Line {
                goals: vec![
                    (Goal::AtMost(2.0), dearer(&self.forked, &self.bare)),
                    (Goal::AtMost(3.0), p50),
                ],
                ..forked
            },
            Line { goals: vec![(Goal::AtMost(0.2), dearer(&self.forked, &self.empty))], ..empty },
            importing,
            Line {
                what: format!("the same, against StackStorm's wrapper as {WRAPPER} x posix_spawn"),
                measured: "-".to_owned(),
                baseline: "-".to_owned(),
                ratio: format!("{} x cheaper", short(wrapper)),
                goals: vec![(Goal::AtLeast(100.0), wrapper)],
            },
            own,
            whole,
        ]
    }
}

/// The median over the rounds of what one takes of the processor by what the other takes.
fn dearer(one: &[Cost], other: &[Cost]) -> f64 {
    let processor = |costs: &[Cost]| Rounds::of(costs, |cost| cost.processor);
    processor(one).by(&processor(other)).median()
}

fn line(what: &str, costs: &[Cost], baseline: &[Cost]) -> Line {
    let p50 = |costs: &[Cost]| Rounds::of(costs, |cost| cost.p50);
    let processor = |costs: &[Cost]| Rounds::of(costs, |cost| cost.processor);
    let told = |costs: &[Cost]| {
        let p99 = Rounds::of(costs, |cost| cost.p99);
        format!("{}, {p99}, {}", p50(costs), processor(costs).with("us"))
    };
    Line {
        what: format!("{what}: p50, p99, CPU each"),
        measured: told(costs),
        baseline: told(baseline),
        ratio: format!(
            "p50 {}, CPU {}",
            p50(costs).by(&p50(baseline)),
            processor(costs).by(&processor(baseline))
        ),
        goals: vec![],
    }
}

/// What `starts` starts took each, given how long each of them took.
fn cost(micros: &[f64], processor: f64) -> Cost {
    Cost {
        p50: percentile(micros, 0.5),
        p99: percentile(micros, 0.99),
        processor: processor * 1e6 / count(micros.len() as u64),
    }
}

fn since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6
}

/// Starts a program so many times, one after another, and waits for it. The standard library uses
/// `posix_spawn` where nothing speaks against it.
fn spawned(starts: u64, command: impl Fn() -> Command) -> anyhow::Result<Cost> {
    let before = processor_of_tree(std::process::id())?;
    let mut micros = Vec::new();
    for _start in 0..starts {
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        ensure!(command.status()?.success(), "{command:?} failed");
        micros.push(since(begin));
    }
    Ok(cost(&micros, processor_of_tree(std::process::id())? - before))
}

impl Means {
    fn folder(&self) -> PathBuf {
        self.packs.path().join("bench")
    }

    /// What both ways of running have in common.
    fn spawn(&self, marker: &str, verb: &str) -> anyhow::Result<Spawn> {
        let marker = Marker::new("bench", marker).context("a marker")?;
        let mut spawn = Spawn::new(self.program.as_os_str(), marker);
        spawn.arguments = vec!["-u".into(), self.layer.program().into(), verb.into()];
        spawn.environment = inherited();
        Ok(spawn)
    }

    /// An interpreter for each run: what is done where none can be prepared.
    async fn started(&self) -> anyhow::Result<Cost> {
        let before = processor_of_tree(std::process::id())?;
        let mut micros = Vec::new();
        for number in 0..SLOW_STARTS {
            let spawn = self.spawn(&number.to_string(), "run")?;
            let begin = Instant::now();
            self.run(spawn, async |spawn| Ok(process::start(&spawn).await?)).await?;
            micros.push(since(begin));
        }
        Ok(cost(&micros, processor_of_tree(std::process::id())? - before))
    }

    /// Forks of a prepared interpreter.
    async fn forked(&self) -> anyhow::Result<Cost> {
        let mut preparation = self.spawn(&format!("{:.<MARKER_BYTES$}", "prepared"), "serve")?;
        preparation.arguments.push(self.folder().into());
        preparation.timeout = PREPARE;
        let prepared = Prepared::start(&preparation).await?;
        let mut micros = Vec::new();
        let mut before = 0.0;
        for number in 0..STARTS + WARM {
            if number == WARM {
                before = processor_of_tree(std::process::id())?;
            }
            let spawn = self.spawn(&number.to_string(), "run")?;
            let begin = Instant::now();
            self.run(spawn, async |spawn| Ok(prepared.fork(&spawn).await?)).await?;
            if number >= WARM {
                micros.push(since(begin));
            }
        }
        Ok(cost(&micros, processor_of_tree(std::process::id())? - before))
    }

    /// One run, from the socket that is made for it until its process has ended.
    async fn run(
        &self,
        mut spawn: Spawn,
        start: impl AsyncFnOnce(Spawn) -> anyhow::Result<Running>,
    ) -> anyhow::Result<()> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        let mut channel = UnixStream::from_std(ours)?;
        spawn.stdin = Stdin::Given(Arc::new(theirs.into()));
        let wanted = self.wanted()?;
        let running = start(spawn).await?;
        let exchange = async {
            channel.write_u64(wanted.len() as u64).await?;
            channel.write_all(&wanted).await?;
            let mut answer = vec![0; usize::try_from(channel.read_u64().await?)?];
            channel.read_exact(&mut answer).await?;
            let answer: Value = serde_json::from_slice(&answer)?;
            ensure!(answer.get("result") == Some(&json!(42)), "the answer is {answer}");
            Ok(())
        };
        let (outcome, answered) =
            tokio::join!(running.finish(std::future::pending(), None), exchange);
        let printed = String::from_utf8_lossy(&outcome.stderr.bytes).into_owned();
        ensure!(matches!(outcome.ending, Ending::Exited(0)), "{:?}: {printed}", outcome.ending);
        answered.context(printed)
    }

    /// What a run is told, as the runner tells it.
    fn wanted(&self) -> anyhow::Result<Vec<u8>> {
        let own = [
            ("PYTHONPATH", self.layer.modules().display().to_string()),
            ("ST2_ACTION_PACK_NAME", "bench".to_owned()),
            ("ST2_ACTION_EXECUTION_ID", "65a1b2c3d4e5f60718293a4b".to_owned()),
            ("ST2_ACTION_API_URL", "http://127.0.0.1:9101/v1".to_owned()),
            ("ST2_API_URL", "http://127.0.0.1:9101/v1".to_owned()),
            ("ST2_ACTION_AUTH_TOKEN", "a".repeat(80)),
            ("ST2_AUTH_TOKEN", "a".repeat(80)),
        ];
        let inherited = inherited().into_iter().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let environment: serde_json::Map<String, Value> =
            inherited.chain(own).map(|(name, value)| (name, value.into())).collect();
        let wanted = json!({
            "pack": "bench",
            "folder": self.folder(),
            "file": self.folder().join("actions/answer.py"),
            "parameters": {},
            "config": {},
            "log_level": "DEBUG",
            "environment": environment,
            "working_folder": self.packs.path(),
            "python_path": [],
        });
        Ok(serde_json::to_vec(&wanted)?)
    }
}

fn inherited() -> Vec<(OsString, OsString)> {
    environment::inherited(environment::USUAL.into_iter().chain(environment::NETWORK))
}

/// The same action asked for by events, one after another, through the whole program.
async fn whole(hearken: &Path, packs: &Path) -> anyhow::Result<Cost> {
    let up = Up::start(hearken, Some(packs))?;
    let pid = up.running.pid();
    let passed = tokio::time::timeout(STUCK, async {
        chain::burst(&up, WARM).await?;
        let before = processor_of_tree(pid)?;
        let micros = chain::one_by_one(&up, STARTS).await?;
        Ok(cost(&micros, processor_of_tree(pid)? - before))
    });
    passed.await.context("results stopped coming")?
}

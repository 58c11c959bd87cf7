//! ansible-rulebook, where there is one: the same events and rules, in its own process.
//!
//! Its events come from a source plugin inside it, so nothing is stored and nothing is on a wire,
//! while every event here goes through two streams on a disk: the comparison flatters it. It needs
//! Java and a gigabyte of packages; so the row is left out unless [`PROGRAM`] says where it is.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::figures::{Rounds, count};
use crate::machine::field;
use crate::place::On;
use crate::table::{Goal, Line, say};
use crate::throughput;

/// Names its executable.
const PROGRAM: &str = "HEARKEN_BENCH_RULEBOOK";
/// Rounds; each takes both.
const ROUNDS: usize = 3;
/// Numbers of rules. A thousand take it half a minute to load.
const SIZES: [u64; 3] = [1, 100, 1000];
/// Events of a measurement: some seconds of work for it.
const EVENTS: u64 = 10_000;
/// How often is looked whether it has ended, and how large it is.
const LOOK: Duration = Duration::from_millis(20);
/// It is ended then.
const STUCK: Duration = Duration::from_secs(180);

/// The source of events: those of this benchmark, without a pause.
const SOURCE: &str = r#"import asyncio
import pathlib

NOTE = "the parcel of this order has not left the warehouse, the customer was told on the second day"


async def main(queue, args):
    pathlib.Path(args["began"]).touch()
    for number in range(args["events"]):
        await queue.put({
            "order": number,
            "amount": 101 + number % 900,
            "state": f"state-{number % args['rules']:05}",
            "customer": f"customer-{number % 100000:06}",
            "country": "fr",
            "note": NOTE,
        })
        if number % 100 == 99:
            await asyncio.sleep(0)
"#;

/// Events a second, and MiB at its largest.
type Run = (f64, f64);

/// Measures it beside the rule service, or says how it could be.
pub(crate) async fn measure() -> anyhow::Result<Vec<Line>> {
    let Some(program) = std::env::var_os(PROGRAM) else {
        say(&format!("left out: {PROGRAM} does not name an ansible-rulebook"));
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for size in SIZES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            theirs.push(one(Path::new(&program), size)?);
            ours.push(throughput::hits(On::Embedded, size).await?);
            say(&format!(
                "round {round}: {size} rules: {:?}, ours {:?}",
                theirs.last(),
                ours.last()
            ));
        }
        let speed = Rounds(ours);
        let (other, resident) =
            (Rounds::of(&theirs, |run| run.0), Rounds::of(&theirs, |run| run.1));
        let faster = speed.by(&other);
        let goal = (size == 1000).then(|| (Goal::AtLeast(40.0), faster.median()));
        lines.push(Line {
            what: format!("hit, {size} rules: events/s, embedded, against ansible-rulebook"),
            measured: speed.to_string(),
            baseline: format!("{other}, RSS {}", resident.with("MiB")),
            ratio: faster.to_string(),
            goals: Vec::from_iter(goal),
        });
    }
    Ok(lines)
}

/// One run of it: from its first event until it has ended.
fn one(program: &Path, rules: u64) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let (sources, began) = (folder.path().join("sources"), folder.path().join("began"));
    std::fs::create_dir(&sources)?;
    std::fs::write(sources.join("bench.py"), SOURCE)?;
    let rulebook = folder.path().join("rulebook.yml");
    std::fs::write(&rulebook, text(rules, &began))?;
    let mut command = Command::new(program);
    command.arg("--rulebook").arg(&rulebook).arg("--source-dir").arg(&sources);
    command.arg("--skip-audit-events").current_dir(folder.path());
    // It asks its neighbours for what it needs.
    let beside = program.parent().unwrap_or(Path::new("")).to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(beside).chain(std::env::split_paths(&path)))?;
    command.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().context("ansible-rulebook")?;
    let resident = wait(&mut child);
    if resident.is_err() {
        child.kill().unwrap_or(());
        drop(child.wait());
    }
    let took = std::fs::metadata(&began).context("it sent no event")?.modified()?.elapsed()?;
    Ok((count(EVENTS) / took.as_secs_f64(), resident?))
}

/// Waits for its end; answers how large it was.
fn wait(child: &mut Child) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let mut resident: f64 = 0.0;
    while begin.elapsed() < STUCK {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "ansible-rulebook: {status}");
            return Ok(resident / 1024.0);
        }
        // It may end between the two.
        resident = resident.max(field(child.id(), "status", "VmHWM").unwrap_or(0.0));
        std::thread::sleep(LOOK);
    }
    bail!("ansible-rulebook does not end")
}

fn text(rules: u64, began: &Path) -> String {
    let head = format!(
        "- name: bench\n  hosts: all\n  gather_facts: false\n  sources:\n    - bench:\n        \
         events: {EVENTS}\n        rules: {rules}\n        began: {}\n  rules:\n",
        began.display(),
    );
    let rule = |rule| {
        format!(
            "    - name: r{rule}\n      condition: event.state == \"state-{rule:05}\" and \
             event.amount > 100\n      action:\n        none: {{}}\n"
        )
    };
    std::iter::once(head).chain((0..rules).map(rule)).collect()
}

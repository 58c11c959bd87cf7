//! What it costs to run an action, beside a bare process: `posix_spawn` and wait, of the same
//! program.
//!
//! Once the way every program is started here, with its output captured; once the whole program
//! from outside, rule, request, claim and result included.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hearken_kit::process::{Ending, Marker, Spawn, run};

use crate::chain;
use crate::figures::{Rounds, count};
use crate::machine::processor_and_children_of;
use crate::packs::{self, Shape};
use crate::server::{Up, program};
use crate::table::{Goal, Line, say};

/// Rounds; each takes every candidate.
const ROUNDS: usize = 3;
/// Processes of a measurement: a second or two of work.
const PROCESSES: u64 = 1500;
/// At a time: one for each core of a small machine, as the limit was measured.
const WORKERS: u64 = 2;
/// The program that is run.
const PROGRAM: &str = "/bin/true";
/// Results that are not there by then never come.
const STUCK: Duration = Duration::from_secs(60);

/// Processes a second, and microseconds of all processors for each, children included.
type Run = (f64, f64);

/// Measures all candidates.
pub(crate) async fn measure() -> anyhow::Result<Vec<Line>> {
    let hearken = program()?;
    let packs = packs::folder(Shape::Plain, 1, "script")?;
    let (mut bare, mut kit, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(own(async { tokio::task::spawn_blocking(spawn_all).await? }).await?);
        kit.push(own(run_all()).await?);
        let up = Up::start(&hearken, Some(packs.path()))?;
        let pid = up.running.pid();
        let (before, begin) = (processor_and_children_of(pid)?, Instant::now());
        let passed = tokio::time::timeout(STUCK, chain::burst(&up, PROCESSES)).await;
        passed.context("results stopped coming")??;
        let wall = begin.elapsed().as_secs_f64();
        whole.push(figures(wall, processor_and_children_of(pid)? - before));
        say(&format!(
            "round {round}: bare {:?}, kit {:?}, whole {:?}",
            bare.last(),
            kit.last(),
            whole.last()
        ));
    }
    let line = |what: &str, runs: &[Run], bound| {
        let speed = |runs: &[Run]| Rounds::of(runs, |run| run.0);
        let dear = |runs: &[Run]| Rounds::of(runs, |run| run.1);
        let told = |runs: &[Run]| format!("{}/s, {}", speed(runs), dear(runs).with("us"));
        let (faster, dearer) = (speed(runs).by(&speed(&bare)), dear(runs).by(&dear(&bare)));
        Line {
            what: format!("{what}: runs/s, CPU per run, against posix_spawn"),
            measured: told(runs),
            baseline: told(&bare),
            ratio: format!("{faster}, {dearer}"),
            goals: vec![(Goal::AtMost(bound), dearer.median())],
        }
    };
    Ok(vec![
        line("a program, output captured", &kit, 1.15),
        line("an action, from its event to its result stored", &whole, 1.2),
    ])
}

fn figures(wall: f64, processor: f64) -> Run {
    (count(PROCESSES) / wall, processor * 1e6 / count(PROCESSES))
}

/// What `work` takes of this process and its children.
async fn own(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Run> {
    let pid = std::process::id();
    let (before, begin) = (processor_and_children_of(pid)?, Instant::now());
    work.await?;
    Ok(figures(begin.elapsed().as_secs_f64(), processor_and_children_of(pid)? - before))
}

/// The limit. The standard library uses `posix_spawn` where nothing speaks against it.
fn spawn_all() -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_worker| {
                scope.spawn(|| -> anyhow::Result<()> {
                    for _process in 0..PROCESSES / WORKERS {
                        let mut command = Command::new(PROGRAM);
                        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                        anyhow::ensure!(command.status()?.success(), "{PROGRAM} failed");
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_panic| anyhow::anyhow!("a worker broke"))??;
        }
        Ok(())
    })
}

/// The way of the product.
async fn run_all() -> anyhow::Result<()> {
    let marker = Marker::new("bench", "start").context("a marker")?;
    let spawn = Spawn::new(PROGRAM, marker);
    let worker = || async {
        for _process in 0..PROCESSES / WORKERS {
            let outcome = run(&spawn, std::future::pending(), None).await;
            anyhow::ensure!(matches!(outcome.ending, Ending::Exited(0)), "{:?}", outcome.ending);
        }
        Ok(())
    };
    tokio::try_join!(worker(), worker()).map(|((), ())| ())
}

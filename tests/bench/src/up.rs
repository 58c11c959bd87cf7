//! The whole, alone on a machine: how fast it is there, and what it takes while nothing happens.

use std::time::Duration;

use crate::figures::Rounds;
use crate::machine::{field, processor_of};
use crate::server::{Up, program};
use crate::table::{Goal, Line};

/// Starts that are measured.
const STARTS: usize = 5;
/// What a start left to be done is done by then.
const REST: Duration = Duration::from_secs(10);

/// From exec until the listener takes connections, with the bundled packs.
pub(crate) fn start() -> anyhow::Result<Vec<Line>> {
    let program = program()?;
    let mut millis = Rounds::default();
    for _start in 0..STARTS {
        millis.0.push(Up::start(&program, None)?.started_in.as_secs_f64() * 1e3);
    }
    Ok(vec![Line {
        what: "exec to listening, bundled packs, durability flush".to_owned(),
        measured: millis.with("ms"),
        baseline: "-".to_owned(),
        ratio: "-".to_owned(),
        goals: vec![],
    }])
}

/// Memory and threads at rest.
pub(crate) fn rest() -> anyhow::Result<Vec<Line>> {
    let up = Up::start(&program()?, None)?;
    let pid = up.running.pid();
    std::thread::sleep(REST);
    let before = processor_of(pid)?;
    std::thread::sleep(REST);
    let share = (processor_of(pid)? - before) / REST.as_secs_f64() * 100.0;
    let resident = field(pid, "status", "VmRSS")? / 1024.0;
    let proportional = field(pid, "smaps_rollup", "Pss")? / 1024.0;
    let threads = field(pid, "status", "Threads")?;
    let line = |what: &str, measured: String, goal| Line {
        what: what.to_owned(),
        measured,
        baseline: "-".to_owned(),
        ratio: "-".to_owned(),
        goals: vec![goal],
    };
    Ok(vec![
        line(
            "`hearken up` at rest: RSS",
            format!("{resident:.1} MiB, PSS {proportional:.1} MiB, {threads} threads"),
            (Goal::AtMost(40.0), resident),
        ),
        line(
            "`hearken up` at rest: share of a core",
            format!("{share:.2} %"),
            (Goal::AtMost(1.0), share),
        ),
    ])
}

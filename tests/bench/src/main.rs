//! Benchmarks: what Hearken does, beside a bare program that does only what cannot be left out.
//!
//! Speeds of a shared machine swing by a factor of two within minutes, so nothing here is compared
//! with a figure of another run: every round takes the baseline and the product in turn, and what
//! counts is the ratio inside one round. Nothing is asserted; the table says what was measured and
//! whether a goal is met.
//!
//! `cargo run --release -p hearken-bench [-- ROW...]`

mod chain; // Event to result, with a process started.
mod figures; // Medians, ranges, percentiles, and how numbers are written.
mod latency; // Event to request, at a low rate.
mod loading; // Ten thousand rules: time and memory.
mod machine; // Clocks of the processor, folders, other processes.
mod packs; // The pack that is measured.
mod place; // A bus with nothing on it, of either kind.
mod python; // A Python action, beside a bare process and a bare interpreter.
mod raw; // The baselines on a bus: consume, publish, acknowledge.
mod rulebook; // ansible-rulebook, where it is installed.
mod server; // `hearken up` and nats-server as processes.
mod starting; // A process, and an action, beside a bare process.
mod stores; // The log, sled and a plain file under one face.
mod storing; // Append and scan.
mod table; // What is printed.
mod throughput; // A backlog of events through the rule service.
mod up; // Start and rest of the whole.

use std::process::Command;

use anyhow::{bail, ensure};

use crate::place::On;
use crate::table::Line;

/// Threads that run tasks, as in `hearken up`.
const WORKERS: usize = 2;

/// Set for the process that measures one row.
const PART: &str = "HEARKEN_BENCH_PART";

/// Every row, in the order of the table.
const ROWS: [&str; 12] = [
    "rules-embedded",
    "rules-nats",
    "rulebook",
    "latency-embedded",
    "latency-nats",
    "chain",
    "action",
    "python",
    "log",
    "loading",
    "start",
    "memory",
];

fn main() -> anyhow::Result<()> {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(stranger) = wanted.iter().find(|name| !ROWS.contains(&name.as_str())) {
        bail!("there is no row {stranger}; there are {}", ROWS.join(" "));
    }
    if wanted.is_empty() {
        wanted = ROWS.map(ToOwned::to_owned).to_vec();
    }
    let rows = ROWS.iter().filter(|name| wanted.iter().any(|wanted| wanted == *name));
    if std::env::var_os(PART).is_none() {
        table::head();
        // What one row leaves in its memory and threads is no cost of the next.
        for name in rows {
            let program = std::env::current_exe()?;
            let status = Command::new(program).arg(name).env(PART, "1").status()?;
            ensure!(status.success(), "the row {name} could not be measured");
        }
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    for name in rows {
        table::say(&format!("measuring {name}"));
        for line in runtime.block_on(row(name))? {
            table::line(name, &line);
        }
    }
    Ok(())
}

async fn row(name: &str) -> anyhow::Result<Vec<Line>> {
    match name {
        "rules-embedded" => throughput::measure(On::Embedded).await,
        "rules-nats" => throughput::measure(On::Nats).await,
        "rulebook" => rulebook::measure().await,
        "latency-embedded" => latency::measure(On::Embedded).await,
        "latency-nats" => latency::measure(On::Nats).await,
        "chain" => chain::measure().await,
        "action" => starting::measure().await,
        "python" => python::measure().await,
        "log" => storing::measure(),
        "loading" => loading::measure(),
        "start" => up::start(),
        _ => up::rest(),
    }
}

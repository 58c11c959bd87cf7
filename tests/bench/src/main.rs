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
mod machine; // Clocks of the processor, folders, other processes.
mod packs; // The pack that is measured.
mod place; // A bus with nothing on it, of either kind.
mod raw; // The baselines on a bus: consume, publish, acknowledge.
mod server; // `hearken up` and nats-server as processes.
mod stores; // The log, sled and a plain file under one face.
mod storing; // Append and scan.
mod table; // What is printed.
mod throughput; // A backlog of events through the rule service.
mod up; // Start and rest of the whole.

use anyhow::bail;

use crate::place::On;
use crate::table::Line;

/// Threads that run tasks, as in `hearken up`.
const WORKERS: usize = 2;

/// Every row, in the order of the table.
const ROWS: [&str; 9] = [
    "rules-embedded",
    "rules-nats",
    "rules-1000",
    "latency-embedded",
    "latency-nats",
    "chain",
    "log",
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
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    table::head();
    for name in ROWS.iter().filter(|name| wanted.iter().any(|wanted| wanted == *name)) {
        table::say(&format!("measuring {name}"));
        for line in runtime.block_on(row(name))? {
            table::line(name, &line);
        }
    }
    Ok(())
}

async fn row(name: &str) -> anyhow::Result<Vec<Line>> {
    match name {
        "rules-embedded" => throughput::measure(On::Embedded, 1).await,
        "rules-nats" => throughput::measure(On::Nats, 1).await,
        "rules-1000" => throughput::measure(On::Embedded, 1000).await,
        "latency-embedded" => latency::measure(On::Embedded).await,
        "latency-nats" => latency::measure(On::Nats).await,
        "chain" => chain::measure().await,
        "log" => storing::measure(),
        "start" => up::start(),
        _ => up::rest(),
    }
}

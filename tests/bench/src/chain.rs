//! The whole chain at a low rate: event, rule, a process started, its result on the bus.
//!
//! Measured from outside by a NATS client on the listener of `hearken up`. The limit is the sum of
//! what cannot be left out: the bus alone from event to request, and one process started.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt as _;

use crate::figures::{Rounds, percentile};
use crate::latency::{self, PAUSE};
use crate::packs::{self, Shape};
use crate::place::On;
use crate::server::{Up, program};
use crate::table::{Goal, Line, say};

/// Rounds; each takes the chain, the pipe and the bare process.
const ROUNDS: usize = 3;
/// Five seconds' worth of 200/s.
const EVENTS: u64 = 1000;
/// Events before those that count.
const WARM: u64 = 50;
/// Bare processes.
const SPAWNS: usize = 200;
/// Where executions tell what became of them.
const TRANSITIONS: &str = "hearken.transition.execution.>";
/// Longer than any result takes.
const STUCK: Duration = Duration::from_secs(30);

/// Measures the chain.
pub(crate) async fn measure() -> anyhow::Result<Vec<Line>> {
    let program = program()?;
    let packs = packs::folder(Shape::Plain, 1, "script")?;
    let (mut chain, mut limit) = (Rounds::default(), Rounds::default());
    let mut slow = Rounds::default();
    for round in 0..ROUNDS {
        let up = Up::start(&program, Some(packs.path()))?;
        let passed = tokio::time::timeout(STUCK, pass(&up)).await;
        let micros = passed.context("results stopped coming")??;
        drop(up);
        let pipe = latency::one(On::Embedded, false).await?.0;
        let spawn = spawn()?;
        let p50 = percentile(&micros, 0.5);
        say(&format!("round {round}: chain {p50} us, pipe {pipe} us, spawn {spawn} us"));
        chain.0.push(p50);
        slow.0.push(percentile(&micros, 0.99));
        limit.0.push(2.0 * pipe + spawn + 1000.0);
    }
    let ratio = chain.by(&limit);
    Ok(vec![
        Line {
            what: "event to result of a process, p50 at 200/s, embedded, against \
                   2 x the bus alone + one process + 1 ms"
                .to_owned(),
            measured: chain.with("us"),
            baseline: limit.with("us"),
            ratio: ratio.to_string(),
            goals: vec![(Goal::AtMost(1.0), ratio.median())],
        },
        Line {
            what: "the same, p99".to_owned(),
            measured: slow.with("us"),
            baseline: "-".to_owned(),
            ratio: "-".to_owned(),
            goals: vec![],
        },
    ])
}

/// The median of starting a process and waiting for its end, in microseconds.
fn spawn() -> anyhow::Result<f64> {
    let mut micros = Vec::with_capacity(SPAWNS);
    for _spawn in 0..SPAWNS {
        let begin = Instant::now();
        Command::new("/bin/true").status()?;
        micros.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    Ok(percentile(&micros, 0.5))
}

/// Publishes so many events at once, and waits until as many executions have succeeded.
pub(crate) async fn burst(up: &Up, events: u64) -> anyhow::Result<()> {
    let client = connect(up).await?;
    let mut transitions = client.subscribe(TRANSITIONS).await?;
    ready(&client).await?;
    for number in 0..events {
        let event = packs::event("hearken", number, 0);
        client.publish(event.subject, event.body).await?;
    }
    let mut heard = 0;
    while heard < events {
        let transition = transitions.next().await.context("the listener has ended")?;
        heard += u64::from(holds(&transition.payload, b"succeeded"));
    }
    Ok(())
}

/// Publishes so many events, each when the execution of the one before has succeeded, and tells how
/// many microseconds each took.
pub(crate) async fn one_by_one(up: &Up, events: u64) -> anyhow::Result<Vec<f64>> {
    let client = connect(up).await?;
    let mut transitions = client.subscribe(TRANSITIONS).await?;
    ready(&client).await?;
    let mut micros = Vec::new();
    for number in 0..events {
        let begin = Instant::now();
        let event = packs::event("hearken", number, 0);
        client.publish(event.subject, event.body).await?;
        let mut is_done = false;
        while !is_done {
            let transition = transitions.next().await.context("the listener has ended")?;
            is_done = holds(&transition.payload, b"succeeded");
        }
        micros.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    Ok(micros)
}

async fn connect(up: &Up) -> anyhow::Result<async_nats::Client> {
    let options = async_nats::ConnectOptions::new().token(up.token.clone());
    Ok(options.connect(&up.url).await?)
}

/// Subscriptions are sure to exist only after a round trip of our own.
async fn ready(client: &async_nats::Client) -> anyhow::Result<()> {
    let mut ready = client.subscribe("bench.ready").await?;
    client.publish("bench.ready", packs::event("hearken", 0, 0).body).await?;
    ready.next().await.context("the listener has ended")?;
    Ok(())
}

/// Publishes at the rate, and hears the last transition of each execution.
async fn pass(up: &Up) -> anyhow::Result<Vec<f64>> {
    let client = connect(up).await?;
    let mut requests = client.subscribe("hearken.request.action.>").await?;
    let mut transitions = client.subscribe(TRANSITIONS).await?;
    ready(&client).await?;
    let mut sent: HashMap<String, Instant> = HashMap::new();
    let mut running: HashMap<String, Instant> = HashMap::new();
    let mut micros = Vec::new();
    let mut ticks = tokio::time::interval(PAUSE);
    let (mut number, mut heard) = (0, 0);
    while heard < EVENTS + WARM {
        tokio::select! {
            biased;
            request = requests.next() => {
                let request = request.context("the listener has ended")?;
                let headers = request.headers.unwrap_or_default();
                let cause = headers.get("Hearken-Cause").map(|cause| cause.as_str().to_owned());
                let id = headers.get("Nats-Msg-Id").map(|id| id.as_str().to_owned());
                if let Some((since, id)) = cause.and_then(|cause| sent.remove(&cause)).zip(id) {
                    running.insert(id, since);
                }
            }
            transition = transitions.next() => {
                let transition = transition.context("the listener has ended")?;
                let headers = transition.headers.unwrap_or_default();
                let cause = headers.get("Hearken-Cause").map(|cause| cause.as_str().to_owned());
                let succeeded = holds(&transition.payload, b"succeeded");
                if succeeded && let Some(since) = cause.and_then(|cause| running.remove(&cause)) {
                    heard += 1;
                    if heard > WARM {
                        micros.push(since.elapsed().as_secs_f64() * 1e6);
                    }
                }
            }
            _ = ticks.tick(), if number < EVENTS + WARM => {
                let event = packs::event("hearken", number, 0);
                let id = format!("bench-{number}");
                let mut headers = async_nats::HeaderMap::new();
                headers.insert("Nats-Msg-Id", id.as_str());
                sent.insert(id, Instant::now());
                number += 1;
                client.publish_with_headers(event.subject, headers, event.body).await?;
            }
        }
    }
    Ok(micros)
}

/// Whether `bytes` holds `part`.
fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

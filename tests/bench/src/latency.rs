//! From the publishing of an event to its request, at a rate that leaves the machine idle.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hearken_kit::Shutdown;
use hearken_kit::bus::Tail;

use crate::figures::{Rounds, percentile};
use crate::packs::{self, Shape};
use crate::place::{On, Place};
use crate::raw;
use crate::table::{Goal, Line, say};

/// Rounds; each takes both candidates.
const ROUNDS: usize = 3;
/// 200 events a second.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// Five seconds' worth.
const EVENTS: u64 = 1000;
/// Events before those that count: connections, caches and consumers are warm then.
const WARM: u64 = 50;
/// Longer than any answer takes.
const STUCK: Duration = Duration::from_secs(30);

/// Measures the rule service against the bus alone.
pub(crate) async fn measure(on: On) -> anyhow::Result<Vec<Line>> {
    let (mut raw, mut product) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for place in 0..2 {
            let with_rules = (round + place) % 2 == 1;
            let run = one(on, with_rules).await?;
            say(&format!("round {round}: rules {with_rules}: p50 {} us, p99 {} us", run.0, run.1));
            if with_rules { product.push(run) } else { raw.push(run) }
        }
    }
    let lines = [("p50", 1.15), ("p99", 1.3)].map(|(name, bound)| {
        let of = |run: &(f64, f64)| if name == "p50" { run.0 } else { run.1 };
        let (ours, theirs) = (Rounds::of(&product, of), Rounds::of(&raw, of));
        let ratio = ours.by(&theirs);
        Line {
            what: format!("event to request, {name} at 200/s, against the bus alone"),
            measured: ours.with("us"),
            baseline: theirs.with("us"),
            ratio: ratio.to_string(),
            goals: vec![(Goal::AtMost(bound), ratio.median())],
        }
    });
    Ok(lines.to_vec())
}

/// p50 and p99 in microseconds.
pub(crate) async fn one(on: On, with_rules: bool) -> anyhow::Result<(f64, f64)> {
    let mut place = Place::new(on).await?;
    let tail = place.bus.tail(&packs::request_subject(place.bus.prefix()), None).await?;
    let shutdown = Shutdown::new();
    if with_rules {
        let definitions = place.definitions(Shape::Plain, 1).await?;
        place.rules(definitions, &shutdown).await?;
    } else {
        let bus = place.bus.clone();
        place.tasks.spawn("raw", async move {
            raw::through_bus(&bus, u64::MAX).await.unwrap_or(());
        });
    }
    let measured = tokio::time::timeout(STUCK, pass(&place, tail)).await;
    let micros = measured.context("requests stopped coming")??;
    place.tasks.abort().await;
    Ok((percentile(&micros, 0.5), percentile(&micros, 0.99)))
}

/// Publishes at the rate, and hears the requests.
async fn pass(place: &Place, mut tail: Tail) -> anyhow::Result<Vec<f64>> {
    let mut sent: HashMap<String, Instant> = HashMap::new();
    let mut micros = Vec::new();
    let mut ticks = tokio::time::interval(PAUSE);
    let mut number = 0;
    let mut heard = 0;
    while heard < EVENTS + WARM {
        tokio::select! {
            biased;
            request = tail.next() => {
                let cause = request.context("the bus has ended")?.message.cause;
                if let Some(since) = cause.and_then(|cause| sent.remove(&cause)) {
                    heard += 1;
                    if heard > WARM {
                        micros.push(since.elapsed().as_secs_f64() * 1e6);
                    }
                }
            }
            _ = ticks.tick(), if number < EVENTS + WARM => {
                let mut event = packs::event(place.bus.prefix(), number, 0);
                let id = format!("bench-{number}");
                event.id = Some(id.clone());
                sent.insert(id, Instant::now());
                number += 1;
                // Whether it was stored shows by its request.
                drop(place.bus.send(event, None).await?);
            }
        }
    }
    Ok(micros)
}

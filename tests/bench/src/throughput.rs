//! A backlog of events through the rule service: one match and one request each.

use std::time::Duration;

use hearken_kit::Shutdown;
use hearken_proto::Stream;

use crate::figures::{Rounds, count};
use crate::machine::{Watch, processor_of};
use crate::place::{On, Place};
use crate::raw;
use crate::table::{Goal, Line, say};

/// Rounds; each takes every candidate.
const ROUNDS: usize = 3;
/// Events of a measurement: half a second to a second of work.
const EVENTS: u64 = 60_000;
/// After the filling, for what the filling left to be done behind.
const QUIET: Duration = Duration::from_millis(300);
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(5);
/// A backlog that is not through by then will never be.
const STUCK: Duration = Duration::from_secs(60);

/// What one candidate did in one round.
#[derive(Clone, Copy, Debug)]
struct Run {
    per_second: f64,
    /// Microseconds of this process.
    own: f64,
    /// Microseconds of the server.
    server: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    /// The NATS client alone.
    Bare,
    /// The bus alone.
    Raw,
    /// The rule service.
    Rules,
}

/// Measures all candidates.
pub(crate) async fn measure(on: On, rules: usize) -> anyhow::Result<Vec<Line>> {
    let candidates: &[Candidate] = match on {
        On::Embedded => &[Candidate::Raw, Candidate::Rules],
        On::Nats => &[Candidate::Bare, Candidate::Raw, Candidate::Rules],
    };
    let (mut bare, mut raw, mut product) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for place in 0..candidates.len() {
            // Nobody is always the first.
            let Some(candidate) = candidates.get((round + place) % candidates.len()) else {
                continue;
            };
            let run = one(on, *candidate, rules).await?;
            say(&format!("round {round}: {candidate:?} {run:?}"));
            match candidate {
                Candidate::Bare => bare.push(run),
                Candidate::Raw => raw.push(run),
                Candidate::Rules => product.push(run),
            }
        }
    }
    let mut lines = compare("events/s", "the bus alone", &product, &raw);
    if on == On::Nats {
        lines.extend(compare("events/s", "bare client", &product, &bare));
        let server = Rounds::of(&product, |run| run.server);
        let theirs = Rounds::of(&bare, |run| run.server);
        lines.push(Line {
            what: "CPU of nats-server per event, against bare client".to_owned(),
            measured: server.with("us"),
            baseline: theirs.with("us"),
            ratio: server.by(&theirs).to_string(),
            goal: (Goal::None, 0.0),
        });
    }
    Ok(lines)
}

fn compare(unit: &str, against: &str, product: &[Run], baseline: &[Run]) -> Vec<Line> {
    let speed = |runs: &[Run]| Rounds::of(runs, |run| run.per_second);
    let own = |runs: &[Run]| Rounds::of(runs, |run| run.own);
    let faster = speed(product).by(&speed(baseline));
    let dearer = own(product).by(&own(baseline));
    vec![
        Line {
            what: format!("{unit}, against {against}"),
            measured: speed(product).to_string(),
            baseline: speed(baseline).to_string(),
            ratio: faster.to_string(),
            goal: (Goal::AtLeast(0.85), faster.median()),
        },
        Line {
            what: format!("own CPU per event, against {against}"),
            measured: own(product).with("us"),
            baseline: own(baseline).with("us"),
            ratio: dearer.to_string(),
            goal: (Goal::AtMost(1.5), dearer.median()),
        },
    ]
}

async fn one(on: On, candidate: Candidate, rules: usize) -> anyhow::Result<Run> {
    let mut place = Place::new(on).await?;
    let definitions = match candidate {
        Candidate::Rules => Some(place.definitions(rules).await?),
        Candidate::Bare | Candidate::Raw => None,
    };
    place.fill(EVENTS).await?;
    tokio::time::sleep(QUIET).await;
    let server = place.nats.as_ref().map(|nats| nats.running.pid());
    let server_before = server.map_or(Ok(0.0), processor_of)?;
    let watch = Watch::start();
    match (definitions, &place.nats) {
        (Some(definitions), _) => {
            let before = place.head(Stream::Log).await?;
            let shutdown = Shutdown::new();
            let mut service = place.rules(definitions, &shutdown);
            let drained = tokio::time::timeout(STUCK, async {
                while place.head(Stream::Log).await? < before + EVENTS {
                    tokio::time::sleep(LOOK).await;
                }
                anyhow::Ok(())
            });
            match drained.await {
                Ok(drained) => drained?,
                Err(_elapsed) => {
                    let through = place.head(Stream::Log).await?.saturating_sub(before);
                    anyhow::bail!("the rule service stands still after {through} events");
                }
            }
            // Its last acknowledgements are part of the work.
            shutdown.request();
            service.ended().await?;
        }
        (None, Some(nats)) if candidate == Candidate::Bare => {
            raw::bare(&nats.url, place.bus.prefix(), EVENTS).await?;
        }
        (None, _) => raw::through_bus(&place.bus, EVENTS).await?,
    }
    let (wall, own) = watch.read();
    let server_after = server.map_or(Ok(0.0), processor_of)?;
    let events = count(EVENTS);
    let server = (server_after - server_before) * 1e6 / events;
    Ok(Run { per_second: events / wall, own: own * 1e6 / events, server })
}

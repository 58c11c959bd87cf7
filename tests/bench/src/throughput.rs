//! A backlog of events through the rule service: how its cost grows with rules, and how far it is
//! from a loop over the same bus.
//!
//! Every cell of the table (what the events meet, how many rules) is measured in every round,
//! beside baselines that are taken again for each group of cells: minutes lie between the first
//! and the last of a round.

use std::time::Duration;

use hearken_kit::Shutdown;
use hearken_proto::{Message, Stream};

use crate::figures::{Rounds, count};
use crate::machine::{Watch, processor_of};
use crate::packs::{self, NOBODY, REGEX_EVERY, Shape};
use crate::place::{On, Place};
use crate::raw;
use crate::table::{Goal, Line, say};

/// Rounds; each takes every candidate.
const ROUNDS: usize = 3;
/// Events of a measurement: half a second to a second of work.
const EVENTS: u64 = 60_000;
/// Trials of regular expressions in a measurement, where there are some for each event: a second
/// or two of work.
const TRIALS: u64 = 600_000;
/// After the filling, for what the filling left to be done behind.
const QUIET: Duration = Duration::from_millis(300);
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(5);
/// A backlog that is not through by then will never be.
const STUCK: Duration = Duration::from_secs(60);

/// What the events meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meeting {
    /// What it is called in the table.
    name: &'static str,
    shape: Shape,
    /// Whether each event matches one rule; none matches any otherwise, but for the last.
    hits: bool,
    /// Numbers of rules.
    sizes: &'static [u64],
}

/// The groups of cells.
const MEETINGS: [Meeting; 4] = [
    Meeting {
        name: "hit",
        shape: Shape::Plain,
        hits: true,
        // Growth is counted from 10.
        sizes: &[1, 10, 100, 1000, 10_000],
    },
    Meeting { name: "miss", shape: Shape::Plain, hits: false, sizes: &[1, 100, 1000, 10_000] },
    Meeting {
        name: "hit, 10 % with a regex too",
        shape: Shape::Regex,
        hits: true,
        sizes: &[100, 1000, 10_000],
    },
    Meeting {
        name: "hit, 10 % only a regex",
        shape: Shape::RegexAlone,
        hits: true,
        sizes: &[100, 1000, 10_000],
    },
];

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
    Rules(Meeting, u64),
}

/// What was measured of one candidate, round by round.
#[derive(Clone, Debug, Default)]
struct Runs(Vec<Run>);

impl Runs {
    fn speed(&self) -> Rounds {
        Rounds::of(&self.0, |run| run.per_second)
    }

    fn own(&self) -> Rounds {
        Rounds::of(&self.0, |run| run.own)
    }

    fn server(&self) -> Rounds {
        Rounds::of(&self.0, |run| run.server)
    }
}

/// Measures all candidates.
pub(crate) async fn measure(on: On) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut cells = Vec::new();
    let (mut baselines, mut bares) = (Vec::new(), Vec::new());
    for meeting in MEETINGS {
        baselines.push(Runs::default());
        bares.push(Runs::default());
        cells.push(vec![Runs::default(); meeting.sizes.len()]);
    }
    for round in 0..ROUNDS {
        let groups = MEETINGS.iter().zip(&mut cells).zip(baselines.iter_mut().zip(&mut bares));
        for ((meeting, cells), (raw, bare)) in groups {
            let ours = meeting.sizes.iter().map(|size| Candidate::Rules(*meeting, *size));
            let mut candidates: Vec<(Candidate, &mut Runs)> = ours.zip(cells).collect();
            candidates.push((Candidate::Raw, raw));
            if on == On::Nats {
                candidates.push((Candidate::Bare, bare));
            }
            // Nobody is always the first.
            let first = round % candidates.len();
            candidates.rotate_left(first);
            for (candidate, runs) in candidates {
                let run = one(on, candidate).await?;
                say(&format!("round {round}: {candidate:?} {run:?}"));
                runs.0.push(run);
            }
        }
    }
    for ((meeting, cells), (raw, bare)) in
        MEETINGS.iter().zip(&cells).zip(baselines.iter().zip(&bares))
    {
        for (size, runs) in meeting.sizes.iter().zip(cells) {
            let what = format!("{}, {size} rules", meeting.name);
            lines.push(compare(&format!("{what}, against the bus alone"), runs, raw));
            if on == On::Nats && meeting.name == "hit" && *size == 1000 {
                lines.push(compare(&format!("{what}, against bare client"), runs, bare));
                lines.push(server(&what, runs, bare));
            }
        }
    }
    lines.extend(growth(&cells));
    Ok(lines)
}

/// Events a second with so many rules, one of which each event matches.
pub(crate) async fn hits(on: On, rules: u64) -> anyhow::Result<f64> {
    let [hit, ..] = MEETINGS;
    Ok(one(on, Candidate::Rules(hit, rules)).await?.per_second)
}

fn compare(what: &str, product: &Runs, baseline: &Runs) -> Line {
    let faster = product.speed().by(&baseline.speed());
    let dearer = product.own().by(&baseline.own());
    let told = |runs: &Runs| format!("{}/s, {}", runs.speed(), runs.own().with("us"));
    Line {
        what: format!("{what}: events/s, own CPU per event"),
        measured: told(product),
        baseline: told(baseline),
        ratio: format!("{faster}, {dearer}"),
        goals: vec![(Goal::AtLeast(0.85), faster.median()), (Goal::AtMost(1.5), dearer.median())],
    }
}

fn server(what: &str, product: &Runs, bare: &Runs) -> Line {
    Line {
        what: format!("{what}: CPU of nats-server per event, against bare client"),
        measured: product.server().with("us"),
        baseline: bare.server().with("us"),
        ratio: product.server().by(&bare.server()).to_string(),
        goals: vec![],
    }
}

/// How the cost of an event grows with rules, each round by itself.
fn growth(cells: &[Vec<Runs>]) -> Vec<Line> {
    let cell = |name: &str, size: u64| {
        let group = MEETINGS.iter().position(|meeting| meeting.name == name)?;
        let place = MEETINGS.get(group)?.sizes.iter().position(|found| *found == size)?;
        cells.get(group)?.get(place)
    };
    let wanted = [
        ("hit", 10_000, "hit", 10, 1.15),
        ("hit, 10 % with a regex too", 10_000, "hit", 10, 1.3),
        ("hit, 10 % only a regex", 10_000, "hit", 10, 1.3),
        ("miss", 10_000, "hit", 10_000, 1.0),
    ];
    let lines = wanted.iter().filter_map(|(name, size, than, of, bound)| {
        let (ours, theirs) = (cell(name, *size)?.own(), cell(than, *of)?.own());
        let ratio = ours.by(&theirs);
        Some(Line {
            what: format!("growth: {name}, {size} rules by {than}, {of} rules: own CPU per event"),
            measured: ours.with("us"),
            baseline: theirs.with("us"),
            ratio: ratio.to_string(),
            goals: vec![(Goal::AtMost(*bound), ratio.median())],
        })
    });
    lines.collect()
}

/// The rule that the event of a number is for.
fn rule_for(candidate: Candidate, number: u64, last: u64) -> u64 {
    match candidate {
        Candidate::Bare | Candidate::Raw => number % 1000,
        // The request of the last event tells that all before it are judged.
        Candidate::Rules(meeting, _size) if !meeting.hits && number < last => NOBODY,
        Candidate::Rules(meeting, size) => meeting.shape.hit(number, size),
    }
}

/// Runs one candidate.
async fn one(on: On, candidate: Candidate) -> anyhow::Result<Run> {
    let mut place = Place::new(on).await?;
    let mut events = EVENTS;
    let mut requests = EVENTS;
    let mut definitions = None;
    if let Candidate::Rules(meeting, size) = candidate {
        definitions = Some(place.definitions(meeting.shape, size).await?);
        if meeting.shape == Shape::RegexAlone {
            events = EVENTS.min(TRIALS / (size / REGEX_EVERY));
        }
        requests = if meeting.hits { events } else { 1 };
    }
    let prefix = place.bus.prefix().to_owned();
    let event = |number| -> Message {
        packs::event(&prefix, number, rule_for(candidate, number, events - 1))
    };
    place.fill((0..events).map(event)).await?;
    tokio::time::sleep(QUIET).await;
    let server = place.nats.as_ref().map(|nats| nats.running.pid());
    let server_before = server.map_or(Ok(0.0), processor_of)?;
    let watch = Watch::start();
    match (definitions, &place.nats) {
        (Some(definitions), _) => {
            let before = place.head(Stream::Log).await?;
            let shutdown = Shutdown::new();
            let mut service = place.rules(definitions, &shutdown).await?;
            drain(&place, before, requests).await?;
            // Its last acknowledgements are part of the work.
            shutdown.request();
            service.ended().await?;
        }
        (None, Some(nats)) if candidate == Candidate::Bare => {
            raw::bare(&nats.url, place.bus.prefix(), events).await?;
        }
        (None, _) => raw::through_bus(&place.bus, events).await?,
    }
    let (wall, own) = watch.read();
    let server_after = server.map_or(Ok(0.0), processor_of)?;
    let events = count(events);
    let server = (server_after - server_before) * 1e6 / events;
    Ok(Run { per_second: events / wall, own: own * 1e6 / events, server })
}

/// Waits until so many requests are stored.
async fn drain(place: &Place, before: u64, requests: u64) -> anyhow::Result<()> {
    let drained = tokio::time::timeout(STUCK, async {
        while place.head(Stream::Log).await? < before + requests {
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    });
    if let Ok(drained) = drained.await {
        return drained;
    }
    let through = place.head(Stream::Log).await?.saturating_sub(before);
    anyhow::bail!("the rule service stands still after {through} of {requests} requests")
}

//! Runners tell that they are alive, and notice others that no longer do.
//!
//! A runner's state says what it holds and how far LOG went when it said so: a claim it made later
//! is found in LOG after that place. Silence is counted in steps between our own looks, and a step
//! counts for no more than [`STEP_MAX`]: a machine that slept, or a bus that was away, is an outage
//! of ours and takes no lease from anybody.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use hearken_kit::bus::{Bus, Error};
use hearken_kit::payload;
use hearken_proto::record::RunnerState;
use hearken_proto::subject::Kind;
use hearken_proto::{Stream, Subject, codec, id};
use tokio::time::Instant;

use crate::transition;

/// How often a runner says that it is alive.
pub(crate) const EVERY: Duration = Duration::from_secs(10);
/// A runner that was silent for so long holds nothing any more.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// A runner that could not say so for so long ends what it runs: others may take it over soon.
pub(crate) const SELF_FENCE: Duration = Duration::from_secs(40);
/// The most silence that one look can add.
const STEP_MAX: Duration = Duration::from_secs(15);

/// What we know of the other runners.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    silent: HashMap<String, Silence>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Silence {
    /// Place of its last heartbeat.
    sequence: u64,
    since: Duration,
}

/// Writes our own heartbeat.
pub(crate) async fn beat(bus: &Bus, state: &RunnerState) -> Result<(), Error> {
    let subject = bus.subject(&Subject::state(Kind::Runner, &state.incarnation));
    bus.publish(payload::message(subject, state)?).await.map(|_ack| ())
}

/// Every runner that has not ended in good order, with the place of its last heartbeat.
pub(crate) async fn runners(bus: &Bus) -> Result<Vec<(u64, RunnerState)>, Error> {
    let filter = format!("{}.state.{}.*", bus.prefix(), Kind::Runner.token());
    // Streams on a server keep one entry per subject, the embedded one keeps all: the last wins.
    let mut last: HashMap<String, (u64, RunnerState)> = HashMap::new();
    for entry in bus.collect(Stream::State, &filter, 1).await? {
        if let Ok(state) = codec::decode::<RunnerState>(&entry.headers, &entry.body) {
            last.insert(state.incarnation.clone(), (entry.sequence, state));
        }
    }
    Ok(last.into_values().filter(|(_, state)| !state.ended).collect())
}

impl Watch {
    /// Looks at the runners' heartbeats; answers those whose lease has ended.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        runners: &[(u64, RunnerState)],
    ) -> Vec<RunnerState> {
        let step = self.looked.map_or(Duration::ZERO, |looked| (now - looked).min(STEP_MAX));
        self.looked = Some(now);
        let present: BTreeSet<&str> =
            runners.iter().map(|(_, state)| state.incarnation.as_str()).collect();
        self.silent.retain(|incarnation, _| present.contains(incarnation.as_str()));
        let mut gone = Vec::new();
        for (sequence, state) in runners {
            let fresh = Silence { sequence: *sequence, since: Duration::ZERO };
            let silence = self.silent.entry(state.incarnation.clone()).or_insert(fresh);
            if silence.sequence == *sequence {
                silence.since += step;
            } else {
                *silence = Silence { sequence: *sequence, since: Duration::ZERO };
            }
            if silence.since >= LEASE {
                gone.push(state.clone());
            }
        }
        gone
    }
}

/// Everything that the runner `gone` may hold: what it last said, and what it claimed after that.
pub(crate) async fn held_by(bus: &Bus, gone: &RunnerState) -> Result<BTreeSet<String>, Error> {
    let mut held: BTreeSet<String> = gone.holds.iter().cloned().collect();
    let filter = format!("{}.transition.{}.*", bus.prefix(), Kind::Execution.token());
    for entry in bus.collect(Stream::Log, &filter, gone.seen + 1).await? {
        let Some(execution) = transition::read(&entry) else { continue };
        let key = id::execution_key(&execution.request.execution);
        // What has ended since is held by nobody: it need not be looked up one by one.
        if execution.status.is_final() {
            held.remove(key);
        } else if execution.runner.as_deref() == Some(&gone.incarnation) {
            held.insert(key.to_owned());
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(incarnation: &str) -> RunnerState {
        RunnerState {
            incarnation: incarnation.to_owned(),
            installation: "i".to_owned(),
            host: "h".to_owned(),
            holds: Vec::new(),
            seen: 0,
            ended: false,
        }
    }

    #[test]
    fn a_runner_is_gone_after_its_lease_and_an_outage_of_ours_takes_nothing() {
        let start = Instant::now();
        let mut watch = Watch::default();
        let silent = [(7, runner("silent"))];
        assert!(watch.look(start, &silent).is_empty());
        // An hour in which nobody looked counts for one step.
        assert!(watch.look(start + Duration::from_secs(3600), &silent).is_empty());
        let mut now = start + Duration::from_secs(3600);
        let mut looks = 0;
        while watch.look(now, &silent).is_empty() {
            now += EVERY;
            looks += 1;
        }
        assert_eq!(looks, 5, "15 s of the outage and 45 s of looks make 60 s");
    }

    #[test]
    fn a_heartbeat_starts_the_count_again() {
        let start = Instant::now();
        let mut watch = Watch::default();
        for beat in 0..20_u32 {
            let alive = [(u64::from(beat), runner("alive"))];
            assert!(watch.look(start + EVERY * beat, &alive).is_empty());
        }
    }
}

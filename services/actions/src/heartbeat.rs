//! Runners tell that they are alive, and notice others that no longer do.
//!
//! A runner's state says what it holds and how far LOG went when it said so: a claim it made later
//! is found in LOG after that place. Silence is counted in steps between our own looks, and a step
//! counts for no more than [`STEP_MAX`]: a machine that slept, or a bus that was away, is an outage
//! of ours and takes no lease from anybody.
//!
//! Beating is a task of its own: neither looking after others nor waiting for the last runs of a
//! process that ends holds it up.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use hearken_kit::bus::{Bus, Error};
use hearken_kit::{Shutdown, payload};
use hearken_proto::record::RunnerState;
use hearken_proto::subject::Kind;
use hearken_proto::{Stream, Subject, codec, id};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::cancel::Running;
use crate::run::Runner;
use crate::transition;

/// How often a runner says that it is alive.
pub(crate) const EVERY: Duration = Duration::from_secs(10);
/// A runner that was silent for so long holds nothing any more.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// A runner that could not say so for so long ends what it runs: others may take it over soon.
pub(crate) const SELF_FENCE: Duration = Duration::from_secs(40);
/// How long one beat may take: a bus that does not answer must not keep us from noticing.
const BEAT_MAX: Duration = Duration::from_secs(5);
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

/// Beats until `ended` is requested, and then says that this runner has ended in good order. What
/// runs is ended when the lease cannot be renewed.
pub(crate) async fn keep(bus: Bus, mut state: RunnerState, running: Running, ended: Shutdown) {
    let mut every = tokio::time::interval(EVERY);
    let mut beaten = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = ended.requested() => break,
            _ = every.tick() => {}
        }
        match tokio::time::timeout(BEAT_MAX, renew(&bus, &mut state, &running)).await {
            Ok(Ok(())) => {
                beaten = Instant::now();
                continue;
            }
            Ok(Err(error)) => warn!(%error, "the lease could not be renewed"),
            Err(_late) => warn!("the lease could not be renewed: the bus does not answer"),
        }
        if beaten.elapsed() >= SELF_FENCE {
            error!("the lease cannot be renewed: everything that runs here is ended");
            running.fence();
        }
    }
    state.holds.clear();
    state.ended = true;
    match tokio::time::timeout(BEAT_MAX, beat(&bus, &state)).await {
        Ok(Ok(())) => {}
        // Others find out by the silence.
        Ok(Err(error)) => warn!(%error, "the end of this runner could not be told"),
        Err(_late) => warn!("the end of this runner could not be told: the bus does not answer"),
    }
}

async fn renew(bus: &Bus, state: &mut RunnerState, running: &Running) -> Result<(), Error> {
    // In this order: a claim that comes between the two is among both.
    state.seen = bus.head(Stream::Log).await?.last;
    state.holds = running.keys();
    beat(bus, state).await
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

impl Runner {
    /// Everything that the runner `gone` may hold, or may not have told the end of: what it last
    /// said, and what it claimed and ended after that.
    pub(crate) async fn held_by(&self, gone: &RunnerState) -> Result<BTreeSet<String>, Error> {
        let mut held: BTreeSet<String> = gone.holds.iter().cloned().collect();
        let filter = format!("{}.transition.{}.*", self.bus.prefix(), Kind::Execution.token());
        for entry in self.bus.collect(Stream::Log, &filter, gone.seen + 1).await? {
            let Some(execution) = transition::read(&entry) else { continue };
            let key = id::execution_key(&execution.request.execution);
            let is_its_own = execution.runner.as_deref() == Some(&gone.incarnation);
            let has_ended = execution.status.is_final();
            if is_its_own && (!has_ended || self.has_sequel(&execution)) {
                held.insert(key.to_owned());
            } else if has_ended {
                // It need not be looked up one by one.
                held.remove(key);
            }
        }
        Ok(held)
    }
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

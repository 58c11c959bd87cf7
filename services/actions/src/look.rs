//! Looking after what others may have left undone: places in gates, runners that are gone, and
//! cancellations whose hint was lost.
//!
//! Nothing here is needed while everybody lives. Every runner looks, none is a leader: what it
//! repairs is compared and set, or has a derived id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hearken_engine::policy::{Place, gate};
use hearken_kit::Shutdown;
use hearken_kit::bus::Error;
use hearken_proto::record::{Gate, GateState, Holder, RunnerState, Waiter};
use hearken_proto::{Execution, Status, Timestamp};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::gate::Keeper;
use crate::heartbeat;
use crate::run::Runner;
use crate::transition;

/// How often gates are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// A place that was taken so recently is left alone: its execution is about to start.
const SETTLING: Duration = Duration::from_secs(10);
/// A place whose execution nobody knows is free after so long: its request has come again by then,
/// and asks again.
const UNKNOWN_AFTER: Duration = Duration::from_secs(60);
/// One that was let in is asked for again this often while nobody takes it: its request is with the
/// bus, and only a dead letter loses it.
const ASK_EVERY: Duration = Duration::from_secs(300);
/// Executions of one gate that are looked up at a time; those further back have their turn when
/// they have come to the front.
const LOOKUPS_MAX: usize = 500;

/// What this runner remembers between two looks at the gates.
#[derive(Debug, Default)]
struct Memory {
    /// Entities whose policy was not in force at the last look.
    unknown: BTreeSet<String>,
    /// When an execution was last asked for again from here.
    asked: BTreeMap<String, Instant>,
    /// Whether there was a look since the start.
    has_looked: bool,
}

/// What one look at one gate found.
#[derive(Debug, Default)]
struct Found {
    /// Places to be given back, as they were seen.
    leaving: Vec<(String, Holder)>,
    /// Keys of those that wait for nothing any more.
    ended: Vec<String>,
}

impl Runner {
    /// Looks after gates until `ended` is requested: now and then at all of them, and at one at the
    /// moment at which time alone makes room there.
    pub(crate) async fn keep_gates(self, ended: Shutdown) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut memory = Memory::default();
        loop {
            let looked = tokio::select! {
                biased;
                () = ended.requested() => return,
                entity = self.gates.alarm() => self.open(&entity).await,
                _ = every.tick() => self.look_at_gates(&mut memory).await,
            };
            if let Err(error) = looked {
                // The next look does it.
                warn!(%error, "gates could not be looked after");
            }
        }
    }

    /// Lets in whoever may come in by now.
    async fn open(&self, entity: &str) -> Result<(), Error> {
        let definitions = self.definitions();
        let keeper = Keeper::of(&definitions.registry, entity);
        let changed = self.gates.change(entity, keeper, |_lanes, _limits, _now| ()).await?;
        self.let_in(changed.granted, entity, changed.sequence).await
    }

    async fn look_at_gates(&self, memory: &mut Memory) -> Result<(), Error> {
        let definitions = self.definitions();
        let may_be_used = definitions.registry.policies().are_in_effect() || self.gates.are_used();
        if memory.has_looked && !may_be_used {
            return Ok(());
        }
        let all = self.gates.all().await?;
        memory.has_looked = true;
        self.gates.set_used(!all.is_empty());
        let mut unknown = BTreeSet::new();
        let mut holders = BTreeSet::new();
        for (entity, state) in &all {
            let mut keeper = Keeper::of(&definitions.registry, entity);
            if matches!(keeper, Keeper::Unknown) {
                // Twice in a row: definitions may take a moment to come here.
                if memory.unknown.contains(entity) {
                    keeper = Keeper::Gone;
                }
                unknown.insert(entity.clone());
            }
            let running = state.lanes.values().flat_map(|lane| &lane.running);
            holders.extend(running.map(|Holder(key, _)| key.clone()));
            self.look_at(entity, state, keeper, memory).await?;
        }
        memory.unknown = unknown;
        memory.asked.retain(|key, _| holders.contains(key));
        Ok(())
    }

    /// Looks at the gates of one entity.
    async fn look_at(
        &self,
        entity: &str,
        state: &GateState,
        keeper: Keeper<'_>,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let mut found = Found::default();
        for (lane, gate) in &state.lanes {
            let place = Place { entity: entity.to_owned(), lane: lane.clone() };
            self.find(&place, gate, memory, &mut found).await?;
        }
        let waits = state.lanes.values().any(|gate| !gate.waiting.is_empty());
        if !waits && found.leaving.is_empty() && found.ended.is_empty() {
            return Ok(());
        }
        let Found { leaving, ended } = &found;
        let changed = self.gates.change(entity, keeper, |lanes, _limits, _now| {
            for (lane, seen) in leaving {
                if let Some(gate) = lanes.get_mut(lane) {
                    // Whoever took it again since then keeps it.
                    gate.running.retain(|holder| holder != seen);
                }
            }
            for gate in lanes.values_mut() {
                ended.iter().for_each(|key| gate::leave(gate, key, None));
            }
        });
        let changed = changed.await?;
        if !leaving.is_empty() || !ended.is_empty() {
            debug!(gate = entity, freed = leaving.len() + ended.len(), "places were given back");
        }
        self.let_in(changed.granted, entity, changed.sequence).await
    }

    async fn find(
        &self,
        place: &Place,
        gate: &Gate,
        memory: &mut Memory,
        found: &mut Found,
    ) -> Result<(), Error> {
        let now = self.clock().now();
        for holder in gate.running.iter().take(LOOKUPS_MAX) {
            let Holder(key, since) = holder;
            let age = now.since(Timestamp::from_nanos(*since));
            if age < SETTLING {
                continue;
            }
            let known = transition::last(&self.bus, key).await?;
            if let Some((sequence, asked)) =
                known.as_ref().filter(|(_, state)| state.status == Status::Pending)
                && asked.gates.contains(&place.to_string())
            {
                // Let in, and its time has come: whoever was to end it is gone.
                Box::pin(self.time_out(asked.clone(), *sequence)).await?;
                continue;
            }
            let known = known.map(|(_, state)| state);
            if is_free(place, known.as_ref(), age) {
                found.leaving.push((place.lane.clone(), holder.clone()));
                if let Some(ended) = known.filter(|state| state.status.is_final()) {
                    self.follow_up(&Execution { gates: Vec::new(), ..ended }).await?;
                }
            } else if let Some(state) = known.filter(|state| is_expected(state.status)) {
                self.ask_now_and_then(key, &state, *since, memory).await?;
            }
        }
        for Waiter(key, ..) in gate.waiting.iter().take(LOOKUPS_MAX) {
            let known = transition::last(&self.bus, key).await?;
            if let Some((_, ended)) = known.filter(|(_, state)| state.status.is_final()) {
                found.ended.push(key.clone());
                self.follow_up(&Execution { gates: Vec::new(), ..ended }).await?;
            }
        }
        Ok(())
    }

    async fn ask_now_and_then(
        &self,
        key: &str,
        state: &Execution,
        since: i64,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let asked = memory.asked.get(key);
        if asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return Ok(());
        }
        memory.asked.insert(key.to_owned(), Instant::now());
        self.ask_again(state, &["waits for a runner", &since.to_string()]).await
    }

    /// Looks whether other runners live, and whether something is to be ended, until `ended` is
    /// requested.
    pub(crate) async fn keep_watch(self, ended: Shutdown) {
        let mut every = tokio::time::interval(heartbeat::EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut watch = heartbeat::Watch::default();
        loop {
            tokio::select! {
                biased;
                () = ended.requested() => return,
                _ = every.tick() => {}
            }
            let looked = match self.cancel_what_was_asked_for().await {
                Ok(()) => self.look_at_runners(&mut watch, &ended).await,
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                warn!(%error, "looking after others failed");
            }
        }
    }

    async fn look_at_runners(
        &self,
        watch: &mut heartbeat::Watch,
        ended: &Shutdown,
    ) -> Result<(), Error> {
        let runners = heartbeat::runners(&self.bus).await?;
        for gone in watch.look(Instant::now(), &runners) {
            if ended.is_requested() {
                break;
            }
            if gone.incarnation != self.incarnation() {
                warn!(runner = %gone.incarnation, "a runner's heartbeat has stopped");
                self.bury(gone).await?;
            }
        }
        Ok(())
    }

    /// Ends what somebody asked to end while the hint was lost.
    async fn cancel_what_was_asked_for(&self) -> Result<(), Error> {
        for key in self.running().keys() {
            let last = transition::last(&self.bus, &key).await?;
            if last.is_some_and(|(_, state)| state.status == Status::Canceling) {
                self.running().cancel(&key);
            }
        }
        Ok(())
    }

    /// Releases everything that a runner held which is gone, and says that it has ended.
    pub(crate) async fn bury(&self, mut gone: RunnerState) -> Result<(), Error> {
        for execution in self.held_by(&gone).await? {
            self.release(&execution, &gone.incarnation).await?;
        }
        gone.holds.clear();
        gone.ended = true;
        heartbeat::beat(&self.bus, &gone).await
    }
}

/// Whether a place that was taken so long ago belongs to nobody who needs it.
fn is_free(place: &Place, known: Option<&Execution>, age: Duration) -> bool {
    let Some(state) = known else { return age >= UNKNOWN_AFTER };
    let is_here = state.gates.contains(&place.to_string());
    state.status.is_final() || (state.status != Status::Requested && !is_here)
}

/// Whether an execution in this state waits for a runner to take it.
fn is_expected(status: Status) -> bool {
    matches!(status, Status::Requested | Status::Delayed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_its_execution_is_elsewhere_or_has_ended() {
        let request = serde_json::from_value(serde_json::json!({
            "execution": "6957353500112233445566aa", "action": "p.a", "digest": "",
            "requested_at": "2026-01-02T03:04:05Z",
        }));
        let requested = Execution::requested(request.unwrap());
        let state = |status, gates: &[&str]| {
            let mut state = requested.clone().entering(status, Timestamp::EPOCH);
            state.gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
            state
        };
        let place = Place::parse("p.two#00/all").unwrap();
        let age = Duration::from_secs(11);
        for (known, expected) in [
            (Some(state(Status::Running, &["p.two#00/all"])), false),
            (Some(state(Status::Running, &[])), true),
            (Some(state(Status::Delayed, &["p.two#00/all"])), false),
            (Some(state(Status::Delayed, &["p.rate#00/all"])), true),
            (Some(state(Status::Failed, &["p.two#00/all"])), true),
            (Some(requested.clone()), false),
            (None, false),
        ] {
            assert_eq!(is_free(&place, known.as_ref(), age), expected, "{known:?}");
        }
        assert!(is_free(&place, None, UNKNOWN_AFTER));
    }
}

//! Whether an execution may start: all gates of its action are asked, in one order everywhere.
//!
//! An execution that has to wait gives back what it was given so far, so that nobody holds a place
//! while it stands elsewhere; when its turn comes it asks all of them again. An action without
//! policies costs one look at a table.

use hearken_engine::definition::PolicyKind;
use hearken_engine::definition::policy::Excess;
use hearken_engine::policy::gate::{self, Verdict, WAITING_MAX};
use hearken_engine::policy::{Place, places};
use hearken_kit::bus::Error;
use hearken_packs::Definitions;
use hearken_proto::record::Waiter;
use hearken_proto::{ActionRequest, Execution, Timestamp, id};

use crate::gate::Keeper;
use crate::run::Runner;

/// What the gates say to an execution.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It may start; the gates in which it is until it has ended.
    Admitted(Vec<String>),
    /// It waits at this gate.
    Waits(Place),
    /// It is to end: there is no room, and it is not to wait.
    Refused(String),
    /// It is to end: too many wait already.
    Full(String),
}

/// One gate to be asked.
struct Stop<'a> {
    place: Place,
    keeper: Keeper<'a>,
    excess: Excess,
    /// Whether an execution is in until it has ended.
    holds: bool,
}

/// A place that was given.
struct Taken {
    place: Place,
    /// The start that was counted.
    since: i64,
}

impl Runner {
    /// Asks every gate of the execution.
    pub(crate) async fn admit(
        &self,
        state: &Execution,
        now: Timestamp,
    ) -> Result<Admission, Error> {
        let request = &state.request;
        let definitions = self.definitions();
        let has_gates = definitions.registry.policies_of(&request.action).any(|p| p.is_gate());
        let waits = request.not_before.is_some_and(|moment| moment > now);
        if !has_gates && !waits && state.gates.is_empty() {
            return Ok(Admission::Admitted(Vec::new()));
        }
        // On the heap: few executions take this way, and all would carry its room.
        Box::pin(self.pass(&definitions, state, now)).await
    }

    async fn pass(
        &self,
        definitions: &Definitions,
        state: &Execution,
        now: Timestamp,
    ) -> Result<Admission, Error> {
        let request = &state.request;
        let stops = stops(definitions, request, now);
        let key = id::execution_key(&request.execution);
        let not_before = request.not_before.map_or(0, Timestamp::nanos);
        let mut taken: Vec<Taken> = Vec::new();
        for stop in &stops {
            // Only where it waits for the moment itself does the moment count.
            let not_before = if matches!(stop.keeper, Keeper::Moment) { not_before } else { 0 };
            let waiter = Waiter(key.to_owned(), request.requested_at.nanos(), not_before);
            let lane = &stop.place.lane;
            let asked = self.gates.change(&stop.place.entity, stop.keeper, |lanes, limits, now| {
                let gate = lanes.entry(lane.clone()).or_default();
                gate::admit(gate, limits, &waiter, stop.excess, now)
            });
            let verdict = match asked.await {
                Ok(changed) => {
                    self.let_in(changed.granted, &stop.place.entity, changed.sequence).await?;
                    changed.answer
                }
                // The lanes of one entity share its room.
                Err(Error::TooLarge { .. }) => Verdict::Full,
                Err(error) => return Err(error),
            };
            let Verdict::Admitted(since) = verdict else {
                self.give_back(state, &taken, &stop.place).await?;
                return Ok(told(verdict, stop));
            };
            taken.push(Taken { place: stop.place.clone(), since });
        }
        let held = |stop: &&Stop<'_>| stop.holds;
        let held: Vec<String> = stops.iter().filter(held).map(|s| s.place.to_string()).collect();
        for gate in &state.gates {
            let asked = stops.iter().any(|stop| stop.place.to_string() == *gate);
            if !asked {
                self.leave(gate, key, None).await?;
            }
        }
        Ok(Admission::Admitted(held))
    }

    /// Gives back every place but the one at `waiting`, in which the execution has just been.
    async fn give_back(
        &self,
        state: &Execution,
        taken: &[Taken],
        waiting: &Place,
    ) -> Result<(), Error> {
        let key = id::execution_key(&state.request.execution);
        for Taken { place, since } in taken {
            self.leave(&place.to_string(), key, Some(*since)).await?;
        }
        for gate in &state.gates {
            if *gate != waiting.to_string() && taken.iter().all(|t| t.place.to_string() != *gate) {
                self.leave(gate, key, None).await?;
            }
        }
        Ok(())
    }

    /// Takes an execution out of a gate, and lets in whoever is next.
    pub(crate) async fn leave(
        &self,
        gate: &str,
        key: &str,
        start: Option<i64>,
    ) -> Result<(), Error> {
        let Some(Place { entity, lane }) = Place::parse(gate) else { return Ok(()) };
        let definitions = self.definitions();
        let keeper = Keeper::of(&definitions.registry, &entity);
        let changed = self.gates.change(&entity, keeper, |lanes, _limits, _now| {
            if let Some(gate) = lanes.get_mut(&lane) {
                gate::leave(gate, key, start);
            }
        });
        let changed = Box::pin(changed).await?;
        Box::pin(self.let_in(changed.granted, &entity, changed.sequence)).await
    }
}

fn stops<'a>(
    definitions: &'a Definitions,
    request: &ActionRequest,
    now: Timestamp,
) -> Vec<Stop<'a>> {
    let mut stops = Vec::new();
    if request.not_before.is_some_and(|moment| moment > now) {
        stops.push(Stop {
            place: Place::timed(&request.execution),
            keeper: Keeper::Moment,
            excess: Excess::Delay,
            holds: false,
        });
    }
    let registry = &definitions.registry;
    let action = registry.action(&request.action).map(AsRef::as_ref);
    for (place, policy) in places(registry.policies_of(&request.action), action, request) {
        let (excess, holds) = match policy.kind {
            PolicyKind::Concurrency { excess, .. } => (excess, true),
            PolicyKind::Rate { excess, .. } => (excess, false),
            PolicyKind::Retry { .. } | PolicyKind::Unknown(_) => continue,
        };
        stops.push(Stop { place, keeper: Keeper::Policy(policy), excess, holds });
    }
    stops
}

fn told(verdict: Verdict, stop: &Stop<'_>) -> Admission {
    let policy = match stop.keeper {
        Keeper::Policy(policy) => policy.reference.as_str(),
        Keeper::Moment | Keeper::Unknown | Keeper::Gone => "of the moment to wait for",
    };
    match verdict {
        Verdict::Refused(count) if stop.holds => {
            Admission::Refused(format!("policy {policy}: {count} are running already"))
        }
        Verdict::Refused(count) => {
            Admission::Refused(format!("policy {policy}: {count} were started already"))
        }
        Verdict::Full => {
            Admission::Full(format!("policy {policy}: too many wait already, {WAITING_MAX} may"))
        }
        Verdict::Waits | Verdict::Admitted(_) => Admission::Waits(stop.place.clone()),
    }
}

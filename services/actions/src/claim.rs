//! Taking a request so that exactly one runner has it, once every policy lets it start.

use hearken_engine::policy::Place;
use hearken_kit::bus::Error as BusError;
use hearken_kit::process;
use hearken_kit::process::Claim as RunClaim;
use hearken_kit::work::Claim;
use hearken_proto::{ActionRequest, Execution, Status, Timestamp, id};
use serde_json::{Value, json};
use tracing::warn;

use crate::admit::Admission;
use crate::cancel::Guard;
use crate::run::{Runner, error_result, forget};
use crate::transition;

/// Times that one delivery goes through the gates: each further time it was let in between asking
/// and being put on record as delayed.
const ROUNDS_MAX: u32 = 4;

/// Why a request was not started.
pub(crate) enum NotStarted {
    /// Somebody else has it, or it waits, or it has ended: settle the delivery.
    Settled,
    /// The bus or the disk did not allow it now.
    Later(String),
}

impl From<BusError> for NotStarted {
    fn from(error: BusError) -> Self {
        Self::Later(error.to_string())
    }
}

/// An execution that is ours.
pub(crate) struct Claimed {
    /// On the list of what runs here.
    pub guard: Guard,
    /// Where the run is noted.
    pub file: process::Run,
    /// Place of the claim.
    pub sequence: u64,
    /// The execution as the claim tells it.
    pub execution: Execution,
}

impl Runner {
    /// Claims what is asked for, if it may start now.
    pub(crate) async fn claim(&self, request: &ActionRequest) -> Result<Claimed, NotStarted> {
        let guard = self.running().enter(&request.execution);
        let found = transition::last(&self.bus, &request.execution).await?;
        let (mut last, mut before) = match found {
            None => (0, Execution::requested(request.clone())),
            Some((sequence, state))
                if matches!(state.status, Status::Requested | Status::Delayed) =>
            {
                (sequence, state)
            }
            Some((_, state)) => {
                // Nobody ran it, so nobody else tells what follows its end.
                if state.status.is_final() && state.runner.is_none() {
                    Box::pin(self.follow_up(&state)).await?;
                }
                return Err(NotStarted::Settled);
            }
        };
        // A copy of a request that is being claimed here right now; when it comes again, the claim
        // tells what became of it.
        let Some(guard) = guard else {
            return Err(NotStarted::Later("it is being claimed".to_owned()));
        };
        let now = self.clock().now();
        if now.since(request.requested_at) > self.expire_after() {
            let result = json!({ "error": "no runner took the request in time" });
            return Err(Box::pin(self.end(before, last, Status::Expired, result)).await);
        }
        if self.is_shadow() {
            return self.hold(guard, before, last, Vec::new()).await;
        }
        for _round in 0..ROUNDS_MAX {
            let now = self.clock().now();
            match self.admit(&before, now).await? {
                Admission::Admitted(gates) => return self.hold(guard, before, last, gates).await,
                Admission::Waits(place) => {
                    let delayed = self.delay(before, last, &place, now).await?;
                    let Some((sequence, state)) = delayed else { return Err(NotStarted::Settled) };
                    (last, before) = (sequence, state);
                }
                Admission::Refused(why) => {
                    let result = json!({ "error": why });
                    return Err(Box::pin(self.end(before, last, Status::Canceled, result)).await);
                }
                Admission::Full(why) => {
                    let result = error_result(&why);
                    return Err(Box::pin(self.end(before, last, Status::Failed, result)).await);
                }
            }
        }
        Err(NotStarted::Later("it was let in and sent back".to_owned()))
    }

    /// Puts on record that an execution waits. Answers it when it was let in meanwhile: whoever let
    /// it in found nothing to ask for again.
    async fn delay(
        &self,
        before: Execution,
        last: u64,
        place: &Place,
        now: Timestamp,
    ) -> Result<Option<(u64, Execution)>, NotStarted> {
        let gate = place.to_string();
        if before.status == Status::Delayed && before.gates == [gate.as_str()] {
            return Ok(None);
        }
        let mut delayed = before.entering(Status::Delayed, now);
        delayed.gates = vec![gate];
        let key = id::execution_key(&delayed.request.execution);
        match transition::write(&self.bus, &delayed, last).await? {
            Claim::Held(sequence) => {
                let holds = self.gates.holds(place, key).await?;
                Ok(holds.then_some((sequence, delayed)))
            }
            Claim::Lost(entry) => {
                if transition::read(&entry).is_some_and(|state| state.status.is_final()) {
                    self.leave(&place.to_string(), key, None).await?;
                }
                Ok(None)
            }
        }
    }

    /// Ends an execution that never started.
    async fn end(&self, before: Execution, last: u64, status: Status, result: Value) -> NotStarted {
        let gates = before.gates.clone();
        let mut ended = before.entering(status, self.clock().now());
        ended.result = result;
        ended.gates = gates;
        // Named by nobody, so that whoever sees the request again does what follows.
        ended.runner = None;
        let stored = match transition::write(&self.bus, &ended, last).await {
            Ok(Claim::Held(_)) => self.follow_up(&ended).await,
            Ok(Claim::Lost(_)) => Ok(()),
            Err(error) => Err(error),
        };
        stored.map_or_else(NotStarted::from, |()| NotStarted::Settled)
    }

    async fn hold(
        &self,
        guard: Guard,
        before: Execution,
        last: u64,
        gates: Vec<String>,
    ) -> Result<Claimed, NotStarted> {
        let attempt = before.attempt + 1;
        // The file first: whatever happens after it, a restart finds the run again.
        let file = self
            .runs()
            .begin(RunClaim {
                execution: before.request.execution.clone(),
                incarnation: self.incarnation().to_owned(),
                attempt,
            })
            .map_err(|error| NotStarted::Later(error.to_string()))?;
        let now = self.clock().now();
        let mut held = before.entering(Status::Running, now);
        held.attempt = attempt;
        held.runner = Some(self.incarnation().to_owned());
        held.start = Some(now);
        held.gates = gates;
        match transition::write(&self.bus, &held, last).await {
            Ok(Claim::Held(sequence)) => Ok(Claimed { guard, file, sequence, execution: held }),
            Ok(Claim::Lost(entry)) => {
                forget(file);
                // Places belong to the execution: only its end gives them back.
                if let Some(state) = transition::read(&entry).filter(|s| s.status.is_final()) {
                    let gates = held.gates;
                    Box::pin(self.follow_up(&Execution { gates, ..state })).await?;
                }
                Err(NotStarted::Settled)
            }
            Err(error) => {
                // The file stays: a restart looks after what may have been claimed.
                warn!(execution = %held.request.execution, %error, "a claim is in doubt");
                Err(NotStarted::Later(error.to_string()))
            }
        }
    }
}

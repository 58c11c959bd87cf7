//! Storing what came of a run, and what follows it.

use hearken_kit::backoff::until_back;
use hearken_kit::bus::Error as BusError;
use hearken_kit::payload;
use hearken_kit::work::Claim;
use hearken_proto::{Execution, Status, id};
use serde_json::Value;
use tracing::{error, warn};

use crate::run::{Runner, error_result};
use crate::runner::Outcome;
use crate::transition;

/// How often, and with which pauses, an outcome waits for room on a full disk or stream: an hour.
const ROOM_WAITS_MAX: u32 = 1800;
const ROOM_PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// What ended a run before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nobody, or somebody who asked for it.
    Asked,
    /// This runner: others may soon take what it holds for lost.
    Fenced,
}

impl Runner {
    /// Stores the outcome and does what follows; false when that could not be done to its end, so
    /// that a restart looks again.
    pub(crate) async fn conclude(
        &self,
        sequence: u64,
        execution: Execution,
        mut outcome: Outcome,
        cut: Cut,
    ) -> bool {
        let key = execution.request.execution.clone();
        let whole = outcome.result.take();
        outcome.result = match self.outlined(&whole).await {
            Ok(result) => result,
            Err(error) => {
                error!(execution = %key, %error, "a large result could not be stored");
                error_result(&format!("the result is too large to be kept here: {error}"))
            }
        };
        drop(whole);
        let mut held = Vec::new();
        let mut execution = execution;
        if outcome.status == Status::Pending {
            (execution, held) = self.asked(execution, &mut outcome).await;
        }
        let Some(ended) = self.store(sequence, execution, outcome, cut).await else {
            return false;
        };
        let followed = match ended {
            None => Ok(()),
            Some(ended) => self.follow(&ended, &held).await,
        };
        if let Err(error) = &followed {
            error!(execution = %key, %error, "what follows an outcome could not be done");
        }
        followed.is_ok()
    }

    /// A question that is put waits without its places; one that cannot wait has failed.
    async fn asked(&self, execution: Execution, outcome: &mut Outcome) -> (Execution, Vec<String>) {
        let waits = || Box::pin(self.to_be_asked(execution.clone(), &outcome.result));
        match until_back("a question", waits).await {
            Ok(waiting) => waiting,
            Err(error) => {
                outcome.status = Status::Failed;
                outcome.result = error_result(&format!("the question cannot be put: {error}"));
                (execution, Vec::new())
            }
        }
    }

    /// What follows a state that was stored; `held` are places that it gave up.
    async fn follow(&self, state: &Execution, held: &[String]) -> Result<(), BusError> {
        let key = id::execution_key(&state.request.execution);
        for gate in held {
            until_back("a place that is given up", || self.leave(gate, key, None)).await?;
        }
        if state.status.is_final() {
            return until_back("what follows an outcome", || self.follow_up(state)).await;
        }
        if state.status == Status::Pending {
            return until_back("a question", || self.tell_question(state)).await;
        }
        Ok(())
    }

    async fn outlined(&self, result: &Value) -> Result<Value, BusError> {
        until_back("a large result", || payload::outlined(&self.bus, result)).await
    }

    /// The state that is stored; the inner nothing when it is somebody else's, the outer when
    /// nobody could be told.
    async fn store(
        &self,
        sequence: u64,
        execution: Execution,
        mut outcome: Outcome,
        cut: Cut,
    ) -> Option<Option<Execution>> {
        let now = self.clock().now();
        let key = execution.request.execution.clone();
        let mut last = sequence;
        let mut state = execution;
        let mut waits = 0;
        // Whoever wrote in between asked for the end, or took the execution away.
        for _attempt in 0..ROOM_WAITS_MAX + 3 {
            let status = final_status(state.status, outcome.status, cut);
            let mut next = state.clone().entering(status, now);
            next.result = outcome.result.clone();
            if status == Status::Abandoned && cut == Cut::Fenced {
                next.result = error_result(
                    "the runner could not renew its lease and ended what it ran; nobody knows \
                     whether the action was completed",
                );
            }
            match transition::write(&self.bus, &next, last).await {
                Ok(Claim::Held(_)) => return Some(Some(next)),
                Ok(Claim::Lost(entry)) => match transition::read(&entry) {
                    Some(stored) if stored.status == Status::Canceling => {
                        last = entry.sequence;
                        state = stored;
                    }
                    Some(_) | None => {
                        warn!(execution = %key, "somebody else has ended this execution");
                        return Some(None);
                    }
                },
                Err(BusError::Full(why)) if waits < ROOM_WAITS_MAX => {
                    warn!(execution = %key, why, "an outcome waits for room");
                    waits += 1;
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                Err(BusError::TooLarge { bytes, max }) => {
                    let why = format!("the result has {bytes} bytes, the bus takes {max}");
                    outcome.result = error_result(&why);
                }
                Err(error) => {
                    error!(execution = %key, %error, "an outcome could not be stored");
                    return None;
                }
            }
        }
        None
    }
}

/// The state that an execution enters whose run ended as `ended`.
fn final_status(before: Status, ended: Status, cut: Cut) -> Status {
    match (before, ended, cut) {
        (Status::Canceling, Status::Failed | Status::Timeout | Status::Pending, _) => {
            Status::Canceled
        }
        // A run that was cut short by nobody's wish: whether it did its work is not known.
        (Status::Running, Status::Canceled | Status::Failed, Cut::Fenced) => Status::Abandoned,
        (_, ended, _) => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_for_the_end_decides_what_it_is_called() {
        use Status::{
            Abandoned, Canceled, Canceling, Failed, Pending, Running, Succeeded, Timeout,
        };
        for (before, ended, cut, expected) in [
            (Running, Succeeded, Cut::Asked, Succeeded),
            (Running, Canceled, Cut::Asked, Canceled),
            (Running, Canceled, Cut::Fenced, Abandoned),
            (Running, Failed, Cut::Fenced, Abandoned),
            (Running, Succeeded, Cut::Fenced, Succeeded),
            (Canceling, Failed, Cut::Asked, Canceled),
            (Canceling, Timeout, Cut::Asked, Canceled),
            (Canceling, Canceled, Cut::Fenced, Canceled),
            (Canceling, Succeeded, Cut::Asked, Succeeded),
            (Running, Pending, Cut::Fenced, Pending),
            (Canceling, Pending, Cut::Asked, Canceled),
        ] {
            assert_eq!(final_status(before, ended, cut), expected, "{before} {ended} {cut:?}");
        }
    }
}

//! What becomes of executions whose runner is gone.
//!
//! A restarted runner looks after its own; any runner looks after others whose heartbeat stopped.
//! Both do the same thing: an action that says it is idempotent is asked for again as long as it
//! has attempts left, every other one is `abandoned`, because nobody knows how it ended. What had
//! ended already is told again, in case the runner died before it told.

use std::time::Duration;

use hearken_kit::bus::Error;
use hearken_kit::work::Claim;
use hearken_proto::{Execution, Status};
use serde_json::json;
use tracing::{info, warn};

use crate::run::Runner;
use crate::transition;

/// A step of recovery that takes longer is worth a word: the server's doors are still closed.
const PATIENCE: Duration = Duration::from_secs(5);

impl Runner {
    /// Takes `execution` away from the runner `gone`, if that still holds it.
    pub(crate) async fn release(&self, execution: &str, gone: &str) -> Result<(), Error> {
        let Some((sequence, state)) = transition::last(&self.bus, execution).await? else {
            // It was never claimed: its request is still with the bus.
            return Ok(());
        };
        if state.status == Status::Pending {
            // The runner may have ended before it told that it asked.
            return self.tell_question(&state).await;
        }
        if state.runner.as_deref() != Some(gone) {
            return Ok(());
        }
        if state.status.is_final() {
            return self.follow_up(&state).await;
        }
        if matches!(state.status, Status::Requested | Status::Delayed) {
            // Our own earlier attempt at this got no further than the transition.
            return Box::pin(self.ask_for_attempt(&state)).await;
        }
        let attempts_max = self.attempts_max(&state).await;
        let again = state.attempt < attempts_max && state.status == Status::Running;
        let status = if again { Status::Requested } else { Status::Abandoned };
        let mut next = state.entering(status, self.clock().now());
        if !again {
            next.result = json!({ "error": format!("the runner {gone} ended while it held this; \
                 nobody knows whether the action was completed") });
        }
        info!(execution = %next.request.execution, runner = gone, %status, "released from a runner that is gone");
        match transition::write(&self.bus, &next, sequence).await? {
            Claim::Held(_) if again => Box::pin(self.ask_for_attempt(&next)).await,
            Claim::Held(_) => self.follow_up(&next).await,
            // Somebody else released it, or the runner was not gone after all.
            Claim::Lost(_) => Ok(()),
        }
    }

    /// Asks for the next attempt of an idempotent action. Its places in gates stay its own.
    async fn ask_for_attempt(&self, state: &Execution) -> Result<(), Error> {
        self.ask_again(state, &[&state.attempt.to_string()]).await
    }
}

/// Does `step`, and says every few seconds that it is still at it.
pub(crate) async fn patiently<T>(what: &str, step: impl Future<Output = T>) -> T {
    tokio::pin!(step);
    loop {
        match tokio::time::timeout(PATIENCE, &mut step).await {
            Ok(done) => return done,
            Err(_late) => warn!(what, "recovery is still at this step"),
        }
    }
}

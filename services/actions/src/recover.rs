//! What becomes of executions whose runner is gone.
//!
//! A restarted runner looks after its own; any runner looks after others whose heartbeat stopped.
//! Both do the same thing: an action that says it is idempotent is asked for again as long as it
//! has attempts left, every other one is `abandoned`, because nobody knows how it ended.

use hearken_kit::bus::{Bus, Error};
use hearken_kit::work::Claim;
use hearken_kit::{Clock, payload};
use hearken_proto::{Execution, Status, Subject, id};
use serde_json::json;
use tracing::info;

use crate::transition;

/// How often an action may start, when it may start more than once.
pub(crate) struct Retry {
    /// Starts allowed in all; 1 for actions that are not idempotent.
    pub attempts_max: u32,
    /// Pool to ask again.
    pub pool: String,
}

/// Takes `execution` away from the runner `gone`, if that still holds it.
pub(crate) async fn release(
    bus: &Bus,
    clock: &Clock,
    execution: &str,
    gone: &str,
    retry: impl AsyncFnOnce(&Execution) -> Retry,
) -> Result<(), Error> {
    let Some((sequence, state)) = transition::last(bus, execution).await? else {
        // It was never claimed: its request is still with the bus.
        return Ok(());
    };
    if state.runner.as_deref() != Some(gone) {
        return Ok(());
    }
    let retry = retry(&state).await;
    if state.status == Status::Requested {
        // Our own earlier attempt at this got no further than the transition.
        return ask_again(bus, &state, &retry.pool).await;
    }
    if state.status.is_final() {
        return Ok(());
    }
    let again = state.attempt < retry.attempts_max && state.status != Status::Canceling;
    let status = if again { Status::Requested } else { Status::Abandoned };
    let mut next = state.entering(status, clock.now());
    if !again {
        let runner = gone.to_owned();
        next.result = json!({ "error": format!("the runner {runner} ended while it held this; \
             nobody knows whether the action was completed") });
    }
    info!(execution = %next.request.execution, runner = gone, %status, "released from a runner that is gone");
    match transition::write(bus, &next, sequence).await? {
        Claim::Held(_) if again => ask_again(bus, &next, &retry.pool).await,
        // Somebody else released it, or the runner was not gone after all.
        Claim::Held(_) | Claim::Lost(_) => Ok(()),
    }
}

async fn ask_again(bus: &Bus, state: &Execution, pool: &str) -> Result<(), Error> {
    let request = &state.request;
    let (pack, action) = request.action.split_once('.').unwrap_or(("default", &request.action));
    let subject = Subject::ActionRequest {
        pool: pool.to_owned(),
        pack: pack.to_owned(),
        action: action.to_owned(),
    };
    let mut message = payload::message(bus.subject(&subject), request)?;
    let attempt = state.attempt.to_string();
    message.id = Some(id::derived(&["request", id::execution_key(&request.execution), &attempt]));
    message.cause = Some(id::request(&request.execution));
    bus.publish(message).await.map(|_ack| ())
}

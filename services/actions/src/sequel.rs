//! What follows the end of an execution: its places go to others, it is tried again where a policy
//! says so, and rules hear of it.
//!
//! Everything here may happen twice: places are left once however often one leaves, the execution
//! that tries again and the event that tells have ids derived from the one that ended. Whoever
//! recovers an interrupted run does all of it again.
//!
//! A rule on `core.st2.generic.actiontrigger` whose action ends is told of that end as well. Where
//! its criteria do not leave its own action out, it goes on for ever, as with StackStorm.

use std::collections::VecDeque;

use hearken_engine::policy::retry;
use hearken_kit::bus::Error;
use hearken_kit::{payload, request, seal};
use hearken_proto::{Execution, Status, Subject, id};
use serde_json::json;
use tracing::{debug, info};

use crate::gate::Keeper;
use crate::run::Runner;
use crate::transition;

/// The trigger by which rules hear of executions that have ended.
const TRIGGER: &str = "core.st2.generic.actiontrigger";

impl Runner {
    /// Does what follows the end of an execution.
    pub(crate) async fn follow_up(&self, ended: &Execution) -> Result<(), Error> {
        let key = id::execution_key(&ended.request.execution);
        for gate in &ended.gates {
            self.leave(gate, key, None).await?;
        }
        // One that never started says nothing about the action.
        if ended.runner.is_some() {
            Box::pin(self.try_again(ended)).await?;
        }
        self.tell(ended).await
    }

    /// Whether anything follows the end of an execution.
    pub(crate) fn has_sequel(&self, ended: &Execution) -> bool {
        let definitions = self.definitions();
        let registry = &definitions.registry;
        let tried_again = || retry(registry.policies_of(&ended.request.action), ended).is_some();
        let told = || registry.hears(TRIGGER) || self.has_notices(ended);
        !ended.gates.is_empty() || told() || tried_again()
    }

    async fn try_again(&self, ended: &Execution) -> Result<(), Error> {
        let definitions = self.definitions();
        let policies = definitions.registry.policies_of(&ended.request.action);
        let Some(again) = retry(policies, ended) else { return Ok(()) };
        let before = &ended.request.execution;
        info!(execution = %before, next = %again.execution, "tried again by policy");
        let mut message = request::message(&self.bus, &again)?;
        message.cause = Some(id::request(before));
        self.bus.publish(message).await.map(|_ack| ())
    }

    /// Tells rules of an end, if any listens, and what its notifications say.
    async fn tell(&self, ended: &Execution) -> Result<(), Error> {
        let told = matches!(
            ended.status,
            Status::Succeeded
                | Status::Failed
                | Status::Timeout
                | Status::Canceled
                | Status::Abandoned
        );
        if !told || self.is_shadow() {
            return Ok(());
        }
        self.notify(ended).await?;
        let definitions = self.definitions();
        if !definitions.registry.hears(TRIGGER) {
            return Ok(());
        }
        let request = &ended.request;
        let action = definitions.registry.action(&request.action);
        let payload = json!({
            "execution_id": request.execution,
            "status": ended.status,
            "start_timestamp": ended.start.unwrap_or(request.requested_at),
            "action_name": request.action,
            "action_ref": request.action,
            "runner_ref": action.map(|action| action.runner.name()),
            "parameters": seal::shown(request),
            "result": ended.result,
        });
        let subject = self.bus.subject(&Subject::event(TRIGGER));
        let mut message = payload::message(subject, &payload)?;
        message.id = Some(format!("actiontrigger-{}", request.execution));
        message.cause = Some(id::request(&request.execution));
        self.bus.publish(message).await.map(|_ack| ())
    }

    /// Sends those that a gate has let in on their way: their requests are asked for again. One
    /// that has ended meanwhile leaves, and the next one comes in.
    pub(crate) async fn let_in(
        &self,
        granted: Vec<String>,
        entity: &str,
        sequence: u64,
    ) -> Result<(), Error> {
        if granted.is_empty() {
            return Ok(());
        }
        let definitions = self.definitions();
        let mut all: VecDeque<(String, u64)> =
            granted.into_iter().map(|key| (key, sequence)).collect();
        while let Some((key, sequence)) = all.pop_front() {
            // One that is not delayed yet sees by itself that it was let in, or its request comes
            // again.
            let Some((place, state)) = transition::last(&self.bus, &key).await? else { continue };
            if state.status == Status::Pending {
                Box::pin(self.time_out(state, place)).await?;
                continue;
            }
            if state.status == Status::Delayed {
                self.ask_again(&state, &["granted", entity, &sequence.to_string()]).await?;
                debug!(execution = %state.request.execution, gate = entity, "let in");
                continue;
            }
            if !state.status.is_final() {
                continue;
            }
            let keeper = Keeper::of(&definitions.registry, entity);
            let changed = self.gates.change(entity, keeper, |lanes, _limits, _now| {
                for lane in lanes.values_mut() {
                    hearken_engine::policy::gate::leave(lane, &key, None);
                }
            });
            let changed = changed.await?;
            all.extend(changed.granted.into_iter().map(|key| (key, changed.sequence)));
            self.tell(&state).await?;
        }
        Ok(())
    }

    /// Asks for an execution again; `why` tells this time from others.
    pub(crate) async fn ask_again(&self, state: &Execution, why: &[&str]) -> Result<(), Error> {
        let wanted = &state.request;
        let mut message = request::message(&self.bus, wanted)?;
        let key = id::execution_key(&wanted.execution);
        message.id = Some(id::derived(&[&["request", key], why].concat()));
        message.cause = Some(id::request(&wanted.execution));
        self.bus.publish(message).await.map(|_ack| ())
    }
}

//! Executions that wait for an answer: nobody holds them, and their time may run out.
//!
//! A question that was put is held by no runner, so that no runner that ends takes it along, and
//! has left the gates of its policies, so that it keeps nobody out. Its time is kept where delayed
//! executions wait for theirs: in a gate that lets it in when the moment has come. Being let in
//! then means that nobody has answered.
//!
//! Invariant: the end of a question is compared and set on `pending`; of an answer and the end of
//! its time exactly one is stored.

use std::time::Duration;

use hearken_engine::definition::policy::Excess;
use hearken_engine::policy::Place;
use hearken_engine::policy::gate::{self, Verdict};
use hearken_kit::bus::Error;
use hearken_kit::payload;
use hearken_kit::work::Claim;
use hearken_proto::record::Waiter;
use hearken_proto::{Execution, Status, Subject, Timestamp, id};
use serde_json::{Value, json};
use tracing::info;

use crate::gate::Keeper;
use crate::run::Runner;
use crate::transition;

/// The trigger by which rules hear of questions.
const TRIGGER: &str = "core.st2.generic.inquiry";
/// Seconds of a minute, which is what questions count their time in.
const MINUTE: u64 = 60;
/// The longest that a question waits: a year. The log forgets it sooner where it is kept for less.
const TTL_MINUTES_MAX: u64 = 366 * 24 * 60;

impl Runner {
    /// The state of `execution` while it waits, and the places that it need not hold meanwhile.
    ///
    /// # Errors
    /// Those of the bus.
    pub(crate) async fn to_be_asked(
        &self,
        mut execution: Execution,
        question: &Value,
    ) -> Result<(Execution, Vec<String>), Error> {
        let held = std::mem::take(&mut execution.gates);
        execution.runner = None;
        if let Some(due) = due(question, self.clock().now()) {
            let request = &execution.request;
            let place = Place::timed(&request.execution);
            let key = id::execution_key(&request.execution).to_owned();
            let waiter = Waiter(key, request.requested_at.nanos(), due.nanos());
            let asked = self.gates.change(&place.entity, Keeper::Moment, |lanes, limits, now| {
                let gate = lanes.entry(place.lane.clone()).or_default();
                gate::admit(gate, limits, &waiter, Excess::Delay, now)
            });
            let changed = asked.await?;
            self.let_in(changed.granted, &place.entity, changed.sequence).await?;
            if matches!(changed.answer, Verdict::Full) {
                return Err(Error::Full("too many questions wait for an answer already".into()));
            }
            execution.gates = vec![place.to_string()];
        }
        Ok((execution, held))
    }

    /// Tells rules of a question that was put. Told twice, it is one event.
    pub(crate) async fn tell_question(&self, asked: &Execution) -> Result<(), Error> {
        let request = &asked.request;
        let payload = json!({
            "id": request.execution,
            "route": asked.result.get("route").cloned().unwrap_or_default(),
        });
        let mut message = payload::message(self.bus.subject(&Subject::event(TRIGGER)), &payload)?;
        message.id = Some(format!("inquiry-{}", id::execution_key(&request.execution)));
        message.cause = Some(id::request(&request.execution));
        self.bus.publish(message).await.map(|_ack| ())
    }

    /// Ends a question whose time is over, if nobody has answered meanwhile.
    pub(crate) async fn time_out(&self, asked: Execution, sequence: u64) -> Result<(), Error> {
        let now = self.clock().now();
        let mut ended = asked.entering(Status::Timeout, now);
        if let Some(question) = ended.result.as_object_mut() {
            question.insert("error".to_owned(), json!("nobody answered in time"));
        }
        info!(execution = %ended.request.execution, "nobody answered in time");
        match transition::write(&self.bus, &ended, sequence).await? {
            Claim::Held(_) => self.follow_up(&ended).await,
            // Somebody answered, or took it back.
            Claim::Lost(_) => Ok(()),
        }
    }
}

/// When the time of a question is over; never when it has none.
fn due(question: &Value, now: Timestamp) -> Option<Timestamp> {
    let minutes = question.get("ttl").and_then(Value::as_u64).filter(|minutes| *minutes > 0)?;
    Some(now.plus(Duration::from_secs(minutes.min(TTL_MINUTES_MAX) * MINUTE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_question_is_in_minutes_and_none_is_for_ever() {
        let now = Timestamp::EPOCH;
        let after = |seconds| Some(now.plus(Duration::from_secs(seconds)));
        for (question, expected) in [
            (json!({"ttl": 1440}), after(24 * 3600)),
            (json!({"ttl": 1}), after(60)),
            (json!({"ttl": 0}), None),
            (json!({"ttl": -5}), None),
            (json!({}), None),
            (json!({"ttl": u64::MAX}), after(366 * 24 * 3600)),
        ] {
            assert_eq!(due(&question, now), expected, "{question}");
        }
    }
}

//! Asking the ledger over the bus.

use std::time::Duration;

use axum::http::StatusCode;
use hearken_kit::bus::{Bus, Error};
use hearken_proto::Subject;
use hearken_proto::question::{Answer, Question};

use crate::fault::Fault;

/// How long an answer may take; verifying a long log is the slowest.
const WAIT: Duration = Duration::from_secs(60);

/// What the ledger answers to `question`.
pub(crate) async fn ask(bus: &Bus, question: &Question) -> Result<Answer, Fault> {
    let body = serde_json::to_vec(question).map_err(|error| Fault::bad(error.to_string()))?;
    let address = Subject::Control { service: "ledger".to_owned(), host: "any".to_owned() };
    let answer = bus.ask(&bus.subject(&address), body.into(), WAIT).await;
    let answer = answer.map_err(|error| {
        if matches!(error, Error::NoResponder(_)) {
            let reason = "no ledger is running, so nobody knows";
            return Fault::new(StatusCode::SERVICE_UNAVAILABLE, reason)
                .hint("start one: hearken serve ledger --nats …");
        }
        error.into()
    })?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Failed { reason }) => Err(Fault::bad(reason)),
        Ok(answer) => Ok(answer),
        Err(error) => {
            Err(Fault::new(StatusCode::BAD_GATEWAY, format!("the ledger's answer: {error}")))
        }
    }
}

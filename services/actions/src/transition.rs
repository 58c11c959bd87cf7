//! Writing the transitions of executions, always compared and set, and only what may follow.

use hearken_engine::execution::may_follow;
use hearken_kit::bus::{Bus, Error};
use hearken_kit::payload;
use hearken_kit::work::{self, Claim};
use hearken_proto::subject::Kind;
use hearken_proto::{Entry, Execution, Message, Stream, Subject, codec, id};

/// The subject of an execution's transitions.
pub(crate) fn subject(bus: &Bus, execution: &str) -> String {
    bus.subject(&Subject::transition(Kind::Execution, id::execution_key(execution)))
}

/// The execution's last transition and its place, if it has one.
pub(crate) async fn last(bus: &Bus, execution: &str) -> Result<Option<(u64, Execution)>, Error> {
    let entry = bus.last(Stream::Log, &subject(bus, execution)).await?;
    Ok(entry.and_then(|entry| Some((entry.sequence, read(&entry)?))))
}

/// The execution that a transition tells of; `None` when it is not one of ours.
pub(crate) fn read(entry: &Entry) -> Option<Execution> {
    codec::decode(&entry.headers, &entry.body).ok()
}

/// Writes `execution` after the transition at `last` (0: as its first).
///
/// # Errors
/// Those of [`work::claim`]; [`Error::Configuration`] when its state may not follow the one before.
pub(crate) async fn write(bus: &Bus, execution: &Execution, last: u64) -> Result<Claim, Error> {
    check(execution, last)?;
    let message = message(bus, execution, last)?;
    let written = message.id.clone();
    let mine = move |entry: &Entry| Some(&entry.id) == written.as_ref();
    work::claim(bus, Stream::Log, message, last, mine).await
}

/// Refuses a state that cannot follow: the history of an execution is a promise to its readers.
fn check(execution: &Execution, last: u64) -> Result<(), Error> {
    let before = execution.log.iter().rev().nth(1).filter(|_step| last > 0);
    let before = before.map(|step| step.status);
    if may_follow(before, execution.status) {
        return Ok(());
    }
    let before = before.map_or("nothing", |status| status.word());
    Err(Error::Configuration(format!(
        "execution {} cannot become {} after {before}",
        execution.request.execution, execution.status
    )))
}

fn message(bus: &Bus, execution: &Execution, last: u64) -> Result<Message, Error> {
    let request = &execution.request;
    let mut message = payload::message(subject(bus, &request.execution), execution)?;
    // An execution may enter one state several times: what it follows tells them apart.
    message.id = Some(id::derived(&[
        "transition",
        id::execution_key(&request.execution),
        execution.runner.as_deref().unwrap_or_default(),
        &execution.attempt.to_string(),
        execution.status.word(),
        &last.to_string(),
    ]));
    message.cause = Some(id::request(&request.execution));
    Ok(message)
}

#[cfg(test)]
mod tests {
    use hearken_proto::{ActionRequest, Status, Timestamp};

    use super::*;

    #[test]
    fn a_state_that_cannot_follow_is_refused_with_a_reason() {
        let request: ActionRequest = serde_json::from_value(serde_json::json!({
            "execution": "6957353500112233445566aa", "action": "p.a", "digest": "",
            "requested_at": "2026-01-02T03:04:05Z",
        }))
        .unwrap();
        let requested = Execution::requested(request);
        let entered = |state: &Execution, status| state.clone().entering(status, Timestamp::EPOCH);
        let running = entered(&requested, Status::Running);
        assert!(check(&running, 0).is_ok());
        assert!(check(&entered(&running, Status::Succeeded), 7).is_ok());
        assert!(check(&entered(&running, Status::Requested), 7).is_ok());
        let succeeded = entered(&running, Status::Succeeded);
        let refused = check(&entered(&succeeded, Status::Running), 8).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("cannot become running after succeeded"), "{text}");
        assert!(check(&entered(&requested, Status::Succeeded), 3).is_err());
    }
}

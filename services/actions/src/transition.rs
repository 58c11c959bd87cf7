//! Writing the transitions of executions, always compared and set.

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
pub(crate) async fn write(bus: &Bus, execution: &Execution, last: u64) -> Result<Claim, Error> {
    let message = message(bus, execution)?;
    let written = message.id.clone();
    let mine = move |entry: &Entry| Some(&entry.id) == written.as_ref();
    work::claim(bus, Stream::Log, message, last, mine).await
}

fn message(bus: &Bus, execution: &Execution) -> Result<Message, Error> {
    let request = &execution.request;
    let mut message = payload::message(subject(bus, &request.execution), execution)?;
    message.id = Some(id::derived(&[
        "transition",
        id::execution_key(&request.execution),
        execution.runner.as_deref().unwrap_or_default(),
        &execution.attempt.to_string(),
        execution.status.word(),
    ]));
    message.cause = Some(id::request(&request.execution));
    Ok(message)
}

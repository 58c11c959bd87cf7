//! Requests as messages: one place says on which subject, with which id and with which cause.

use hearken_proto::{ActionRequest, Message, Subject, id};

use crate::bus::{Bus, Error};
use crate::payload;

/// The message that asks for `request`. Its id is the execution's own; its cause is for the caller
/// to say.
///
/// # Errors
/// [`Error::Configuration`] when the request has no MessagePack form.
pub fn message(bus: &Bus, request: &ActionRequest) -> Result<Message, Error> {
    let (pack, action) = request.action.split_once('.').unwrap_or(("default", &request.action));
    let subject = Subject::ActionRequest {
        pool: request.pool.clone(),
        pack: pack.to_owned(),
        action: action.to_owned(),
    };
    let mut message = payload::message(bus.subject(&subject), request)?;
    message.id = Some(id::request(&request.execution));
    Ok(message)
}

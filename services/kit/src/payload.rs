//! Messages of ours: a subject, a payload in MessagePack, and the header that says so.

use hearken_proto::{Message, codec, entry};
use serde::Serialize;

use crate::bus::Error;

/// A message to `subject` with `payload`.
///
/// # Errors
/// [`Error::Configuration`] when the payload has no MessagePack form.
pub fn message<T: Serialize>(subject: String, payload: &T) -> Result<Message, Error> {
    let body = codec::encode(payload)
        .map_err(|error| Error::Configuration(format!("{subject}: {error}")))?;
    let mut message = Message { subject, body: body.into(), ..Message::default() };
    message.headers.append(entry::CONTENT_TYPE, entry::MESSAGEPACK);
    Ok(message)
}

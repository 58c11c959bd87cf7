//! What may be stored at all: checked on the caller's thread, before anything is queued.

use hearken_proto::{Entry, Headers, Message, subject};

use crate::error::Error;
use crate::{ENTRY_BYTES_MAX, NAME_BYTES_MAX};

/// Bytes of lengths for each header.
const HEADER_OVERHEAD: usize = 8;

/// Whether a message can be stored.
pub(crate) fn check(message: &Message) -> Result<(), Error> {
    if !subject::is_literal(&message.subject) {
        return Err(Error::Subject(message.subject.clone()));
    }
    limit("an id", message.id.as_ref().map_or(0, String::len), NAME_BYTES_MAX)?;
    limit("a cause", message.cause.as_ref().map_or(0, String::len), NAME_BYTES_MAX)?;
    check_content(&message.headers, message.body.len())
}

/// Whether an entry of another log can be stored.
pub(crate) fn check_entry(entry: &Entry) -> Result<(), Error> {
    if !subject::is_literal(&entry.subject) {
        return Err(Error::Subject(entry.subject.clone()));
    }
    limit("an id", entry.id.len(), NAME_BYTES_MAX)?;
    limit("a cause", entry.cause.len(), NAME_BYTES_MAX)?;
    check_content(&entry.headers, entry.body.len())
}

fn check_content(headers: &Headers, body: usize) -> Result<(), Error> {
    let headers: usize =
        headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD).sum();
    limit("an entry", headers + body, ENTRY_BYTES_MAX)
}

/// Refuses what is longer than it may be.
pub(crate) const fn limit(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    if bytes > bytes_max { Err(Error::TooLarge { what, bytes, bytes_max }) } else { Ok(()) }
}

//! Our messages as NATS messages, and back.

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use hearken_proto::entry::{CAUSE, MESSAGE_ID};
use hearken_proto::{Entry, Headers, Message, Timestamp};

/// Header with which JetStream compares and sets.
const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";

/// A message to be stored.
pub(super) fn publish(message: Message, last: Option<u64>) -> (String, PublishMessage) {
    let (subject, mut headers, body) = plain(message);
    if let Some(last) = last {
        headers.insert(EXPECTED_LAST, last.to_string());
    }
    (subject, PublishMessage::build().headers(headers).payload(body))
}

/// A message to be passed on.
pub(super) fn plain(message: Message) -> (String, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    for (name, value) in message.headers.iter() {
        headers.append(name, value);
    }
    if let Some(id) = &message.id {
        headers.insert(MESSAGE_ID, id.as_str());
    }
    if let Some(cause) = &message.cause {
        headers.insert(CAUSE, cause.as_str());
    }
    (message.subject, headers, message.body)
}

/// A message that was passed on.
pub(super) fn message_of(message: async_nats::Message) -> Message {
    let (id, cause, headers) = split(message.headers.as_ref());
    Message { subject: message.subject.to_string(), id, cause, headers, body: message.payload }
}

/// A message that a stream delivered; `None` when it has no place, so is no delivery.
pub(super) fn entry_of(message: &async_nats::jetstream::Message) -> Option<(Entry, u64, u64)> {
    let info = message.info().ok()?;
    let (id, cause, headers) = split(message.headers.as_ref());
    let entry = Entry {
        sequence: info.stream_sequence,
        time: timestamp(info.published),
        subject: message.subject.to_string(),
        id: id.unwrap_or_default(),
        cause: cause.unwrap_or_default(),
        headers,
        body: message.payload.clone(),
    };
    Some((entry, u64::try_from(info.delivered).unwrap_or(1), info.pending))
}

/// A message that was fetched by subject.
pub(super) fn entry_of_raw(raw: async_nats::jetstream::message::StreamMessage) -> Entry {
    let (id, cause, headers) = split(Some(&raw.headers));
    Entry {
        sequence: raw.sequence,
        time: timestamp(raw.time),
        subject: raw.subject.to_string(),
        id: id.unwrap_or_default(),
        cause: cause.unwrap_or_default(),
        headers,
        body: raw.payload,
    }
}

fn timestamp(time: time::OffsetDateTime) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX))
}

fn split(map: Option<&HeaderMap>) -> (Option<String>, Option<String>, Headers) {
    let (mut id, mut cause, mut headers) = (None, None, Headers::new());
    for (name, values) in map.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        for value in values {
            let value = value.as_str().to_owned();
            if name.eq_ignore_ascii_case(MESSAGE_ID) {
                id = Some(value);
            } else if name.eq_ignore_ascii_case(CAUSE) {
                cause = Some(value);
            } else if !name.eq_ignore_ascii_case(EXPECTED_LAST) {
                headers.append(name, value);
            }
        }
    }
    (id, cause, headers)
}

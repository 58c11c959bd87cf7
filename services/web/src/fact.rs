//! Facts on their way into the log: named, checked against their trigger type, stored.

use axum::http::StatusCode;
use hearken_kit::bus::Ack;
use hearken_kit::random;
use hearken_proto::permission::OWN_PACK;
use hearken_proto::{Message, Subject, codec, entry, subject};
use serde_json::Value;

use crate::fault::Fault;
use crate::{App, schema};

/// The longest id of an event.
const ID_BYTES_MAX: usize = 1024;
/// The longest value of a header that is kept.
const HEADER_BYTES_MAX: usize = 1024;

/// Something that happened, told by a client.
#[derive(Debug)]
pub(crate) struct Fact {
    /// Trigger reference, `pack.name`.
    pub trigger: String,
    /// An object; null counts as an empty one.
    pub payload: Value,
    /// Its name; none when its place is to be its name.
    pub id: Option<String>,
    /// Id of the event that it repeats.
    pub cause: Option<String>,
    /// Headers of the entry beside those that every fact has.
    pub headers: Vec<(&'static str, String)>,
}

/// Checks a fact against its trigger type and stores it.
pub(crate) async fn tell(app: &App, mut fact: Fact) -> Result<Ack, Fault> {
    check(&fact)?;
    let definitions = app.0.definitions.current();
    if fact.payload.is_null() {
        fact.payload = Value::Object(serde_json::Map::new());
    }
    fact.payload = schema::accept(&definitions.registry, &fact.trigger, fact.payload)?;
    store(app, fact).await
}

/// Stores a fact whose payload is known to be right.
pub(crate) async fn store(app: &App, fact: Fact) -> Result<Ack, Fault> {
    let bus = &app.0.bus;
    let mut message = Message {
        subject: bus.subject(&Subject::event(&fact.trigger)),
        id: fact.id,
        cause: fact.cause,
        body: fact.payload.to_string().into(),
        ..Message::default()
    };
    message.headers.append(entry::CONTENT_TYPE, entry::JSON);
    message.headers.append(entry::PRODUCER_TIME, app.0.clock.now().to_string());
    for (name, value) in fact.headers {
        if value.len() <= HEADER_BYTES_MAX && !value.chars().any(char::is_control) {
            message.headers.append(name, value);
        }
    }
    // What the rules could not read would be a dead letter: here somebody can still be told.
    codec::decode_object(&message.headers, &message.body).map_err(|error| {
        Fault::bad(format!("the event could not be read again: {error}"))
            .hint("values may be nested 100 deep")
    })?;
    Ok(bus.publish(message).await?)
}

fn check(fact: &Fact) -> Result<(), Fault> {
    if !fact.trigger.contains('.') || !subject::is_literal(&fact.trigger) {
        return Err(Fault::bad(format!("{:?} is not a trigger", fact.trigger))
            .hint("a trigger is a pack and a name, joined by a dot: shop.order_late"));
    }
    if fact.trigger.split('.').next() == Some(OWN_PACK) {
        return Err(Fault::bad(format!("{} is told by Hearken itself", fact.trigger))
            .hint("use a pack name of your own"));
    }
    let id = fact.id.as_deref().unwrap_or_default();
    if id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(Fault::bad("an id has at most 1024 bytes and no control characters"));
    }
    if !fact.payload.is_object() && !fact.payload.is_null() {
        return Err(
            Fault::bad("the payload must be an object").hint("for example '{\"order\": 7}'")
        );
    }
    Ok(())
}

/// A name that nobody else has, `what-<random>`.
pub(crate) fn random_name(what: &str) -> Result<String, Fault> {
    let random = random::hex(16).map_err(|error| {
        let reason = format!("no random name can be made: {error}");
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    })?;
    Ok(format!("{what}-{random}"))
}

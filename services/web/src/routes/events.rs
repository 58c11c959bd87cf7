//! Events: published and watched.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use hearken_proto::permission::OWN_PACK;
use hearken_proto::{Message, Subject, entry, subject};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::{App, follow};

/// The longest id of an event.
const ID_BYTES_MAX: usize = 1024;

/// A fact from a client that showed the token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fact {
    /// Trigger reference, `pack.name`.
    trigger: String,
    /// Any object.
    #[serde(default)]
    payload: Value,
    /// A name of the client's own: the same name twice is one fact.
    id: Option<String>,
    /// Who says so.
    source: Option<String>,
}

/// Stores a fact.
pub(crate) async fn publish(
    State(app): State<App>,
    Json(fact): Json<Fact>,
) -> Result<Json<Value>, Fault> {
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
    let payload = if fact.payload.is_null() { json!({}) } else { fact.payload };
    let bus = &app.0.bus;
    let mut message = Message {
        subject: bus.subject(&Subject::event(&fact.trigger)),
        id: fact.id.clone(),
        body: payload.to_string().into(),
        ..Message::default()
    };
    message.headers.append(entry::CONTENT_TYPE, entry::JSON);
    message.headers.append(entry::PRODUCER_TIME, app.0.clock.now().to_string());
    if let Some(source) = fact.source {
        message.headers.append(entry::SOURCE, source);
    }
    let ack = bus.publish(message).await?;
    let id = match fact.id {
        Some(id) => id,
        None => {
            let head = bus.head(hearken_proto::Stream::Events).await?;
            hearken_proto::id::place(&head.incarnation, ack.sequence)
        }
    };
    Ok(Json(json!({ "id": id, "sequence": ack.sequence, "duplicate": ack.duplicate })))
}

/// What to watch.
#[derive(Debug, Deserialize)]
pub(crate) struct TailQuery {
    /// Subject without prefix, wildcards allowed; events when absent.
    filter: Option<String>,
}

/// Streams messages as they come.
pub(crate) async fn tail(
    State(app): State<App>,
    Query(query): Query<TailQuery>,
) -> Result<Response, Fault> {
    let filter = query.filter.unwrap_or_else(|| "event.>".to_owned());
    let filter = format!("{}.{filter}", app.0.bus.prefix());
    if !subject::is_filter(&filter) {
        return Err(
            Fault::bad(format!("{filter:?} is not a filter")).hint("for example event.shop.>")
        );
    }
    follow::messages(&app, &filter).await
}

//! Events: published and watched.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use hearken_proto::{entry, id, subject};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fact::{self, Fact};
use crate::fault::Fault;
use crate::{App, follow};

/// A fact from a client that showed the token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
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
    Json(told): Json<Told>,
) -> Result<Json<Value>, Fault> {
    let fact = Fact {
        trigger: told.trigger,
        payload: told.payload,
        id: told.id.clone(),
        cause: None,
        headers: told.source.map(|source| (entry::SOURCE, source)).into_iter().collect(),
    };
    let ack = fact::tell(&app, fact).await?;
    let id = match told.id {
        Some(id) => id,
        None => {
            let head = app.0.bus.head(hearken_proto::Stream::Events).await?;
            id::place(&head.incarnation, ack.sequence)
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

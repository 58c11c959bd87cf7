//! The log, for people and audits.

use axum::Json;
use axum::extract::{Path, State};
use hearken_proto::question::{Answer, Question};
use serde_json::Value;

use crate::fault::Fault;
use crate::{App, chain, ledger};

/// Puts a question to the ledger.
pub(crate) async fn ask(
    State(app): State<App>,
    Json(question): Json<Question>,
) -> Result<Json<Answer>, Fault> {
    ledger::ask(&app.0.bus, &question).await.map(Json)
}

/// Why something happened.
pub(crate) async fn explain(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    chain::explain(&app, &id).await.map(Json)
}

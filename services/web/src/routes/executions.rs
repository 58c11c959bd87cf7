//! Executions: asked for, listed, shown, watched, taken back, asked for again.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hearken_proto::question::{Answer, ExecutionFilter, Question};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{LIMIT_DEFAULT, offset};
use crate::fault::Fault;
use crate::follow::{self, Ears};
use crate::run::{self, Wanted};
use crate::{App, ledger, view};

/// What a listing can be narrowed by, in StackStorm's words.
#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
    offset: Option<usize>,
    status: Option<String>,
    action: Option<String>,
    rule: Option<String>,
    trigger_instance: Option<String>,
}

/// The newest executions.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Value>>, Fault> {
    let question = Question::Executions(ExecutionFilter {
        limit: query.limit.unwrap_or(LIMIT_DEFAULT),
        offset: offset(query.offset)?,
        status: query.status,
        action: query.action,
        rule: query.rule,
        trigger_instance: query.trigger_instance,
    });
    let Answer::Executions(found) = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok(Json(found.iter().map(view::execution).collect()))
}

/// Asks for an execution and does not wait for it.
pub(crate) async fn create(
    State(app): State<App>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Fault> {
    let prepared = run::prepare(&app, wanted, None)?;
    let execution = run::send(&app, prepared).await?;
    Ok((StatusCode::CREATED, Json(view::execution(&execution))).into_response())
}

/// Asks for an execution and streams what happens until it has ended.
pub(crate) async fn run(
    State(app): State<App>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Fault> {
    let prepared = run::prepare(&app, wanted, None)?;
    let ears = Ears::open(&app, &prepared.request.execution).await?;
    let execution = run::send(&app, prepared).await?;
    Ok(follow::execution(&app, execution, ears))
}

/// One execution.
pub(crate) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    Ok(Json(view::whole(&app.0.bus, &run::find(&app, &id).await?).await))
}

/// Streams what happens to an execution until it has ended.
pub(crate) async fn follow(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let ears = Ears::open(&app, &id).await?;
    let execution = run::find(&app, &id).await?;
    Ok(follow::execution(&app, execution, ears))
}

/// Ends an execution before its time.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    Ok(Json(view::execution(&run::cancel(&app, &id).await?)))
}

/// What to change when an execution is repeated.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Rerun {
    /// Parameters that replace those of the first time.
    parameters: Map<String, Value>,
    /// As in [`Wanted`].
    text: bool,
}

/// Asks for what an execution was, once more.
pub(crate) async fn rerun(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Option<Json<Rerun>>,
) -> Result<Response, Fault> {
    let before = run::find(&app, &id).await?;
    let rerun = body.unwrap_or_default().0;
    let action = before.request.action.clone();
    // What is given anew need not be opened.
    let mut request = before.request.clone();
    request.parameters.retain(|name, _| !rerun.parameters.contains_key(name));
    run::without_immutable(&app, &action, &mut request.parameters);
    let parameters = run::opened(&app, &request)?.into_iter();
    let mut parameters: Map<_, _> =
        parameters.map(|(name, value)| (name, run::rendered(value))).collect();
    // Only what was typed now is text to be read: what was there before is a value already.
    let changed =
        if rerun.text { run::read(&app, &action, &rerun.parameters)? } else { rerun.parameters };
    parameters.extend(changed);
    let wanted = Wanted { action, parameters, text: false, user: None, idempotency_key: None };
    let mut prepared = run::prepare(&app, wanted, Some(before.request.execution))?;
    // What a template put a secret into tells no more that it did.
    let secret = &mut prepared.request.secret;
    let before = before.request.secret.into_iter().filter(|name| !secret.contains(name));
    let before: Vec<String> = before.collect();
    secret.extend(before);
    let execution = run::send(&app, prepared).await?;
    Ok((StatusCode::CREATED, Json(view::execution(&execution))).into_response())
}

//! Executions: asked for, listed, shown, watched, taken back, asked for again.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hearken_engine::parameters::Done;
use hearken_proto::question::{Answer, ExecutionFilter, Question};
use hearken_proto::{Entry, Execution, Stream, Subject, codec, id};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::instances::{self, after};
use crate::auth::Caller;
use crate::fault::Fault;
use crate::follow::{self, Ears};
use crate::listing::Listing;
use crate::run::{self, Wanted};
use crate::{App, ledger, view};

/// The name of the newest execution.
const LAST: &str = "last";
/// What an action prints to.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// The newest executions.
pub(crate) async fn list(State(app): State<App>, listing: Listing) -> Result<Response, Fault> {
    let said = |name: &str| listing.said(name).map(str::to_owned);
    let question = Question::Executions(ExecutionFilter {
        limit: listing.limit(),
        offset: listing.offset,
        status: said("status"),
        action: said("action"),
        rule: said("rule"),
        trigger_instance: said("trigger_instance"),
        user: said("user"),
        since: instances::time("timestamp_gt", listing.said("timestamp_gt"))?.map(after),
        until: instances::time("timestamp_lt", listing.said("timestamp_lt"))?,
    });
    let Answer::Executions(found) = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok(listing.gathered(found.iter().map(view::execution).collect()))
}

/// Asks for an execution and does not wait for it.
pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Fault> {
    let prepared = run::prepare(&app, wanted.by(&caller), None)?;
    let execution = run::send(&app, prepared).await?;
    Ok((StatusCode::CREATED, Json(view::execution(&execution))).into_response())
}

/// Asks for an execution and streams what happens until it has ended.
pub(crate) async fn run(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Fault> {
    let prepared = run::prepare(&app, wanted.by(&caller), None)?;
    let ears = Ears::open(&app, &prepared.request.execution).await?;
    let execution = run::send(&app, prepared).await?;
    Ok(follow::execution(&app, execution, ears))
}

/// One execution; `last` is the newest.
pub(crate) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Value>, Fault> {
    let mut shown = view::whole(&app, &found(&app, &id).await?).await;
    listing.trim(&mut shown);
    Ok(Json(shown))
}

/// The execution with this id.
async fn found(app: &App, id: &str) -> Result<Execution, Fault> {
    if id != LAST {
        return run::find(app, id).await;
    }
    let newest = Question::Executions(ExecutionFilter { limit: 1, ..ExecutionFilter::default() });
    let Answer::Executions(found) = ledger::ask(&app.0.bus, &newest).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    found.into_iter().next().ok_or_else(|| Fault::missing("nothing was executed yet"))
}

/// One member of an execution, as StackStorm's attribute views have it.
pub(crate) async fn attribute(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Json<Value>, Fault> {
    let mut shown = view::whole(&app, &found(&app, &id).await?).await;
    let value = shown.get_mut(&name).map(Value::take);
    value.map(Json).ok_or_else(|| Fault::missing(format!("an execution has no {name:?}")))
}

/// Its result.
pub(crate) async fn result(app: State<App>, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    attribute(app, Path((id, "result".to_owned()))).await
}

/// Those that it asked for: there are none, workflows are not run yet.
pub(crate) async fn children(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Value>>, Fault> {
    found(&app, &id).await.map(|_execution| Json(Vec::new()))
}

/// What it has printed: from its result once it has ended, as it came while it runs.
pub(crate) async fn output(
    State(app): State<App>,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<String, Fault> {
    let wanted = listing.said("output_type").filter(|wanted| *wanted != "all");
    let streams: Vec<&str> = STREAMS
        .into_iter()
        .filter(|stream| wanted.is_none_or(|wanted| wanted == *stream))
        .collect();
    if streams.is_empty() {
        return Err(Fault::bad("output_type is one of stdout, stderr, all"));
    }
    let execution = found(&app, &id).await?;
    if execution.status.is_final() {
        let shown = view::whole(&app, &execution).await;
        let part = |stream: &&str| shown.get("result").and_then(|result| result.get(*stream));
        return Ok(streams.iter().filter_map(part).map(text).collect());
    }
    let key = id::execution_key(&execution.request.execution).to_owned();
    let subject = app.0.bus.subject(&Subject::Output { execution: key });
    let entries = app.0.bus.collect(Stream::Samples, &subject, 0).await?;
    let chunk = |entry: &Entry| codec::decode::<Value>(&entry.headers, &entry.body).ok();
    let chunks = entries.iter().filter_map(chunk).filter(|chunk| {
        let stream = chunk.get("stream").and_then(Value::as_str);
        stream.is_some_and(|stream| streams.contains(&stream))
    });
    Ok(chunks.filter_map(|chunk| chunk.get("data")?.as_str().map(str::to_owned)).collect())
}

/// Output that was parsed, as text again.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("{text}\n"),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            format!("{value}\n")
        }
    }
}

/// What StackStorm's clients change of an execution.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    status: String,
}

/// Changes the state of an execution: it can be taken back.
pub(crate) async fn change(
    state: State<App>,
    id: Path<String>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Fault> {
    match change.status.as_str() {
        "canceled" | "canceling" => cancel(state, id).await,
        "pausing" | "paused" | "resuming" | "running" => {
            Err(Fault::bad("only workflows pause and go on, and this execution is none"))
        }
        other => Err(Fault::bad(format!("an execution cannot be set to {other:?}"))
            .hint("canceled ends it before its time")),
    }
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
    /// As in [`Wanted`].
    delay: Option<u64>,
    /// Tasks of a workflow to start from.
    tasks: Vec<String>,
}

/// Asks for what an execution was, once more.
pub(crate) async fn rerun(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Option<Json<Rerun>>,
) -> Result<Response, Fault> {
    let before = run::find(&app, &id).await?;
    let rerun = body.unwrap_or_default().0;
    if !rerun.tasks.is_empty() {
        return Err(Fault::bad("only workflows are repeated from a task, and this is none"));
    }
    let action = before.request.action.clone();
    // What is given anew need not be opened.
    let mut request = before.request.clone();
    request.parameters.retain(|name, _| !rerun.parameters.contains_key(name));
    run::without_immutable(&app, &action, &mut request.parameters);
    // What was rendered once is a value: an event may have written it.
    let values = run::opened(&app, &request)?;
    let done = Done { values, secret: request.secret };
    // Only what was typed now is text to be read: what was there before is a value already.
    let changed =
        if rerun.text { run::read(&app, &action, &rerun.parameters)? } else { rerun.parameters };
    let wanted = Wanted { done, delay: rerun.delay, ..Wanted::of(action, changed) };
    let prepared = run::prepare(&app, wanted, Some(before.request.execution))?;
    let execution = run::send(&app, prepared).await?;
    Ok((StatusCode::CREATED, Json(view::execution(&execution))).into_response())
}

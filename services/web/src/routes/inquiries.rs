//! Questions that actions put to people: listed, shown, answered.
//!
//! A question is an execution that is `pending`; its id is the execution's, and what it asks is in
//! the result. An answer ends it by compare and set, and then its request is sent once more: a
//! runner sees there that it has ended, and does what follows an end.
//!
//! There are no roles here, so that a question which names some is for everybody.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use hearken_kit::bus::Error as BusError;
use hearken_kit::payload;
use hearken_proto::question::{Answer, ExecutionFilter, Question};
use hearken_proto::subject::Kind;
use hearken_proto::{Execution, Status, Subject, id};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::fault::Fault;
use crate::listing::Listing;
use crate::{App, ledger, run, schema};

/// Questions that wait for an answer, the newest first.
pub(crate) async fn list(State(app): State<App>, listing: Listing) -> Result<Response, Fault> {
    let question = Question::Executions(ExecutionFilter {
        limit: listing.limit(),
        offset: listing.offset,
        status: Some(Status::Pending.word().to_owned()),
        ..ExecutionFilter::default()
    });
    let Answer::Executions(found) = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok(listing.gathered(found.iter().map(|asked| view(asked, &asked.result)).collect()))
}

/// One question.
pub(crate) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    let (_, asked, question) = find(&app, &id).await?;
    Ok(Json(view(&asked, &question)))
}

/// What a client answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    /// The answer, as the question's schema wants it.
    response: Map<String, Value>,
    /// Who answers, for clients that speak for several.
    user: Option<String>,
}

/// Takes an answer.
pub(crate) async fn put(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(given): Json<Given>,
) -> Result<Json<Value>, Fault> {
    let (sequence, asked, mut question) = find(&app, &id).await?;
    let user = given.user.as_deref().unwrap_or_else(|| caller.user());
    may_answer(&question, user)?;
    let schema = question.get("schema").and_then(Value::as_object).cloned().unwrap_or_default();
    let response = Value::Object(given.response);
    schema::check("response", &response, &schema)?;
    if let Some(members) = question.as_object_mut() {
        members.insert("response".to_owned(), response.clone());
    }
    let bus = &app.0.bus;
    let key = id::execution_key(&asked.request.execution).to_owned();
    let mut ended = asked.entering(Status::Succeeded, app.0.clock.now());
    ended.result = payload::outlined(bus, &question).await?;
    let subject = Subject::transition(Kind::Execution, key.as_str());
    let mut message = payload::message(bus.subject(&subject), &ended)?;
    message.id = Some(format!("answer-{key}-{sequence}"));
    match bus.publish_if(message, sequence).await {
        Ok(_ack) => {}
        Err(BusError::Conflict) => return Err(over(&id)),
        Err(error) => return Err(error.into()),
    }
    run::nudge(bus, &ended).await?;
    Ok(Json(json!({ "id": ended.request.execution, "response": response })))
}

/// A question that waits, its place, and what it asks.
async fn find(app: &App, id: &str) -> Result<(u64, Execution, Value), Fault> {
    let missing = || Fault::missing(format!("no question is called {id:?}"));
    let (sequence, asked) = run::last(&app.0.bus, id).await?.ok_or_else(missing)?;
    let is_question = asked.log.iter().any(|step| step.status == Status::Pending);
    if !is_question {
        return Err(missing().hint("hearken inquiry list shows those that wait for an answer"));
    }
    if asked.status != Status::Pending {
        return Err(over(id));
    }
    let question = payload::inlined(&app.0.bus, asked.result.clone()).await?;
    Ok((sequence, asked, question))
}

fn over(id: &str) -> Fault {
    Fault::bad(format!("the question {id} does not wait for an answer any more"))
        .hint(format!("hearken execution get {id} tells what became of it"))
}

/// Whether `user` is among those who may answer.
fn may_answer(question: &Value, user: &str) -> Result<(), Fault> {
    let users = question.get("users").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if users.is_empty() || users.iter().any(|known| known.as_str() == Some(user)) {
        return Ok(());
    }
    let what = format!("this question is not for {user:?}");
    Err(Fault::new(StatusCode::FORBIDDEN, what)
        .hint(format!("it is for {}; say who answers: --user", Value::from(users.to_vec()))))
}

fn view(asked: &Execution, question: &Value) -> Value {
    let member = |name: &str| question.get(name).cloned().unwrap_or_default();
    json!({
        "id": asked.request.execution,
        "route": member("route"),
        "ttl": member("ttl"),
        "users": member("users"),
        "roles": member("roles"),
        "schema": member("schema"),
        "action": { "ref": asked.request.action },
        "start_timestamp": asked.start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_by_those_whom_it_names() {
        for (question, user, expected) in [
            (json!({"users": []}), "ann", true),
            (json!({"users": null}), "ann", true),
            (json!({"users": ["ann", "bob"]}), "ann", true),
            (json!({"users": ["bob"]}), "ann", false),
            (json!({"roles": ["admin"]}), "ann", true),
        ] {
            assert_eq!(may_answer(&question, user).is_ok(), expected, "{question} {user}");
        }
    }
}

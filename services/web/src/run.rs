//! Asking for an execution, taking it back, and asking for it again.

use axum::http::StatusCode;
use hearken_engine::definition::Action;
use hearken_engine::judge::Context;
use hearken_engine::parameters::{self, Surroundings};
use hearken_engine::template::Scope;
use hearken_kit::bus::{Bus, Error as BusError};
use hearken_kit::{payload, random};
use hearken_proto::question::{Answer, Question};
use hearken_proto::record::CancelHint;
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Execution, Status, Stream, Subject, codec, id};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::App;
use crate::fault::Fault;
use crate::ledger;

/// Attempts at writing a cancellation: each loss means that the execution moved on meanwhile.
const CANCEL_ATTEMPTS_MAX: u32 = 5;

/// What a person asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Action reference, `pack.name`.
    pub action: String,
    /// Its parameters.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Whether texts among the parameters are to be read as the action declares them, because they
    /// were typed at a command line.
    #[serde(default)]
    pub text: bool,
    /// Who asks, for the record.
    #[serde(default)]
    pub user: Option<String>,
    /// Two requests with one key are one request.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub request: ActionRequest,
    pool: String,
}

/// Checks what is wanted against the action in force.
pub(crate) fn prepare(
    app: &App,
    wanted: Wanted,
    rerun_of: Option<String>,
) -> Result<Prepared, Fault> {
    let definitions = app.0.definitions.current();
    let action = definitions.registry.action(&wanted.action).ok_or_else(|| {
        Fault::bad(format!("no action is called {:?}", wanted.action))
            .hint("hearken action list shows those that are in force")
    })?;
    let bad = |error: parameters::Error| {
        Fault::bad(error.to_string()).hint(format!("hearken action get {}", wanted.action))
    };
    let mut given = wanted.parameters.clone();
    if wanted.text {
        given.extend(typed(action, &wanted.parameters).map_err(bad)?);
    }
    let context = Context::default();
    let scope = Scope::viewing(context.views());
    let resolved = parameters::live(action, &given, &scope, &Surroundings::default());
    let resolved = resolved.map_err(bad)?;
    let digest = definitions.registry.pack_digest(&action.pack).unwrap_or_default().to_owned();
    let cause = match &wanted.idempotency_key {
        Some(key) if key.is_empty() => return Err(Fault::bad("the idempotency key is empty")),
        Some(key) => format!("run-{key}"),
        None => random_cause()?,
    };
    let key = id::work_key(&cause, "", 0);
    let now = app.0.clock.now();
    let request = ActionRequest {
        execution: id::execution(now, &key),
        action: wanted.action,
        digest,
        parameters: resolved,
        secret: action.secret_parameters().into_iter().map(ToOwned::to_owned).collect(),
        rule: None,
        trigger_instance: None,
        requested_at: now,
        user: wanted.user.unwrap_or_else(|| "hearken".to_owned()),
        rerun_of,
    };
    Ok(Prepared { request, pool: action.pool.clone() })
}

/// The texts among `given`, as the values that the action declares.
fn typed(
    action: &Action,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, parameters::Error> {
    let texts: Vec<String> = given
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
        .collect();
    parameters::from_text(action, &texts)
}

fn random_cause() -> Result<String, Fault> {
    let random = random::hex(16).map_err(|error| {
        Fault::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("no random name can be made: {error}"),
        )
    })?;
    Ok(format!("run-{random}"))
}

/// Stores a prepared request. Answers the execution as it stands: an earlier request with the same
/// idempotency key may have brought it further already.
pub(crate) async fn send(app: &App, prepared: Prepared) -> Result<Execution, Fault> {
    let bus = &app.0.bus;
    let request = prepared.request;
    if let Some((_, known)) = last(bus, &request.execution).await? {
        let before = &known.request;
        if before.action != request.action || before.parameters != request.parameters {
            let what = format!("this idempotency key was used for {}", before.action);
            return Err(Fault::new(StatusCode::CONFLICT, what)
                .hint("one key is one request: the same action with the same parameters"));
        }
        return Ok(known);
    }
    let (pack, action) = request.action.split_once('.').unwrap_or(("default", &request.action));
    let subject = Subject::ActionRequest {
        pool: prepared.pool,
        pack: pack.to_owned(),
        action: action.to_owned(),
    };
    let mut message = payload::message(bus.subject(&subject), &request)?;
    message.id = Some(id::request(&request.execution));
    bus.publish(message).await?;
    Ok(Execution::requested(request))
}

/// The last transition of an execution and its place, straight from the bus.
pub(crate) async fn last(bus: &Bus, execution: &str) -> Result<Option<(u64, Execution)>, Fault> {
    let subject = Subject::transition(Kind::Execution, id::execution_key(execution));
    let entry = bus.last(Stream::Log, &bus.subject(&subject)).await?;
    Ok(entry
        .and_then(|entry| Some((entry.sequence, codec::decode(&entry.headers, &entry.body).ok()?))))
}

/// An execution as it stands: from the bus while it remembers, else from the ledger.
pub(crate) async fn find(app: &App, execution: &str) -> Result<Execution, Fault> {
    if let Some((_, found)) = last(&app.0.bus, execution).await? {
        return Ok(found);
    }
    let question = Question::Execution { id: execution.to_owned() };
    let Answer::Execution(Some(found)) = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::missing(format!("no execution is called {execution:?}"))
            .hint("hearken execution list shows the newest"));
    };
    Ok(*found)
}

/// Ends an execution before its time. One that has ended already stays as it is.
pub(crate) async fn cancel(app: &App, execution: &str) -> Result<Execution, Fault> {
    let bus = &app.0.bus;
    for _attempt in 0..CANCEL_ATTEMPTS_MAX {
        let (sequence, state) = match last(bus, execution).await? {
            Some(found) => found,
            None => (0, find(app, execution).await?),
        };
        if state.status.is_final() {
            return Ok(state);
        }
        // Nobody holds it: it ends here. Somebody does: that runner ends it.
        let held = state.status == Status::Running || state.status == Status::Canceling;
        let status = if held { Status::Canceling } else { Status::Canceled };
        if state.status != status {
            let mut next = state.clone().entering(status, app.0.clock.now());
            if !held {
                next.result = json!({ "message": "canceled before it was started" });
            }
            let subject = Subject::transition(Kind::Execution, id::execution_key(execution));
            let mut message = payload::message(bus.subject(&subject), &next)?;
            let key = id::execution_key(execution);
            message.id = Some(format!("cancel-{key}-{sequence}"));
            match bus.publish_if(message, sequence).await {
                Ok(_ack) => {}
                Err(BusError::Conflict) => continue,
                Err(error) => return Err(error.into()),
            }
            if !held {
                return Ok(next);
            }
        }
        hint(bus, execution).await?;
        return Ok(Execution { status, ..state });
    }
    Err(Fault::new(StatusCode::CONFLICT, "the execution kept changing, try again"))
}

/// Tells the runners at once; the transition tells them for certain.
async fn hint(bus: &Bus, execution: &str) -> Result<(), Fault> {
    let subject = Subject::Control { service: "actions".to_owned(), host: "any".to_owned() };
    let hint = CancelHint { execution: execution.to_owned() };
    bus.emit(payload::message(bus.subject(&subject), &hint)?).await?;
    Ok(())
}

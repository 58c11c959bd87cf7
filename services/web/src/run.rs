//! Asking for an execution, taking it back, and asking for it again.

use std::time::Duration;

use axum::http::StatusCode;
use hearken_engine::definition::Action;
use hearken_engine::judge::USER_DEFAULT;
use hearken_engine::parameters::{self, Done, Surroundings};
use hearken_engine::template::Scope;
use hearken_kit::bus::{Bus, Error as BusError};
use hearken_kit::{payload, request as asking};
use hearken_proto::question::{Answer, Question};
use hearken_proto::record::CancelHint;
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Execution, Status, Stream, Subject, codec, id};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::App;
use crate::auth::Caller;
use crate::fact::random_name;
use crate::fault::Fault;
use crate::ledger;

/// Attempts at writing a cancellation: each loss means that the execution moved on meanwhile.
const CANCEL_ATTEMPTS_MAX: u32 = 5;
/// The longest delay of an execution: beyond it a request is older than the log keeps it.
const DELAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// What a client may keep in the context of an execution.
const CONTEXT_KEPT: [&str; 4] = ["trace_context", "source_channel", "api_user", "parent"];

/// What a person asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Action reference, `pack.name`.
    pub action: String,
    /// Its parameters.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Parameters taken over from an execution that is repeated: values, never templates. Nobody
    /// gives them from outside.
    #[serde(skip)]
    pub done: Done,
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
    /// Milliseconds before which it does not start.
    #[serde(default)]
    pub delay: Option<u64>,
    /// What a client of StackStorm's keeps beside an execution; what we know of it is kept.
    #[serde(default)]
    pub context: Option<Map<String, Value>>,
    /// Whom to tell of its end, as an action's file has it.
    #[serde(default)]
    pub notify: Value,
}

impl Wanted {
    /// An action with parameters, and nothing else said.
    pub(crate) fn of(action: String, parameters: Map<String, Value>) -> Self {
        Self {
            action,
            parameters,
            done: Done::default(),
            text: false,
            user: None,
            idempotency_key: None,
            delay: None,
            context: None,
            notify: Value::Null,
        }
    }

    /// What an action asks for is for the user that it runs for.
    pub(crate) fn by(mut self, caller: &Caller) -> Self {
        if caller.is_action && self.user.is_none() {
            self.user = Some(caller.user().to_owned());
        }
        self
    }

    /// What of the context given is kept: policies note theirs there, and nobody else does.
    fn kept_context(&self) -> Map<String, Value> {
        let given = self.context.iter().flatten();
        let known = given.filter(|(name, _)| CONTEXT_KEPT.contains(&name.as_str()));
        let mut kept: Map<String, Value> =
            known.map(|(name, value)| (name.clone(), value.clone())).collect();
        if self.notify.is_object() {
            kept.insert("notify".to_owned(), self.notify.clone());
        }
        kept
    }
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub request: ActionRequest,
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
    let asking = wanted.user.as_deref().unwrap_or(USER_DEFAULT);
    let context = app.0.datastore.context(asking);
    let scope = Scope::viewing(context.views());
    let around = Surroundings::default();
    let resolved = parameters::again(action, &given, &wanted.done, &scope, &around);
    let resolved = resolved.map_err(bad)?;
    let digest = definitions.registry.pack_digest(&action.pack).unwrap_or_default().to_owned();
    let cause = match &wanted.idempotency_key {
        Some(key) if key.is_empty() => return Err(Fault::bad("the idempotency key is empty")),
        Some(key) => format!("run-{key}"),
        None => random_name("run")?,
    };
    let key = id::work_key(&cause, "", 0);
    let now = app.0.clock.now();
    let delay = Duration::from_millis(wanted.delay.unwrap_or(0));
    if delay > DELAY_MAX {
        let most = DELAY_MAX.as_millis();
        return Err(Fault::bad(format!("a delay is at most {most} ms (a day)"))
            .hint("a rule on core.st2.DateTimer starts an action later than that"));
    }
    let context = wanted.kept_context();
    let request = ActionRequest {
        execution: id::execution(now, &key),
        action: wanted.action,
        digest,
        parameters: resolved.parameters,
        secret: resolved.secret,
        rule: None,
        trigger_instance: None,
        pool: action.pool.clone(),
        requested_at: now,
        user: wanted.user.unwrap_or_else(|| "hearken".to_owned()),
        rerun_of,
        context,
        not_before: (!delay.is_zero()).then(|| now.plus(delay)),
    };
    Ok(Prepared { request })
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

/// Parameters that were typed, as the values that the action in force declares.
pub(crate) fn read(
    app: &App,
    action: &str,
    typed_in: &Map<String, Value>,
) -> Result<Map<String, Value>, Fault> {
    let definitions = app.0.definitions.current();
    let Some(known) = definitions.registry.action(action) else {
        // Asking for it says so.
        return Ok(typed_in.clone());
    };
    let mut given = typed_in.clone();
    given.extend(typed(known, typed_in).map_err(|error| {
        Fault::bad(error.to_string()).hint(format!("hearken action get {action}"))
    })?);
    Ok(given)
}

/// Takes away what the action in force sets by itself: what was requested has it in it, and nobody
/// may give it.
pub(crate) fn without_immutable(app: &App, action: &str, parameters: &mut Map<String, Value>) {
    let definitions = app.0.definitions.current();
    let Some(action) = definitions.registry.action(action) else { return };
    let is_set = |name: &str| action.parameters.get(name).is_some_and(|known| known.immutable);
    parameters.retain(|name, _| !is_set(name));
}

/// Stores a prepared request. Answers the execution as it stands: an earlier request with the same
/// idempotency key may have brought it further already.
pub(crate) async fn send(app: &App, prepared: Prepared) -> Result<Execution, Fault> {
    let bus = &app.0.bus;
    let mut request = prepared.request;
    if let Some((_, known)) = last(bus, &request.execution).await? {
        let before = &known.request;
        // Sealed twice, one secret has two forms: what is compared is what was meant.
        if before.action != request.action || opened(app, before)? != request.parameters {
            let what = format!("this idempotency key was used for {}", before.action);
            return Err(Fault::new(StatusCode::CONFLICT, what)
                .hint("one key is one request: the same action with the same parameters"));
        }
        return Ok(known);
    }
    app.0.sealer.seal_request(&mut request).map_err(|error| {
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, format!("secrets cannot be kept: {error}"))
    })?;
    let mut message = asking::message(bus, &request)?;
    // By its cause a repetition is found from what it repeats.
    message.cause = request.rerun_of.as_deref().map(id::request);
    bus.publish(message).await?;
    Ok(Execution::requested(request))
}

/// The parameters of a request that was stored, its secrets opened.
pub(crate) fn opened(app: &App, request: &ActionRequest) -> Result<Map<String, Value>, Fault> {
    app.0.sealer.open_request(request).map_err(|error| {
        Fault::new(StatusCode::CONFLICT, error.to_string())
            .hint("give the secret parameters anew to repeat what was asked for elsewhere")
    })
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
                if state.status == Status::Pending {
                    nudge(bus, &next).await?;
                }
                return Ok(next);
            }
        }
        hint(bus, execution).await?;
        return Ok(Execution { status, ..state });
    }
    Err(Fault::new(StatusCode::CONFLICT, "the execution kept changing, try again"))
}

/// Sends the request of an execution that nobody held once more after its end: the runner that
/// gets it does what follows an end.
pub(crate) async fn nudge(bus: &Bus, ended: &Execution) -> Result<(), Fault> {
    let mut message = asking::message(bus, &ended.request)?;
    let key = id::execution_key(&ended.request.execution);
    message.id = Some(id::derived(&["request", key, "ended"]));
    message.cause = Some(id::request(&ended.request.execution));
    bus.publish(message).await?;
    Ok(())
}

/// Tells the runners at once; the transition tells them for certain.
async fn hint(bus: &Bus, execution: &str) -> Result<(), Fault> {
    let subject = Subject::Control { service: "actions".to_owned(), host: "any".to_owned() };
    let hint = CancelHint { execution: execution.to_owned() };
    bus.emit(payload::message(bus.subject(&subject), &hint)?).await?;
    Ok(())
}

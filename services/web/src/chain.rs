//! Why something happened: from the fact to the outcome, with each criterion's verdict.
//!
//! Verdicts are not stored. They are the engine's, asked again with the definitions that were in
//! force at the event's place: the same inputs give the same answer. Keys of the datastore are read
//! as they are now, which may not be as they were.

use hearken_engine::judge::{Event, USER_DEFAULT};
use hearken_packs::Definitions;
use hearken_packs::kv::Opened;
use hearken_proto::entry::TRIGGER_PARAMETERS;
use hearken_proto::question::{Answer, EntryFilter, Question, Shown};
use hearken_proto::record::Enforcement;
use hearken_proto::subject::{Kind, Subject};
use hearken_proto::{Execution, id};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::{App, absence, ledger, view};

/// Everything about an event or an execution, with verdicts.
pub(crate) async fn explain(app: &App, wanted: &str) -> Result<Value, Fault> {
    let question = Question::Chain { id: wanted.to_owned() };
    let Answer::Entries { entries, more } = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    if entries.is_empty() {
        return Err(Fault::missing(format!("nothing in the log is called {wanted:?}"))
            .hint("give the id of an event or of an execution: hearken execution list"));
    }
    let prefix = app.0.bus.prefix();
    let mut event = None;
    let mut verdicts = Vec::new();
    let mut executions: Vec<Execution> = Vec::new();
    let (mut awaited, mut enforcements) = (Vec::new(), Vec::new());
    for entry in &entries {
        match Subject::parse(prefix, &entry.subject) {
            Ok(Subject::Event { trigger }) => {
                let definitions = app.0.definitions.at(entry.sequence).await?;
                let id = name(app, entry).await?;
                verdicts = judged(app, &definitions, &trigger, &id, entry);
                awaited = absence::awaited(app, &definitions, &trigger, &id, entry);
                event = Some(json!({
                    "id": id,
                    "trigger": trigger,
                    "sequence": entry.sequence,
                    "time": entry.time,
                    "payload": entry.body,
                    "definitions": definitions.mark,
                }));
            }
            Ok(Subject::ActionRequest { .. }) => {
                if let Ok(request) = serde_json::from_value(entry.body.clone()) {
                    remember(&mut executions, Execution::requested(request));
                }
            }
            Ok(Subject::Transition { kind: Kind::Execution, .. }) => {
                if let Ok(state) = serde_json::from_value(entry.body.clone()) {
                    remember(&mut executions, state);
                }
            }
            Ok(Subject::Transition { kind: Kind::Enforcement, id }) => {
                enforcements.push((id, entry.body.clone()));
            }
            Ok(_) | Err(_) => {}
        }
    }
    let mut told = Vec::with_capacity(enforcements.len());
    for (id, enforcement) in enforcements {
        told.push(enforced(app, &id, enforcement, &executions, &entries).await?);
    }
    let mut shown = Vec::with_capacity(executions.len());
    for execution in &executions {
        let mut value = view::execution(execution);
        if let Some(waits) = view::waits(app, execution).await {
            view::set(&mut value, "waits", waits);
        }
        shown.push(value);
    }
    Ok(json!({
        "event": event,
        "rules": verdicts,
        "awaited": awaited,
        "enforcements": told,
        "executions": shown,
        "entries": entries,
        "truncated": more,
    }))
}

/// A record of a match that became no request, with the failed execution that was left of it, or
/// with what is known of the wait that it began.
async fn enforced(
    app: &App,
    id: &str,
    mut record: Value,
    executions: &[Execution],
    entries: &[Shown],
) -> Result<Value, Fault> {
    let same = |e: &&Execution| id::execution_key(&e.request.execution) == id;
    if let Some(left) = executions.iter().find(same) {
        view::set(&mut record, "execution", json!(left.request.execution));
    }
    let read = serde_json::from_value::<Enforcement>(record.clone());
    if let Ok(enforcement) = read
        && enforcement.held_by.as_deref() == Some("absence")
        && let Some(wait) = absence::wait(app, &enforcement, executions, entries).await?
    {
        view::set(&mut record, "wait", wait);
    }
    Ok(record)
}

/// Entries of the event stream, and whether there are more.
pub(crate) async fn events(app: &App, filter: EntryFilter) -> Result<(Vec<Shown>, bool), Fault> {
    let filter = EntryFilter { stream: "EVENTS".to_owned(), ..filter };
    let answer = ledger::ask(&app.0.bus, &Question::Entries(filter)).await?;
    let Answer::Entries { entries, more } = answer else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok((entries, more))
}

/// The name an event has in requests: its id, or its place.
pub(crate) async fn name(app: &App, entry: &Shown) -> Result<String, Fault> {
    if !entry.id.is_empty() {
        return Ok(entry.id.clone());
    }
    Ok(name_in(&incarnation(app).await?, entry))
}

/// The present life of the stream of events.
pub(crate) async fn incarnation(app: &App) -> Result<String, Fault> {
    Ok(app.0.bus.head(hearken_proto::Stream::Events).await?.incarnation)
}

/// As [`name`], in the life of the stream that is known.
pub(crate) fn name_in(incarnation: &str, entry: &Shown) -> String {
    if entry.id.is_empty() { id::place(incarnation, entry.sequence) } else { entry.id.clone() }
}

/// The newest state of each execution, in the order in which they were first seen. A request that
/// is stored again says nothing new.
fn remember(executions: &mut Vec<Execution>, state: Execution) {
    let key = id::execution_key(&state.request.execution).to_owned();
    let known = executions.iter_mut().find(|e| id::execution_key(&e.request.execution) == key);
    match known {
        Some(known) if state.log.len() > 1 => *known = state,
        Some(_) => {}
        None => executions.push(state),
    }
}

/// What each rule of the event's trigger says about it.
fn judged(
    app: &App,
    definitions: &Definitions,
    trigger: &str,
    id: &str,
    entry: &Shown,
) -> Vec<Value> {
    let opened = Opened::of(&app.0.datastore);
    let context = opened.context(USER_DEFAULT);
    let digest = entry.header(TRIGGER_PARAMETERS);
    let event =
        Event { id, trigger, parameters_digest: digest, payload: &entry.body, time: entry.time };
    let rules = definitions.registry.rules_of(trigger, digest);
    rules
        .into_iter()
        .map(|live| {
            let action = definitions.registry.action(&live.rule.action.reference);
            let action = action.map(AsRef::as_ref);
            let verdict = hearken_engine::judge::explain(&live.rule, action, &event, &context);
            opened.hide(serde_json::to_value(verdict).unwrap_or(Value::Null))
        })
        .collect()
}

//! Executions as StackStorm's clients know them, and of ours what one waits for.

use hearken_engine::definition::{PolicyKind, period};
use hearken_engine::policy::{Limits, Place, gate};
use hearken_kit::{Bus, payload, seal};
use hearken_proto::record::GateState;
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Execution, Status, Stream, Subject, Timestamp, codec};
use serde_json::{Value, json};
use tracing::warn;

use crate::App;

/// An execution with the whole of its result, fetched when it is kept out of line. A result that
/// cannot be had is shown as the log has it.
pub(crate) async fn whole(app: &App, execution: &Execution) -> Value {
    let bus = &app.0.bus;
    let mut shown = self::execution(execution);
    if let Some(waits) = waits(app, execution).await {
        set(&mut shown, "waits", waits);
    }
    if payload::is_outlined(&execution.result) {
        match payload::inlined(bus, execution.result.clone()).await {
            Ok(result) => set(&mut shown, "result", result),
            Err(error) => warn!(execution = %execution.request.execution, %error, "no result"),
        }
    }
    shown
}

/// What an execution that is delayed waits for: a policy, or the moment that its request names; and
/// before when it does not start, as far as that is known.
pub(crate) async fn waits(app: &App, execution: &Execution) -> Option<Value> {
    if execution.status != Status::Delayed {
        return None;
    }
    let place = execution.gates.iter().find_map(|gate| Place::parse(gate))?;
    let request = &execution.request;
    let registry = &app.0.definitions.current().registry;
    let policy = place.entity.rsplit_once('#').map(|(reference, _shard)| reference);
    let Some(policy) = policy.filter(|reference| reference.contains('.')) else {
        let retry = request.context.get("policies");
        let retry = retry.and_then(|policies| policies.pointer("/retry/applied_policy"));
        return Some(
            json!({ "policy": retry, "why": "a pause", "not_before": request.not_before }),
        );
    };
    let Some(known) = registry.policies().get(policy) else {
        return Some(json!({ "policy": policy, "why": "it is not in force any more" }));
    };
    let (why, not_before) = match &known.kind {
        PolicyKind::Concurrency { threshold, .. } => (format!("{threshold} at once"), None),
        PolicyKind::Rate { limit, period, .. } => {
            let why = format!("{limit} per {}", period::show(*period));
            (why, next_start(&app.0.bus, &place, Limits::of(Some(known))).await)
        }
        PolicyKind::Retry { .. } | PolicyKind::Unknown(_) => return None,
    };
    Some(json!({ "policy": policy, "why": why, "not_before": not_before }))
}

/// When time alone makes room for the next that waits in this place: one that stands behind others
/// starts later.
async fn next_start(bus: &Bus, place: &Place, limits: Limits) -> Option<Timestamp> {
    let subject = bus.subject(&Subject::state(Kind::Gate, &place.entity));
    let entry = bus.last(Stream::State, &subject).await.ok()??;
    let state: GateState = codec::decode(&entry.headers, &entry.body).ok()?;
    gate::next(state.lanes.get(&place.lane)?, limits)
}

/// Puts a member into a value that has members.
pub(crate) fn set(shown: &mut Value, name: &str, value: Value) {
    if let Some(shown) = shown.as_object_mut() {
        shown.insert(name.to_owned(), value);
    }
}

/// The context of an execution: who asked, what for, and what policies noted.
fn context(request: &ActionRequest) -> Value {
    let mut context = request.context.clone();
    context.insert("user".to_owned(), json!(request.user));
    context.insert("rerun_of".to_owned(), json!(request.rerun_of));
    Value::Object(context)
}

/// An execution in StackStorm's shape, secrets masked. A large result is only named.
pub(crate) fn execution(execution: &Execution) -> Value {
    let request = &execution.request;
    let (pack, name) = request.action.split_once('.').unwrap_or(("default", &request.action));
    let elapsed = execution.end.zip(execution.start).map(|(end, start)| end.since(start));
    let start = execution.start.unwrap_or(request.requested_at);
    let instance = request.trigger_instance.as_ref();
    json!({
        "id": request.execution,
        "action": { "ref": request.action, "pack": pack, "name": name },
        // One thing here, two with StackStorm: clients ask for either by its id.
        "liveaction": { "id": request.execution, "action": request.action },
        "status": execution.status,
        "parameters": seal::shown(request),
        "result": execution.result,
        "start_timestamp": start,
        "end_timestamp": execution.end,
        "elapsed_seconds": elapsed.map(|elapsed| elapsed.as_secs_f64()),
        "rule": request.rule.as_ref().map(|rule| json!({ "id": rule, "ref": rule })),
        "trigger_instance": instance.map(|instance| json!({
            "id": instance.id,
            "trigger": instance.trigger,
            "sequence": instance.sequence,
        })),
        "context": context(request),
        "children": [],
        "attempt": execution.attempt,
        "runner_id": execution.runner,
        "pack_digest": request.digest,
        "log": execution.log.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &hearken_proto::execution::Step) -> Value {
    json!({ "status": step.status, "timestamp": step.timestamp as Timestamp })
}

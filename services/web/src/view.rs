//! Executions as StackStorm's clients know them.

use hearken_kit::{Bus, payload, seal};
use hearken_proto::{ActionRequest, Execution, Timestamp};
use serde_json::{Value, json};
use tracing::warn;

/// An execution with the whole of its result, fetched when it is kept out of line. A result that
/// cannot be had is shown as the log has it.
pub(crate) async fn whole(bus: &Bus, execution: &Execution) -> Value {
    let mut shown = self::execution(execution);
    if payload::is_outlined(&execution.result) {
        match payload::inlined(bus, execution.result.clone()).await {
            Ok(result) => set(&mut shown, "result", result),
            Err(error) => warn!(execution = %execution.request.execution, %error, "no result"),
        }
    }
    shown
}

fn set(shown: &mut Value, name: &str, value: Value) {
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
        "status": execution.status,
        "parameters": seal::shown(request),
        "result": execution.result,
        "start_timestamp": start,
        "end_timestamp": execution.end,
        "elapsed_seconds": elapsed.map(|elapsed| elapsed.as_secs_f64()),
        "rule": request.rule.as_ref().map(|rule| json!({ "ref": rule })),
        "trigger_instance": instance.map(|instance| json!({
            "id": instance.id,
            "trigger": instance.trigger,
            "sequence": instance.sequence,
        })),
        "context": context(request),
        "attempt": execution.attempt,
        "runner_id": execution.runner,
        "pack_digest": request.digest,
        "log": execution.log.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &hearken_proto::execution::Step) -> Value {
    json!({ "status": step.status, "timestamp": step.timestamp as Timestamp })
}

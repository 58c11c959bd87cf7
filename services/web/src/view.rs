//! Executions as StackStorm's clients know them.

use hearken_proto::{Execution, Timestamp};
use serde_json::{Map, Value, json};

/// What is shown in place of a secret.
const MASK: &str = "********";

/// An execution in StackStorm's shape, secrets masked.
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
        "parameters": masked(&request.parameters, &request.secret),
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
        "context": { "user": request.user, "rerun_of": request.rerun_of },
        "attempt": execution.attempt,
        "runner_id": execution.runner,
        "pack_digest": request.digest,
        "log": execution.log.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &hearken_proto::execution::Step) -> Value {
    json!({ "status": step.status, "timestamp": step.timestamp as Timestamp })
}

/// Parameters with the secret ones masked.
pub(crate) fn masked(parameters: &Map<String, Value>, secret: &[String]) -> Map<String, Value> {
    let mask = |(name, value): (&String, &Value)| {
        let value = if secret.contains(name) { Value::from(MASK) } else { value.clone() };
        (name.clone(), value)
    };
    parameters.iter().map(mask).collect()
}

//! The runner announcement: tells something to everybody who listens.
//!
//! StackStorm sends it down its live stream as `st2.announcement__<route>`. Here it is a fact like
//! any other, the event `core.announcement`: the stream hears it, rules can act on it, and the log
//! keeps it. What is secret among the parameters is announced as asterisks.

use hearken_kit::{payload, seal};
use hearken_proto::{Status, Subject, id};
use serde_json::{Map, Value, json};

use super::{Job, Outcome};

/// Trigger of the event.
const TRIGGER: &str = "core.announcement";
/// Longest route, in characters: StackStorm's bound.
const ROUTE_CHARS_MAX: usize = 255;

/// Publishes the event, and answers what it said.
pub(crate) async fn run(
    job: &Job<'_>,
    parameters: &Map<String, Value>,
    secret: &[String],
) -> Outcome {
    if let Err(why) = check(parameters) {
        return Outcome::failed(&why);
    }
    let event = seal::masked(parameters, secret);
    let subject = job.bus.subject(&Subject::Event { trigger: TRIGGER.to_owned() });
    let published = async {
        let mut message = payload::message(subject, &event)?;
        // One execution announces once, however often it starts.
        let key = id::execution_key(&job.request.execution);
        message.id = Some(format!("announcement-{key}"));
        message.cause = Some(id::request(&job.request.execution));
        job.bus.publish(message).await
    };
    match published.await {
        Ok(_ack) => Outcome { status: Status::Succeeded, result: result(job, &event) },
        Err(error) => Outcome::failed(&format!("the announcement cannot be published: {error}")),
    }
}

/// What StackStorm's runner asks for.
fn check(parameters: &Map<String, Value>) -> Result<(), String> {
    if parameters.get("experimental").and_then(Value::as_bool) != Some(true) {
        return Err("the parameter \"experimental\" must be true, as StackStorm wants it".into());
    }
    let route = parameters.get("route").and_then(Value::as_str).unwrap_or_default();
    if !(1..=ROUTE_CHARS_MAX).contains(&route.chars().count()) {
        return Err(format!("the route has 1 to {ROUTE_CHARS_MAX} characters"));
    }
    Ok(())
}

/// The action's own parameters, as they were announced, and once more as `output`.
fn result(job: &Job<'_>, event: &Map<String, Value>) -> Value {
    let own = event.iter().filter(|(name, _)| !job.action.is_runner_parameter(name));
    let own: Map<String, Value> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    let output = json!(own);
    let mut result = own;
    // What the action calls so itself does not hide what the runner calls so.
    result.insert("output".to_owned(), output);
    Value::Object(result)
}

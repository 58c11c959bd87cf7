//! `hearken event`: publish, watch, list, show, tell again.

use serde_json::{Value, json};

use super::{Context, segment};
use crate::args::{Event, Format};
use crate::error::{EXIT_OK, Failure};

/// Publishes or watches.
pub(crate) fn run(context: &Context, verb: Event) -> Result<u8, Failure> {
    match verb {
        Event::Send { trigger, payload, id } => send(context, &trigger, &payload, id),
        Event::Tail { filter } => tail(context, &filter),
        Event::List { limit, trigger } => list(context, limit, trigger.as_deref()),
        Event::Get { id } => {
            let event = context.client().get(&address(&id))?;
            context.output.value(&event);
            if context.output.format() == Format::Table {
                context
                    .output
                    .note(&format!("hint: hearken log explain {id} tells what it led to"));
            }
            Ok(EXIT_OK)
        }
        Event::Resend { id } => {
            let path = format!("{}/re_emit", address(&id));
            let told = context.client().post(&path, &Value::Null)?;
            if context.output.format() == Format::Table {
                context.output.line(told.get("id").and_then(Value::as_str).unwrap_or_default());
            } else {
                context.output.value(&told);
            }
            Ok(EXIT_OK)
        }
    }
}

fn address(id: &str) -> String {
    format!("/v1/triggerinstances/{}", segment(id))
}

fn list(context: &Context, limit: usize, trigger: Option<&str>) -> Result<u8, Failure> {
    let columns = [
        ("ID", "/id"),
        ("TRIGGER", "/trigger"),
        ("TIME", "/occurrence_time"),
        ("PAYLOAD", "/payload"),
    ];
    let filter = trigger.map(|trigger| format!("trigger={}", segment(trigger)));
    let path = format!("/v1/triggerinstances?{}", filter.unwrap_or_default());
    let rows = super::pages(context, &path, limit)?;
    context.output.list(&rows, &columns);
    Ok(EXIT_OK)
}

fn send(
    context: &Context,
    trigger: &str,
    payload: &str,
    id: Option<String>,
) -> Result<u8, Failure> {
    let payload: Value = serde_json::from_str(payload).map_err(|error| {
        Failure::usage(format!("the payload is not JSON: {error}"))
            .at(payload.to_owned())
            .hint("for example hearken event send shop.order_late '{\"order\": 7}'")
    })?;
    let fact = json!({ "trigger": trigger, "payload": payload, "id": id, "source": "cli" });
    let stored = context.client().post("/hearken/v1/events", &fact)?;
    if context.output.format() == Format::Table {
        let id = stored.get("id").and_then(Value::as_str).unwrap_or_default();
        context.output.line(id);
        if stored.get("duplicate") == Some(&Value::Bool(true)) {
            context.output.note("an event with this id was there already: nothing was stored");
        }
    } else {
        context.output.value(&stored);
    }
    Ok(EXIT_OK)
}

/// Prints messages as they come, a line each.
pub(crate) fn tail(context: &Context, filter: &str) -> Result<u8, Failure> {
    let path = format!("/hearken/v1/events/tail?filter={}", segment(filter));
    context.client().follow(&path, None, |shown| {
        if context.output.format() == Format::Json {
            context.output.line(&shown.to_string());
        } else {
            let text = |at: &str| shown.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let body = shown.get("body").unwrap_or(&Value::Null);
            context.output.line(&format!("{} {} {body}", text("/time"), text("/subject")));
        }
        true
    })?;
    Ok(EXIT_OK)
}

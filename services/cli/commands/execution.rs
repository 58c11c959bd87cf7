//! `hearken execution`: list, show, watch, cancel, repeat.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Context, pairs, run, segment};
use crate::args::{Execution, Format};
use crate::error::{EXIT_OK, Failure};
use crate::output::Column;

const COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("ACTION", "/action/ref"),
    ("STATUS", "/status"),
    ("START", "/start_timestamp"),
    ("SECONDS", "/elapsed_seconds"),
    ("RULE", "/rule/ref"),
];

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Execution) -> Result<u8, Failure> {
    let client = context.client();
    match verb {
        Execution::List { limit, status, action, rule, trigger_instance } => {
            let mut path = String::from("/v1/executions?");
            let filters = [
                ("status", status),
                ("action", action),
                ("rule", rule),
                ("trigger_instance", trigger_instance),
            ];
            for (name, value) in filters {
                if let Some(value) = value {
                    // Writing to a text cannot fail.
                    let _ok = write!(path, "&{name}={}", segment(&value));
                }
            }
            let rows = super::pages(context, &path, limit)?;
            context.output.list(&rows, &COLUMNS);
        }
        Execution::Get { id } => {
            let execution = client.get(&format!("/v1/executions/{}", segment(&id)))?;
            context.output.value(&execution);
            if context.output.format() == Format::Table {
                context.output.note(&format!("hint: hearken log explain {id} tells why it ran"));
            }
        }
        Execution::Tail { id } => return run::tail(context, &id),
        Execution::Cancel { id } => {
            let execution = client.delete(&format!("/v1/executions/{}", segment(&id)))?;
            answer(context, &execution);
        }
        Execution::Rerun { id, parameters } => {
            let mut changed = Map::new();
            for (name, value) in pairs(&parameters)? {
                changed.insert(name, Value::from(value));
            }
            let path = format!("/v1/executions/{}/re_run", segment(&id));
            let body = json!({ "parameters": changed, "text": true });
            let execution = client.post(&path, &body)?;
            answer(context, &execution);
        }
    }
    Ok(EXIT_OK)
}

/// Prints an execution: a row for eyes, everything for programs.
fn answer(context: &Context, execution: &Value) {
    if context.output.format() == Format::Table {
        context.output.list(std::slice::from_ref(execution), &COLUMNS);
    } else {
        context.output.value(execution);
    }
}

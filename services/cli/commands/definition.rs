//! `hearken action`, `trigger`, `sensor`: what is in force.

use hearken_engine::definition::{Parameters, RunnerKind};
use serde_json::{Map, Value};

use super::{Context, segment};
use crate::args::Listing;
use crate::error::{EXIT_OK, Failure};
use crate::output::Column;

/// Actions.
pub(crate) fn actions(context: &Context, listing: Listing) -> Result<u8, Failure> {
    let columns = [
        ("REF", "/ref"),
        ("RUNNER", "/runner_type"),
        ("ENABLED", "/enabled"),
        ("DESCRIPTION", "/description"),
    ];
    let Listing::Get { reference } = &listing else {
        return show(context, "/v1/actions", listing, &columns);
    };
    let mut found = context.client().get(&format!("/v1/actions/{}", segment(reference)))?;
    let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    let runner = RunnerKind::parse(text("runner_type"), !text("entry_point").is_empty());
    let own = found.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(fields) = found.as_object_mut() {
        fields.insert("parameters".to_owned(), effective(&runner, &own));
    }
    context.output.value(&found);
    Ok(EXIT_OK)
}

/// What a request is checked against: the parameters of the runner with the action's own on top,
/// each with where it comes `from`.
fn effective(runner: &RunnerKind, own: &Map<String, Value>) -> Value {
    // What is in force has been checked.
    let (declared, _problems) = Parameters::from_map(own, "/parameters");
    let mut merged = runner.parameters().overlaid(&declared).to_value();
    for (name, schema) in merged.as_object_mut().into_iter().flatten() {
        let from = match (own.contains_key(name), runner.parameters().get(name).is_some()) {
            (true, true) => "runner, changed by the action",
            (false, true) => "runner",
            (true | false, false) => "action",
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("from".to_owned(), from.into());
        }
    }
    merged
}

/// Trigger types.
pub(crate) fn triggers(context: &Context, listing: Listing) -> Result<u8, Failure> {
    show(context, "/v1/triggertypes", listing, &[("REF", "/ref"), ("DESCRIPTION", "/description")])
}

/// Sensors.
pub(crate) fn sensors(context: &Context, listing: Listing) -> Result<u8, Failure> {
    let columns = [
        ("REF", "/ref"),
        ("STATUS", "/status"),
        ("HOST", "/host"),
        ("PID", "/pid"),
        ("RESTARTS", "/restarts"),
        ("LAST ERROR", "/last_error"),
    ];
    show(context, "/v1/sensortypes", listing, &columns)
}

/// A list, or one of it.
pub(crate) fn show(
    context: &Context,
    path: &str,
    listing: Listing,
    columns: &[Column],
) -> Result<u8, Failure> {
    match listing {
        Listing::List { pack } => {
            let query = pack.map(|pack| format!("?pack={}", segment(&pack))).unwrap_or_default();
            let found = context.client().get(&format!("{path}{query}"))?;
            context.output.list(found.as_array().map_or(&[], Vec::as_slice), columns);
        }
        Listing::Get { reference } => {
            let found: Value = context.client().get(&format!("{path}/{}", segment(&reference)))?;
            context.output.value(&found);
        }
    }
    Ok(EXIT_OK)
}

//! `hearken bus`: the streams of a NATS server, compared and set up.

use hearken_kit::bus::{Comparison, Nats};
use serde_json::Value;

use super::Context;
use crate::args::Bus;
use crate::compose;
use crate::error::{EXIT_NO, EXIT_OK, Failure};

/// Compares, and with `apply` changes.
pub(crate) fn run(context: &Context, bus: Bus) -> Result<u8, Failure> {
    let (nats, apply, yes) = match bus {
        Bus::Status { nats } => (nats, false, false),
        Bus::Apply { nats, yes } => (nats, true, yes),
    };
    let loaded = context.with_nats(&nats)?;
    if loaded.settings.bus.nats.is_empty() {
        return Err(Failure::usage("this is about a NATS server, and none is named")
            .hint("give --nats nats://host:4222; the bus in the process needs no setting up"));
    }
    let options = compose::nats_options(&loaded.settings, &nats);
    let compare = |apply| compose::block_on(Nats::compare(&options, apply))?.map_err(Failure::from);
    let found = compare(false)?;
    if !apply {
        show(context, &found);
        return Ok(if found.is_empty() { EXIT_OK } else { EXIT_NO });
    }
    let shrinks: Vec<&Comparison> = found.iter().filter(|row| row.shrinks).collect();
    if !shrinks.is_empty() && !yes {
        show(context, &found);
        return Err(Failure::no("some of these changes delete entries from the streams")
            .hint("look at the rows that shrink, then run it again with --yes"));
    }
    show(context, &compare(true)?);
    Ok(EXIT_OK)
}

fn show(context: &Context, found: &[Comparison]) {
    let rows: Vec<Value> =
        found.iter().map(|row| serde_json::to_value(row).unwrap_or(Value::Null)).collect();
    if rows.is_empty() {
        context.output.note("every stream is as configured");
    }
    let columns = [
        ("STREAM", "/stream"),
        ("SETTING", "/setting"),
        ("IS", "/is"),
        ("WANTED", "/wanted"),
        ("SHRINKS", "/shrinks"),
        ("APPLIED", "/applied"),
    ];
    context.output.list(&rows, &columns);
}

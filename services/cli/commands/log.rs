//! `hearken log`: what the streams hold.

use serde_json::{Value, json};

use super::{Context, event, explain};
use crate::args::{Format, Log, LogShow};
use crate::error::{EXIT_NO, EXIT_OK, Failure};
use crate::output::Tone;

/// Entries asked for at a time by an export.
const PAGE: u64 = 500;

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Log) -> Result<u8, Failure> {
    match verb {
        Log::Show(show) => self::show(context, &show),
        Log::Tail { filter } => event::tail(context, &filter),
        Log::Explain { id } => explain::run(context, &id),
        Log::Verify => verify(context),
        Log::Export { stream } => export(context, &stream),
        Log::Stats => stats(context),
    }
}

fn show(context: &Context, show: &LogShow) -> Result<u8, Failure> {
    // The newest are wanted, and they are wanted in order.
    let newest = show.from.is_none();
    let filter = json!({ "entries": {
        "stream": show.stream,
        "subject": show.subject,
        "id": show.id,
        "cause": show.cause,
        "from": show.from,
        "descending": newest,
        "limit": show.limit,
    }});
    let answer = context.client().post("/hearken/v1/log", &filter)?;
    let mut entries = entries(&answer);
    if newest {
        entries.reverse();
    }
    let columns = [
        ("SEQUENCE", "/sequence"),
        ("TIME", "/time"),
        ("SUBJECT", "/subject"),
        ("ID", "/id"),
        ("CAUSE", "/cause"),
    ];
    context.output.list(&entries, &columns);
    Ok(EXIT_OK)
}

fn entries(answer: &Value) -> Vec<Value> {
    answer.pointer("/entries/entries").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn export(context: &Context, stream: &str) -> Result<u8, Failure> {
    let client = context.client();
    let mut from = 1;
    loop {
        let filter = json!({ "entries": { "stream": stream, "from": from, "limit": PAGE } });
        let answer = client.post("/hearken/v1/log", &filter)?;
        let entries = entries(&answer);
        for entry in &entries {
            context.output.line(&entry.to_string());
        }
        let last = entries.last().and_then(|entry| entry.get("sequence")).and_then(Value::as_u64);
        let more = answer.pointer("/entries/more") == Some(&Value::Bool(true));
        match last {
            Some(last) if more => from = last + 1,
            Some(_) | None => return Ok(EXIT_OK),
        }
    }
}

fn streams(context: &Context, question: &str) -> Result<Vec<Value>, Failure> {
    let answer = context.client().post("/hearken/v1/log", &Value::from(question))?;
    Ok(answer.get("streams").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn verify(context: &Context) -> Result<u8, Failure> {
    let streams = streams(context, "verify")?;
    let columns = [
        ("STREAM", "/stream"),
        ("ENTRIES", "/entries"),
        ("ERASED", "/erased"),
        ("LAST", "/last"),
        ("CHAIN", "/chain"),
        ("FAULT", "/fault"),
    ];
    context.output.list(&streams, &columns);
    let faults = streams.iter().filter(|stream| stream.get("fault").is_some_and(Value::is_string));
    if faults.count() > 0 {
        return Ok(EXIT_NO);
    }
    if context.output.format() == Format::Table {
        context.output.note(&context.output.toned("every chain holds", Tone::Good));
    }
    Ok(EXIT_OK)
}

fn stats(context: &Context) -> Result<u8, Failure> {
    let columns = [
        ("STREAM", "/stream"),
        ("ENTRIES", "/entries"),
        ("FIRST", "/first"),
        ("LAST", "/last"),
        ("BYTES", "/bytes"),
        ("NEWEST", "/last_time"),
    ];
    context.output.list(&streams(context, "stats")?, &columns);
    Ok(EXIT_OK)
}

//! `hearken log`: what the streams hold.

use hearken_proto::question::{Answer, EntryFilter, Question};
use serde_json::{Value, json};

use super::{Context, event, explain};
use crate::args::{Format, Log, LogShow};
use crate::error::{EXIT_NO, EXIT_OK, Failure};
use crate::output::Tone;
use crate::past::Past;
use crate::replay::{self, Wanted};

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Log) -> Result<u8, Failure> {
    match verb {
        Log::Show(show) => self::show(context, &show),
        Log::Tail { filter } => event::tail(context, &filter),
        Log::Explain { id } => explain::run(context, &id),
        Log::Verify => verify(context),
        Log::Export { stream } => export(context, &stream),
        Log::Stats => stats(context),
        Log::Replay { packs, since, until, rule } => {
            replay::run(context, &Wanted { packs, since, until, rule })
        }
    }
}

fn show(context: &Context, show: &LogShow) -> Result<u8, Failure> {
    // The newest are wanted, and they are wanted in order.
    let newest = show.from.is_none();
    let filter = EntryFilter {
        stream: show.stream.clone(),
        subject: show.subject.clone(),
        id: show.id.clone(),
        cause: show.cause.clone(),
        from: show.from,
        descending: newest,
        limit: show.limit,
        ..EntryFilter::default()
    };
    let (mut entries, _more) = Past::open(context)?.page(filter)?;
    if newest {
        entries.reverse();
    }
    let entries: Vec<Value> = entries.iter().map(|entry| json!(entry)).collect();
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

fn export(context: &Context, stream: &str) -> Result<u8, Failure> {
    let filter = EntryFilter { stream: stream.to_owned(), ..EntryFilter::default() };
    Past::open(context)?.each(filter, |entry| {
        context.output.line(&json!(entry).to_string());
        Ok(())
    })?;
    Ok(EXIT_OK)
}

fn streams(context: &Context, question: &Question) -> Result<Vec<Value>, Failure> {
    let Answer::Streams(streams) = Past::open(context)?.ask(question)? else {
        return Err(Failure::no("the ledger answered something else"));
    };
    Ok(streams.iter().map(|stream| json!(stream)).collect())
}

fn verify(context: &Context) -> Result<u8, Failure> {
    let streams = streams(context, &Question::Verify)?;
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
    context.output.list(&streams(context, &Question::Stats)?, &columns);
    Ok(EXIT_OK)
}

//! `hearken run`: an action, its output as it comes, and its status as exit code.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Context, pairs, segment};
use crate::args::{Format, Run};
use crate::error::{EXIT_NO, EXIT_OK, Failure};
use crate::output::Tone;

/// Fields of a result that the last lines tell.
const TOLD: [&str; 4] = ["failed", "succeeded", "return_code", "error"];
/// The most lines of a result that are printed, and the longest of them in characters: a screen.
const RESULT_LINES_MAX: usize = 40;
const RESULT_LINE_MAX: usize = 400;

/// Runs an action.
pub(crate) fn run(context: &Context, run: Run) -> Result<u8, Failure> {
    let client = context.client();
    let mut parameters = Map::new();
    for (name, value) in pairs(&run.parameters)? {
        parameters.insert(name, Value::from(value));
    }
    // Values are texts here; the server reads them as the action declares them.
    let wanted = json!({
        "action": run.action,
        "parameters": parameters,
        "text": true,
        "idempotency_key": run.idempotency_key,
    });
    if run.is_async {
        let execution = client.post("/v1/executions", &wanted)?;
        match context.output.format() {
            Format::Table => context.output.line(text(&execution, "/id")),
            Format::Json | Format::Yaml => context.output.value(&execution),
        }
        return Ok(EXIT_OK);
    }
    follow(context, "/hearken/v1/run", Some(&wanted))
}

/// Watches an execution until it has ended.
pub(crate) fn tail(context: &Context, id: &str) -> Result<u8, Failure> {
    follow(context, &format!("/hearken/v1/executions/{}/follow", segment(id)), None)
}

fn follow(context: &Context, path: &str, body: Option<&Value>) -> Result<u8, Failure> {
    let mut shown = Shown::default();
    let mut last = Value::Null;
    context.client().follow(path, body, |line| {
        if let Some(chunk) = line.get("output") {
            shown.chunk(context, chunk);
        }
        if let Some(execution) = line.get("execution") {
            last = execution.clone();
            if let Some(waits) = super::explain::waits(&last)
                && context.output.format() == Format::Table
            {
                context.output.note(&waits);
            }
        }
        true
    })?;
    let status = text(&last, "/status").to_owned();
    if status.is_empty() {
        return Err(Failure::unreachable("the server ended before the execution did")
            .hint("hearken execution list shows how it went on"));
    }
    shown.rest(context, &last);
    if context.output.format() == Format::Table {
        result(context, &last);
    }
    if context.output.format() == Format::Table {
        let tone = if status == "succeeded" { Tone::Good } else { Tone::Bad };
        let word = context.output.toned(&status, tone);
        context.output.note(&format!("{word}  {}", text(&last, "/id")));
        if let Some(error) = last.pointer("/result/error").and_then(Value::as_str) {
            context.output.note(&format!("hearken: {error}"));
        }
        if let Some(code) = last.pointer("/result/status_code").filter(|_| status != "succeeded") {
            context.output.note(&format!("hearken: the answer's status is {code}"));
        }
    } else {
        context.output.value(&last);
    }
    Ok(if status == "succeeded" { EXIT_OK } else { EXIT_NO })
}

/// Prints the result of an action that has more than output: what a function returned, or an
/// answer from elsewhere.
fn result(context: &Context, execution: &Value) {
    let Some(result) = execution.get("result") else { return };
    let shown = match result.get("stdout") {
        Some(_output) => result.get("result").unwrap_or(&Value::Null),
        None => result,
    };
    // How it ended, and an error that is all there is, are told in lines of their own.
    let mut fields = shown.as_object().into_iter().flatten();
    let is_empty = shown.is_null()
        || shown.is_object() && fields.all(|(name, _)| TOLD.contains(&name.as_str()));
    if is_empty {
        return;
    }
    if context.output.excerpt(shown, RESULT_LINES_MAX, RESULT_LINE_MAX) {
        let id = text(execution, "/id");
        context.output.note(&format!("hint: hearken execution get {id} shows all of the result"));
    }
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// How much of each stream was printed already.
#[derive(Default)]
struct Shown {
    bytes: HashMap<String, u64>,
    /// Streams of which a piece is missing: the rest is not printed piece by piece.
    broken: HashMap<String, bool>,
}

impl Shown {
    /// Prints a piece as it comes, if it goes on where the last one ended.
    fn chunk(&mut self, context: &Context, chunk: &Value) {
        if context.output.format() != Format::Table {
            return;
        }
        let stream = text(chunk, "/stream").to_owned();
        let data = text(chunk, "/data");
        let offset = chunk.get("offset").and_then(Value::as_u64).unwrap_or(0);
        let printed = self.bytes.entry(stream.clone()).or_default();
        if offset != *printed || self.broken.get(&stream) == Some(&true) {
            self.broken.insert(stream, true);
            return;
        }
        *printed += u64::try_from(data.len()).unwrap_or(0);
        if stream == "stdout" { context.output.raw(data) } else { context.output.raw_error(data) }
    }

    /// Prints what the result has beyond the pieces.
    fn rest(&self, context: &Context, execution: &Value) {
        if context.output.format() != Format::Table {
            return;
        }
        for stream in ["stdout", "stderr"] {
            let whole = match execution.pointer(&format!("/result/{stream}")) {
                Some(Value::String(whole)) => whole.clone(),
                // Output that is JSON was parsed: if nothing was printed yet, print it again.
                Some(parsed) if !parsed.is_null() => parsed.to_string(),
                _ => continue,
            };
            let printed = self.bytes.get(stream).copied().unwrap_or(0);
            let at = usize::try_from(printed).unwrap_or(usize::MAX);
            let is_text =
                execution.pointer(&format!("/result/{stream}")).is_some_and(Value::is_string);
            let rest = if printed == 0 { Some(whole.as_str()) } else { whole.get(at..) };
            let Some(rest) = rest.filter(|rest| !rest.is_empty() && (is_text || printed == 0))
            else {
                continue;
            };
            let rest = format!("{rest}\n");
            if stream == "stdout" {
                context.output.raw(&rest);
            } else {
                context.output.raw_error(&rest);
            }
        }
    }
}

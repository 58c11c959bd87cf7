//! `hearken rule test`: would a rule match, and why not.
//!
//! A server judges when one runs, for it knows the keys of the datastore and the action. Files, and
//! lines of a batch, need none: the same function judges here, without them.

use std::io::{BufRead as _, Read as _};
use std::path::Path;

use hearken_engine::definition::Rule as RuleDefinition;
use hearken_engine::judge::{self, Context as Surroundings, Event};
use hearken_packs::yaml;
use hearken_proto::Timestamp;
use serde_json::{Value, json};

use super::{Context, segment};
use crate::args::Format;
use crate::error::{EXIT_NO, EXIT_OK, EXIT_UNREACHABLE, Failure};
use crate::output::Tone;

/// What an event looks like in a file or a line.
const EVENT_FORM: &str = "write {\"trigger\": \"shop.order_late\", \"payload\": {\"order\": 7}}";
/// What a line of a batch looks like.
const LINE_FORM: &str = "write {\"rule\": {…}, \"event\": {…}}";
/// The longest line of a batch: a rule and an event, each as large as one message can be.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// What in the text of a rule reads keys of the datastore.
const READS_KEYS: [&str; 3] = ["st2kv", "system.", "decrypt_kv"];

/// Tries a rule on an event of a file, or on past ones.
pub(super) fn run(
    context: &Context,
    rule: &str,
    file: Option<&Path>,
    event: Option<&str>,
    last: Option<usize>,
) -> Result<u8, Failure> {
    let rule_file = Path::new(rule);
    let from_file = rule_file.is_file();
    if !from_file && is_file_name(rule) {
        return Err(Failure::usage(format!("there is no file {rule}"))
            .hint("rule test takes a rule file, or the reference of a rule in force: pack.name"));
    }
    let verdicts = match file {
        Some(file) => {
            let event = read(file)?;
            check_event(&event).map_err(|why| {
                Failure::usage(why).at(file.display().to_string()).hint(EVENT_FORM)
            })?;
            let given = from_file.then(|| read(rule_file)).transpose()?;
            of_event(context, rule, given.as_ref(), &event)?
        }
        None => past(context, rule, from_file.then_some(rule_file), event, last)?,
    };
    show(context, &verdicts);
    // A match whose parameters cannot be made leads to no request.
    let leads_to_a_request = |verdict: &Value| {
        verdict.get("matches") == Some(&Value::Bool(true))
            && verdict.get("error").is_none_or(Value::is_null)
    };
    Ok(if verdicts.iter().all(leads_to_a_request) { EXIT_OK } else { EXIT_NO })
}

/// Whether this can only be meant as a file: no reference looks so.
fn is_file_name(rule: &str) -> bool {
    rule.contains('/') || yaml::Format::of(rule).is_some()
}

/// The verdict on an event that is not in the log: of the server, or, for a rule of a file, ours
/// when no server runs.
fn of_event(
    context: &Context,
    rule: &str,
    given: Option<&Value>,
    event: &Value,
) -> Result<Vec<Value>, Failure> {
    let Some(given) = given else {
        return asked(context, &format!("{}/test", segment(rule)), &json!({ "event": event }));
    };
    match asked(context, "test.file/test", &json!({ "event": event, "rule": given })) {
        Err(failure) if failure.exit_code() == EXIT_UNREACHABLE => {}
        answer => return answer.map_err(|failure| failure.at(rule)),
    }
    let verdict = judged(given, event).map_err(|why| Failure::usage(why).at(rule))?;
    let text = given.to_string();
    if READS_KEYS.iter().any(|word| text.contains(word)) {
        context.output.note("no server runs, so keys of the datastore are not seen");
    }
    Ok(vec![verdict])
}

fn past(
    context: &Context,
    rule: &str,
    file: Option<&Path>,
    event: Option<&str>,
    last: Option<usize>,
) -> Result<Vec<Value>, Failure> {
    let query = match (event, last) {
        (Some(id), _) => format!("event={}", segment(id)),
        (None, last) => format!("last={}", last.unwrap_or(1)),
    };
    let name = if file.is_some() { "test.file".to_owned() } else { segment(rule) };
    let body = file.map(read).transpose()?.unwrap_or(Value::Null);
    asked(context, &format!("{name}/test?{query}"), &body)
}

/// What the server answers about a rule.
fn asked(context: &Context, path: &str, body: &Value) -> Result<Vec<Value>, Failure> {
    let answer = context.client().post(&format!("/hearken/v1/rules/{path}"), body)?;
    Ok(answer.as_array().cloned().unwrap_or_default())
}

/// A YAML or JSON file as a value.
fn read(file: &Path) -> Result<Value, Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    let format = yaml::Format::of(&name).unwrap_or(yaml::Format::Yaml);
    let document = yaml::read(&text, format).map_err(|error| {
        let failure = Failure::usage(error.message).at(format!("{name}:{}", error.place.line));
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    Ok(document.value)
}

/// A reason when this is no event.
fn check_event(event: &Value) -> Result<(), String> {
    let Some(fields) = event.as_object() else { return Err("this is no event".to_owned()) };
    if !fields.get("trigger").is_some_and(Value::is_string) {
        return Err("the event has no trigger".to_owned());
    }
    if !fields.get("payload").is_some_and(Value::is_object) {
        return Err("the event has no payload that is an object".to_owned());
    }
    match fields.keys().find(|key| !["id", "trigger", "payload"].contains(&key.as_str())) {
        Some(key) => Err(format!("the event has an unknown field {key:?}")),
        None => Ok(()),
    }
}

/// What a rule says about an event; needs no server. A reason when either cannot be read.
fn judged(rule: &Value, event: &Value) -> Result<Value, String> {
    check_event(event).map_err(|why| format!("{why}: {EVENT_FORM}"))?;
    let pack = rule.get("pack").and_then(Value::as_str).unwrap_or("default");
    let (parsed, problems) = RuleDefinition::for_trial(pack, rule);
    let Some(parsed) = parsed else {
        let why = problems.iter().find(|problem| problem.fatal).map(|p| p.message.clone());
        return Err(why.unwrap_or_else(|| "this is not a rule".to_owned()));
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let payload = event.get("payload").cloned().unwrap_or_else(|| json!({}));
    let event = Event {
        id: text("id").unwrap_or("test"),
        trigger: text("trigger").unwrap_or_default(),
        parameters_digest: None,
        payload: &payload,
        time: Timestamp::EPOCH,
    };
    let verdict = judge::explain(&parsed, None, &event, &Surroundings::default());
    serde_json::to_value(verdict).map_err(|error| error.to_string())
}

/// A line in, a line out.
pub(super) fn batch(context: &Context) -> Result<u8, Failure> {
    let mut input = std::io::stdin().lock();
    let mut code = EXIT_OK;
    for number in 1_u64.. {
        let mut line = Vec::new();
        let mut bounded = input.by_ref().take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
        if read == 0 {
            break;
        }
        if u64::try_from(read).is_ok_and(|read| read == LINE_BYTES_MAX) {
            let what = format!("line {number} has more than {LINE_BYTES_MAX} bytes");
            return Err(Failure::usage(what).at("standard input"));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = judged_line(&line).unwrap_or_else(|why| {
            code = EXIT_NO;
            json!({ "line": number, "error": why })
        });
        context.output.line(&answer.to_string());
    }
    Ok(code)
}

fn judged_line(line: &[u8]) -> Result<Value, String> {
    let asked: Value =
        serde_json::from_slice(line).map_err(|error| format!("the line is not JSON: {error}"))?;
    let part =
        |name: &str| asked.get(name).ok_or_else(|| format!("the line has no {name}: {LINE_FORM}"));
    judged(part("rule")?, part("event")?)
}

fn show(context: &Context, verdicts: &[Value]) {
    if context.output.format() != Format::Table {
        match verdicts {
            [one] => context.output.value(one),
            many => context.output.value(&Value::Array(many.to_vec())),
        }
        return;
    }
    for verdict in verdicts {
        let matches = verdict.get("matches") == Some(&Value::Bool(true));
        let tone = if matches { Tone::Good } else { Tone::Bad };
        let word = context.output.toned(if matches { "matches" } else { "does not match" }, tone);
        let text = |name: &str| verdict.get(name).and_then(Value::as_str).unwrap_or_default();
        context.output.line(&format!("rule {} on event {}: {word}", text("rule"), text("event")));
        for criterion in verdict.get("criteria").and_then(Value::as_array).into_iter().flatten() {
            super::explain::draw_criterion(context.output, criterion);
        }
        super::explain::draw_memory(context.output, verdict);
        if let Some(notice) = verdict.get("notice").and_then(Value::as_str) {
            context.output.line(&format!("    {notice}"));
        }
        if let Some(error) = verdict.get("error").and_then(Value::as_str) {
            context.output.line(&format!("    error: {error}"));
        }
        if let Some(parameters) = verdict.get("parameters").filter(|p| p.is_object()) {
            context.output.line(&format!("    parameters {parameters}"));
        }
    }
}

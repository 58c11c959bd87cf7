//! `hearken log explain`: from the fact to the outcome, drawn.

use serde_json::Value;

use super::{Context, segment};
use crate::args::Format;
use crate::error::{EXIT_OK, Failure};
use crate::output::{Output, Tone};

/// The longest value drawn, in characters; `-o json` has all of it.
const VALUE_MAX: usize = 100;
/// The longest result drawn, and the longest error in one: these say why.
const RESULT_MAX: usize = 400;

/// Explains an event or an execution.
pub(crate) fn run(context: &Context, id: &str) -> Result<u8, Failure> {
    let chain = context.client().get(&format!("/hearken/v1/explain/{}", segment(id)))?;
    if context.output.format() == Format::Table {
        draw(context.output, &chain);
    } else {
        context.output.value(&chain);
    }
    Ok(EXIT_OK)
}

fn draw(output: &Output, chain: &Value) {
    if let Some(event) = chain.get("event").filter(|event| event.is_object()) {
        output.line(&format!("event {}", text(event, "/trigger")));
        output.line(&format!("  id       {}", text(event, "/id")));
        output.line(&format!(
            "  stored   {}, EVENTS {}",
            text(event, "/time"),
            at(event, "/sequence")
        ));
        output.line(&format!("  payload  {}", short(event.get("payload"))));
        output
            .line(&format!("  judged by the definitions at EVENTS {}", at(event, "/definitions")));
    } else {
        let first = list(chain, "executions").first();
        let repeated = first.and_then(origin);
        output.line(repeated.as_deref().unwrap_or("asked for by a person"));
    }
    let (rules, awaited) = (list(chain, "rules"), list(chain, "awaited"));
    let is_event = chain.get("event").is_some_and(Value::is_object);
    if is_event && rules.is_empty() && awaited.is_empty() {
        output.line("└ no rule has this trigger");
    }
    for rule in awaited {
        draw_awaited(output, rule);
    }
    for rule in rules {
        draw_rule(output, chain, rule);
    }
    // Executions whose rule is not among those in force then, or that have none.
    for execution in list(chain, "executions") {
        let reference = text(execution, "/rule/ref");
        if !rules.iter().any(|rule| text(rule, "/rule") == reference) {
            draw_execution(output, execution, "");
        }
    }
    if chain.get("truncated") == Some(&Value::Bool(true)) {
        output.note(
            "there is more than is shown: hearken log show LOG --cause ID has it page by page",
        );
    }
}

fn draw_rule(output: &Output, chain: &Value, rule: &Value) {
    let reference = text(rule, "/rule");
    let matches = rule.get("matches") == Some(&Value::Bool(true));
    let verdict = if matches {
        output.toned("matches", Tone::Good)
    } else {
        output.toned("does not match", Tone::Dim)
    };
    output.line(&format!("└ rule {reference}: {verdict}"));
    for criterion in list(rule, "criteria") {
        draw_criterion(output, criterion);
    }
    draw_memory(output, rule);
    // Where an execution was left, what is on record tells why.
    let is_left =
        |record: &Value| text(record, "/rule") == reference && record.get("execution").is_some();
    let is_told = list(chain, "enforcements").iter().any(is_left);
    if let Some(error) = rule.get("error").and_then(Value::as_str).filter(|_| !is_told) {
        output.line(&format!("    {}", output.toned(error, Tone::Bad)));
    }
    for enforcement in list(chain, "enforcements") {
        if text(enforcement, "/rule") == reference {
            draw_enforcement(output, enforcement);
        }
    }
    for execution in list(chain, "executions") {
        if text(execution, "/rule/ref") == reference {
            draw_execution(output, execution, "    ");
        }
    }
}

/// Why a match became no request, or not yet.
fn draw_enforcement(output: &Output, enforcement: &Value) {
    let reason = text(enforcement, "/reason");
    let left = text(enforcement, "/execution");
    if !left.is_empty() {
        let reason = output.toned(reason, Tone::Bad);
        output.line(&format!("    could not be asked for, and left execution {left}: {reason}"));
        return;
    }
    let Some(wait) = enforcement.get("wait") else {
        output.line(&format!("    no request: {}", output.toned(reason, Tone::Bad)));
        return;
    };
    let became = match text(wait, "/state") {
        "waits" => "it still waits".to_owned(),
        "answered" => format!("it was answered by event {}", text(wait, "/event")),
        "fired" => "nothing came, and the request followed".to_owned(),
        "forgotten" => "it was forgotten when the rule was changed".to_owned(),
        "passed" => {
            "the time has passed and no request followed: it was answered or forgotten".to_owned()
        }
        _ => "what came of that is told there".to_owned(),
    };
    output.line(&format!("    {reason}: {became}"));
}

/// A rule that waits for such an event.
fn draw_awaited(output: &Output, rule: &Value) {
    let (reference, after) = (text(rule, "/rule"), text(rule, "/after"));
    let verdict = if rule.get("matches") == Some(&Value::Bool(true)) {
        output.toned("this is it, where the keys are the same", Tone::Good)
    } else {
        output.toned("this is not it", Tone::Dim)
    };
    output.line(&format!("└ rule {reference} waits for this after {after}: {verdict}"));
    for criterion in list(rule, "criteria") {
        draw_criterion(output, criterion);
    }
}

/// What an execution repeats, and why; none for one that repeats nothing.
fn origin(execution: &Value) -> Option<String> {
    let before = execution.pointer("/context/rerun_of").and_then(Value::as_str)?;
    let policy = execution.pointer("/context/policies/retry/applied_policy");
    let retried = text(execution, "/context/policies/retry/retried_liveaction_id");
    Some(match policy.and_then(Value::as_str).filter(|_| retried == before) {
        Some(policy) => format!("tried again by policy {policy} of execution {before}"),
        None => format!("rerun of {before}"),
    })
}

/// What a delayed execution waits for, in one line.
pub(super) fn waits(execution: &Value) -> Option<String> {
    let waits = execution.get("waits").filter(|waits| waits.is_object())?;
    let policy = match text(waits, "/policy") {
        "" => String::new(),
        policy => format!("policy {policy} "),
    };
    let not_before = match text(waits, "/not_before") {
        "" => String::new(),
        moment => format!(", not before {moment}"),
    };
    Some(format!("waits: {policy}({}{not_before})", text(waits, "/why")))
}

pub(super) fn draw_criterion(output: &Output, criterion: &Value) {
    let mark = match criterion.get("verdict") {
        Some(Value::Bool(true)) => output.toned("yes", Tone::Good),
        Some(Value::Bool(false)) => output.toned("no ", Tone::Bad),
        _ => output.toned("error", Tone::Bad),
    };
    let (path, operator) = (text(criterion, "/path"), text(criterion, "/operator"));
    let why = criterion.get("why").and_then(Value::as_str);
    let why = why.map(|why| format!("  ({why})")).unwrap_or_default();
    // The branches of any, all and not follow in lines of their own.
    if ["any", "all", "not"].contains(&operator) {
        output.line(&format!("    {mark} {path}{why}"));
        return;
    }
    let (value, pattern) = (short(criterion.get("value")), short(criterion.get("pattern")));
    output.line(&format!("    {mark} {path} = {value}  {operator}  {pattern}{why}"));
}

/// Says what a rule remembers, if it does.
pub(super) fn draw_memory(output: &Output, verdict: &Value) {
    if let Some(remembers) = verdict.get("remembers").and_then(Value::as_str) {
        output.line(&format!("    then {remembers}"));
    }
}

fn draw_execution(output: &Output, execution: &Value, margin: &str) {
    let status = text(execution, "/status");
    let tone = if status == "succeeded" { Tone::Good } else { Tone::Bad };
    output.line(&format!(
        "{margin}└ execution {}  {}",
        text(execution, "/id"),
        text(execution, "/action/ref")
    ));
    if let Some(origin) = origin(execution) {
        output.line(&format!("{margin}    {origin}"));
    }
    output.line(&format!("{margin}    parameters {}", short(execution.get("parameters"))));
    for step in list(execution, "log") {
        output.line(&format!(
            "{margin}    {}  {}",
            text(step, "/timestamp"),
            text(step, "/status")
        ));
    }
    if let Some(waits) = waits(execution) {
        output.line(&format!("{margin}    {waits}"));
        return;
    }
    let result = execution.get("result").map(ToString::to_string).unwrap_or_default();
    let shown = cut(&result, RESULT_MAX);
    output.line(&format!("{margin}    {}  {shown}", output.toned(status, tone)));
    // The error may come after output that is longer than what is drawn.
    let error = execution.pointer("/result/error").and_then(Value::as_str);
    if let Some(error) = error.filter(|_| shown != result) {
        output.line(&format!("{margin}    error: {}", cut(error, RESULT_MAX)));
    }
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn at(value: &Value, at: &str) -> String {
    value.pointer(at).map(ToString::to_string).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn short(value: Option<&Value>) -> String {
    cut(&value.map(ToString::to_string).unwrap_or_default(), VALUE_MAX)
}

/// The first characters of `text`, at most so many.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max - 1).collect();
    cut.push('…');
    cut
}

//! `hearken log explain`: from the fact to the outcome, drawn.

use serde_json::Value;

use super::{Context, segment};
use crate::args::Format;
use crate::error::{EXIT_OK, Failure};
use crate::output::{Output, Tone};

/// The longest value drawn, in characters; `-o json` has all of it.
const VALUE_MAX: usize = 100;

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
        output.line("asked for by a person");
    }
    let rules = list(chain, "rules");
    if chain.get("event").is_some_and(Value::is_object) && rules.is_empty() {
        output.line("└ no rule has this trigger");
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
    if let Some(error) = rule.get("error").and_then(Value::as_str) {
        output.line(&format!("    {}", output.toned(error, Tone::Bad)));
    }
    for enforcement in list(chain, "enforcements") {
        if text(enforcement, "/rule") == reference {
            let reason = output.toned(text(enforcement, "/reason"), Tone::Bad);
            output.line(&format!("    no request: {reason}"));
        }
    }
    for execution in list(chain, "executions") {
        if text(execution, "/rule/ref") == reference {
            draw_execution(output, execution, "    ");
        }
    }
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
    output.line(&format!("{margin}    parameters {}", short(execution.get("parameters"))));
    for step in list(execution, "log") {
        output.line(&format!(
            "{margin}    {}  {}",
            text(step, "/timestamp"),
            text(step, "/status")
        ));
    }
    let result = short(execution.get("result"));
    output.line(&format!("{margin}    {}  {result}", output.toned(status, tone)));
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
    let text = value.map(ToString::to_string).unwrap_or_default();
    if text.chars().count() <= VALUE_MAX {
        return text;
    }
    let mut cut: String = text.chars().take(VALUE_MAX - 1).collect();
    cut.push('…');
    cut
}

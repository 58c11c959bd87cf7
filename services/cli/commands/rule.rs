//! `hearken rule`: list, show, try, switch, see what they did.

use std::io::BufRead as _;
use std::path::Path;

use hearken_engine::definition::Rule as RuleDefinition;
use hearken_engine::judge::{self, Context as Surroundings, Event};
use hearken_packs::yaml;
use hearken_proto::Timestamp;
use serde_json::{Value, json};

use super::{Context, definition, segment};
use crate::args::{Format, Listing, Rule};
use crate::error::{EXIT_NO, EXIT_OK, Failure};
use crate::output::Tone;

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Rule) -> Result<u8, Failure> {
    let columns = [
        ("REF", "/ref"),
        ("ENABLED", "/enabled"),
        ("TRIGGER", "/trigger/type"),
        ("ACTION", "/action/ref"),
        ("DESCRIPTION", "/description"),
    ];
    let listing = match verb {
        Rule::List { pack } => Listing::List { pack },
        Rule::Get { reference } => Listing::Get { reference },
        Rule::Enforcements { rule, limit, trigger_instance } => {
            return enforcements(context, rule.as_deref(), limit, trigger_instance.as_deref());
        }
        Rule::Enable { reference } => return switch(context, &reference, true),
        Rule::Disable { reference } => return switch(context, &reference, false),
        Rule::Test { batch: true, .. } => return batch(context),
        Rule::Test { rule, file, event, last, .. } => {
            let rule = rule.unwrap_or_default();
            return test(context, &rule, file.as_deref(), event.as_deref(), last);
        }
    };
    definition::show(context, "/v1/rules", listing, &columns)
}

fn enforcements(
    context: &Context,
    rule: Option<&str>,
    limit: usize,
    event: Option<&str>,
) -> Result<u8, Failure> {
    let columns = [
        ("RULE", "/rule/ref"),
        ("STATUS", "/status"),
        ("AT", "/enforced_at"),
        ("EVENT", "/trigger_instance_id"),
        ("EXECUTION", "/execution_id"),
        ("REASON", "/failure_reason"),
    ];
    let of = |name: &str, value: Option<&str>| {
        value.map(|value| format!("&{name}={}", segment(value))).unwrap_or_default()
    };
    let filters = of("rule_ref", rule) + &of("trigger_instance", event);
    let path = format!("/v1/ruleenforcements?{}", filters.trim_start_matches('&'));
    let rows = super::pages(context, &path, limit)?;
    context.output.list(&rows, &columns);
    Ok(EXIT_OK)
}

fn switch(context: &Context, reference: &str, enabled: bool) -> Result<u8, Failure> {
    let path = format!("/hearken/v1/rules/{}/enabled", segment(reference));
    let rule = context.client().put(&path, &json!({ "enabled": enabled }))?;
    if context.output.format() == Format::Table {
        let state = if enabled { "enabled" } else { "disabled" };
        context.output.note(&format!("{reference} is {state}"));
    } else {
        context.output.value(&rule);
    }
    Ok(EXIT_OK)
}

fn test(
    context: &Context,
    rule: &str,
    file: Option<&Path>,
    event: Option<&str>,
    last: Option<usize>,
) -> Result<u8, Failure> {
    let rule_file = Path::new(rule);
    let from_file = rule_file.is_file();
    let verdicts = match file {
        Some(file) if from_file => {
            let verdict = judged(&read(rule_file)?, &read(file)?);
            vec![verdict.map_err(|why| Failure::usage(why).at(rule))?]
        }
        Some(file) => {
            let known = context.client().get(&format!("/v1/rules/{}", segment(rule)))?;
            vec![judged(&known, &read(file)?).map_err(|why| Failure::usage(why).at(rule))?]
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
    let body = file.map(read).transpose()?;
    let path = format!("/hearken/v1/rules/{name}/test?{query}");
    let answer = match body {
        Some(body) => context.client().post(&path, &body)?,
        None => context.client().post(&path, &Value::Null)?,
    };
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

/// What a rule says about an event; needs no server. A reason when either cannot be read.
fn judged(rule: &Value, event: &Value) -> Result<Value, String> {
    let pack = rule.get("pack").and_then(Value::as_str).unwrap_or("default");
    let (parsed, problems) = RuleDefinition::for_trial(pack, rule);
    let Some(parsed) = parsed else {
        let why = problems.iter().find(|problem| problem.fatal).map(|p| p.message.clone());
        return Err(why.unwrap_or_else(|| "this is not a rule".to_owned()));
    };
    let trigger = event.get("trigger").and_then(Value::as_str);
    let trigger = trigger.unwrap_or(&parsed.trigger.reference).to_owned();
    let payload = event.get("payload").cloned().unwrap_or_else(|| json!({}));
    let event = Event {
        id: event.get("id").and_then(Value::as_str).unwrap_or("test"),
        trigger: &trigger,
        parameters_digest: None,
        payload: &payload,
        time: Timestamp::EPOCH,
    };
    let verdict = judge::explain(&parsed, None, &event, &Surroundings::default());
    serde_json::to_value(verdict).map_err(|error| error.to_string())
}

/// A line in, a line out.
fn batch(context: &Context) -> Result<u8, Failure> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Value>(&line) {
            Ok(asked) => {
                let part = |name: &str| asked.get(name).cloned().unwrap_or(Value::Null);
                judged(&part("rule"), &part("event"))
            }
            Err(error) => Err(format!("the line is not JSON: {error}")),
        };
        let answer = answer.unwrap_or_else(|why| json!({ "matches": false, "error": why }));
        context.output.line(&answer.to_string());
    }
    Ok(EXIT_OK)
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
        if let Some(error) = verdict.get("error").and_then(Value::as_str) {
            context.output.line(&format!("    error: {error}"));
        }
        if let Some(parameters) = verdict.get("parameters").filter(|p| p.is_object()) {
            context.output.line(&format!("    parameters {parameters}"));
        }
    }
}

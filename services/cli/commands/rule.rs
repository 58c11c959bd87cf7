//! `hearken rule`: list, show, try, switch, see what they did.

use serde_json::json;

use super::{Context, definition, segment, trial};
use crate::args::{Format, Listing, Rule};
use crate::error::{EXIT_NO, EXIT_OK, Failure};

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
        Rule::Test { batch: true, .. } => return trial::batch(context),
        Rule::Test { rule, file, event, last, .. } => {
            let rule = rule.unwrap_or_default();
            return trial::run(context, &rule, file.as_deref(), event.as_deref(), last);
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
    if let Some(rule) = rule.filter(|_| rows.is_empty()) {
        known(context, rule)?;
    }
    context.output.list(&rows, &columns);
    Ok(EXIT_OK)
}

/// Fails when a rule is neither in force nor on record.
fn known(context: &Context, rule: &str) -> Result<(), Failure> {
    let Err(failure) = context.client().get(&format!("/v1/rules/{}", segment(rule))) else {
        return Ok(());
    };
    if failure.exit_code() != EXIT_NO {
        return Err(failure);
    }
    let path = format!("/v1/ruleenforcements?rule_ref={}", segment(rule));
    if super::pages(context, &path, 1)?.is_empty() {
        return Err(unknown(rule));
    }
    Ok(())
}

/// Nobody has heard of this rule.
pub(crate) fn unknown(rule: &str) -> Failure {
    Failure::no(format!("no rule is called {rule:?}: it is neither in force nor on record"))
        .hint("hearken rule list shows those in force")
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

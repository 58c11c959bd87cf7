//! One check, put together from its fields.

use std::time::Duration;

use hearken_proto::check::CheckStatus;
use hearken_proto::incident::Window;
use hearken_proto::notice::PicomonNotice;
use serde_json::{Map, Value, json};

use super::probe::KINDS;
use super::values::Values;
use super::{
    Attempts, Check, Condition, Flapping, Freshness, Group, Host, Notices, Probe, Step, Threshold,
    Timing, shown_labels,
};
use crate::check::plugin::Range;
use crate::criteria::Criterion;
use crate::definition::problem::{Problem, suggestion};
use crate::schedule::Schedule;
use crate::template::{Scope, Template};

/// How often a check runs when nothing is said.
const EVERY: Duration = Duration::from_secs(60);
/// The shortest pause between two runs: below it a check is a load.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// The longest pause before a retry when nothing is said.
const RETRY_EVERY: Duration = Duration::from_secs(60);
/// How long a run may take when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same for checks with picomon's habits.
const TIMEOUT_PICOMON: Duration = Duration::from_secs(2);
/// Bad runs that make a failure when nothing is said.
const FAILURES: u32 = 3;
/// Percent of changes from which on, and below which, when a check asks for flapping with no more.
const FLAPPING: Flapping = Flapping { high: 30.0, low: 20.0 };
/// How long a group waits when nothing is said.
const GROUP_WAIT: Duration = Duration::from_secs(30);
/// The longest window of maintenance.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Most reminders and steps that are listed.
const STEPS_MAX: usize = 20;
/// Most contacts of a check.
const CONTACTS_MAX: usize = 50;

/// Where a check stands in its file.
pub(super) struct Place<'a> {
    /// Pointer to its entry.
    pub(super) at: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// The host it is for.
    pub(super) host: Option<Host>,
    /// The length of a tick in this file.
    pub(super) base_tick: Option<Duration>,
}

/// Problems of one check.
struct Faults<'a> {
    at: &'a str,
    problems: Vec<Problem>,
}

impl Faults<'_> {
    fn fatal(&mut self, field: &str, message: impl Into<String>, hint: &str) {
        let at = if field.is_empty() { self.at.to_owned() } else { format!("{}/{field}", self.at) };
        let problem = Problem::fatal(at, message);
        self.problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }
}

/// Puts a check together; `None` when a fault keeps it from being used.
pub(super) fn check(
    place: Place<'_>,
    merged: &Map<String, Value>,
) -> (Option<Check>, Vec<Problem>) {
    let Place { at, name, host, base_tick } = place;
    let mut faults = Faults { at, problems: Vec::new() };
    let values = Values(merged);
    let id = host.as_ref().map_or_else(|| name.to_owned(), |host| format!("{}/{name}", host.name));
    let mut labels = host.as_ref().map(|host| host.labels.clone()).unwrap_or_default();
    labels.extend(values.labels("labels"));
    labels.insert("check".to_owned(), name.to_owned());
    if let Some(host) = &host {
        labels.insert("host".to_owned(), host.name.clone());
    }
    let compat = values.get("compat").is_some();
    let timeout = values.span("timeout").unwrap_or(if compat { TIMEOUT_PICOMON } else { TIMEOUT });
    let scope = scope(name, host.as_ref(), &labels, timeout);
    let probe = probe(values, &scope, &mut faults);
    let timing = timing(values, base_tick, compat, probe.as_ref(), &mut faults);
    let thresholds = thresholds(values);
    if let Some(probe) = &probe {
        check_fields(probe, merged, &mut faults);
    }
    let conditions = conditions(values, &mut faults);
    let freshness = freshness(values, probe.as_ref(), timing.as_ref());
    let check = Check {
        id,
        name: name.to_owned(),
        description: values.text("description").unwrap_or_default(),
        enabled: values.flag("enabled", true),
        parents: values.parents("parents"),
        alive: values.flag("alive", false),
        timeout,
        attempts: attempts(values, compat),
        thresholds,
        conditions,
        flapping: flapping(values, &mut faults),
        freshness,
        notices: notices(values, &mut faults),
        maintenance: maintenance(values, &mut faults),
        runbook: values.text("runbook"),
        picomon: compat.then(|| picomon(values, name, host.as_ref())),
        labels,
        host,
        timing: timing.unwrap_or(Timing::Passive),
        probe: probe.unwrap_or(Probe::Memory),
    };
    let fatal = faults.problems.iter().any(|problem| problem.fatal);
    (Some(check).filter(|_| !fatal), faults.problems)
}

/// What texts of a probe may name.
fn scope<'a>(
    name: &str,
    host: Option<&Host>,
    labels: &super::Labels,
    timeout: Duration,
) -> Scope<'a> {
    let mut scope = Scope::new();
    if let Some(host) = host {
        let address = host.ipv4.as_ref().or(host.ipv6.as_ref()).unwrap_or(&host.name);
        let shown = json!({
            "name": host.name, "ipv4": host.ipv4, "ipv6": host.ipv6, "address": address,
        });
        scope.put_owned("host", shown);
    }
    scope.put_owned("labels", shown_labels(labels));
    scope.put_owned("name", json!(name));
    scope.put_owned("timeout", json!(timeout.as_millis().div_ceil(1_000)));
    scope
}

/// The one probe of a check.
fn probe(values: Values<'_>, scope: &Scope<'_>, faults: &mut Faults<'_>) -> Option<Probe> {
    let mut found = KINDS.iter().filter(|(kind, ..)| values.get(kind).is_some());
    let Some((kind, main, _)) = found.next() else {
        let kinds: Vec<&str> = KINDS.iter().map(|(kind, ..)| *kind).collect();
        let hint = format!("one of {}", kinds.join(", "));
        faults.fatal("", "nothing says what the check does", &hint);
        return None;
    };
    if let Some((other, ..)) = found.next() {
        let message = format!("a check does one thing, not both {kind} and {other}");
        faults.fatal(other, message, "make two checks of it");
        return None;
    }
    let mut section = Value::Object(values.section(kind, main)?);
    if let Err(reason) = fill_in(&mut section, scope) {
        faults.fatal(kind, reason, "a text may name host.ipv4, host.name, labels.x and timeout");
        return None;
    }
    match Probe::read(kind, section.as_object()?) {
        Ok(probe) => Some(probe),
        Err(reason) => {
            faults.fatal(kind, reason, "");
            None
        }
    }
}

/// Renders all texts that are templates.
fn fill_in(value: &mut Value, scope: &Scope<'_>) -> Result<(), String> {
    match value {
        Value::String(text) if text.contains("{{") => {
            let template = Template::parse(text).map_err(|error| error.to_string())?;
            *text = template.render(scope).map_err(|error| error.to_string())?;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill_in(item, scope)),
        Value::Object(map) => map.values_mut().try_for_each(|value| fill_in(value, scope)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn timing(
    values: Values<'_>,
    base_tick: Option<Duration>,
    compat: bool,
    probe: Option<&Probe>,
    faults: &mut Faults<'_>,
) -> Option<Timing> {
    let given: Vec<&str> =
        ["every", "cron", "ticks"].into_iter().filter(|name| values.get(name).is_some()).collect();
    if let [_, other, ..] = given.as_slice() {
        let message = format!("when it runs is said twice: {}", given.join(" and "));
        faults.fatal(other, message, "keep one of them");
        return None;
    }
    if probe.is_some_and(Probe::is_passive) {
        if let [other] = given.as_slice() {
            let message = "a heartbeat does not run: it is told";
            faults.fatal(other, message, "say heartbeat: {period: …}");
        }
        return Some(Timing::Passive);
    }
    let retry = values.span("retry_every");
    if let Some(cron) = values.section("cron", "") {
        let parameters = Value::Object(cron);
        return match Schedule::parse("core.st2.CronTimer", &parameters, "UTC") {
            Ok(schedule) => {
                Some(Timing::Cron { schedule, retry_every: retry.unwrap_or(RETRY_EVERY) })
            }
            Err(problem) => {
                faults.fatal(&format!("cron{}", problem.pointer), problem.message, "");
                None
            }
        };
    }
    let (every, error_every) = match values.section("ticks", "every") {
        Some(ticks) => {
            let ticks = Values(&ticks);
            let tick = ticks.span("base_tick").or(base_tick).unwrap_or(EVERY);
            let span = |name: &str| ticks.small(name).map(|count| tick.saturating_mul(count));
            (span("every").unwrap_or(tick), span("error_every"))
        }
        None => (values.span("every").unwrap_or(EVERY), None),
    };
    let error_every = error_every.or(values.span("error_every")).unwrap_or(every);
    // picomon tries again when the next run is due.
    let retry_every = retry.unwrap_or(if compat { every } else { every.min(RETRY_EVERY) });
    let shortest = every.min(error_every).min(retry_every);
    if shortest < EVERY_MIN {
        faults.fatal("every", "a check runs at most once in a second", "write every: 10s");
        return None;
    }
    Some(Timing::Every { every, error_every, retry_every })
}

fn attempts(values: Values<'_>, compat: bool) -> Attempts {
    let section = values.section("attempts", "failures").unwrap_or_default();
    let values = Values(&section);
    let failures = values.small("failures").unwrap_or(if compat { 1 } else { FAILURES });
    Attempts {
        failures,
        recoveries: values.small("recoveries").unwrap_or(1),
        tool: values.small("tool").unwrap_or(failures),
    }
}

fn thresholds(values: Values<'_>) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    // What is critical is looked at first.
    for (name, level) in [("critical", CheckStatus::Critical), ("warning", CheckStatus::Warning)] {
        for (field, text) in values.labels(name) {
            if let Ok(range) = Range::parse(&text) {
                thresholds.push(Threshold { field, range, level });
            }
        }
    }
    thresholds
}

/// Thresholds on what the probe does not measure would never say anything.
fn check_fields(probe: &Probe, merged: &Map<String, Value>, faults: &mut Faults<'_>) {
    let known = probe.measures();
    if known.is_empty() {
        return;
    }
    for level in ["warning", "critical"] {
        for field in Values(merged).labels(level).keys() {
            if known.contains(&field.as_str()) {
                continue;
            }
            let message = format!("{} does not measure {field:?}", probe.kind());
            let hint = match suggestion(field, known) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("it measures {}", known.join(", ")),
            };
            faults.fatal(level, message, &hint);
        }
    }
}

fn conditions(values: Values<'_>, faults: &mut Faults<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (index, section) in values.sections("conditions").iter().enumerate() {
        let at = format!("conditions/{index}");
        let values = Values(section);
        let Some(path) = values.text("path") else {
            faults.fatal(&at, "path is missing", "for example path: status");
            continue;
        };
        let operator = values.text("operator").unwrap_or_else(|| "equals".to_owned());
        let pattern = values.get("pattern").cloned().unwrap_or(Value::Null);
        let shown = match &pattern {
            Value::Null => format!("{path} {operator}"),
            Value::String(pattern) => format!("{path} {operator} {pattern}"),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                format!("{path} {operator} {pattern}")
            }
        };
        let join = if path.starts_with('[') { "" } else { "." };
        let written = json!({"type": operator, "pattern": pattern});
        let (criterion, problems) =
            Criterion::from_value(&format!("trigger{join}{path}"), &written, "");
        for problem in problems {
            let pointer = format!("{}/{at}", faults.at);
            // What is an error for every run is not a condition.
            faults.problems.push(Problem { pointer, fatal: true, ..problem });
        }
        let level = values.text("level").and_then(|word| CheckStatus::parse(&word));
        let level = level.unwrap_or(CheckStatus::Critical);
        conditions.push(Condition { shown, criterion, level });
    }
    conditions
}

fn flapping(values: Values<'_>, faults: &mut Faults<'_>) -> Option<Flapping> {
    let section = values.section("flapping", "")?;
    let values = Values(&section);
    let high = values.number("high").unwrap_or(FLAPPING.high);
    let low = values.number("low").unwrap_or(FLAPPING.low.min(high));
    if low > high {
        faults.fatal("flapping/low", "low is above high", "write {high: 30, low: 20}");
    }
    Some(Flapping { high, low })
}

fn freshness(
    values: Values<'_>,
    probe: Option<&Probe>,
    timing: Option<&Timing>,
) -> Option<Freshness> {
    let section = values.section("freshness", "within");
    let section = section.unwrap_or_default();
    let values = Values(&section);
    let status = values.text("status").and_then(|word| CheckStatus::parse(&word));
    if let Some(Probe::Heartbeat(heartbeat)) = probe {
        let within = heartbeat.period.saturating_add(heartbeat.grace);
        let status = status.unwrap_or(CheckStatus::Critical);
        return Some(Freshness { within, status: Some(status) });
    }
    if let Some(within) = values.span("within") {
        return Some(Freshness { within, status });
    }
    match timing {
        // Three runs in a row that nobody heard of are no chance.
        Some(Timing::Every { every, error_every, .. }) => {
            let within = every.max(error_every).saturating_mul(3).max(EVERY);
            Some(Freshness { within, status })
        }
        Some(Timing::Cron { .. } | Timing::Passive) | None => None,
    }
}

fn notices(values: Values<'_>, faults: &mut Faults<'_>) -> Notices {
    let group = values.section("group", "by").map(|section| {
        let values = Values(&section);
        let wait = values.span("wait").unwrap_or(GROUP_WAIT);
        Group { by: values.texts("by"), wait }
    });
    if group.as_ref().is_some_and(|group| group.by.is_empty()) {
        faults.fatal("group", "by is missing: what do they have in common?", "by: [host]");
    }
    let mut escalation = Vec::new();
    for (index, section) in values.sections("escalation").iter().enumerate() {
        let values = Values(section);
        match (values.span("after"), values.texts("notify")) {
            (Some(after), contacts) if !contacts.is_empty() => {
                escalation.push(Step { after, contacts });
            }
            _ => faults.fatal(
                &format!("escalation/{index}"),
                "a step says after and notify",
                "{after: 30m, notify: [boss]}",
            ),
        }
    }
    escalation.sort_by_key(|step| step.after);
    let reminders = values.spans("reminders");
    let contacts = values.texts("notify");
    let many = escalation.len().max(reminders.len()) > STEPS_MAX || contacts.len() > CONTACTS_MAX;
    if many {
        let message = format!(
            "there are more than {STEPS_MAX} reminders or steps, or {CONTACTS_MAX} contacts"
        );
        faults.fatal("", message, "tell a list instead of all of its members");
    }
    let updates_every = values.span("updates_every").unwrap_or_default();
    let after = values.span("notify_after").unwrap_or_default();
    Notices { contacts, after, reminders, updates_every, escalation, group }
}

fn maintenance(values: Values<'_>, faults: &mut Faults<'_>) -> Vec<Window> {
    let mut windows = Vec::new();
    for (index, section) in values.sections("maintenance").iter().enumerate() {
        let at = format!("maintenance/{index}");
        let values = Values(section);
        let (Some(opens), Some(lasts)) = (values.section("opens", ""), values.span("lasts")) else {
            let hint = "{opens: {hour: 3, timezone: Europe/Berlin}, lasts: 2h}";
            faults.fatal(&at, "a window says opens and lasts", hint);
            continue;
        };
        if lasts > WINDOW_MAX || lasts < EVERY_MIN {
            faults.fatal(&at, "a window is open from a second to 31 days", "");
            continue;
        }
        let window = Window { opens, seconds: lasts.as_secs() };
        match crate::check::silence::read_window(&window) {
            Ok(_) => windows.push(window),
            Err(problem) => {
                faults.fatal(&format!("{at}/opens{}", problem.pointer), problem.message, "");
            }
        }
    }
    windows
}

fn picomon(values: Values<'_>, name: &str, host: Option<&Host>) -> PicomonNotice {
    let section = values.section("picomon", "class").unwrap_or_default();
    let values = Values(&section);
    let target = values.text("target").or_else(|| host.map(|host| host.name.clone()));
    PicomonNotice {
        class: values.text("class").unwrap_or_else(|| name.to_owned()),
        target: target.unwrap_or_else(|| "Unknown".to_owned()),
        shown: values.text("shown").unwrap_or_else(|| name.to_owned()),
    }
}

//! What the log tells of absences: which rules wait for an event, and what became of a wait.
//!
//! Nothing is stored when what a rule waits for comes: the wait is over, and that is all. It is
//! looked for among the events that were stored while the rule waited, so an answer is told only
//! where it can be found.

use hearken_engine::definition::Rule;
use hearken_engine::judge::{Event, USER_DEFAULT, explain_expected};
use hearken_engine::template::Scope;
use hearken_packs::Definitions;
use hearken_packs::kv::Opened;
use hearken_proto::entry::TRIGGER_PARAMETERS;
use hearken_proto::question::{EntryFilter, Shown};
use hearken_proto::record::Enforcement;
use hearken_proto::{Execution, Timestamp};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::{App, chain};

/// Events that are looked through for the answer to one wait.
const ANSWERS_MAX: usize = 200;

/// The rules that wait for such an event, each with what it makes of this one.
pub(crate) fn awaited(
    app: &App,
    definitions: &Definitions,
    trigger: &str,
    id: &str,
    entry: &Shown,
) -> Vec<Value> {
    let opened = Opened::of(&app.0.datastore);
    let context = opened.context(USER_DEFAULT);
    let digest = entry.header(TRIGGER_PARAMETERS);
    let event =
        Event { id, trigger, parameters_digest: digest, payload: &entry.body, time: entry.time };
    let rules = definitions.registry.rules_awaiting(trigger, digest).into_iter();
    let verdicts = rules.filter_map(|live| {
        let verdict = explain_expected(&live.rule, &event, &context)?;
        let verdict = opened.hide(serde_json::to_value(verdict).unwrap_or(Value::Null));
        let of = |name: &str| verdict.get(name).cloned().unwrap_or(Value::Null);
        Some(json!({
            "rule": live.rule.reference,
            "after": live.rule.trigger.reference,
            "matches": of("matches"),
            "criteria": of("criteria"),
            "error": of("error"),
        }))
    });
    verdicts.collect()
}

/// What became of the wait that `held` tells of: `{state, until, event}`; none when its rule is not
/// known any more.
pub(crate) async fn wait(
    app: &App,
    held: &Enforcement,
    executions: &[Execution],
    entries: &[Shown],
) -> Result<Option<Value>, Fault> {
    let begun = held.trigger_instance.sequence;
    let definitions = app.0.definitions.at(begun).await?;
    let live = definitions.registry.rule(&held.rule);
    let Some((live, absence)) =
        live.and_then(|live| Some((live, live.rule.remember.as_ref()?.absence.as_ref()?)))
    else {
        return Ok(None);
    };
    if held.reason.starts_with("an earlier event waits") {
        return Ok(Some(json!({ "state": "joined" })));
    }
    let until = held.enforced_at.plus(absence.period);
    let told = |state: &str, event: Option<String>| {
        Ok(Some(json!({ "state": state, "until": until, "event": event })))
    };
    let asked = |execution: &&Execution| execution.request.rule.as_ref() == Some(&held.rule);
    if executions.iter().any(|execution| asked(&execution)) {
        return told("fired", None);
    }
    let Some(own) = entries.iter().find(|e| e.stream == "EVENTS" && e.sequence == begun) else {
        return Ok(None);
    };
    let wait = Wait { app, rule: &live.rule, until, own };
    if let Some(answer) = wait.answer().await? {
        let then = app.0.definitions.at(answer.sequence).await?;
        let kept = then.registry.rule(&held.rule).is_some_and(|now| now.keeps_memory_of(live));
        let id = chain::name(app, &answer).await?;
        return if kept { told("answered", Some(id)) } else { told("forgotten", None) };
    }
    let current = app.0.definitions.current();
    let kept = current.registry.rule(&held.rule).is_some_and(|now| now.keeps_memory_of(live));
    let state = match (kept, app.0.clock.now() < until) {
        (true, true) => "waits",
        (false, true) => "forgotten",
        (_, false) => "passed",
    };
    told(state, None)
}

/// A wait whose answer is looked for.
struct Wait<'a> {
    app: &'a App,
    rule: &'a Rule,
    until: Timestamp,
    /// The event that began it.
    own: &'a Shown,
}

impl Wait<'_> {
    /// The first event that is what the rule waited for, if it came in time.
    async fn answer(&self) -> Result<Option<Shown>, Fault> {
        let absence = self.rule.remember.as_ref().and_then(|r| r.absence.as_ref());
        let Some(absence) = absence else { return Ok(None) };
        let filter = EntryFilter {
            subject: format!("event.{}", absence.of.trigger.reference),
            from: Some(self.own.sequence + 1),
            until: Some(self.until),
            limit: ANSWERS_MAX,
            ..EntryFilter::default()
        };
        let (events, _more) = chain::events(self.app, filter).await?;
        let opened = Opened::of(&self.app.0.datastore);
        let context = opened.context(USER_DEFAULT);
        let key = |key: &hearken_engine::definition::remember::Key, shown: &Shown| {
            let mut scope = Scope::viewing(context.public_views());
            scope.put("trigger", &shown.body);
            key.render(&scope).ok()
        };
        let own = key(&absence.key, self.own);
        let is_answer = |shown: &Shown| {
            let event = Event {
                id: &shown.id,
                trigger: &absence.of.trigger.reference,
                parameters_digest: Some(shown.header(TRIGGER_PARAMETERS).unwrap_or_default()),
                payload: &shown.body,
                time: shown.time,
            };
            let verdict = explain_expected(self.rule, &event, &context);
            own.is_some()
                && verdict.is_some_and(|verdict| verdict.matches)
                && key(&absence.of.key, shown) == own
        };
        Ok(events.into_iter().find(is_answer))
    }
}

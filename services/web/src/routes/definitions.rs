//! What is in force: actions, rules, triggers, sensors, packs.

use axum::Json;
use axum::extract::{Path, Query, State};
use hearken_engine::judge::{self, Event, USER_DEFAULT};
use hearken_packs::kv::Opened;
use hearken_packs::{Definitions, publish};
use hearken_proto::question::{Answer, EntryFilter, Question, Shown};
use hearken_proto::subject::Subject;
use hearken_proto::{Timestamp, entry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::{App, chain, ledger};

/// Only what belongs to one pack.
#[derive(Debug, Deserialize)]
pub(crate) struct OfPack {
    pack: Option<String>,
}

impl OfPack {
    fn selects(&self, pack: &str) -> bool {
        self.pack.as_deref().is_none_or(|wanted| wanted == pack)
    }
}

/// Actions.
pub(crate) async fn actions(State(app): State<App>, Query(of): Query<OfPack>) -> Json<Vec<Value>> {
    let definitions = app.0.definitions.current();
    let all = definitions.registry.actions().filter(|action| of.selects(&action.pack));
    Json(all.map(|action| action.to_value()).collect())
}

/// One action.
pub(crate) async fn action(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let found = definitions.registry.action(&reference);
    found.map(|action| Json(action.to_value())).ok_or_else(|| absent("action", &reference))
}

/// Rules.
pub(crate) async fn rules(State(app): State<App>, Query(of): Query<OfPack>) -> Json<Vec<Value>> {
    let definitions = app.0.definitions.current();
    let all = definitions.registry.rules().filter(|live| of.selects(&live.rule.pack));
    Json(all.map(rule_view).collect())
}

/// One rule.
pub(crate) async fn rule(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let found = definitions.registry.rule(&reference);
    found.map(|live| Json(rule_view(live))).ok_or_else(|| absent("rule", &reference))
}

/// A rule as its file says, with whether it is on.
fn rule_view(live: &hearken_engine::registry::LiveRule) -> Value {
    live.rule.to_value(live.enabled)
}

/// Trigger types.
pub(crate) async fn triggers(State(app): State<App>, Query(of): Query<OfPack>) -> Json<Vec<Value>> {
    let definitions = app.0.definitions.current();
    let all = definitions.registry.triggers().filter(|trigger| of.selects(&trigger.pack));
    Json(all.map(trigger_view).collect())
}

/// One trigger type.
pub(crate) async fn trigger(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let found = definitions.registry.triggers().find(|trigger| trigger.reference == reference);
    found
        .map(|trigger| Json(trigger_view(trigger)))
        .ok_or_else(|| absent("trigger type", &reference))
}

/// Sensors.
pub(crate) async fn sensors(State(app): State<App>, Query(of): Query<OfPack>) -> Json<Vec<Value>> {
    let definitions = app.0.definitions.current();
    let all = definitions.registry.sensors().filter(|sensor| of.selects(&sensor.pack));
    Json(all.map(sensor_view).collect())
}

/// One sensor.
pub(crate) async fn sensor(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let found = definitions.registry.sensors().find(|sensor| sensor.reference == reference);
    found.map(|sensor| Json(sensor_view(sensor))).ok_or_else(|| absent("sensor", &reference))
}

fn trigger_view(trigger: &hearken_engine::definition::TriggerType) -> Value {
    json!({
        "ref": trigger.reference,
        "pack": trigger.pack,
        "name": trigger.name,
        "description": trigger.description,
        "payload_schema": trigger.payload_schema,
        "parameters_schema": trigger.parameters_schema,
    })
}

fn sensor_view(sensor: &hearken_engine::definition::Sensor) -> Value {
    json!({
        "ref": sensor.reference,
        "pack": sensor.pack,
        "enabled": sensor.enabled,
        "description": sensor.description,
        "entry_point": sensor.entry_point,
    })
}

/// Packs.
pub(crate) async fn packs(State(app): State<App>) -> Json<Vec<Value>> {
    let definitions = app.0.definitions.current();
    Json(definitions.packs.iter().map(|(name, content)| pack_view(name, content)).collect())
}

/// One pack, with everything worth knowing about its files.
pub(crate) async fn pack(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let content = definitions.packs.get(&name).ok_or_else(|| absent("pack", &name))?;
    let mut value = pack_view(&name, content);
    if let Some(fields) = value.as_object_mut() {
        let problems = serde_json::to_value(&content.loaded.problems).unwrap_or(Value::Null);
        fields.insert("problems".to_owned(), problems);
        fields.insert("not_yet_used".to_owned(), json!(content.loaded.not_yet_used));
    }
    Ok(Json(value))
}

fn pack_view(name: &str, content: &hearken_packs::Content) -> Value {
    let counted = &content.loaded.definitions;
    let version = content.loaded.manifest.as_ref().map(|manifest| manifest.version.as_str());
    json!({
        "name": name,
        "ref": name,
        "version": version,
        "digest": content.digest,
        "actions": counted.actions.len(),
        "rules": counted.rules.len(),
        "triggers": counted.triggers.len(),
        "sensors": counted.sensors.len(),
    })
}

fn absent(what: &str, reference: &str) -> Fault {
    Fault::missing(format!("no {what} is called {reference:?}"))
}

/// How a rule is to be switched.
#[derive(Debug, Deserialize)]
pub(crate) struct Switch {
    /// On, off, or as the file says.
    enabled: Option<bool>,
}

/// Switches a rule, whatever its file says.
pub(crate) async fn switch(
    State(app): State<App>,
    Path(reference): Path<String>,
    Json(switch): Json<Switch>,
) -> Result<Json<Value>, Fault> {
    if app.0.definitions.current().registry.rule(&reference).is_none() {
        return Err(absent("rule", &reference));
    }
    let published = publish::switch_rule(&app.0.bus, &reference, switch.enabled).await?;
    app.0.definitions.reach(published.mark).await;
    rule(State(app), Path(reference)).await
}

/// Which past events a rule is tried on.
#[derive(Debug, Deserialize)]
pub(crate) struct TestQuery {
    /// One event, by id.
    event: Option<String>,
    /// The last events of the rule's trigger.
    last: Option<usize>,
}

/// What a rule would make of past events: one in force, or the one in the body.
pub(crate) async fn test(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<TestQuery>,
    body: Option<Json<Value>>,
) -> Result<Json<Vec<Value>>, Fault> {
    let definitions = app.0.definitions.current();
    let rule = match body {
        Some(Json(value)) if !value.is_null() => {
            let (rule, problems) = hearken_engine::definition::Rule::for_trial("test", &value);
            let why = problems.iter().find(|problem| problem.fatal).map(|p| p.message.clone());
            rule.ok_or_else(|| Fault::bad(why.unwrap_or_default()))?
        }
        _ => definitions
            .registry
            .rule(&reference)
            .map(|live| live.rule.clone())
            .ok_or_else(|| absent("rule", &reference))?,
    };
    let filter = match query.event {
        Some(id) => by_id(id),
        None => EntryFilter {
            subject: format!("event.{}", rule.trigger.reference),
            limit: query.last.unwrap_or(1),
            descending: true,
            ..EntryFilter::default()
        },
    };
    let filter = EntryFilter { stream: "EVENTS".to_owned(), ..filter };
    let Answer::Entries { entries, .. } =
        ledger::ask(&app.0.bus, &Question::Entries(filter)).await?
    else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    if entries.is_empty() {
        return Err(Fault::missing(format!(
            "no event of {} is in the log",
            rule.trigger.reference
        )));
    }
    let mut verdicts = Vec::with_capacity(entries.len());
    for entry in &entries {
        let id = chain::name(&app, entry).await?;
        verdicts.push(tried(&app, &definitions, &rule, &id, entry));
    }
    Ok(Json(verdicts))
}

/// An event by its id, or by its place.
pub(super) fn by_id(id: String) -> EntryFilter {
    let place = id.strip_prefix('@').and_then(|place| place.rsplit_once('-'));
    match place.and_then(|(_, sequence)| sequence.parse().ok()) {
        Some(sequence) => EntryFilter {
            from: Some(sequence),
            to: Some(sequence),
            limit: 1,
            ..EntryFilter::default()
        },
        None => EntryFilter { id: Some(id), limit: 1, ..EntryFilter::default() },
    }
}

fn tried(
    app: &App,
    definitions: &Definitions,
    rule: &hearken_engine::definition::Rule,
    id: &str,
    shown: &Shown,
) -> Value {
    let trigger = match Subject::parse(app.0.bus.prefix(), &shown.subject) {
        Ok(Subject::Event { trigger }) => trigger,
        Ok(_) | Err(_) => String::new(),
    };
    let digest = shown
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(entry::TRIGGER_PARAMETERS))
        .map(|(_, digest)| digest.as_str());
    let event = Event {
        id,
        trigger: &trigger,
        parameters_digest: digest,
        payload: &shown.body,
        time: shown.time as Timestamp,
    };
    let action = definitions.registry.action(&rule.action.reference).map(AsRef::as_ref);
    let opened = Opened::of(&app.0.datastore);
    let verdict = judge::explain(rule, action, &event, &opened.context(USER_DEFAULT));
    opened.hide(serde_json::to_value(verdict).unwrap_or(Value::Null))
}

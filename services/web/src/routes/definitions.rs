//! What is in force: actions, rules, triggers, sensors, packs.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use hearken_engine::definition::rule::Reference;
use hearken_engine::judge::{self, Event, USER_DEFAULT};
use hearken_engine::registry::parameters_digest as trigger_digest;
use hearken_packs::kv::Opened;
use hearken_packs::{Definitions, publish};
use hearken_proto::question::{EntryFilter, PAGE_ENTRIES_MAX, Shown};
use hearken_proto::subject::Subject;
use hearken_proto::{Timestamp, entry};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::listing::Listing;
use crate::{App, chain};

use super::sensors;

/// Pages of past events that are looked through for those that a rule hears.
const PAGES_MAX: usize = 20;

/// Actions.
pub(crate) async fn actions(State(app): State<App>, listing: Listing) -> Response {
    let definitions = app.0.definitions.current();
    listing.of_all(
        definitions.registry.actions().map(|action| named("action", action.to_value())).collect(),
    )
}

/// One action.
pub(crate) async fn action(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let found = definitions.registry.action(&reference);
    found
        .map(|action| Json(named("action", action.to_value())))
        .ok_or_else(|| absent("action", &reference))
}

/// Rules.
pub(crate) async fn rules(State(app): State<App>, listing: Listing) -> Response {
    let definitions = app.0.definitions.current();
    listing.of_all(definitions.registry.rules().map(rule_view).collect())
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
pub(super) fn rule_view(live: &hearken_engine::registry::LiveRule) -> Value {
    named("rule", live.rule.to_value(live.enabled))
}

/// A definition with the names that StackStorm's clients ask for it by: ours is its reference.
pub(super) fn named(kind: &str, mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        let reference = members.get("ref").cloned().unwrap_or_default();
        let uid =
            format!("{kind}:{}", reference.as_str().unwrap_or_default().replacen('.', ":", 1));
        members.insert("id".to_owned(), reference);
        members.insert("uid".to_owned(), uid.into());
    }
    value
}

/// Trigger types.
pub(crate) async fn triggers(State(app): State<App>, listing: Listing) -> Result<Response, Fault> {
    Ok(listing.of_all(trigger_types(&app).await?))
}

/// Trigger types of files, and those that sensors registered when they ran.
async fn trigger_types(app: &App) -> Result<Vec<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let registered = sensors::look(app).await?.trigger_types(&definitions.registry);
    let mut all: Vec<Value> = definitions.registry.triggers().map(trigger_view).collect();
    all.extend(registered.into_iter().map(|view| named("trigger_type", view)));
    Ok(all)
}

/// One trigger type.
pub(crate) async fn trigger(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let is_it = |view: &Value| view.get("ref").and_then(Value::as_str) == Some(&reference);
    let found = trigger_types(&app).await?.into_iter().find(is_it);
    found.map(Json).ok_or_else(|| absent("trigger type", &reference))
}

/// Sensors.
pub(crate) async fn sensors(State(app): State<App>, listing: Listing) -> Result<Response, Fault> {
    let definitions = app.0.definitions.current();
    let states = sensors::look(&app).await?;
    let registry = &definitions.registry;
    let view = |sensor| states.complete(registry, sensor, sensor_view(sensor));
    Ok(listing.of_all(registry.sensors().map(view).collect()))
}

/// One sensor.
pub(crate) async fn sensor(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let registry = &definitions.registry;
    let found = registry.sensors().find(|sensor| sensor.reference == reference);
    let sensor = found.ok_or_else(|| absent("sensor", &reference))?;
    Ok(Json(sensors::look(&app).await?.complete(registry, sensor, sensor_view(sensor))))
}

pub(super) fn trigger_view(trigger: &hearken_engine::definition::TriggerType) -> Value {
    let view = json!({
        "ref": trigger.reference,
        "pack": trigger.pack,
        "name": trigger.name,
        "description": trigger.description,
        "payload_schema": trigger.payload_schema,
        "parameters_schema": trigger.parameters_schema,
        "tags": [],
    });
    named("trigger_type", view)
}

fn sensor_view(sensor: &hearken_engine::definition::Sensor) -> Value {
    let view = json!({
        "ref": sensor.reference,
        "pack": sensor.pack,
        "enabled": sensor.enabled,
        "description": sensor.description,
        "entry_point": sensor.entry_point,
    });
    named("sensor_type", view)
}

/// Packs.
pub(crate) async fn packs(State(app): State<App>, listing: Listing) -> Response {
    let definitions = app.0.definitions.current();
    let packs = definitions.packs.iter().map(|(name, content)| pack_view(name, content));
    listing.of_all(packs.collect())
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
        "id": name,
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

pub(super) fn absent(what: &str, reference: &str) -> Fault {
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

/// What a rule would make of past events: one in force, or the one in the body. A body with an
/// `event` has that judged, by the `rule` beside it or by the one in force.
pub(crate) async fn test(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<TestQuery>,
    body: Option<Json<Value>>,
) -> Result<Json<Vec<Value>>, Fault> {
    let definitions = app.0.definitions.current();
    let body = body.map_or(Value::Null, |Json(body)| body);
    let (given, invented) = match body.get("event") {
        Some(event) => (body.get("rule").unwrap_or(&Value::Null), Some(event)),
        None => (&body, None),
    };
    let rule = if given.is_null() {
        let live = definitions.registry.rule(&reference);
        live.map(|live| live.rule.clone()).ok_or_else(|| absent("rule", &reference))?
    } else {
        let pack = given.get("pack").and_then(Value::as_str).unwrap_or("test");
        let (rule, problems) = hearken_engine::definition::Rule::for_trial(pack, given);
        let why = problems.iter().find(|problem| problem.fatal).map(|p| p.message.clone());
        rule.ok_or_else(|| Fault::bad(why.unwrap_or_default()))?
    };
    if let Some(invented) = invented {
        let event = invented_event(invented, app.0.clock.now())?;
        return Ok(Json(vec![verdict(&app, &definitions, &rule, &event)]));
    }
    let entries = match query.event {
        Some(id) => chain::events(&app, by_id(id)).await?.0,
        None => heard(&app, &rule.trigger, query.last.unwrap_or(1)).await?,
    };
    if entries.is_empty() {
        let Reference { reference, parameters } = &rule.trigger;
        let with = if parameters.is_empty() { "" } else { " with the parameters of the rule" };
        return Err(Fault::missing(format!("no event of {reference}{with} is in the log")));
    }
    let mut verdicts = Vec::with_capacity(entries.len());
    for entry in &entries {
        let id = chain::name(&app, entry).await?;
        verdicts.push(tried(&app, &definitions, &rule, &id, entry));
    }
    Ok(Json(verdicts))
}

/// The last events that a rule with this trigger hears, newest first.
async fn heard(app: &App, trigger: &Reference, limit: usize) -> Result<Vec<Shown>, Fault> {
    let wanted = trigger_digest(trigger);
    let mut found = Vec::new();
    let mut to = None;
    for _page in 0..PAGES_MAX {
        let filter = EntryFilter {
            subject: format!("event.{}", trigger.reference),
            limit: if wanted.is_some() { PAGE_ENTRIES_MAX } else { limit },
            descending: true,
            to,
            ..EntryFilter::default()
        };
        let (entries, more) = chain::events(app, filter).await?;
        to = entries.last().map(|entry| entry.sequence.saturating_sub(1));
        let is_heard = |entry: &Shown| {
            wanted.is_none() || entry.header(entry::TRIGGER_PARAMETERS) == wanted.as_deref()
        };
        found.extend(entries.into_iter().filter(is_heard));
        if !more || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// An event that is in no log.
fn invented_event(value: &Value, time: Timestamp) -> Result<Event<'_>, Fault> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let payload = value.get("payload").filter(|payload| payload.is_object());
    let (Some(trigger), Some(payload)) = (text("trigger"), payload) else {
        return Err(Fault::bad("the event is not {\"trigger\": …, \"payload\": {…}}"));
    };
    Ok(Event { id: text("id").unwrap_or("test"), trigger, parameters_digest: None, payload, time })
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
    let event = Event {
        id,
        trigger: &trigger,
        // One that was published for no parameters is heard by no rule that asks for some.
        parameters_digest: Some(shown.header(entry::TRIGGER_PARAMETERS).unwrap_or_default()),
        payload: &shown.body,
        time: shown.time as Timestamp,
    };
    verdict(app, definitions, rule, &event)
}

/// What a rule says about an event, with the keys of now and without what is secret.
fn verdict(
    app: &App,
    definitions: &Definitions,
    rule: &hearken_engine::definition::Rule,
    event: &Event<'_>,
) -> Value {
    let action = definitions.registry.action(&rule.action.reference).map(AsRef::as_ref);
    let opened = Opened::of(&app.0.datastore);
    let verdict = judge::explain(rule, action, event, &opened.context(USER_DEFAULT));
    opened.hide(serde_json::to_value(verdict).unwrap_or(Value::Null))
}

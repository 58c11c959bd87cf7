//! Events as StackStorm's trigger instances: listed, shown, told again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use hearken_proto::question::{Answer, EntryFilter, Question, Shown};
use hearken_proto::record::{DEFINITIONS_TRIGGER, TIME_TRIGGER};
use hearken_proto::{Subject, Timestamp, entry, subject};
use serde_json::{Value, json};

use super::LIMIT_MAX;
use super::definitions::by_id;
use crate::fact::{self, Fact, random_name};
use crate::fault::Fault;
use crate::listing::Listing;
use crate::{App, chain, ledger};

/// Questions for one list: an answer holds what one message of the bus carries.
const PAGES_MAX: usize = 100;
/// Nanoseconds of a microsecond.
const MICRO: i64 = 1000;
/// Headers of an entry that go along when it is told again.
const KEPT: [&str; 3] = [entry::TRIGGER_PARAMETERS, entry::SOURCE, "St2-Trace-Tag"];
/// Entries in EVENTS that are marks of ours, not facts.
const MARKS: [&str; 2] = [DEFINITIONS_TRIGGER, TIME_TRIGGER];

/// The newest events.
pub(crate) async fn list(State(app): State<App>, listing: Listing) -> Result<Response, Fault> {
    let wanted = listing.limit();
    let mut skip = listing.offset;
    let trigger = listing.said("trigger").or_else(|| listing.said("trigger_type"));
    if let Some(trigger) = trigger
        && !subject::is_literal(trigger)
    {
        return Err(Fault::bad(format!("{trigger:?} is not a trigger")));
    }
    let since = time("timestamp_gt", listing.said("timestamp_gt"))?;
    let mut filter = EntryFilter {
        stream: "EVENTS".to_owned(),
        subject: format!("event.{}", trigger.unwrap_or(">")),
        since: since.map(after),
        until: time("timestamp_lt", listing.said("timestamp_lt"))?,
        descending: true,
        limit: LIMIT_MAX,
        ..EntryFilter::default()
    };
    let incarnation = chain::incarnation(&app).await?;
    let mut found = Vec::new();
    for _page in 0..PAGES_MAX {
        filter.limit = (wanted - found.len() + skip + MARKS.len()).min(LIMIT_MAX);
        let (entries, more) = ask(&app, filter.clone()).await?;
        let last = entries.last().map(|entry| entry.sequence);
        for entry in entries {
            let trigger = trigger_of(&app, &entry);
            if MARKS.contains(&trigger.as_str()) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
            } else if found.len() < wanted {
                found.push(view(&incarnation, &entry, &trigger));
            }
        }
        match last.filter(|last| *last > 1 && more && found.len() < wanted) {
            Some(last) => filter.to = Some(last - 1),
            None => break,
        }
    }
    Ok(listing.gathered(found))
}

/// The first moment that is told as a later time: microseconds are told.
pub(super) fn after(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos((time.nanos() / MICRO).saturating_add(1).saturating_mul(MICRO))
}

/// A time in a query.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = text else { return Ok(None) };
    // A plus in a query is a blank unless it was written as %2B.
    let parsed = Timestamp::parse(text).or_else(|| Timestamp::parse(&text.replace(' ', "+")));
    parsed.map(Some).ok_or_else(|| {
        Fault::bad(format!("{name}={text:?} is not a time"))
            .hint("for example 2024-05-01T12:00:00Z")
    })
}

async fn ask(app: &App, filter: EntryFilter) -> Result<(Vec<Shown>, bool), Fault> {
    let answer = ledger::ask(&app.0.bus, &Question::Entries(filter)).await?;
    let Answer::Entries { entries, more } = answer else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok((entries, more))
}

fn trigger_of(app: &App, entry: &Shown) -> String {
    match Subject::parse(app.0.bus.prefix(), &entry.subject) {
        Ok(Subject::Event { trigger }) => trigger,
        Ok(_) | Err(_) => String::new(),
    }
}

/// An event in StackStorm's shape. Every event that is stored is judged, so all are `processed`.
fn view(incarnation: &str, entry: &Shown, trigger: &str) -> Value {
    json!({
        "id": chain::name_in(incarnation, entry),
        "trigger": trigger,
        "payload": entry.body,
        "occurrence_time": entry.time,
        "trace_tag": entry.header("St2-Trace-Tag"),
        "status": "processed",
        "sequence": entry.sequence,
        "re_emit_of": (!entry.cause.is_empty()).then_some(&entry.cause),
    })
}

/// An event, and the life of the stream that it is in.
async fn find(app: &App, id: &str) -> Result<(Shown, String), Fault> {
    let filter = EntryFilter { stream: "EVENTS".to_owned(), ..by_id(id.to_owned()) };
    let (entries, _more) = ask(app, filter).await?;
    let missing = || {
        Fault::missing(format!("no event is called {id:?}"))
            .hint("hearken event list shows the newest")
    };
    let entry = entries.into_iter().next().ok_or_else(missing)?;
    // A place in another life of the stream is another event.
    let incarnation = chain::incarnation(app).await?;
    if chain::name_in(&incarnation, &entry) != id {
        return Err(missing());
    }
    Ok((entry, incarnation))
}

/// One event.
pub(crate) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    let (entry, incarnation) = find(&app, &id).await?;
    let trigger = trigger_of(&app, &entry);
    Ok(Json(view(&incarnation, &entry, &trigger)))
}

/// Tells an event once more: a new fact, which names the old one as its cause.
pub(crate) async fn re_emit(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    let (entry, _incarnation) = find(&app, &id).await?;
    let trigger = trigger_of(&app, &entry);
    if MARKS.contains(&trigger.as_str()) {
        return Err(Fault::bad(format!("{id:?} is a mark of Hearken's own, not a fact")));
    }
    if !entry.body.is_object() {
        return Err(Fault::bad(format!("the payload of {id:?} cannot be read")));
    }
    let new = random_name("re-emit")?;
    let header = |name: &'static str| {
        let mut headers = entry.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| (name, value.clone()))
    };
    let fact = Fact {
        trigger: trigger.clone(),
        payload: entry.body.clone(),
        id: Some(new.clone()),
        cause: Some(id.clone()),
        headers: KEPT.into_iter().filter_map(header).collect(),
    };
    let ack = fact::store(&app, fact).await?;
    Ok(Json(json!({
        "message": format!("Trigger instance {id} successfully re-sent."),
        "payload": { "trigger": trigger, "payload": entry.body },
        "id": new,
        "re_emit_of": id,
        "sequence": ack.sequence,
    })))
}

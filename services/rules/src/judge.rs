//! From an entry to the messages it causes: decode, ask the engine, write down.

use hearken_engine::judge::Event;
use hearken_kit::chain;
use hearken_packs::Definitions;
use hearken_proto::record::{DEFINITIONS_TRIGGER, TIME_TRIGGER};
use hearken_proto::request::TriggerInstance;
use hearken_proto::{Entry, Subject, codec, entry, id};
use serde_json::Value;

use crate::outgoing::{Decided, Desk, Outgoing};

/// What an entry of the event stream is.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Definitions come into force.
    Definitions,
    /// Log time moves on.
    Time,
    /// A fact.
    Fact(Fact),
}

/// An event, decoded.
#[derive(Debug)]
pub(crate) struct Fact {
    pub instance: TriggerInstance,
    pub payload: Value,
}

impl Fact {
    /// The event as the engine takes it.
    pub(crate) fn event<'a>(&'a self, entry: &'a Entry) -> Event<'a> {
        Event {
            id: &self.instance.id,
            trigger: &self.instance.trigger,
            parameters_digest: entry.headers.get(entry::TRIGGER_PARAMETERS),
            payload: &self.payload,
            time: entry.time,
        }
    }
}

/// Reads an entry of the event stream; or says why it cannot be read.
pub(crate) fn read(desk: &Desk, mark: u64, entry: &Entry) -> Result<Seen, String> {
    let trigger = match Subject::parse(desk.bus.prefix(), &entry.subject) {
        Ok(Subject::Event { trigger }) if trigger == DEFINITIONS_TRIGGER => {
            return Ok(Seen::Definitions);
        }
        Ok(Subject::Event { trigger }) if trigger == TIME_TRIGGER => return Ok(Seen::Time),
        Ok(Subject::Event { trigger }) => trigger,
        Ok(other) => return Err(format!("{other} is not the subject of an event")),
        Err(error) => return Err(error.to_string()),
    };
    let payload =
        codec::decode_object(&entry.headers, &entry.body).map_err(|error| chain(&error))?;
    let id = name(&desk.incarnation, entry);
    let instance = TriggerInstance { id, trigger, sequence: entry.sequence, definitions: mark };
    Ok(Seen::Fact(Fact { instance, payload }))
}

/// The messages that the event at `entry` causes; or why it cannot be read.
pub(crate) fn event(
    desk: &Desk,
    definitions: &Definitions,
    entry: &Entry,
) -> Result<Vec<Outgoing>, String> {
    let Seen::Fact(fact) = read(desk, definitions.mark, entry)? else { return Ok(Vec::new()) };
    let registry = &definitions.registry;
    let mut judgements = hearken_engine::judge::judge(registry, &fact.event(entry), &desk.context);
    desk.opened.hide_reasons(judgements.iter_mut().map(|judgement| &mut judgement.outcome));
    let mut outgoing = Vec::with_capacity(judgements.len());
    for judgement in judgements {
        let decided = Decided {
            rule: &judgement.rule,
            instance: &fact.instance,
            time: entry.time,
            decided_at: entry.time,
        };
        outgoing.extend(decided.outgoing(desk, registry, judgement.outcome)?);
    }
    Ok(outgoing)
}

/// The event's id, or its place when it came without one.
fn name(incarnation: &str, entry: &Entry) -> String {
    if entry.id.is_empty() { id::place(incarnation, entry.sequence) } else { entry.id.clone() }
}

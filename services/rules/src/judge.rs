//! From an entry to the messages it causes: decode, ask the engine, write down.

use hearken_engine::judge::{Context, Event, Outcome};
use hearken_kit::bus::Bus;
use hearken_kit::payload;
use hearken_packs::Definitions;
use hearken_proto::record::{DEFINITIONS_TRIGGER, Enforcement};
use hearken_proto::request::TriggerInstance;
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Entry, Message, Subject, codec, entry, id};

/// Who asks when a rule does.
const USER: &str = "hearken";

/// The messages that the event at `entry` causes; or why it cannot be read.
pub(crate) fn event(
    bus: &Bus,
    definitions: &Definitions,
    incarnation: &str,
    entry: &Entry,
) -> Result<Vec<Message>, String> {
    let trigger = match Subject::parse(bus.prefix(), &entry.subject) {
        Ok(Subject::Event { trigger }) if trigger == DEFINITIONS_TRIGGER => return Ok(Vec::new()),
        Ok(Subject::Event { trigger }) => trigger,
        Ok(other) => return Err(format!("{other} is not the subject of an event")),
        Err(error) => return Err(error.to_string()),
    };
    let payload = codec::decode_object(&entry.headers, &entry.body).map_err(|error| {
        let cause = std::error::Error::source(&error);
        cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
    })?;
    let id = name(incarnation, entry);
    let event = Event {
        id: &id,
        trigger: &trigger,
        parameters_digest: entry.headers.get(entry::TRIGGER_PARAMETERS),
        payload: &payload,
        time: entry.time,
    };
    let instance = TriggerInstance {
        id: id.clone(),
        trigger: trigger.clone(),
        sequence: entry.sequence,
        definitions: definitions.mark,
    };
    let judgements =
        hearken_engine::judge::judge(&definitions.registry, &event, &Context::default());
    judgements
        .into_iter()
        .map(|judgement| {
            let key = id::work_key(&id, &judgement.rule, 0);
            let message = match judgement.outcome {
                Outcome::Request(draft) => {
                    let request = ActionRequest {
                        execution: id::execution(entry.time, &key),
                        action: draft.action,
                        digest: draft.digest,
                        parameters: draft.parameters,
                        secret: draft.secret,
                        rule: Some(judgement.rule),
                        trigger_instance: Some(instance.clone()),
                        requested_at: entry.time,
                        user: USER.to_owned(),
                        rerun_of: None,
                    };
                    request_message(bus, &request, &draft.pool)
                }
                Outcome::Failed { reason, parameters, .. } => {
                    let enforcement = Enforcement {
                        rule: judgement.rule,
                        trigger_instance: instance.clone(),
                        reason,
                        parameters,
                        enforced_at: entry.time,
                    };
                    let subject = bus.subject(&Subject::transition(Kind::Enforcement, &key));
                    payload::message(subject, &enforcement)
                }
            };
            let mut message = message.map_err(|error| error.to_string())?;
            message.cause = Some(id.clone());
            if message.id.is_none() {
                message.id = Some(format!("enforcement-{key}"));
            }
            Ok(message)
        })
        .collect()
}

fn request_message(
    bus: &Bus,
    request: &ActionRequest,
    pool: &str,
) -> Result<Message, hearken_kit::bus::Error> {
    let (pack, action) = request.action.split_once('.').unwrap_or(("default", &request.action));
    let subject = Subject::ActionRequest {
        pool: pool.to_owned(),
        pack: pack.to_owned(),
        action: action.to_owned(),
    };
    let mut message = payload::message(bus.subject(&subject), request)?;
    message.id = Some(id::request(&request.execution));
    Ok(message)
}

/// The event's id, or its place when it came without one.
fn name(incarnation: &str, entry: &Entry) -> String {
    if entry.id.is_empty() { id::place(incarnation, entry.sequence) } else { entry.id.clone() }
}

//! Changes as facts: `core.st2.key_value_pair.*`, for the rules that listen.
//!
//! They are told after the change is stored, with ids derived from it. A process that dies between
//! the two has made the change and told nobody, as with StackStorm. What expires is not told.

use hearken_kit::payload;
use hearken_proto::Subject;
use serde_json::{Value, json};
use tracing::warn;

use super::{Datastore, Item};

/// The pack and the name that the triggers have in common.
const TRIGGERS: &str = "core.st2.key_value_pair";

/// Tells rules of the change that the entry `cause` made.
pub(super) async fn change(
    datastore: &Datastore,
    cause: &str,
    before: Option<&Item>,
    after: Option<&Item>,
) {
    let facts = match (before, after) {
        (None, Some(after)) => vec![("create", json!({ "object": object(after) }))],
        (Some(before), None) => vec![("delete", json!({ "object": object(before) }))],
        (Some(before), Some(after)) => {
            let mut facts = vec![("update", json!({ "object": object(after) }))];
            if !same(datastore, before, after) {
                let both = json!({ "old_object": object(before), "new_object": object(after) });
                facts.push(("value_change", both));
            }
            facts
        }
        (None, None) => Vec::new(),
    };
    for (word, fact) in facts {
        if let Err(error) = tell(datastore, cause, word, &fact).await {
            warn!(%error, word, "a change of the datastore could not be told to rules");
        }
    }
}

async fn tell(
    datastore: &Datastore,
    cause: &str,
    word: &str,
    fact: &Value,
) -> Result<(), hearken_kit::bus::Error> {
    let trigger = format!("{TRIGGERS}.{word}");
    if !datastore.definitions().current().registry.hears(&trigger) {
        return Ok(());
    }
    let bus = datastore.bus();
    let mut message = payload::message(bus.subject(&Subject::event(&trigger)), fact)?;
    message.id = Some(format!("{cause}-{word}"));
    message.cause = Some(cause.to_owned());
    bus.publish(message).await.map(|_ack| ())
}

/// Whether both have one text. A secret is sealed anew each time it is written.
fn same(datastore: &Datastore, before: &Item, after: &Item) -> bool {
    let opened = |item: &Item| datastore.open(item).ok();
    before.value == after.value || opened(before).is_some_and(|text| opened(after) == Some(text))
}

/// A key in StackStorm's form: secrets sealed, a user's key with the user in its name.
fn object(item: &Item) -> Value {
    json!({
        "id": item.key.object_id(),
        "uid": item.key.uid(),
        "name": item.key.stored(),
        "scope": item.key.full_scope(),
        "value": item.value,
        "secret": item.secret,
        "expire_timestamp": item.expires,
    })
}

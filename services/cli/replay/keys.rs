//! The datastore for a replay: every key with the value that it has today.
//!
//! Keys are no part of an event, and STATE remembers their last values alone. So a rule that reads
//! some is decided with other values than it was then, where they have changed since.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearken_engine::template::{Datastore, KeyScope};
use hearken_kit::Sealer;
use hearken_packs::kv::{self, Key, Opened, Scope};
use hearken_proto::kv::KeyState;
use hearken_proto::question::EntryFilter;
use hearken_proto::{Timestamp, subject};

use crate::commands::Context;
use crate::data;
use crate::error::Failure;
use crate::past::Past;

/// The keys of now.
#[derive(Debug)]
struct Keys {
    values: BTreeMap<(Scope, String), String>,
    /// None where the installation's key is not at hand.
    sealer: Option<Sealer>,
}

/// The keys that are there at `now`, and what is opened of them.
pub(super) fn keys(context: &Context<'_>, past: &Past, now: Timestamp) -> Result<Opened, Failure> {
    let mut values = BTreeMap::new();
    let filter = EntryFilter {
        stream: "STATE".to_owned(),
        subject: "state.kv.>".to_owned(),
        ..EntryFilter::default()
    };
    past.each(filter, |shown| {
        let named = shown.subject.split_once(".state.kv.").and_then(|(_, id)| id.split_once('.'));
        let named = named.and_then(|(scope, name)| Some((Scope::parse(scope)?, name)));
        let Some((scope, name)) = named else { return Ok(()) };
        let Some(name) = subject::decode(name) else { return Ok(()) };
        // One that cannot be read is missing.
        let state: KeyState = serde_json::from_value(shown.body).unwrap_or_default();
        let value = state.value.filter(|_| state.expires.is_none_or(|expires| expires > now));
        match value {
            Some(value) => values.insert((scope, name), value),
            None => values.remove(&(scope, name)),
        };
        Ok(())
    })?;
    Ok(Opened::over(Arc::new(Keys { values, sealer: sealer(context)? })))
}

/// The sealer of this installation, which a replay of another one's log may lack.
fn sealer(context: &Context<'_>) -> Result<Option<Sealer>, Failure> {
    let settings = context.loader()?.finish()?.settings;
    let file = settings.secrets.key_file.as_deref();
    if file.is_none() && !context.data.join("key").is_file() {
        return Ok(None);
    }
    data::sealer(&context.data, file).map(Some)
}

impl Datastore for Keys {
    fn value(&self, scope: &KeyScope, key: &str) -> Option<String> {
        let key = match scope {
            KeyScope::System => Key::new(Scope::System, "", key),
            KeyScope::User(user) => Key::new(Scope::User, user, key),
        };
        let key = key.ok()?;
        self.values.get(&(key.scope(), key.stored().to_owned())).cloned()
    }

    fn decrypt(&self, value: &str) -> Result<String, String> {
        let sealer = self.sealer.as_ref().ok_or("the key of the installation is not here")?;
        kv::open_text(sealer, value).map_err(|error| error.to_string())
    }
}

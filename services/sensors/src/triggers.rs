//! The triggers of one sensor: the types it publishes, and what rules ask of them.
//!
//! A type that takes parameters has one trigger for each set of parameters that rules in force ask
//! for; its name is their digest, and its events carry that digest. A type that takes none has one
//! trigger, of its own name. The sensor is told of each when it comes and when it goes.

use std::collections::{BTreeMap, BTreeSet};

use hearken_engine::definition::TriggerType;
use hearken_engine::registry::{Registry, trigger_parameters_digest};
use hearken_proto::permission::OWN_PACK;
use hearken_proto::subject;
use serde_json::{Map, Value, json};

/// Triggers remembered after they have gone: a sensor may tell of one that it is just losing.
const FORMER_MAX: usize = 1024;
/// Digits of an object's id, as StackStorm's database has them.
const ID_DIGITS: usize = 24;
/// Types that one sensor may register when it runs: they are kept in one entry.
const TYPES_MAX: usize = 256;

/// What an event is published as.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Trigger type.
    pub(crate) trigger: String,
    /// Digest of the parameters it is for.
    pub(crate) digest: Option<String>,
}

/// The triggers of one sensor.
#[derive(Debug)]
pub(crate) struct Triggers {
    pack: String,
    types: BTreeMap<String, TriggerType>,
    /// Those that the sensor was told of, by reference.
    told: BTreeMap<String, Value>,
    /// Type and digest of triggers with parameters, those that have gone as well.
    known: BTreeMap<String, (String, String)>,
    /// What events of other types carry, where their files say so.
    others: BTreeMap<String, Map<String, Value>>,
}

impl Triggers {
    /// Triggers of the types that a sensor's file declares.
    pub(crate) fn new(pack: &str, types: &[TriggerType]) -> Self {
        let types = types.iter().map(|kind| (kind.reference.clone(), kind.clone())).collect();
        let (told, known, others) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { pack: pack.to_owned(), types, told, known, others }
    }

    /// Adds types that the sensor registers when it runs; answers what is wrong with them.
    pub(crate) fn register(&mut self, types: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        for value in types {
            if self.types.len() >= TYPES_MAX {
                wrong.push(format!("more than {TYPES_MAX} trigger types are registered"));
                break;
            }
            // Sensors of the first years may leave the pack out.
            let mut fields = value.as_object().cloned().unwrap_or_default();
            fields.insert("pack".to_owned(), json!(self.pack));
            let (kind, problems) = TriggerType::from_value(&self.pack, &Value::Object(fields));
            match kind {
                Some(kind) => drop(self.types.insert(kind.reference.clone(), kind)),
                None => wrong.extend(problems.into_iter().map(|p| {
                    format!("a trigger type cannot be registered: {} {}", p.pointer, p.message)
                })),
            }
        }
        wrong
    }

    /// The types, as they are told to others.
    pub(crate) fn types(&self) -> Vec<String> {
        let tell = |kind: &TriggerType| {
            json!({
                "ref": kind.reference,
                "pack": kind.pack,
                "name": kind.name,
                "description": kind.description,
                "payload_schema": kind.payload_schema,
                "parameters_schema": kind.parameters_schema,
            })
        };
        self.types.values().map(|kind| tell(kind).to_string()).collect()
    }

    /// What has come and gone since the last time: `added` or `removed`, and the trigger.
    pub(crate) fn follow(&mut self, registry: &Registry) -> Vec<(&'static str, Value)> {
        let others = registry.triggers().filter(|kind| !kind.payload_schema.is_empty());
        let others = others.map(|kind| (kind.reference.clone(), kind.payload_schema.clone()));
        self.others = others.collect();
        let mut wanted = BTreeMap::new();
        for kind in self.types.values().filter(|kind| kind.parameters_schema.is_empty()) {
            let trigger = object(&kind.reference, &kind.name, &Value::Object(Map::new()));
            wanted.insert(kind.reference.clone(), trigger);
        }
        for needed in registry.needed_triggers() {
            let Some(kind) = self.types.get(&needed.trigger) else { continue };
            let reference = format!("{}.{}", kind.pack, needed.digest);
            let trigger = object(&kind.reference, &needed.digest, &needed.parameters);
            self.known.insert(reference.clone(), (needed.trigger, needed.digest));
            wanted.insert(reference, trigger);
        }
        let mut changes = Vec::new();
        let gone: BTreeSet<_> =
            self.told.keys().filter(|known| !wanted.contains_key(*known)).cloned().collect();
        for reference in gone {
            changes.extend(self.told.remove(&reference).map(|trigger| ("removed", trigger)));
        }
        for (reference, trigger) in wanted {
            if self.told.insert(reference, trigger.clone()).is_none() {
                changes.push(("added", trigger));
            }
        }
        if self.known.len() > self.told.len() + FORMER_MAX {
            self.known.retain(|reference, _| self.told.contains_key(reference));
        }
        changes
    }

    /// What events of a type carry; none when it may be anything.
    pub(crate) fn schema(&self, trigger: &str) -> Option<&Map<String, Value>> {
        let own = self.types.get(trigger).map(|kind| &kind.payload_schema);
        own.or_else(|| self.others.get(trigger)).filter(|schema| !schema.is_empty())
    }

    /// What an event is published as, from the ways in which sensors name a trigger.
    pub(crate) fn resolve(&self, trigger: &Value) -> Result<Resolved, String> {
        let (name, parameters) = match trigger {
            Value::String(name) => (Some(name.clone()), None),
            Value::Object(fields) => (named(fields), fields.get("parameters")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => (None, None),
        };
        let Some(name) = name else {
            return Err(format!("{trigger} names no trigger: write \"pack.name\""));
        };
        let parameters = parameters.filter(|p| p.as_object().is_some_and(|p| !p.is_empty()));
        let resolved = match (self.known.get(&name), parameters) {
            (Some((trigger, digest)), _) => {
                Resolved { trigger: trigger.clone(), digest: Some(digest.clone()) }
            }
            (None, Some(parameters)) => {
                let digest = Some(trigger_parameters_digest(&name, parameters));
                Resolved { trigger: name, digest }
            }
            (None, None) => Resolved { trigger: name, digest: None },
        };
        check(&resolved.trigger)?;
        Ok(resolved)
    }
}

/// The name in a mapping: its type, or else its reference.
fn named(fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let parts = || Some(format!("{}.{}", text("pack")?, text("name")?));
    text("type").or_else(|| text("trigger")).or_else(|| text("ref")).or_else(parts)
}

/// Refuses what is no trigger, and what only Hearken itself says.
fn check(trigger: &str) -> Result<(), String> {
    let Some((pack, name)) = trigger.split_once('.') else {
        return Err(format!("the trigger {trigger:?} has no pack: write \"pack.name\""));
    };
    if pack == OWN_PACK {
        return Err(format!("{trigger:?} is an event of Hearken's own, which no sensor publishes"));
    }
    if pack.is_empty() || name.is_empty() || !subject::is_literal(trigger) {
        return Err(format!("{trigger:?} is no trigger: tokens are printable and joined by dots"));
    }
    Ok(())
}

/// A trigger as sensors get it.
fn object(kind: &str, name: &str, parameters: &Value) -> Value {
    let pack = kind.split_once('.').map_or(kind, |(pack, _)| pack);
    let digest = trigger_parameters_digest(kind, parameters);
    json!({
        "id": digest.get(..ID_DIGITS).unwrap_or(&digest),
        "uid": format!("trigger:{pack}:{name}"),
        "ref": format!("{pack}.{name}"),
        "name": name,
        "pack": pack,
        "type": kind,
        "parameters": parameters,
        "description": null,
    })
}

#[cfg(test)]
mod tests;

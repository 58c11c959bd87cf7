//! What there is to say of a pack's configuration: its schema, and the values given for it.

use std::path::PathBuf;

use hearken_engine::definition::problem::pointer_token;
use hearken_engine::definition::{Parameter, Parameters};
use hearken_engine::parameters::schema;
use hearken_engine::template::looks_like_template;
use hearken_proto::definition::is_pack_name;
use serde_json::{Map, Value};

use super::material::{Material, Sights};
use crate::bundle::FILE_BYTES_MAX;
use crate::load::files::Metadata;
use crate::yaml::{self, Format};

/// Where the values of an installation are, as messages name it.
const CONFIGS: &str = "configs";
/// Nested values that are looked into; deeper ones are not kept secret either.
const DEPTH_MAX: usize = 16;

/// The schema's keys.
fn keys(material: &Material<'_>) -> Option<(Parameters, Vec<hearken_engine::definition::Problem>)> {
    let value = &material.documents.schema.as_ref()?.document.value;
    Some(Parameters::from_map(value.as_object()?, ""))
}

/// What cannot be understood in a schema.
pub(super) fn schema(material: &Material<'_>, sights: &mut Sights) {
    let Some(metadata) = &material.documents.schema else { return };
    let Some((_, problems)) = keys(material) else {
        sights.at(metadata, "", "the schema is no mapping of keys to what they take");
        sights.hint("write KEY: {type: string, description: …}");
        return;
    };
    for problem in problems {
        sights.at(metadata, &problem.pointer, problem.message);
        sights.maybe_hint(problem.hint);
    }
}

/// The files with values: the pack's own, and the installation's.
fn values(material: &Material<'_>) -> Vec<Metadata> {
    let own = material.documents.config.clone();
    own.into_iter().chain(given(material)).collect()
}

/// The installation's values, when it has any that can be read.
fn given(material: &Material<'_>) -> Option<Metadata> {
    let configs = material.surroundings.configs.as_ref().filter(|_| is_pack_name(material.name))?;
    let name = format!("{}.yaml", material.name);
    let place: PathBuf = configs.join(&name);
    let is_small = std::fs::metadata(&place)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= FILE_BYTES_MAX);
    let bytes = is_small.then(|| std::fs::read(&place).ok()).flatten()?;
    let document = yaml::read_bytes(&bytes, Format::Yaml).ok()?;
    Some(Metadata { path: format!("{CONFIGS}/{name}"), document })
}

/// Values that are not what the schema says.
pub(super) fn breaks(material: &Material<'_>, sights: &mut Sights) {
    let Some((parameters, _)) = keys(material) else { return };
    let files = values(material);
    let value = |metadata: &Metadata, parameter: &Parameter| {
        let value = metadata.document.value.get(&parameter.name)?;
        Some(value.clone()).filter(|value| !value.is_null())
    };
    for metadata in &files {
        for parameter in parameters.iter() {
            let Some(value) = value(metadata, parameter) else { continue };
            if let Some(reason) = fault(parameter, &value) {
                let pointer = format!("/{}", pointer_token(&parameter.name));
                sights.at(metadata, &pointer, format!("{}: {reason}", parameter.name));
            }
        }
    }
    // What no file gives; without any file nobody has configured the pack yet.
    let Some(last) = files.last() else { return };
    let is_missing = |parameter: &&Parameter| {
        let is_given = files.iter().any(|metadata| value(metadata, parameter).is_some());
        parameter.required && parameter.default.is_none() && !is_given
    };
    for parameter in parameters.iter().filter(is_missing) {
        let pointer = format!("/{}", pointer_token(&parameter.name));
        sights.at(last, &pointer, format!("{} is required and has no value", parameter.name));
    }
}

/// Why a value is not what its key takes; a secret is not quoted.
fn fault(parameter: &Parameter, value: &Value) -> Option<String> {
    if has_template(value, 0) {
        return None;
    }
    let reason = schema::check_value(value, &parameter.schema).err()?;
    Some(if parameter.secret { "this value is not what its key takes".to_owned() } else { reason })
}

/// Whether a template is in it, so that nobody knows yet what it will be.
fn has_template(value: &Value, depth: usize) -> bool {
    match value {
        Value::String(text) => looks_like_template(text),
        Value::Array(items) if depth < DEPTH_MAX => {
            items.iter().any(|item| has_template(item, depth + 1))
        }
        Value::Object(map) if depth < DEPTH_MAX => {
            map.values().any(|item| has_template(item, depth + 1))
        }
        Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            false
        }
    }
}

/// Secrets that stand in a file.
pub(super) fn in_clear(material: &Material<'_>, sights: &mut Sights) {
    let Some(metadata) = &material.documents.schema else { return };
    let Some(keys) = metadata.document.value.as_object() else { return };
    for metadata in values(material) {
        let Some(map) = metadata.document.value.as_object() else { continue };
        clear(keys, map, "", 0, &mut |pointer| {
            sights.at(&metadata, pointer, "a secret is in clear");
            sights.hint("hearken kv set NAME - --encrypt, then \"{{ st2kv.system.NAME }}\" here");
        });
    }
}

/// Calls `tell` with the pointer of each secret that is a text of its own.
fn clear(
    keys: &Map<String, Value>,
    values: &Map<String, Value>,
    at: &str,
    depth: usize,
    tell: &mut dyn FnMut(&str),
) {
    for (key, schema) in keys {
        let Some(value) = values.get(key) else { continue };
        let pointer = format!("{at}/{}", pointer_token(key));
        let is_secret = schema.get("secret").and_then(Value::as_bool) == Some(true);
        let text = value.as_str().unwrap_or_default();
        if is_secret && !text.is_empty() && !looks_like_template(text) {
            tell(&pointer);
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        if let (Some(keys), Some(values), true) = (properties, value.as_object(), depth < DEPTH_MAX)
        {
            clear(keys, values, &pointer, depth + 1, tell);
        }
        let items = schema.pointer("/items/properties").and_then(Value::as_object);
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            if let (Some(keys), Some(values), true) = (items, item.as_object(), depth < DEPTH_MAX) {
                clear(keys, values, &format!("{pointer}/{index}"), depth + 1, tell);
            }
        }
    }
}

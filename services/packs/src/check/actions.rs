//! What there is to say of actions and their parameters.

use hearken_engine::definition::RunnerKind;
use hearken_engine::definition::problem::{pointer_token, suggestion};
use hearken_engine::parameters::{Done, Error, Given, Plan};
use hearken_engine::template::{Template, looks_like_template};
use serde_json::{Map, Value};

use super::material::{Material, Sights};
use crate::load::files::{self, Metadata};

/// Runners that there once were, and what became of what they ran.
const GONE: [(&str, &str); 6] = [
    ("mistral", "convert the workflow to orquesta with orquestaconvert"),
    ("cloudslang", "write the flow anew as an orquesta workflow"),
    ("windows-cmd", "reach the host by ssh: remote-shell-cmd"),
    ("windows-script", "reach the host by ssh: remote-shell-script"),
    ("winrm", "reach the host by ssh: remote-shell-cmd and remote-shell-script"),
    ("st2workflow", "write the flow anew as an orquesta workflow"),
];

/// What StackStorm's first names are today; only for finding what was meant.
const RUNNERS_OLD: [&str; 6] =
    ["run-local", "run-local-script", "run-remote", "run-remote-script", "run-python", "run-http"];

/// The parameters that a file declares, with the pointer of each.
fn parameters(metadata: &Metadata, at: &str) -> Vec<(String, Map<String, Value>)> {
    let declared = metadata.document.value.pointer(at).and_then(Value::as_object);
    let schema = |(name, schema): (&String, &Value)| {
        Some((format!("{at}/{}", pointer_token(name)), schema.as_object()?.clone()))
    };
    declared.into_iter().flatten().filter_map(schema).collect()
}

/// The parameters of all actions, and the values that configure the pack.
fn declared<'a>(
    material: &'a Material<'_>,
) -> impl Iterator<Item = (&'a Metadata, String, Map<String, Value>)> {
    let actions = material.documents.actions.iter().map(|metadata| (metadata, "/parameters"));
    let schema = material.documents.schema.iter().map(|metadata| (metadata, ""));
    actions.chain(schema).flat_map(|(metadata, at)| {
        let found = parameters(metadata, at).into_iter();
        found.map(move |(pointer, schema)| (metadata, pointer, schema))
    })
}

/// What became of a runner that there once was.
fn gone(name: &str) -> Option<&'static str> {
    let plain = name.replace('_', "-").to_lowercase();
    GONE.iter().find(|(gone, _)| plain.starts_with(gone)).map(|(_, hint)| *hint)
}

/// A runner that nobody ever knew.
pub(super) fn unknown_runner(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, action) in &material.actions {
        let RunnerKind::Unsupported(name) = &action.runner else { continue };
        if gone(name).is_some() {
            continue;
        }
        let runners = RunnerKind::KNOWN;
        let known = runners.iter().map(RunnerKind::name).chain(RUNNERS_OLD);
        let known: Vec<&str> = known.filter(|known| gone(known).is_none()).collect();
        sights.at(metadata, "/runner_type", format!("there is no runner {name:?}"));
        let current = known.iter().take_while(|known| !RUNNERS_OLD.contains(*known));
        let current: Vec<&str> = current.copied().collect();
        sights.hint(match suggestion(&name.replace('_', "-"), &known) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("one of {}", current.join(", ")),
        });
    }
}

/// A runner that there is elsewhere, or was.
pub(super) fn unsupported_runner(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, action) in &material.actions {
        let name = action.runner.name();
        if let Some(hint) = gone(name) {
            sights.at(metadata, "/runner_type", format!("runner {name:?} is not supported"));
            sights.hint(hint);
        }
    }
}

/// A default that needs what nobody declares.
pub(super) fn undeclared(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, action) in &material.actions {
        let Err(error) = Plan::finish(action, &Done::default()) else { continue };
        let Error::Unsatisfied { name } = &error else {
            sights.at(metadata, "/parameters", error.to_string());
            continue;
        };
        let user = action.effective.iter().find(|parameter| {
            let default = parameter.default.as_ref().map(Given::compile);
            default.is_some_and(|given| given.roots().contains(name))
        });
        let user = user.map(|parameter| pointer_token(&parameter.name)).unwrap_or_default();
        let what = format!("the default names {name:?}, which is no parameter of this action");
        sights.at(metadata, &format!("/parameters/{user}/default"), what);
        let known: Vec<&str> = action.effective.iter().map(|known| known.name.as_str()).collect();
        sights.hint(match suggestion(name, &known) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "declare it, or name st2kv, action_context or config_context".to_owned(),
        });
    }
}

/// A default that looks like a template and is none.
pub(super) fn unreadable(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, pointer, schema) in declared(material) {
        if let Some(reason) = fault(schema.get("default")) {
            sights.at(metadata, &format!("{pointer}/default"), reason);
            sights.hint("{% raw %} … {% endraw %} says that braces are meant");
        }
    }
    for metadata in &material.documents.rules {
        let given =
            metadata.document.value.pointer("/action/parameters").and_then(Value::as_object);
        for (name, value) in given.into_iter().flatten() {
            if let Some(reason) = fault(Some(value)) {
                let pointer = format!("/action/parameters/{}", pointer_token(name));
                sights.at(metadata, &pointer, reason);
                sights.hint("{% raw %} … {% endraw %} says that braces are meant");
            }
        }
    }
}

/// Why a text that looks like a template is none.
fn fault(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str().filter(|text| looks_like_template(text))?;
    Some(Template::parse(text).err()?.to_string())
}

/// Parameters that must be given and need not; said once of all of a pack.
pub(super) fn required_default(material: &Material<'_>, sights: &mut Sights) {
    let is_true = |schema: &Map<String, Value>, flag: &str| {
        schema.get(flag).and_then(Value::as_bool) == Some(true)
    };
    let of_actions = material.documents.actions.iter().flat_map(|metadata| {
        let found = parameters(metadata, "/parameters").into_iter();
        found.map(move |(pointer, schema)| (metadata, pointer, schema))
    });
    let mut found = of_actions.filter(|(_, _, schema)| {
        let default = schema.get("default").filter(|default| !default.is_null());
        is_true(schema, "required") && !is_true(schema, "immutable") && default.is_some()
    });
    let Some((metadata, pointer, _)) = found.next() else { return };
    let name = pointer.rsplit('/').next().unwrap_or_default();
    let what = match found.count() {
        0 => format!("{name:?} is required and has a default"),
        more => format!("{name:?} is required and has a default, and so have {more} more"),
    };
    sights.at(metadata, &pointer, what);
    sights.hint("leave out one of required and default");
}

/// `default: None`.
pub(super) fn none_text(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, pointer, schema) in declared(material) {
        let default = schema.get("default").and_then(Value::as_str);
        let is_listed = schema
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|values| values.iter().any(|value| value.as_str() == default));
        if matches!(default, Some("None" | "none" | "NULL")) && !is_listed {
            let default = default.unwrap_or_default();
            sights.at(
                metadata,
                &format!("{pointer}/default"),
                format!("default: {default} is text"),
            );
            sights.hint("write default: null, or leave it out");
        }
    }
}

/// A secret that is in the pack.
pub(super) fn secret_default(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, pointer, schema) in declared(material) {
        let is_secret = schema.get("secret").and_then(Value::as_bool) == Some(true);
        let text = schema.get("default").and_then(Value::as_str).unwrap_or_default().trim();
        let is_literal = !text.is_empty()
            && !looks_like_template(text)
            && !matches!(text, "None" | "none" | "null");
        if is_secret && is_literal {
            let what = "a secret parameter has its value in the pack";
            sights.at(metadata, &format!("{pointer}/default"), what);
            sights
                .hint("write default: \"{{ st2kv.system.NAME | decrypt_kv }}\" and hearken kv set");
        }
    }
}

/// Scripts that would not start by hand; said once of all of a pack.
pub(super) fn not_executable(material: &Material<'_>, sights: &mut Sights) {
    let mut found = material.actions.iter().filter(|(_, action)| {
        let is_script =
            matches!(action.runner, RunnerKind::LocalShellScript | RunnerKind::RemoteShellScript);
        let path = files::entry_point("actions", &action.entry_point);
        let file = path.and_then(|path| material.bundle.file(&path));
        is_script && file.is_some_and(|file| !file.executable)
    });
    let Some((metadata, action)) = found.next() else { return };
    let what = match found.count() {
        0 => format!("{} is not executable", action.entry_point),
        more => format!("{} is not executable, nor are {more} more scripts", action.entry_point),
    };
    sights.at(metadata, "/entry_point", what);
    sights.hint(format!("chmod +x actions/{}", action.entry_point));
}

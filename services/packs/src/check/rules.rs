//! What there is to say of what rules listen to and ask for.

use hearken_engine::definition::problem::{pointer_token, suggestion};
use hearken_engine::definition::trigger::is_built_in;
use hearken_engine::definition::{Action, Parameter, ParameterKind, Rule};
use hearken_engine::parameters::{Error, Given, Plan};
use serde_json::Value;

use super::material::{Material, Sights, pack_of};
use crate::load::files::Metadata;

/// Rules with the action that they ask for, where it is known.
fn linked<'a>(
    material: &'a Material<'_>,
) -> impl Iterator<Item = (&'a Metadata, &'a Rule, &'a Action)> {
    material.rules.iter().filter_map(|(metadata, rule)| {
        let action = material.known.action(&rule.action.reference)?;
        Some((*metadata, rule, action))
    })
}

fn given(name: &str) -> String {
    format!("/action/parameters/{}", pointer_token(name))
}

/// An action that its pack does not have.
pub(super) fn unknown_action(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule) in &material.rules {
        let wanted = &rule.action.reference;
        if material.known.action(wanted).is_some() || !material.known.has_pack_of(wanted) {
            continue;
        }
        sights.at(metadata, "/action/ref", format!("there is no action {wanted:?}"));
        let is_broken = material.documents.actions.iter().any(|metadata| {
            let name = metadata.text("name").unwrap_or_default();
            *wanted == format!("{}.{name}", material.name)
        });
        if is_broken {
            sights.hint("its own file is at fault: see there");
        } else {
            let meant = suggestion(wanted, &material.known.actions());
            sights.maybe_hint(meant.map(|meant| format!("did you mean {meant:?}?")));
        }
    }
}

/// An action of a pack that is not looked at.
pub(super) fn action_elsewhere(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule) in &material.rules {
        let wanted = &rule.action.reference;
        if !material.known.has_pack_of(wanted) {
            let pack = pack_of(wanted);
            sights.at(metadata, "/action/ref", format!("{wanted:?} is in another pack, {pack:?}"));
            sights.hint(format!("install {pack}, or check the folder that holds both packs"));
        }
    }
}

/// A trigger type that nobody registers.
pub(super) fn unknown_trigger(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule) in &material.rules {
        let expected = rule.remember.as_ref().and_then(|remember| remember.absence.as_ref());
        let expected = expected.map(|absence| ("/absence/of/trigger", &absence.of.trigger));
        let own = ("/trigger/type", &rule.trigger);
        for (pointer, wanted) in std::iter::once(own).chain(expected) {
            let (known, wanted) = (material.known, wanted.reference.as_str());
            if is_built_in(wanted) || known.trigger(wanted).is_some() || known.is_open(wanted) {
                continue;
            }
            sights.at(metadata, pointer, format!("nobody registers the trigger type {wanted:?}"));
            let meant = suggestion(wanted, &known.triggers());
            sights.hint(match meant {
                Some(meant) => format!("did you mean {meant:?}?"),
                None if known.has_pack_of(wanted) => {
                    "describe it in triggers/, if its events come from elsewhere".to_owned()
                }
                None => {
                    format!("the pack {:?} may: it is not among those checked", pack_of(wanted))
                }
            });
        }
    }
}

/// A parameter that the action does not have.
pub(super) fn unknown_parameter(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule, action) in linked(material) {
        let known: Vec<&str> = action.effective.iter().map(|known| known.name.as_str()).collect();
        for name in rule.action.parameters.keys().filter(|name| !known.contains(&name.as_str())) {
            let what = format!("{} takes no parameter {name:?}", action.reference);
            sights.at(metadata, &given(name), what);
            let meant = suggestion(name, &known);
            sights.maybe_hint(meant.map(|meant| format!("did you mean {meant:?}?")));
        }
    }
}

/// A parameter that must be given.
pub(super) fn missing_parameter(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule, action) in linked(material) {
        let is_given = |parameter: &Parameter| rule.action.parameters.contains_key(&parameter.name);
        let is_missing = |parameter: &&Parameter| {
            parameter.required && parameter.default.is_none() && !is_given(parameter)
        };
        for parameter in action.effective.iter().filter(is_missing) {
            let what = format!("{} needs the parameter {:?}", action.reference, parameter.name);
            sights.at(metadata, "/action/parameters", what);
            sights.hint(format!("give it: parameters: {{{}: …}}", parameter.name));
        }
    }
}

/// A parameter that nobody may give.
pub(super) fn immutable_parameter(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule, action) in linked(material) {
        let parameters = action.effective.iter().filter(|parameter| parameter.immutable);
        for parameter in parameters.filter(|p| rule.action.parameters.contains_key(&p.name)) {
            let name = &parameter.name;
            let what = format!("the parameter {name:?} of {} is immutable", action.reference);
            sights.at(metadata, &given(name), what);
            sights.hint("leave it out");
        }
    }
}

/// A value that is no text where the action wants text: texts are not made of other values.
pub(super) fn wrong_type(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule, action) in linked(material) {
        for (name, value) in &rule.action.parameters {
            let kind = action.effective.get(name).and_then(|parameter| parameter.kind);
            let is_text = value.is_string() || value.is_null();
            let is_literal = !Given::compile(value).is_template();
            if kind == Some(ParameterKind::String) && !is_text && is_literal {
                let what = format!("{name:?} of {} is text, and this is not", action.reference);
                sights.at(metadata, &given(name), what);
                sights.hint(format!("write it in quotes: {name}: \"{value}\""));
            }
        }
    }
}

/// A template that needs what nobody offers.
pub(super) fn undeclared(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule, action) in linked(material) {
        let plan = Plan::live(action, &rule.action.parameters, &["trigger"]);
        let Err(Error::Unsatisfied { name }) = plan else { continue };
        let needs = |value: &Value| Given::compile(value).roots().contains(&name);
        let user = rule.action.parameters.iter().find(|(_, value)| needs(value));
        // Otherwise it is the action's own default, and was said there.
        let Some((user, _)) = user else { continue };
        let what = format!("the template names {name:?}, which a rule does not see");
        sights.at(metadata, &given(user), what);
        sights.hint(match name.as_str() {
            "payload" | "event" | "item" => format!("write trigger instead of {name}"),
            _ => "a rule sees trigger, st2kv and the action's other parameters".to_owned(),
        });
    }
}

/// `{{ system.x }}`.
pub(super) fn old_datastore(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, rule) in &material.rules {
        for (name, value) in &rule.action.parameters {
            if Given::compile(value).roots().iter().any(|root| root == "system") {
                let what = "the datastore by its old name: system";
                sights.at(metadata, &given(name), what);
                sights.hint("write st2kv.system");
            }
        }
    }
}

//! What there is to say of criteria, beyond what reading them says.

use hearken_engine::criteria::Operator;
use hearken_engine::definition::problem::{pointer_token, suggestion};
use hearken_engine::path::Path;
use serde_json::{Map, Value};

use super::material::{Material, Sights};
use crate::load::files::Metadata;

/// How deep trees of criteria, and searches in searches, are looked into: deeper ones are refused.
const DEPTH_MAX: usize = 16;
/// Criteria of one rule that are looked at; a rule with more is refused.
const LEAVES_MAX: usize = 2_000;

/// One criterion of a rule.
struct Leaf<'a> {
    /// Where it stands.
    pointer: String,
    /// Its key without the comment.
    key: &'a str,
    /// What it says.
    value: &'a Value,
    /// The trigger whose events it is about.
    trigger: Option<&'a str>,
    /// Whether it stands inside a search.
    is_nested: bool,
}

impl Leaf<'_> {
    fn operator(&self) -> Option<Operator> {
        Operator::parse(&self.value.get("type")?.as_str()?.to_lowercase())
    }

    fn pattern(&self) -> &Value {
        self.value.get("pattern").unwrap_or(&Value::Null)
    }

    /// The names that lead to the value, when there is nothing but names.
    fn names(&self) -> Option<Vec<String>> {
        Some(Path::parse(self.key).ok()?.names()?.to_vec())
    }
}

/// All criteria of a file, those in trees, searches and absences included.
fn leaves(metadata: &Metadata) -> Vec<Leaf<'_>> {
    let rule = &metadata.document.value;
    let reference = |at: &str| {
        let trigger = rule.pointer(at)?;
        trigger.as_str().or_else(|| trigger.get("type")?.as_str())
    };
    let mut found = Vec::new();
    for (at, trigger) in
        [("/criteria", "/trigger"), ("/absence/of/criteria", "/absence/of/trigger")]
    {
        if let Some(map) = rule.pointer(at).and_then(Value::as_object) {
            below(map, at, reference(trigger), false, 0, &mut found);
        }
    }
    found
}

fn below<'a>(
    map: &'a Map<String, Value>,
    at: &str,
    trigger: Option<&'a str>,
    is_nested: bool,
    depth: usize,
    found: &mut Vec<Leaf<'a>>,
) {
    for (key, value) in map {
        if depth > DEPTH_MAX || found.len() >= LEAVES_MAX {
            return;
        }
        let pointer = format!("{at}/{}", pointer_token(key));
        let key = key.split('#').next().unwrap_or_default();
        let is_tree = value.get("type").is_none() && matches!(key, "any" | "all" | "not");
        if is_tree && !is_nested {
            if let Value::Object(map) = value {
                below(map, &pointer, trigger, is_nested, depth + 1, found);
            }
            for (index, branch) in value.as_array().into_iter().flatten().enumerate() {
                let Some(map) = branch.as_object() else { continue };
                below(map, &format!("{pointer}/{index}"), trigger, is_nested, depth + 1, found);
            }
            continue;
        }
        let leaf = Leaf { pointer, key, value, trigger, is_nested };
        let inner = leaf.pattern().as_object().map(|_| format!("{}/pattern", leaf.pointer));
        let is_search = leaf.operator() == Some(Operator::Search);
        found.push(leaf);
        if let (Some(at), Some(Value::Object(map)), true) = (inner, value.get("pattern"), is_search)
        {
            below(map, &at, None, true, depth + 1, found);
        }
    }
}

/// Criteria of all rules, with their files.
fn each<'a>(material: &'a Material<'_>) -> impl Iterator<Item = (&'a Metadata, Leaf<'a>)> {
    let with_file = |metadata| move |leaf| (metadata, leaf);
    let rules = material.documents.rules.iter();
    rules.flat_map(move |metadata| leaves(metadata).into_iter().map(with_file(metadata)))
}

/// `exists` without a pattern in a pack that is made for StackStorm.
pub(super) fn exists(material: &Material<'_>, sights: &mut Sights) {
    if material.documents.manifest_says("stackstorm_version").is_none() {
        return;
    }
    for (metadata, leaf) in each(material) {
        let asks = matches!(leaf.operator(), Some(Operator::Exists | Operator::ExistsNot));
        if asks && leaf.pattern().is_null() && !leaf.is_nested {
            sights.at(metadata, &leaf.pointer, "this criterion has no pattern");
            sights.hint("any pattern will do: pattern: true");
        }
    }
}

/// What a schema says of its values, as far as it matters for comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Text,
    Number,
}

impl Nature {
    const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
        }
    }

    /// Of a value as it is written.
    fn of(value: &Value) -> Option<Self> {
        match value {
            // A template is whatever comes out of it.
            Value::String(text) if !text.contains("{{") && !text.contains("{%") => Some(Self::Text),
            Value::Number(_) => Some(Self::Number),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }

    /// Of the values that a schema describes, when it says one type.
    fn described(schema: &Value) -> Option<Self> {
        match schema.get("type")?.as_str()? {
            "string" => Some(Self::Text),
            "integer" | "number" => Some(Self::Number),
            _ => None,
        }
    }
}

/// Text compared with a number, as far as the trigger type says what its events carry.
pub(super) fn types_differ(material: &Material<'_>, sights: &mut Sights) {
    if material.loaded.definitions.compares_text {
        return;
    }
    for (metadata, leaf) in each(material) {
        let compares = matches!(
            leaf.operator(),
            Some(
                Operator::Equals | Operator::NotEquals | Operator::LessThan | Operator::GreaterThan
            )
        );
        let Some(trigger) = leaf.trigger.and_then(|trigger| material.known.trigger(trigger)) else {
            continue;
        };
        let (Some(names), Some(written), true) =
            (leaf.names(), Nature::of(leaf.pattern()), compares)
        else {
            continue;
        };
        let Some(("trigger", names)) = names.split_first().map(|(first, rest)| (&**first, rest))
        else {
            continue;
        };
        let whole = Value::Object(trigger.payload_schema.clone());
        let part = names.iter().try_fold(&whole, |at, name| at.get("properties")?.get(name));
        let Some(carried) = part.and_then(Nature::described) else { continue };
        if carried != written {
            let what = format!(
                "{} is {} in {}, and the pattern is {}",
                leaf.key,
                carried.word(),
                trigger.reference,
                written.word()
            );
            sights.at(metadata, &format!("{}/pattern", leaf.pointer), what);
            sights.hint(match written {
                Nature::Text => "leave out the quotes",
                Nature::Number => "write the pattern in quotes",
            });
        }
    }
}

/// Criteria inside a search that can hold for nothing.
pub(super) fn search(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, leaf) in each(material).filter(|(_, leaf)| leaf.is_nested) {
        let Some(written) = leaf.value.get("type") else {
            sights.at(metadata, &leaf.pointer, "a criterion inside a search has no type");
            continue;
        };
        let name = written.as_str().unwrap_or_default();
        if leaf.operator().is_none() {
            sights.at(
                metadata,
                &format!("{}/type", leaf.pointer),
                format!("{written} is no operator"),
            );
            let meant = suggestion(name, &Operator::names());
            sights.maybe_hint(meant.map(|meant| format!("did you mean {meant:?}?")));
        }
        let first = leaf.key.split(['.', '[']).next().unwrap_or_default();
        if !matches!(first, "item" | "system" | "$" | "*" | "@") {
            let what = format!("{:?} does not begin with \"item.\"", leaf.key);
            sights.at(metadata, &leaf.pointer, what);
            let rest = leaf.key.strip_prefix("trigger.").unwrap_or(leaf.key);
            sights.hint(format!("write \"item.{rest}\""));
        }
    }
}

/// An action's output compared with a text that it cannot be.
pub(super) fn parsed_output(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, leaf) in each(material) {
        let is_output = matches!(leaf.key, "trigger.result.stdout" | "trigger.result.stderr");
        let is_equality = matches!(leaf.operator(), Some(Operator::Equals | Operator::NotEquals));
        let text = leaf.pattern().as_str().unwrap_or_default();
        let parsed = serde_json::from_str::<Value>(text).ok().filter(|value| !value.is_string());
        if leaf.trigger == Some("core.st2.generic.actiontrigger")
            && is_output
            && is_equality
            && let Some(parsed) = parsed
        {
            let what = format!("output that says {text} is not the text {text:?}");
            sights.at(metadata, &format!("{}/pattern", leaf.pointer), what);
            sights.hint(format!("write pattern: {parsed}"));
        }
    }
}

/// A datastore item without a filter, last on a line of a pattern.
pub(super) fn lookup(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, leaf) in each(material) {
        let text = leaf.pattern().as_str().unwrap_or_default();
        let last =
            |line: &str| Some(line.rsplit_once("}}")?.0.rsplit_once("{{")?.1.trim().to_owned());
        let is_bare = |expression: &String| {
            let named =
                ["st2kv.system.", "system."].iter().find_map(|p| expression.strip_prefix(p));
            named.is_some_and(|name| {
                name.chars().all(|next| next.is_alphanumeric() || matches!(next, '_' | '.'))
            })
        };
        if let Some(expression) = text.lines().filter_map(last).find(is_bare) {
            let what = format!("the pattern ends with the datastore item {expression}");
            sights.at(metadata, &format!("{}/pattern", leaf.pointer), what);
            let name = expression.trim_start_matches("st2kv.");
            sights.hint(format!("write {{{{ st2kv.{name} | string }}}}"));
        }
    }
}

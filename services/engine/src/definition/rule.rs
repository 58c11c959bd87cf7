//! Rules: when something happens and criteria hold, an action is requested.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::reader::Reader;
use super::remember::{self, Remember};
use super::trigger;
use crate::criteria::Clause;

const FIELDS: &[&str] = &[
    "name",
    "pack",
    "ref",
    "id",
    "uid",
    "description",
    "tags",
    "context",
    "metadata_file",
    "enabled",
    "type",
    "trigger",
    "criteria",
    "dedupe",
    "window",
    "absence",
    "throttle",
    "cooldown",
    "action",
];
pub(super) const TRIGGER_FIELDS: &[&str] =
    &["type", "parameters", "description", "ref", "name", "pack"];
const ACTION_FIELDS: &[&str] = &["ref", "parameters", "description", "name", "pack"];

/// When a rule is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// For every event of its trigger.
    Standard,
    /// Only for events that no standard rule matched.
    Backstop,
}

/// Something of somebody's, with parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// `pack.name`.
    pub reference: String,
    /// Parameters as they are written.
    pub parameters: Map<String, Value>,
}

/// A rule as its file describes it, compiled.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The pack it belongs to.
    pub pack: String,
    /// Its name within the pack; may hold dots.
    pub name: String,
    /// `pack.name`.
    pub reference: String,
    /// What it is for.
    pub description: String,
    /// Whether its file switches it on; nothing said means off, as in StackStorm.
    pub enabled: bool,
    /// When it is judged.
    pub kind: RuleKind,
    /// Whose events it is about.
    pub trigger: Reference,
    /// Conditions, all of which must hold, in file order.
    pub criteria: Vec<Clause>,
    /// What it remembers between events; none when each is judged for itself.
    pub remember: Option<Remember>,
    /// What it asks for.
    pub action: Reference,
    /// Tags as they are written.
    pub tags: Value,
    /// The rule as it is written.
    pub raw: Value,
}

impl Rule {
    /// Reads a rule of `pack`.
    #[must_use]
    pub fn from_value(pack: &str, value: &Value) -> (Option<Self>, Vec<Problem>) {
        let (rule, problems) = Self::for_trial(pack, value);
        let fatal = problems.iter().any(|problem| problem.fatal);
        (rule.filter(|_| !fatal), problems)
    }

    /// Reads a rule that is only to be tried: one that could not be loaded is still judged if that
    /// is possible at all, and what is wrong with a criterion shows in its verdict.
    #[must_use]
    pub fn for_trial(pack: &str, value: &Value) -> (Option<Self>, Vec<Problem>) {
        let mut reader = match Reader::new(value, "") {
            Ok(reader) => reader,
            Err(problem) => return (None, vec![problem]),
        };
        reader.unknown(FIELDS);
        reader.pack(pack);
        let rule = Self::read(pack, value, &mut reader);
        (rule, reader.problems)
    }

    fn read(pack: &str, value: &Value, reader: &mut Reader<'_>) -> Option<Self> {
        let name = reader.required_text("name");
        let description = reader.text("description").unwrap_or_default();
        let enabled = reader.boolean("enabled", false);
        if reader.get("enabled").is_none() {
            reader.problems.push(
                Problem::notice("", "the rule does not say enabled, so it is off")
                    .hint("write enabled: true, or enable it by command"),
            );
        }
        let kind = kind(reader);
        let trigger = reference(reader, "trigger", "type", TRIGGER_FIELDS);
        let action = reference(reader, "action", "ref", ACTION_FIELDS);
        let criteria = criteria(reader);
        let remember = Remember::read(reader);
        let expected = remember.as_ref().and_then(|remember| remember.absence.as_ref());
        let expected = expected.map(|absence| ("/absence/of/trigger", &absence.of.trigger));
        let own = trigger.as_ref().map(|trigger| ("/trigger", trigger));
        for (at, Reference { reference, parameters }) in own.into_iter().chain(expected) {
            let problem = trigger::check_parameters(reference, parameters);
            reader.problems.extend(problem.map(|problem| Problem {
                pointer: format!("{at}/parameters{}", problem.pointer),
                ..problem
            }));
        }
        let tags = reader.get("tags").cloned().unwrap_or(Value::Null);
        let (name, trigger, mut action) = (name?, trigger?, action?);
        if !action.reference.contains('.') {
            let full = format!("{pack}.{}", action.reference);
            let message = format!("action {:?} is taken to be {full:?}", action.reference);
            reader
                .problems
                .push(Problem::notice("/action/ref", message).hint(format!("write ref: {full}")));
            action.reference = full;
        }
        Some(Self {
            pack: pack.to_owned(),
            reference: format!("{pack}.{name}"),
            name,
            description,
            enabled,
            kind,
            trigger,
            criteria,
            remember,
            action,
            tags,
            raw: value.clone(),
        })
    }

    /// Makes its criteria compare everything as text, as StackStorm did in 2014.
    pub fn compare_as_text(&mut self) {
        self.criteria.iter_mut().for_each(Clause::compare_as_text);
        if let Some(remember) = &mut self.remember {
            remember.compare_as_text();
        }
    }

    /// The rule in the shape of StackStorm's API; `enabled` is what is in force.
    #[must_use]
    pub fn to_value(&self, enabled: bool) -> Value {
        let kind = match self.kind {
            RuleKind::Standard => "standard",
            RuleKind::Backstop => "backstop",
        };
        let mut value = json!({
            "ref": self.reference,
            "name": self.name,
            "pack": self.pack,
            "description": self.description,
            "enabled": enabled,
            "type": {"ref": kind, "parameters": {}},
            "trigger": {
                "type": self.trigger.reference,
                "ref": self.trigger.reference,
                "parameters": self.trigger.parameters,
            },
            "criteria": self.raw.get("criteria").filter(|criteria| criteria.is_object())
                .cloned().unwrap_or_else(|| json!({})),
            "action": {"ref": self.action.reference, "parameters": self.action.parameters},
            "tags": if self.tags.is_null() { json!([]) } else { self.tags.clone() },
        });
        if let Some(map) = value.as_object_mut() {
            map.extend(self.remembered());
        }
        value
    }

    /// The fields that make it remember, as they are written.
    #[must_use]
    pub fn remembered(&self) -> Map<String, Value> {
        remember::raw(&self.raw)
    }
}

fn kind(reader: &mut Reader<'_>) -> RuleKind {
    let word = match reader.get("type") {
        None => return RuleKind::Standard,
        Some(Value::String(word)) => word.as_str(),
        Some(map) => match map.get("ref") {
            None | Some(Value::Null) => return RuleKind::Standard,
            Some(word) => word.as_str().unwrap_or_default(),
        },
    };
    match word {
        "standard" => RuleKind::Standard,
        "backstop" => RuleKind::Backstop,
        other => {
            let message = format!("{other:?} is no type of rule");
            reader.problems.push(Problem::fatal("/type/ref", message).hint("standard or backstop"));
            RuleKind::Standard
        }
    }
}

pub(super) fn reference(
    reader: &mut Reader<'_>,
    field: &str,
    name_field: &str,
    known: &[&str],
) -> Option<Reference> {
    let at = reader.at(field);
    let value = match reader.get(field) {
        // A bare reference says enough.
        Some(Value::String(text)) if !text.is_empty() => {
            return Some(Reference { reference: text.clone(), parameters: Map::new() });
        }
        Some(value) => value,
        None => {
            reader.problems.push(Problem::fatal("", format!("{field} is missing")));
            return None;
        }
    };
    let mut inner = match Reader::new(value, &at) {
        Ok(inner) => inner,
        Err(problem) => {
            reader.problems.push(problem);
            return None;
        }
    };
    inner.unknown(known);
    let reference = inner.required_text(name_field);
    let parameters = inner.mapping("parameters");
    reader.problems.append(&mut inner.problems);
    Some(Reference { reference: reference?, parameters })
}

pub(super) fn criteria(reader: &mut Reader<'_>) -> Vec<Clause> {
    let base = reader.at("criteria");
    let (clauses, problems) = Clause::read(&reader.mapping("criteria"), &base);
    reader.problems.extend(problems);
    clauses
}

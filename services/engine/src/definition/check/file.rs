//! A file of checks: hosts, templates, and checks for many hosts at once.
//!
//! Forms are examined where they are written, so that a template's fault is told once and at its
//! own place. What only shows when everything is put together is told at the check.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fields::FILE;
use super::form::{examine, schema as form_schema};
use super::read::{Place, check};
use super::values::Values;
use super::{Check, Host};
use crate::definition::problem::{Problem, pointer_token, suggestion};

/// Most checks of one file, hosts multiplied.
const CHECKS_MAX: usize = 20_000;
/// Longest name of a host or a check, in bytes: two of them fit into a subject.
const NAME_MAX: usize = 120;

/// What a file of checks says.
#[derive(Clone, Debug, Default)]
pub struct CheckFile {
    /// What they are for.
    pub description: String,
    /// The hosts it names.
    pub hosts: Vec<Host>,
    /// Its checks, those of one check with several hosts side by side.
    pub checks: Vec<Check>,
}

/// The JSON Schema of a file of checks, for editors.
#[must_use]
pub fn schema() -> Value {
    let mut schema = form_schema(FILE);
    if let Some(map) = schema.as_object_mut() {
        map.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".to_owned(), json!("Checks of a pack of Hearken"));
    }
    schema
}

impl CheckFile {
    /// Reads a file. A check that cannot be used is left out, and the others stand.
    #[must_use]
    pub fn from_value(value: &Value) -> (Self, Vec<Problem>) {
        let mut problems = examine(value, FILE, "");
        let Some(map) = value.as_object() else { return (Self::default(), problems) };
        let values = Values(map);
        let faulty = |pointer: &str, problems: &[Problem]| {
            let inside = |at: &str| {
                at.strip_prefix(pointer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            problems.iter().any(|problem| problem.fatal && inside(&problem.pointer))
        };
        let mut hosts = BTreeMap::new();
        for (name, value) in entries(map, "hosts") {
            let at = format!("/hosts/{}", pointer_token(name));
            check_name(name, &at, &mut problems);
            if !faulty(&at, &problems) {
                hosts.insert(name.clone(), host(name, value));
            }
        }
        let sound: Vec<(&String, &Map<String, Value>)> = entries(map, "templates")
            .filter(|(name, _)| !faulty(&format!("/templates/{}", pointer_token(name)), &problems))
            .filter_map(|(name, value)| Some((name, value.as_object()?)))
            .collect();
        let templates: BTreeMap<&str, &Map<String, Value>> =
            sound.iter().map(|(name, template)| (name.as_str(), *template)).collect();
        let defaults = values.section("defaults", "").filter(|_| !faulty("/defaults", &problems));
        let mut reading = Reading {
            hosts: &hosts,
            templates,
            defaults: defaults.unwrap_or_default(),
            base_tick: values.span("base_tick"),
            checks: Vec::new(),
            problems: Vec::new(),
            full: false,
        };
        let list = values.get("checks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, own) in list.iter().enumerate() {
            let at = format!("/checks/{index}");
            if let Some(own) = own.as_object().filter(|_| !faulty(&at, &problems)) {
                reading.entry(own, &at);
            }
        }
        let Reading { checks, problems: more, .. } = reading;
        problems.extend(more);
        let description = values.text("description").unwrap_or_default();
        (Self { description, hosts: hosts.into_values().collect(), checks }, problems)
    }
}

/// The entries of a mapping field, if it is one.
fn entries<'a>(
    map: &'a Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    map.get(field).and_then(Value::as_object).into_iter().flatten()
}

fn host(name: &str, value: &Value) -> Host {
    let empty = Map::new();
    let values = Values(value.as_object().unwrap_or(&empty));
    Host {
        name: name.to_owned(),
        ipv4: values.text("ipv4"),
        ipv6: values.text("ipv6"),
        labels: values.labels("labels"),
        parents: values.parents("parents"),
    }
}

fn check_name(name: &str, at: &str, problems: &mut Vec<Problem>) {
    let odd = |c: char| c.is_control() || c == '/';
    if name.trim().is_empty() || name.len() > NAME_MAX || name.contains(odd) {
        let message = format!("{name:?} cannot be a name");
        let hint = format!("a name has 1 to {NAME_MAX} letters and no /");
        problems.push(Problem::fatal(at, message).hint(hint));
    }
}

/// The checks of a file while they are put together.
struct Reading<'a> {
    hosts: &'a BTreeMap<String, Host>,
    templates: BTreeMap<&'a str, &'a Map<String, Value>>,
    defaults: Map<String, Value>,
    base_tick: Option<std::time::Duration>,
    checks: Vec<Check>,
    problems: Vec<Problem>,
    full: bool,
}

impl Reading<'_> {
    /// One entry of `checks`, for all of its hosts.
    fn entry(&mut self, own: &Map<String, Value>, at: &str) {
        let Some(merged) = self.merge(own, at) else { return };
        let values = Values(&merged);
        let Some(name) = values.text("name") else {
            let problem = Problem::fatal(at, "name is missing");
            self.problems.push(problem);
            return;
        };
        let before = self.problems.len();
        check_name(&name, &format!("{at}/name"), &mut self.problems);
        let hosts = self.select(&values.texts("hosts"), at);
        if self.problems.iter().skip(before).any(|problem| problem.fatal) {
            return;
        }
        let mut said = BTreeSet::new();
        for host in hosts {
            if self.checks.len() >= CHECKS_MAX {
                if !self.full {
                    let message = format!("a file has at most {CHECKS_MAX} checks");
                    self.problems
                        .push(Problem::fatal(at, message).hint("make several files of it"));
                }
                self.full = true;
                return;
            }
            let place = Place { at, name: &name, host, base_tick: self.base_tick };
            let (check, problems) = check(place, &merged);
            // The same fault for each of a hundred hosts is one fault.
            for problem in problems {
                if said.insert((problem.pointer.clone(), problem.message.clone())) {
                    self.problems.push(problem);
                }
            }
            self.checks.extend(check);
        }
    }

    /// The entry with what it takes over: defaults, then templates, then its own.
    fn merge(&mut self, own: &Map<String, Value>, at: &str) -> Option<Map<String, Value>> {
        let mut merged = self.defaults.clone();
        for name in Values(own).texts("use") {
            let Some(template) = self.templates.get(name.as_str()) else {
                let names: Vec<&str> = self.templates.keys().copied().collect();
                let problem =
                    Problem::fatal(format!("{at}/use"), format!("no template is called {name:?}"));
                self.problems.push(match suggestion(&name, &names) {
                    Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
                    None => problem.hint("templates are those of the same file that have no fault"),
                });
                return None;
            };
            overlay(&mut merged, template);
        }
        overlay(&mut merged, own);
        Some(merged)
    }

    /// The hosts an entry is for; one that names none is for no host.
    fn select(&mut self, names: &[String], at: &str) -> Vec<Option<Host>> {
        if names.is_empty() {
            return vec![None];
        }
        let mut selected = Vec::new();
        for name in names {
            if let Some(host) = self.hosts.get(name) {
                selected.push(Some(host.clone()));
                continue;
            }
            if name == "*" {
                selected.extend(self.hosts.values().cloned().map(Some));
                continue;
            }
            let known: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
            let problem =
                Problem::fatal(format!("{at}/hosts"), format!("no host is called {name:?}"));
            self.problems.push(match suggestion(name, &known) {
                Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
                None => problem.hint("write it under hosts of this file"),
            });
        }
        selected
    }
}

/// Puts `above` over `below`: labels are put together, of everything else the upper one stands. A
/// probe or a timing of another kind takes the place of the one below.
fn overlay(below: &mut Map<String, Value>, above: &Map<String, Value>) {
    let kinds: Vec<&str> = super::probe::KINDS.iter().map(|(kind, ..)| *kind).collect();
    let timings = ["every", "cron", "ticks"];
    for family in [&kinds[..], &timings[..]] {
        if family.iter().any(|name| above.contains_key(*name)) {
            below.retain(|name, _| !family.contains(&name.as_str()));
        }
    }
    for (name, value) in above {
        match (below.get_mut(name), value) {
            (Some(Value::Object(labels)), Value::Object(more)) if name == "labels" => {
                labels.extend(more.clone());
            }
            _ => {
                below.insert(name.clone(), value.clone());
            }
        }
    }
}

//! All checks in force, who stands behind whom, and who is told.
//!
//! Parents may be named as checks or as hosts; a host stands for its check that says whether it is
//! alive. Every other check of a host stands behind that one, without saying so. Nothing stands
//! behind itself: what would is told, and its parents are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearken_proto::check::CheckStatus;
use hearken_proto::incident::LabelMatcher;

use super::silence::selects;
use crate::definition::check::{Notices, Probe};
use crate::definition::{Check, Problem};

/// Who can be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contact {
    /// Its name.
    pub name: String,
    /// How it is told: `mail`, `webhook` …
    pub channel: String,
    /// Where.
    pub recipients: Vec<String>,
    /// Levels at which it wants to hear of a problem first; empty: all.
    pub levels: Vec<CheckStatus>,
}

/// Who is told of checks that do not say it themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// Labels that checks must have; none: all checks.
    pub matchers: Vec<LabelMatcher>,
    /// Contacts.
    pub contacts: Vec<String>,
}

/// Everything that is in force about checks.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    checks: BTreeMap<String, Arc<Check>>,
    /// Checks of which one of each list must be good.
    parents: BTreeMap<String, Vec<Vec<String>>>,
    children: BTreeMap<String, Vec<String>>,
    contacts: BTreeMap<String, Contact>,
    routes: Vec<Route>,
}

impl Definitions {
    /// Puts checks together. What cannot be is told, by the check it is about.
    #[must_use]
    pub fn new(
        checks: impl IntoIterator<Item = Check>,
        contacts: impl IntoIterator<Item = Contact>,
        routes: Vec<Route>,
    ) -> (Self, Vec<(String, Problem)>) {
        let mut problems = Vec::new();
        let mut definitions = Self {
            contacts: contacts.into_iter().map(|contact| (contact.name.clone(), contact)).collect(),
            routes,
            ..Self::default()
        };
        for check in checks {
            let id = check.id.clone();
            if definitions.checks.contains_key(&id) {
                let problem = Problem::fatal("", format!("another check is called {id:?} too"));
                problems.push((id, problem.hint("give one of them another name")));
                continue;
            }
            definitions.checks.insert(id, Arc::new(check));
        }
        definitions.link(&mut problems);
        definitions.check_names(&mut problems);
        (definitions, problems)
    }

    /// The check of this id.
    #[must_use]
    pub fn check(&self, id: &str) -> Option<&Arc<Check>> {
        self.checks.get(id)
    }

    /// All checks, by id.
    pub fn checks(&self) -> impl Iterator<Item = &Arc<Check>> {
        self.checks.values()
    }

    /// The contact of this name.
    #[must_use]
    pub fn contact(&self, name: &str) -> Option<&Contact> {
        self.contacts.get(name)
    }

    /// What a check stands behind: of each list one must be good.
    #[must_use]
    pub fn parents(&self, id: &str) -> &[Vec<String>] {
        self.parents.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// What stands behind a check.
    #[must_use]
    pub fn children(&self, id: &str) -> &[String] {
        self.children.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Who is told of a check: those it names, or those of the first route that fits.
    #[must_use]
    pub fn contacts_of(&self, check: &Check) -> Vec<&Contact> {
        let fits =
            |route: &&Route| route.matchers.is_empty() || selects(&route.matchers, &check.labels);
        let names = match &check.notices.contacts {
            names if !names.is_empty() => names.as_slice(),
            _ => self
                .routes
                .iter()
                .find(fits)
                .map(|route| route.contacts.as_slice())
                .unwrap_or_default(),
        };
        names.iter().filter_map(|name| self.contact(name)).collect()
    }

    /// How its incidents are told; nothing is repeated for a check that is gone.
    pub(super) fn notices(&self, id: &str) -> Notices {
        self.check(id).map(|check| check.notices.clone()).unwrap_or_default()
    }

    fn link(&mut self, problems: &mut Vec<(String, Problem)>) {
        let mut alive: BTreeMap<&str, &str> = BTreeMap::new();
        for check in self.checks.values().filter(|check| check.alive) {
            if let Some(host) = &check.host {
                alive.entry(&host.name).or_insert(&check.id);
            }
        }
        let mut parents = BTreeMap::new();
        for check in self.checks.values() {
            let host = check.host.as_ref();
            let mut own = check.parents.clone();
            match host.and_then(|host| alive.get(host.name.as_str())) {
                Some(life) if *life != check.id => own.push(vec![(*life).to_owned()]),
                Some(_) | None => {
                    own.extend(host.map(|host| host.parents.clone()).unwrap_or_default());
                }
            }
            let mut lists = Vec::new();
            for names in own {
                let mut list = Vec::new();
                for name in names {
                    match alive.get(name.as_str()) {
                        Some(life) => list.push((*life).to_owned()),
                        None if self.checks.contains_key(&name) => list.push(name),
                        None => {
                            let message = format!(
                                "no check and no host with one that says alive is called {name:?}"
                            );
                            problems.push((check.id.clone(), Problem::notice("/parents", message)));
                        }
                    }
                }
                list.retain(|parent| *parent != check.id);
                if !list.is_empty() && !lists.contains(&list) {
                    lists.push(list);
                }
            }
            if !lists.is_empty() {
                parents.insert(check.id.clone(), lists);
            }
        }
        for id in circles(&parents) {
            parents.remove(&id);
            let message =
                "it stands behind itself, or behind one that does: its parents are left out";
            problems.push((id, Problem::notice("/parents", message)));
        }
        for (id, lists) in &parents {
            for parent in lists.iter().flatten().collect::<BTreeSet<_>>() {
                self.children.entry(parent.clone()).or_default().push(id.clone());
            }
        }
        self.parents = parents;
    }

    fn check_names(&self, problems: &mut Vec<(String, Problem)>) {
        for check in self.checks.values() {
            let steps = check.notices.escalation.iter().flat_map(|step| &step.contacts);
            for name in check.notices.contacts.iter().chain(steps) {
                if !self.contacts.contains_key(name) {
                    let message = format!("no contact is called {name:?}: nobody is told");
                    problems.push((check.id.clone(), Problem::notice("/notify", message)));
                }
            }
            if let Probe::Composite(composite) = &check.probe {
                for other in composite.of.iter().filter(|id| !self.checks.contains_key(*id)) {
                    let message = format!("no check is called {other:?}: it is unknown for ever");
                    problems.push((check.id.clone(), Problem::notice("/composite/of", message)));
                }
            }
        }
    }
}

/// Checks that stand behind themselves, directly or not: those left when all others are gone whose
/// parents are gone.
fn circles(parents: &BTreeMap<String, Vec<Vec<String>>>) -> Vec<String> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = parents
        .iter()
        .map(|(id, lists)| (id.as_str(), lists.iter().flatten().map(String::as_str).collect()))
        .collect();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, parents)| !parents.iter().any(|parent| left.contains_key(parent)))
            .map(|(id, _)| *id)
            .collect();
        if free.is_empty() {
            return left.into_keys().map(str::to_owned).collect();
        }
        for id in free {
            left.remove(id);
        }
    }
}

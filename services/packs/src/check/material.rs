//! What the rows of the table look at: the files of one pack, and what all packs define together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hearken_engine::definition::{Action, Rule, Sensor, TriggerType};
use hearken_engine::registry::PackDefinitions;
use hearken_proto::definition::Bundle;
use serde_json::Value;

use super::Surroundings;
use crate::Located;
use crate::bundle::Sealed;
use crate::load::Loaded;
use crate::load::files::{self, Metadata};
use crate::source::MANIFESTS;
use crate::yaml::Format;

/// Findings of one kind in one pack; whoever sees so many has read enough of them.
const SIGHTS_MAX: usize = 50;

/// One pack, as far as the check looks at it.
#[derive(Debug)]
pub(super) struct Material<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// Where it lies on the disk.
    pub(super) folder: &'a Path,
    /// Its content.
    pub(super) bundle: &'a Bundle,
    /// What it defines.
    pub(super) loaded: &'a Loaded,
    /// Its metadata, also what could not be loaded.
    pub(super) documents: &'a Documents,
    /// Actions that can be read, with their files.
    pub(super) actions: Vec<(&'a Metadata, Action)>,
    /// Rules that can be read at all, with their files.
    pub(super) rules: Vec<(&'a Metadata, Rule)>,
    /// What all packs define.
    pub(super) known: &'a Known<'a>,
    /// What the check was told of the installation.
    pub(super) surroundings: &'a Surroundings,
}

impl<'a> Material<'a> {
    /// Reads once what several rows look at.
    pub(super) fn new(
        folder: &'a Path,
        bundle: &'a Bundle,
        loaded: &'a Loaded,
        documents: &'a Documents,
        known: &'a Known<'a>,
        surroundings: &'a Surroundings,
    ) -> Self {
        let name = &bundle.name;
        // What is wrong with them was told when they were loaded.
        let action =
            |file: &'a Metadata| Some((file, Action::from_value(name, &file.document.value).0?));
        let rule =
            |file: &'a Metadata| Some((file, Rule::for_trial(name, &file.document.value).0?));
        let actions = documents.actions.iter().filter_map(action).collect();
        let rules = documents.rules.iter().filter_map(rule).collect();
        Self { name, folder, bundle, loaded, documents, actions, rules, known, surroundings }
    }
}

/// The metadata files of a pack.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// `pack.yaml`, when there is one that can be read.
    pub(super) manifest: Option<Metadata>,
    /// `config.schema.yaml`, in the same way.
    pub(super) schema: Option<Metadata>,
    /// `config.yaml`, in the same way.
    pub(super) config: Option<Metadata>,
    /// Files in `actions/`.
    pub(super) actions: Vec<Metadata>,
    /// Files in `rules/`.
    pub(super) rules: Vec<Metadata>,
    /// Files in `sensors/`.
    pub(super) sensors: Vec<Metadata>,
    /// Files in `triggers/`.
    pub(super) triggers: Vec<Metadata>,
    /// Files in `aliases/`.
    pub(super) aliases: Vec<Metadata>,
    /// Files in `policies/`.
    pub(super) policies: Vec<Metadata>,
}

impl Documents {
    /// Reads them again: loading keeps no lines.
    pub(super) fn read(bundle: &Bundle) -> Self {
        // What is wrong with single files was told when they were loaded.
        let ignored = &mut Vec::new();
        let mut one = |names: &[&str]| {
            let name = names.iter().find(|name| bundle.file(name).is_some())?;
            files::read_one(bundle, name, Format::of(name)?, ignored)
        };
        let (manifest, schema, config) = (
            one(&MANIFESTS),
            one(&["config.schema.yaml", "config.schema.yml", "config.schema.json"]),
            one(&["config.yaml", "config.yml", "config.json"]),
        );
        let mut all = |folder| files::read(bundle, folder, ignored);
        Self {
            manifest,
            schema,
            config,
            actions: all("actions"),
            rules: all("rules"),
            sensors: all("sensors"),
            triggers: all("triggers"),
            aliases: all("aliases"),
            policies: all("policies"),
        }
    }

    /// Those in folders: everything that defines something.
    pub(super) fn all(&self) -> impl Iterator<Item = &Metadata> {
        let folders = [
            &self.actions,
            &self.aliases,
            &self.policies,
            &self.rules,
            &self.sensors,
            &self.triggers,
        ];
        folders.into_iter().flatten()
    }

    /// The manifest's field, when it has one.
    pub(super) fn manifest_says(&self, field: &str) -> Option<&Value> {
        self.manifest.as_ref()?.document.value.get(field)
    }
}

/// What all packs that are looked at define, those of the binary included.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    /// Actions by reference.
    actions: BTreeMap<&'a str, &'a Action>,
    /// Trigger types by reference.
    triggers: BTreeMap<&'a str, &'a TriggerType>,
    /// Names of the packs.
    packs: BTreeSet<&'a str>,
    /// Packs with sensors that tell their trigger types only when they run.
    open: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    /// Puts packs together.
    pub(super) fn new(packs: impl Iterator<Item = (&'a Sealed, &'a PackDefinitions)>) -> Self {
        let mut known = Self::default();
        for (sealed, defined) in packs {
            known.packs.insert(&defined.name);
            for action in &defined.actions {
                known.actions.entry(&action.reference).or_insert(action);
            }
            let of_sensors = defined.sensors.iter().flat_map(|sensor| &sensor.trigger_types);
            for trigger in defined.triggers.iter().chain(of_sensors) {
                known.triggers.entry(&trigger.reference).or_insert(trigger);
            }
            let has_metadata = files::names(sealed.bundle(), "sensors").next().is_some();
            let is_silent = |sensor: &Sensor| sensor.trigger_types.is_empty();
            if !has_metadata && defined.sensors.iter().any(is_silent) {
                known.open.insert(&defined.name);
            }
        }
        known
    }

    /// The action called `reference`.
    pub(super) fn action(&self, reference: &str) -> Option<&'a Action> {
        self.actions.get(reference).copied()
    }

    /// References of all actions.
    pub(super) fn actions(&self) -> Vec<&'a str> {
        self.actions.keys().copied().collect()
    }

    /// The trigger type called `reference`.
    pub(super) fn trigger(&self, reference: &str) -> Option<&'a TriggerType> {
        self.triggers.get(reference).copied()
    }

    /// References of all trigger types.
    pub(super) fn triggers(&self) -> Vec<&'a str> {
        self.triggers.keys().copied().collect()
    }

    /// Whether the pack that `reference` names is among those that are looked at.
    pub(super) fn has_pack_of(&self, reference: &str) -> bool {
        self.packs.contains(pack_of(reference))
    }

    /// Whether the pack that `reference` names has trigger types that nobody knows yet.
    pub(super) fn is_open(&self, reference: &str) -> bool {
        self.open.contains(pack_of(reference))
    }
}

/// The pack that a reference begins with.
pub(super) fn pack_of(reference: &str) -> &str {
    reference.split_once('.').map_or("", |(pack, _)| pack)
}

/// What one row found in one pack.
#[derive(Debug)]
pub(super) struct Sights {
    /// The pack.
    pack: String,
    /// What was found, in words and with its place.
    found: Vec<Located>,
    /// How many more there were.
    more: usize,
}

impl Sights {
    /// Nothing found yet in the pack called `pack`.
    pub(super) fn new(pack: &str) -> Self {
        Self { pack: pack.to_owned(), found: Vec::new(), more: 0 }
    }

    /// Something at `pointer` of a metadata file.
    pub(super) fn at(&mut self, metadata: &Metadata, pointer: &str, what: impl Into<String>) {
        let place = metadata.document.place(pointer);
        self.add(Located::notice(&self.pack, &metadata.path, what).at(place));
    }

    /// Something in line `line` of a file.
    pub(super) fn in_line(&mut self, path: &str, line: usize, what: impl Into<String>) {
        let place = crate::yaml::Place::new(line, 1);
        self.add(Located::notice(&self.pack, path, what).at(place));
    }

    /// Advice for what was said last.
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        // Of what was only counted nobody reads the advice.
        if self.more == 0
            && let Some(last) = self.found.last_mut()
        {
            last.hint = Some(hint.into());
        }
    }

    /// The same, when there is advice.
    pub(super) fn maybe_hint(&mut self, hint: Option<String>) {
        hint.into_iter().for_each(|hint| self.hint(hint));
    }

    fn add(&mut self, located: Located) {
        if self.found.len() < SIGHTS_MAX {
            self.found.push(located);
        } else {
            self.more += 1;
        }
    }

    /// All that was found; the last one says how many more there are.
    pub(super) fn into_located(mut self) -> Vec<Located> {
        if let (Some(last), more @ 1..) = (self.found.last_mut(), self.more) {
            let text = format!(" (and {more} more of this kind)");
            last.message.push_str(&text);
        }
        self.found
    }
}

//! The content of a pack into definitions, with everything that is wrong with it.
//!
//! Order: trigger types, sensors, actions, rules, policies, so that who is named comes before who
//! names. One bad file never stops the others, and what is said of a file says its line. Loading is
//! a function of the content alone: the same digest gives the same definitions and the same
//! problems on every host, so history can be judged again with them.
//!
//! Whether what a rule names in other packs exists is no part of loading one: [`together`] says it
//! of many. Not here: what is in force (the marks in the event stream).

pub(crate) mod files;
mod program;
mod together;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hearken_engine::definition::{
    Action, PackManifest, Policy, Problem, Rule, RunnerKind, Sensor, TriggerType,
};
use hearken_engine::registry::PackDefinitions;
use hearken_proto::definition::Bundle;
use serde_json::Value;

use crate::bundle::Sealed;
use crate::source::MANIFESTS;
use crate::yaml::Format;
use crate::{Located, yaml};

use files::Metadata;
pub use together::together;

/// Folders whose files are known and not used yet.
const NOT_YET_USED: [&str; 3] = ["aliases", "checks", "collectors"];

/// The version that packs of 2014 say, three parts long as it is read.
const FIRST_VERSION: &str = "0.1.0";

/// The file that names a pack, whether it is there or not.
const MANIFEST: &str = "pack.yaml";

/// A pack, loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it defines.
    pub definitions: PackDefinitions,
    /// What it says of itself.
    pub manifest: Option<PackManifest>,
    /// Its own configuration, as packs of the first generation bring it; null when there is none.
    pub config: Value,
    /// The schema of the configuration that installations give; null when there is none.
    pub config_schema: Value,
    /// Files of kinds that are not used yet, by path.
    pub not_yet_used: Vec<String>,
    /// What is wrong, and what is worth knowing, in the order of loading.
    pub problems: Vec<Located>,
}

/// Loads a pack.
#[must_use]
pub fn load(sealed: &Sealed) -> Loaded {
    let bundle = sealed.bundle();
    let mut loader = Loader { bundle, problems: Vec::new(), has_old_runners: false };
    let manifest = loader.manifest();
    let triggers = loader.define("triggers", TriggerType::from_value, |found| &found.reference);
    let sensors = loader.sensors();
    let actions = loader.actions();
    let rules = loader.define("rules", Rule::from_value, |rule| &rule.reference);
    let policies = loader.define("policies", Policy::from_value, |policy| &policy.reference);
    let compares_text = loader.compares_text(manifest.as_ref(), &sensors, &rules);
    let config = loader.value("config");
    let config_schema = loader.value("config.schema");
    let not_yet_used = loader.not_yet_used();
    let definitions = PackDefinitions {
        name: bundle.name.clone(),
        digest: sealed.digest().to_owned(),
        compares_text,
        actions: actions.into_iter().map(Arc::new).collect(),
        rules,
        triggers,
        sensors,
        policies,
    };
    Loaded { definitions, manifest, config, config_schema, not_yet_used, problems: loader.problems }
}

/// What can be said of an action by looking at what is around its file.
fn judge(bundle: &Bundle, metadata: &Metadata, action: &Action) -> Vec<Located> {
    let pack = &bundle.name;
    let mut told = Vec::new();
    let is_unknown = matches!(action.runner, RunnerKind::Unsupported(_));
    if matches!(action.runner, RunnerKind::ActionChain | RunnerKind::Orquesta) {
        let message = "workflows are not supported yet: this action is listed and refused";
        told.push(metadata.problem(pack, Problem::notice("/runner_type", message)));
    }
    if !action.entry_point.is_empty() && !is_unknown {
        let missing = program::missing(bundle, "actions", &action.entry_point);
        let fault = |message| Problem::fatal("/entry_point", message);
        told.extend(missing.map(|message| metadata.problem(pack, fault(message))));
        told.extend(program::foreign_interpreter(bundle, &action.entry_point));
    }
    for pointer in program::foreign_defaults(&metadata.document.value) {
        let message = "this default is a place in StackStorm's installation";
        let notice = Problem::notice(pointer, message).hint("set the parameter when running it");
        told.push(metadata.problem(pack, notice));
    }
    told
}

/// [`load`], once for as long as somebody has what came of it: whoever asks again shares that.
#[must_use]
pub fn shared(sealed: &Sealed) -> Arc<Loaded> {
    /// What somebody has, by digest.
    static KNOWN: Mutex<BTreeMap<String, Weak<Loaded>>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = known().get(sealed.digest()).and_then(Weak::upgrade) {
        return loaded;
    }
    // Not under the lock: two that load the same at once lose nothing but time.
    let loaded = Arc::new(load(sealed));
    let mut known = known();
    known.retain(|_, loaded| loaded.strong_count() > 0);
    known.insert(sealed.digest().to_owned(), Arc::downgrade(&loaded));
    loaded
}

/// What a definition is made from: the pack's name and the value of a file.
type FromValue<T> = fn(&str, &Value) -> (Option<T>, Vec<Problem>);

/// A pack being loaded.
struct Loader<'bundle> {
    /// Its content.
    bundle: &'bundle Bundle,
    /// What has been found wrong.
    problems: Vec<Located>,
    /// Whether an action names its runner as the first generation did.
    has_old_runners: bool,
}

impl Loader<'_> {
    fn manifest(&mut self) -> Option<PackManifest> {
        let present = MANIFESTS.iter().find(|name| self.bundle.file(name).is_some());
        let format = present.and_then(|name| Format::of(name)).unwrap_or(Format::Yaml);
        let read =
            present.and_then(|name| files::read_one(self.bundle, name, format, &mut self.problems));
        let value = read.as_ref().map(|metadata| &metadata.document.value);
        let (manifest, problems) = PackManifest::from_value(&self.bundle.name, value);
        for problem in problems {
            let located = match &read {
                Some(metadata) => metadata.problem(&self.bundle.name, problem),
                // There is no manifest: what is said is about the name, which one could give.
                None => {
                    let Problem { message, hint, fatal, .. } = problem;
                    let pack = &self.bundle.name;
                    Located { hint, ..Located::new(pack, MANIFEST, fatal, message) }
                }
            };
            self.problems.push(located);
        }
        manifest
    }

    /// Every definition of one folder.
    fn define<T>(
        &mut self,
        folder: &str,
        from_value: FromValue<T>,
        reference: fn(&T) -> &String,
    ) -> Vec<T> {
        let read = self.read(folder, from_value, |_, _, _| Vec::new());
        self.only_last(read, reference)
    }

    /// Reads the definitions of one folder; those that `judge` finds a fatal fault with are lost.
    fn read<T>(
        &mut self,
        folder: &str,
        from_value: FromValue<T>,
        mut judge: impl FnMut(&Bundle, &Metadata, &T) -> Vec<Located>,
    ) -> Vec<(Metadata, T)> {
        let bundle = self.bundle;
        files::read_each(bundle, folder, &mut self.problems, |metadata, problems| {
            let (found, told) = from_value(&bundle.name, &metadata.document.value);
            problems.extend(told.into_iter().map(|told| metadata.problem(&bundle.name, told)));
            let found = found?;
            let told = judge(bundle, metadata, &found);
            let is_fatal = told.iter().any(|problem| problem.fatal);
            problems.extend(told);
            (!is_fatal).then(|| (metadata.outline(), found))
        })
    }

    /// Of two definitions with one name the later file counts, as with StackStorm.
    fn only_last<T>(
        &mut self,
        defined: Vec<(Metadata, T)>,
        reference: fn(&T) -> &String,
    ) -> Vec<T> {
        let mut kept: Vec<Option<(Metadata, T)>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (metadata, found) in defined {
            let name = reference(&found).clone();
            let hidden = places.insert(name, kept.len()).and_then(|at| kept.get_mut(at)?.take());
            if let Some((hidden, _)) = hidden {
                let message =
                    format!("{} defines {} as well: it counts", metadata.path, reference(&found));
                let told = hidden.problem(&self.bundle.name, Problem::notice("/name", message));
                self.problems.push(told);
            }
            kept.push(Some((metadata, found)));
        }
        kept.into_iter().flatten().map(|(_, found)| found).collect()
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut has_old_runners = false;
        let usable = self.read("actions", Action::from_value, |bundle, metadata, action| {
            let runner = metadata.text("runner_type").unwrap_or_default();
            has_old_runners |= runner.starts_with("run-") || runner.starts_with("run_");
            judge(bundle, metadata, action)
        });
        self.has_old_runners = has_old_runners;
        self.only_last(usable, |action| &action.reference)
    }

    fn sensors(&mut self) -> Vec<Sensor> {
        let has_metadata = files::names(self.bundle, "sensors").next().is_some();
        if !has_metadata {
            return self.sensors_without_metadata();
        }
        let usable = self.read("sensors", Sensor::from_value, |bundle, metadata, sensor| {
            let missing = program::missing(bundle, "sensors", &sensor.entry_point);
            let fault = |message| Problem::fatal("/entry_point", message);
            missing
                .map(|message| metadata.problem(&bundle.name, fault(message)))
                .into_iter()
                .collect()
        });
        self.only_last(usable, |sensor| &sensor.reference)
    }

    fn sensors_without_metadata(&mut self) -> Vec<Sensor> {
        let mut sensors = Vec::new();
        for (path, metadata) in program::classes_without_metadata(self.bundle) {
            let (sensor, _) = Sensor::from_value(&self.bundle.name, &metadata);
            let Some(sensor) = sensor else { continue };
            let message = format!(
                "sensor {} has no metadata: its trigger types are known when it starts",
                sensor.class_name
            );
            self.problems.push(Located::notice(&self.bundle.name, &path, message));
            sensors.push(sensor);
        }
        sensors
    }

    /// Whether the rules compare everything as text: the manifest says so, or actions and rules are
    /// all JSON and something else is of the first generation too, which compared that way.
    fn compares_text(
        &mut self,
        manifest: Option<&PackManifest>,
        sensors: &[Sensor],
        rules: &[Rule],
    ) -> bool {
        let said = manifest.is_some_and(|manifest| manifest.compares_text);
        let version = manifest.map_or("", |manifest| manifest.version.as_str());
        // Every pack of those days that said a version said this one.
        let is_later = !matches!(version, "" | FIRST_VERSION);
        let all_json = ["actions", "rules"]
            .iter()
            .flat_map(|folder| files::names(self.bundle, folder))
            .all(|(_, format)| format == Format::Json);
        let has_old_sensors =
            !sensors.is_empty() && files::names(self.bundle, "sensors").next().is_none();
        let has_actions = files::names(self.bundle, "actions").next().is_some();
        let has_rules_alone = !has_actions && version == FIRST_VERSION;
        let is_old = self.has_old_runners || has_old_sensors || has_rules_alone;
        if said || is_later || !all_json || !is_old {
            return said;
        }
        if rules.iter().any(|rule| !rule.criteria.is_empty()) {
            let message = "a pack of the first generation: its rules compare everything as text";
            let told = Located::notice(&self.bundle.name, MANIFEST, message);
            self.problems
                .push(told.hint("say a version above 0.1 in pack.yaml to compare by type"));
        }
        true
    }

    /// The value of a file at the top of the pack; null when there is none that can be read.
    fn value(&mut self, name: &str) -> Value {
        for ending in ["yaml", "yml", "json"] {
            let path = format!("{name}.{ending}");
            let Some(file) = self.bundle.file(&path) else { continue };
            let format = Format::of(&path).unwrap_or(Format::Yaml);
            match yaml::read_bytes(&file.content, format) {
                Ok(document) => return document.value,
                Err(error) => {
                    self.problems.push(Located::syntax(&self.bundle.name, &path, error));
                }
            }
        }
        Value::Null
    }

    fn not_yet_used(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for folder in NOT_YET_USED {
            let paths: Vec<&str> =
                files::names(self.bundle, folder).map(|(path, _)| path).collect();
            if let Some(first) = paths.first() {
                let count = paths.len();
                let message = format!("{folder} are not used yet: {count} listed from here on");
                self.problems.push(Located::notice(&self.bundle.name, first, message));
            }
            all.extend(paths.into_iter().map(str::to_owned));
        }
        all
    }
}

#[cfg(test)]
mod content;
#[cfg(test)]
mod tests;

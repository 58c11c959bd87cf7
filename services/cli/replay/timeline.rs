//! The definitions of then, with other packs in the place of some.
//!
//! What was in force is read from the marks in EVENTS; content by its digest from where it was
//! unpacked when it came into force.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearken_engine::registry::{PackDefinitions, Registry};
use hearken_packs::bundle::Sealed;
use hearken_packs::load;
use hearken_packs::source::{self, Roots};
use hearken_proto::Timestamp;
use hearken_proto::question::{EntryFilter, Shown};
use hearken_proto::record::{DEFINITIONS_TRIGGER, InForce};

use crate::error::{Failure, chain};
use crate::past::{self, Past};

/// Definitions along the event stream.
#[derive(Debug)]
pub(super) struct Timeline {
    data: PathBuf,
    /// Packs that take the place of those of then, by name.
    other: BTreeMap<String, PackDefinitions>,
    /// Content that was read, by digest; none where it is not to be had.
    known: HashMap<String, Option<PackDefinitions>>,
    mark: u64,
    registry: Arc<Registry>,
}

impl Timeline {
    /// The definitions in force at `since`.
    pub(super) fn new(
        past: &Past,
        data: &Path,
        folders: &[PathBuf],
        since: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        let (registry, _findings) = Registry::new(Vec::new(), &BTreeMap::new());
        let mut timeline = Self {
            data: data.to_owned(),
            other: packs(folders)?,
            known: HashMap::new(),
            mark: 0,
            registry: Arc::new(registry),
        };
        let before = since.map(|since| last_mark(past, since)).transpose()?.flatten();
        match before {
            Some(mark) => timeline.reach(past, &mark)?,
            None if !timeline.other.is_empty() => timeline.build(&InForce::default())?,
            None => {}
        }
        Ok(timeline)
    }

    /// The definitions for the next event.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Place of their mark.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// The longest that a rule of these definitions remembers.
    pub(super) fn period_max(&self) -> Duration {
        self.registry
            .rules()
            .filter_map(|live| live.rule.remember.as_ref())
            .map(hearken_engine::definition::Remember::period_max)
            .max()
            .unwrap_or_default()
    }

    /// Takes over what a mark puts in force.
    pub(super) fn reach(&mut self, _past: &Past, mark: &Shown) -> Result<(), Failure> {
        let in_force: InForce = serde_json::from_value(mark.body.clone())
            .map_err(|error| Failure::no(format!("the mark at {}: {error}", mark.sequence)))?;
        self.mark = mark.sequence;
        self.build(&in_force)
    }

    fn build(&mut self, in_force: &InForce) -> Result<(), Failure> {
        let mut packs = self.other.clone();
        for (name, digest) in &in_force.packs {
            if packs.contains_key(name) {
                continue;
            }
            match self.content(name, digest) {
                Some(definitions) => {
                    packs.insert(name.clone(), definitions);
                }
                None => return Err(missing(name, digest, &self.data)),
            }
        }
        let (registry, _findings) = Registry::new(packs.into_values(), &in_force.rules);
        self.registry = Arc::new(registry);
        Ok(())
    }

    fn content(&mut self, name: &str, digest: &str) -> Option<PackDefinitions> {
        if let Some(known) = self.known.get(digest) {
            return known.clone();
        }
        let folder = past::content(&self.data, name, digest);
        let read = source::read_pack(&folder).ok().and_then(|mut found| {
            // The folder is called by its digest; a pack without a manifest by its folder.
            name.clone_into(&mut found.bundle.name);
            Sealed::new(found.bundle).ok()
        });
        let definitions = read.map(|sealed| load::load(&sealed).definitions);
        self.known.insert(digest.to_owned(), definitions.clone());
        definitions
    }
}

fn missing(name: &str, digest: &str, data: &Path) -> Failure {
    let short = digest.get(..12).unwrap_or(digest);
    Failure::no(format!("the pack {name} of then ({short}…) is not in {}", data.display()))
        .hint("replay where the packs were loaded, or give this one too: --packs")
}

/// The mark in force at `time`.
fn last_mark(past: &Past, time: Timestamp) -> Result<Option<Shown>, Failure> {
    let filter = EntryFilter {
        stream: "EVENTS".to_owned(),
        subject: format!("event.{DEFINITIONS_TRIGGER}"),
        until: Some(time),
        descending: true,
        limit: 1,
        ..EntryFilter::default()
    };
    let (entries, _more) = past.page(filter)?;
    Ok(entries.into_iter().next())
}

/// The packs under `folders`.
fn packs(folders: &[PathBuf]) -> Result<BTreeMap<String, PackDefinitions>, Failure> {
    let mut packs = BTreeMap::new();
    for folder in folders {
        if !folder.is_dir() {
            return Err(Failure::usage(format!("{} is no folder", folder.display()))
                .hint("--packs takes a folder of packs, or one pack"));
        }
    }
    if folders.is_empty() {
        return Ok(packs);
    }
    let found = source::discover(&Roots { bundled: false, folders: folders.to_vec() });
    for pack in found.packs {
        let name = pack.bundle.name.clone();
        let sealed = Sealed::new(pack.bundle).map_err(|error| Failure::usage(chain(&error)))?;
        let loaded = load::load(&sealed);
        packs.insert(name, loaded.definitions);
    }
    Ok(packs)
}

//! What an installation consists of: the packs asked for, and before them those that they need.
//!
//! All of it is fetched, and looked through, before anything of it is put in place: a conflict, a
//! StackStorm that is too old or a dependency that cannot be had leaves everything as it was. Each
//! pack is looked at once, by its name, so packs that need each other are no endless loop; who is
//! in such a circle comes in the order in which it was met.
//!
//! What is installed already is left as it is. When its version is not the wanted one, that is a
//! conflict, and a person decides.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::choose::{self, Chosen};
use super::fetch::{self, Fetched};
use super::installer::Wanted;
use super::needs::Needs;
use super::program::Say;
use super::record::{self, Record, Register};
use super::{Error, Spec};
use crate::source::{bundled, said_of_itself};

/// How far a dependency may be from what was asked for.
const DEPTH_MAX: usize = 10;
/// Packs of one installation: the largest repository of packs that is known has 104.
const PACKS_MAX: usize = 1_000;

/// A pack that is to be put in place.
#[derive(Debug)]
pub(super) struct Planned {
    /// It, where it was fetched to.
    pub(super) pack: Chosen,
    /// Where it came from, without passwords.
    pub(super) source: String,
    /// The version that was asked for.
    pub(super) version: Option<String>,
    /// The commit that this was.
    pub(super) commit: Option<String>,
    /// What it says of its own version.
    says: Option<String>,
    /// What it needs.
    needs: Needs,
    /// Whether it was taken from this machine.
    is_local: bool,
    /// How far it is from what was asked for.
    depth: usize,
    /// What of this plan it needs, by place.
    before: Vec<usize>,
}

/// What [`plan`] looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// The folder of installed packs.
    pub(super) installed: &'a Path,
    /// Where the index of packs is.
    pub(super) index: &'a str,
    /// A folder to fetch to.
    pub(super) staging: &'a Path,
}

/// Fetches what is `wanted` and what that needs, in the order in which it is to be put in place.
pub(super) async fn plan(
    wanted: Wanted<'_>,
    around: Around<'_>,
    say: Say<'_>,
) -> Result<Vec<Planned>, Error> {
    let mut plan = Plan { around, wanted, packs: Vec::new() };
    let asked = Asked { spec: wanted.spec, only: wanted.only, by: None };
    plan.bring(asked, say).await?;
    let mut at = 0;
    while let Some(needs) = plan.packs.get(at).map(|planned| planned.needs.packs.clone()) {
        if wanted.is_alone {
            break;
        }
        for dependency in needs {
            plan.meet(at, &dependency, say).await?;
        }
        at += 1;
    }
    Ok(ordered(plan.packs))
}

/// A plan being made.
struct Plan<'a> {
    /// What is looked at.
    around: Around<'a>,
    /// What is to be installed.
    wanted: Wanted<'a>,
    /// What was fetched for it so far.
    packs: Vec<Planned>,
}

/// Something that is to be fetched.
struct Asked<'a> {
    /// Where it is.
    spec: &'a Spec,
    /// Only these packs of it.
    only: &'a [String],
    /// Which pack of the plan needs it.
    by: Option<usize>,
}

impl Plan<'_> {
    /// Sees to it that what the pack at `at` needs is there, or is part of the plan.
    async fn meet(&mut self, at: usize, text: &str, say: Say<'_>) -> Result<(), Error> {
        let Some(asking) = self.packs.get(at) else { return Ok(()) };
        let (by, depth) = (asking.pack.name.clone(), asking.depth);
        let failed = |source| Error::Dependency {
            pack: by.clone(),
            needs: text.to_owned(),
            source: Box::new(source),
        };
        let spec = Spec::parse_dependency(text, asking.is_local).map_err(failed)?;
        let names = fetch::names(&spec);
        let version = spec.version.as_deref();
        if let Some(found) = self.packs.iter().position(|one| names.contains(&one.pack.name)) {
            return self.add_edge(at, found, version).map_err(failed);
        }
        for name in &names {
            match self.fits_installed(name, version, say).map_err(failed)? {
                Some(()) => return Ok(()),
                None if bundled().iter().any(|found| found.bundle.name == *name) => return Ok(()),
                None => {}
            }
        }
        if depth >= DEPTH_MAX {
            let why = format!("packs that need packs are followed {DEPTH_MAX} times");
            return Err(failed(Error::Unsuited { pack: by.clone(), why }));
        }
        (say)(&format!("{by} needs {text}"));
        let brought = self.bring(Asked { spec: &spec, only: &[], by: Some(at) }, say).await;
        brought.map_err(failed)
    }

    /// Fetches, and adds what was found to the plan.
    async fn bring(&mut self, asked: Asked<'_>, say: Say<'_>) -> Result<(), Error> {
        let folder = self.around.staging.join(format!("from-{}", self.packs.len()));
        fs::create_dir(&folder).map_err(Error::io("create the folder", &folder))?;
        let fetched = fetch::fetch(asked.spec, self.around.index, &folder, say).await?;
        let found = choose::packs(&fetched.tree, &fetched.hint, asked.only, &fetched.source)?;
        for pack in found {
            self.add(pack, &fetched, &asked, say)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        pack: Chosen,
        fetched: &Fetched,
        asked: &Asked<'_>,
        say: Say<'_>,
    ) -> Result<(), Error> {
        let version = asked.spec.version.as_deref();
        if let Some(by) = asked.by {
            // What its manifest calls it may be another name than that of its repository.
            if let Some(found) = self.packs.iter().position(|one| one.pack.name == pack.name) {
                return self.add_edge(by, found, version);
            }
            if self.fits_installed(&pack.name, version, say)?.is_some() {
                return Ok(());
            }
        }
        if self.packs.len() >= PACKS_MAX {
            let why = format!("{PACKS_MAX} packs at a time are enough");
            return Err(Error::Unsuited { pack: pack.name, why });
        }
        let said = said_of_itself(&pack.folder);
        let needs = Needs::of(&said);
        if !self.wanted.is_forced {
            needs.check(&pack.name, say)?;
        }
        let depth = asked.by.and_then(|by| self.packs.get(by)).map_or(0, |one| one.depth + 1);
        let place = self.packs.len();
        if let Some(asking) = asked.by.and_then(|by| self.packs.get_mut(by)) {
            asking.before.push(place);
        }
        self.packs.push(Planned {
            pack,
            source: fetched.source.clone(),
            version: fetched.version.clone(),
            commit: fetched.commit.clone(),
            says: version_of(&said),
            needs,
            is_local: fetched.is_local,
            depth,
            before: Vec::new(),
        });
        Ok(())
    }

    /// The pack at `at` needs the one at `found`, in this version.
    fn add_edge(&mut self, at: usize, found: usize, version: Option<&str>) -> Result<(), Error> {
        if let Some(one) = self.packs.get(found) {
            let known = [&one.says, &one.version, &one.commit];
            fits(&one.pack.name, version, known, "to be installed as well")?;
        }
        if let Some(asking) = self.packs.get_mut(at) {
            asking.before.push(found);
        }
        Ok(())
    }

    /// Whether the pack `name` is installed, in this version.
    fn fits_installed(
        &self,
        name: &str,
        version: Option<&str>,
        say: Say<'_>,
    ) -> Result<Option<()>, Error> {
        let folder = self.around.installed.join(name);
        if !hearken_proto::definition::is_pack_name(name) || !folder.is_dir() {
            return Ok(None);
        }
        let says = version_of(&said_of_itself(&folder));
        let record: Option<Record> = record::read(self.around.installed, name)?;
        if record.as_ref().is_some_and(|record| record.register == Register::None) {
            (say)(&format!("{name}, which is needed, is there and not loaded"));
        }
        let (asked, commit) = record.map_or((None, None), |known| (known.version, known.commit));
        fits(name, version, [&says, &asked, &commit], "installed")?;
        Ok(Some(()))
    }
}

/// Whether a pack known by these versions is the wanted one; every one is when none is wanted.
fn fits(
    pack: &str,
    wanted: Option<&str>,
    known: [&Option<String>; 3],
    state: &'static str,
) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let mut known = known.into_iter().flatten();
    if known.clone().any(|version| plain(version) == plain(wanted)) {
        return Ok(());
    }
    let found = known.next().map_or_else(|| "no version".to_owned(), Clone::clone);
    Err(Error::Conflict { pack: pack.to_owned(), wanted: wanted.to_owned(), found, state })
}

/// Versions as they are compared: `v1.0` and `1.0.0` are one.
fn plain(version: &str) -> String {
    let version = version.strip_prefix('v').unwrap_or(version);
    let is_short = version.split('.').count() == 2
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_short { format!("{version}.0") } else { version.to_owned() }
}

/// The version that a manifest says, as text.
pub(super) fn version_of(said: &Value) -> Option<String> {
    match said.get("version")? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    }
}

/// Who is needed before who needs.
fn ordered(packs: Vec<Planned>) -> Vec<Planned> {
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for place in 0..packs.len() {
        visit(&packs, place, &mut seen, &mut order);
    }
    let mut packs: Vec<Option<Planned>> = packs.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| packs.get_mut(place)?.take()).collect()
}

/// As deep as packs need packs, which is bounded.
fn visit(packs: &[Planned], place: usize, seen: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
    if !seen.insert(place) {
        return;
    }
    for before in packs.get(place).map_or(&[][..], |planned| &planned.before) {
        visit(packs, *before, seen, order);
    }
    order.push(place);
}

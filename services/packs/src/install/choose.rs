//! Which packs are in what was fetched, and what they are called.
//!
//! A repository is a pack, or holds packs in `packs/` as those of the first generation do, or at
//! its top. An archive may have all of it in one folder.

use std::fs;
use std::path::{Path, PathBuf};

use hearken_proto::definition::is_pack_name;
use serde_json::Value;

use super::Error;
use crate::source::{is_bundled, is_pack, pack_folders, said_of_itself};

/// Where repositories of the first generation keep their packs.
const PACKS: &str = "packs";

/// A pack that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// What references to it begin with.
    pub(super) name: String,
    /// Where it was found.
    pub(super) folder: PathBuf,
}

/// The packs in `tree` that are among `only`, or all of them. `hint` names the one pack that
/// says no name itself; `shown` is where the tree came from.
pub(super) fn packs(
    tree: &Path,
    hint: &str,
    only: &[String],
    shown: &str,
) -> Result<Vec<Chosen>, Error> {
    let tree = &wrapped(tree);
    let folders = tree.join(PACKS);
    let found: Vec<Chosen> = if is_pack(tree) && !has_manifest_of_none(tree) {
        vec![chosen(tree, hint, shown)?]
    } else {
        let within = if folders.is_dir() { &folders } else { tree };
        let named = |folder: &PathBuf| {
            let own = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            chosen(folder, own, shown)
        };
        pack_folders(within).iter().map(named).collect::<Result<_, _>>()?
    };
    if found.is_empty() {
        return Err(Error::NoPack { what: shown.to_owned() });
    }
    let found = if only.is_empty() { found } else { these(&found, only, shown)? };
    // It would take the place of what all others rest on, and nobody would see it.
    if let Some(bundled) = found.iter().find(|chosen| is_bundled(&chosen.name)) {
        let name = &bundled.name;
        let why = format!("{name} is a bundled pack: to change it copy it to a folder of packs");
        return Err(Error::Refused { what: format!("the pack {name} of {shown}"), why });
    }
    Ok(found)
}

/// Those of `found` that are called as `only` says.
fn these(found: &[Chosen], only: &[String], shown: &str) -> Result<Vec<Chosen>, Error> {
    let wanted = |name: &String| {
        let own = |chosen: &&Chosen| chosen.name == *name || chosen.folder.ends_with(name);
        let what = format!("{shown} called {name:?}");
        found.iter().find(own).cloned().ok_or(Error::NoPack { what })
    };
    only.iter().map(wanted).collect()
}

/// Whether `tree` looks like a pack only because it has a folder of packs.
fn has_manifest_of_none(tree: &Path) -> bool {
    let manifest = crate::source::MANIFESTS.iter().any(|name| tree.join(name).is_file());
    !manifest && !pack_folders(&tree.join(PACKS)).is_empty()
}

/// The only folder in `tree` when there is nothing else in it.
fn wrapped(tree: &Path) -> PathBuf {
    if is_pack(tree) {
        return tree.to_owned();
    }
    let Ok(listing) = fs::read_dir(tree) else { return tree.to_owned() };
    let mut entries = listing.flatten().map(|entry| entry.path()).filter(|path| {
        !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    });
    match (entries.next(), entries.next()) {
        (Some(only), None) if only.is_dir() && !only.ends_with(PACKS) => only,
        _ => tree.to_owned(),
    }
}

fn chosen(folder: &Path, hint: &str, shown: &str) -> Result<Chosen, Error> {
    let said = said_of_itself(folder);
    let text = |key| said.get(key).and_then(Value::as_str);
    let is_modern = |name: &&str| {
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    // As StackStorm: the reference, else the name if it could be one, else what it is called here.
    let name = text("ref").or_else(|| text("name").filter(is_modern)).unwrap_or(hint);
    if !is_pack_name(name) || name.starts_with('_') {
        let what = format!("the pack in {shown}");
        let why = format!("{name:?} cannot name a pack: letters, digits, _ and - can, in its ref");
        return Err(Error::Refused { what, why });
    }
    Ok(Chosen { name: name.to_owned(), folder: folder.to_owned() })
}

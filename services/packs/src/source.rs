//! Where packs come from, and which of two with one name counts.
//!
//! The bundled packs come first, then each root in the order given; a later one wins by name, with
//! a notice, so that a bundled pack is changed by copying it. Nothing is kept between two readings:
//! what is on disk now is the answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hearken_engine::definition::PackManifest;
use hearken_proto::definition::{Bundle, BundleFile, is_pack_name};
use serde_json::Value;

use crate::bundle::{FILE_BYTES_MAX, is_ignored, read_folder};
use crate::install::{self, Register};
use crate::yaml::{self, Format};
use crate::{Error, Located};

/// Folders that only a pack has; one of them is enough to be one.
const FOLDERS: [&str; 9] = [
    "actions",
    "aliases",
    "cases",
    "checks",
    "collectors",
    "policies",
    "rules",
    "sensors",
    "triggers",
];

/// Names of the manifest, the first that is there counts.
pub(crate) const MANIFESTS: [&str; 3] = ["pack.yaml", "pack.yml", "pack.json"];

/// Packs in one root; whoever has more gave the wrong folder.
const PACKS_MAX: usize = 2_000;

/// The bundled packs: name, and path, executable or not, and bytes of each file.
type Embedded = &'static [(&'static str, &'static [(&'static str, bool, &'static [u8])])];

/// What the build found in `packs/`.
static EMBEDDED: Embedded = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Where to look for packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Whether the packs in the binary take part.
    pub bundled: bool,
    /// Folders that hold packs, or are one; later ones win.
    pub folders: Vec<PathBuf>,
}

/// Where a pack was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the binary.
    Bundled,
    /// In this folder.
    Folder(PathBuf),
}

/// A pack that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its content.
    pub bundle: Bundle,
    /// Where it was found.
    pub origin: Origin,
    /// What is wrong with single files as files.
    pub problems: Vec<Located>,
}

/// All packs that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// One per name, sorted by name.
    pub packs: Vec<Found>,
    /// What is wrong with folders that are no packs, and which packs hide others.
    pub problems: Vec<Located>,
}

/// Reads every pack under the roots. Blocks for as long as the disk takes.
#[must_use]
pub fn discover(roots: &Roots) -> Discovery {
    let mut search = Search::default();
    if roots.bundled {
        bundled().into_iter().for_each(|found| search.add(found));
    }
    for root in &roots.folders {
        search.root(root);
    }
    Discovery { packs: search.packs.into_values().collect(), problems: search.problems }
}

/// The packs in the binary.
#[must_use]
pub fn bundled() -> Vec<Found> {
    EMBEDDED.iter().map(|(name, files)| embedded(name, files)).collect()
}

/// Whether a pack of this name is in the binary.
#[must_use]
pub(crate) fn is_bundled(name: &str) -> bool {
    EMBEDDED.iter().any(|(known, _)| *known == name)
}

fn embedded(name: &str, files: &[(&str, bool, &[u8])]) -> Found {
    let mut files: Vec<BundleFile> = files
        .iter()
        .map(|(path, executable, content)| BundleFile {
            path: (*path).to_owned(),
            executable: *executable,
            content: content.to_vec(),
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let bundle = Bundle { name: name.to_owned(), files };
    Found { bundle, origin: Origin::Bundled, problems: Vec::new() }
}

/// Reads one folder as a pack, whatever it is called.
///
/// # Errors
/// As [`read_folder`], and [`Error::Name`] when neither its manifest nor its own name can name a
/// pack.
pub fn read_pack(folder: &Path) -> Result<Found, Error> {
    let name = name_of(folder).map_err(|name| Error::Name { folder: folder.to_owned(), name })?;
    let (bundle, problems) = read_folder(&name, folder)?;
    Ok(Found { bundle, origin: Origin::Folder(folder.to_owned()), problems })
}

/// Whether `folder` is a pack itself and not a folder of packs.
#[must_use]
pub fn is_pack(folder: &Path) -> bool {
    if has_manifest(folder) {
        return true;
    }
    // A folder of packs may hold one that is called `checks`.
    looks_like_pack(folder) && !subfolders(folder).iter().any(|sub| looks_like_pack(sub))
}

/// The folders in `folder` that look like packs, by name.
#[must_use]
pub(crate) fn pack_folders(folder: &Path) -> Vec<PathBuf> {
    let mut packs = subfolders(folder);
    packs.retain(|sub| looks_like_pack(sub));
    packs
}

fn looks_like_pack(folder: &Path) -> bool {
    has_manifest(folder) || FOLDERS.iter().any(|name| folder.join(name).is_dir())
}

fn has_manifest(folder: &Path) -> bool {
    MANIFESTS.iter().any(|name| folder.join(name).is_file())
}

/// Folders in `folder` that are not ignored, by name; none when it cannot be read.
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = listing
        .flatten()
        .filter(|entry| !is_ignored(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .filter(|place| place.is_dir())
        .take(PACKS_MAX)
        .collect();
    folders.sort();
    folders
}

/// What the manifest in `folder` says, as far as it can be read.
#[must_use]
pub(crate) fn said_of_itself(folder: &Path) -> Value {
    let manifest = MANIFESTS.iter().map(|name| folder.join(name)).find(|place| place.is_file());
    manifest.map_or(Value::Null, |place| read_manifest(&place))
}

/// What the pack in `folder` is called; what it would be called, when that cannot be a pack's name.
fn name_of(folder: &Path) -> Result<String, String> {
    let mut said = said_of_itself(folder);
    // Whatever else is wrong with the manifest is told with its line when the pack is loaded.
    if let Value::Object(members) = &mut said {
        members.retain(|key, value| matches!(key.as_str(), "ref" | "name") && value.is_string());
    } else {
        said = Value::Null;
    }
    let full = folder.canonicalize();
    let full = full.as_deref().unwrap_or(folder);
    let own = full.file_name().unwrap_or_default().to_string_lossy();
    let (manifest, _) = PackManifest::from_value(&own, Some(&said));
    let name = manifest.map(|manifest| manifest.name).filter(|name| is_pack_name(name));
    name.ok_or_else(|| said.get("ref").and_then(Value::as_str).unwrap_or(&own).to_owned())
}

/// A manifest's value; null when it cannot be read, which loading tells with the line.
fn read_manifest(place: &Path) -> Value {
    let small = fs::metadata(place).is_ok_and(|metadata| metadata.len() <= FILE_BYTES_MAX);
    let format = Format::of(&place.to_string_lossy()).unwrap_or(Format::Yaml);
    let bytes = if small { fs::read(place).unwrap_or_default() } else { Vec::new() };
    yaml::read_bytes(&bytes, format).map_or(Value::Null, |document| document.value)
}

/// The search in progress.
#[derive(Default)]
struct Search {
    /// The winners so far.
    packs: BTreeMap<String, Found>,
    /// What is wrong.
    problems: Vec<Located>,
}

impl Search {
    fn root(&mut self, root: &Path) {
        let shown = root.display().to_string();
        if !root.is_dir() {
            let told = Located::notice("", &shown, "there is no such folder of packs yet");
            self.problems.push(told.hint("packs are loaded as soon as it is there"));
            return;
        }
        if is_pack(root) {
            let told =
                Located::notice("", &shown, "this folder is a pack and not a folder of packs");
            self.problems.push(told.hint("it is loaded as the one pack it is"));
            self.folder(root);
            return;
        }
        for folder in pack_folders(root) {
            self.folder(&folder);
        }
    }

    fn folder(&mut self, folder: &Path) {
        match read_pack(folder) {
            Ok(found) => {
                if let Some(found) = self.registered(folder, found) {
                    self.add(found);
                }
            }
            Err(error) => {
                let place = folder.display().to_string();
                let told = Located::fault("", &place, error.whole_text());
                self.problems.push(told);
            }
        }
    }

    /// What is to be in force of a pack that was installed; all of one that was copied here.
    fn registered(&mut self, folder: &Path, mut found: Found) -> Option<Found> {
        let (root, own) = (folder.parent()?, folder.file_name()?.to_str()?);
        let shown = folder.display().to_string();
        let name = found.bundle.name.clone();
        let register = match install::read_record(root, own) {
            Ok(None) => return Some(found),
            Ok(Some(record)) => record.register,
            Err(error) => {
                // Nobody is surprised by rules that do not run as by those that do.
                let told = format!("{error}: its rules are left out");
                self.problems.push(Located::fault(&name, &shown, told));
                Register::Content
            }
        };
        match register {
            Register::All => Some(found),
            Register::Content => {
                let before = found.bundle.files.len();
                found.bundle.files.retain(|file| !file.path.starts_with("rules/"));
                if found.bundle.files.len() < before {
                    let told = Located::notice(&name, "rules", "its rules are not loaded");
                    let hint = format!("hearken pack load {name} --register rules");
                    self.problems.push(told.hint(hint));
                }
                Some(found)
            }
            Register::None => {
                let told = Located::notice(&name, &shown, "it is there and not loaded");
                self.problems.push(told.hint(format!("hearken pack load {name}")));
                None
            }
        }
    }

    fn add(&mut self, found: Found) {
        let name = found.bundle.name.clone();
        let place = found.origin.to_string();
        if let Some(hidden) = self.packs.insert(name.clone(), found) {
            let message =
                format!("the pack {name} of {place} takes the place of {}", hidden.origin);
            self.problems.push(Located::notice("", &place, message));
        }
    }
}

/// As it stands in messages.
impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bundled => formatter.write_str("the bundled packs"),
            Self::Folder(folder) => write!(formatter, "{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests;

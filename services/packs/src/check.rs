//! What `hearken pack check DIR` says: everything that is wrong in a folder, with file and line.
//!
//! It reads what `up` would read, by the same functions, so that a pack that checks clean loads;
//! what loading says becomes a [`Finding`] with a name (`told`). Beyond that a table of rows looks
//! for what loads and does not do what its author meant (`table`): a row is a function that gets
//! the files of one pack and what all packs define (`material`). What packs name in each other and
//! in the bundled ones is looked up; others are not known here.
//!
//! Nothing of a pack is run, and printing is the caller's: this makes the text, the JSON and the
//! decision.

mod actions;
mod config;
mod criteria;
mod finding;
mod manifest;
mod material;
mod names;
mod programs;
mod rules;
mod sensors;
mod table;
mod timers;
mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hearken_proto::Timestamp;
use serde_json::{Value, json};

use crate::bundle::Sealed;
use crate::load::{Loaded, load, together};
use crate::source::{bundled, is_pack, pack_folders, read_pack};
use crate::{Error, Located};

pub use finding::{Finding, Level};
use material::{Documents, Known, Material, Sights};
use table::TABLE;

/// What the check is told, since it looks at neither clock nor installation.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// From when on the ticks of timers are shown.
    pub now: Timestamp,
    /// Where the installation keeps the values that configure packs, `<pack>.yaml` each.
    pub configs: Option<PathBuf>,
}

/// What is to be said of a folder.
#[derive(Clone, Debug)]
pub struct Report {
    /// The packs in it, by name.
    pub packs: Vec<Loaded>,
    /// What there is to say, pack by pack, in the order of files and lines.
    pub findings: Vec<Finding>,
    /// The folder of each pack as it was given, for text that an editor can follow.
    folders: BTreeMap<String, PathBuf>,
}

/// A pack with its content.
#[derive(Clone, Debug)]
struct Read {
    /// Its content.
    sealed: Sealed,
    /// What it means.
    loaded: Loaded,
    /// Where it was found, unless it is in the binary.
    folder: Option<PathBuf>,
}

/// Checks the pack in `folder`, or every pack under it.
///
/// # Errors
/// [`Error::NoPack`] when there is none; [`Error::Io`] when the folder cannot be read.
pub fn check(folder: &Path, surroundings: &Surroundings) -> Result<Report, Error> {
    std::fs::read_dir(folder).map_err(Error::io("read the folder", folder))?;
    let folders = if is_pack(folder) { vec![folder.to_owned()] } else { pack_folders(folder) };
    if folders.is_empty() {
        return Err(Error::NoPack(folder.to_owned()));
    }
    let mut report = Report { packs: Vec::new(), findings: Vec::new(), folders: BTreeMap::new() };
    let mut all = BUNDLED.clone();
    for folder in folders {
        if let Some(read) = report.add(&folder) {
            all.insert(read.sealed.bundle().name.clone(), read);
        }
    }
    report.look_together(&all);
    report.look_closer(&all, surroundings);
    report.packs =
        all.into_values().filter(|read| read.folder.is_some()).map(|r| r.loaded).collect();
    report.findings.sort_by(|one, other| one.order().cmp(&other.order()));
    // Actions that share a program share what there is to say of it.
    report.findings.dedup();
    Ok(report)
}

/// The packs in the binary, by name; they are the same as long as it runs.
static BUNDLED: LazyLock<BTreeMap<String, Read>> = LazyLock::new(|| {
    let read = bundled().into_iter().filter_map(|found| {
        let sealed = Sealed::new(found.bundle).ok()?;
        let loaded = load(&sealed);
        Some((sealed.bundle().name.clone(), Read { sealed, loaded, folder: None }))
    });
    read.collect()
});

impl Report {
    /// Whether everything in the folder can be in force: what decides the exit code.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.level != Level::Error)
    }

    /// One finding per line, `file:line: error: … [id]`, reason and advice indented below; then a
    /// line per pack.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines: Vec<String> =
            self.findings.iter().map(|finding| self.finding_text(finding)).collect();
        lines.extend(self.packs.iter().map(|pack| self.summary(pack)));
        lines.push(String::new());
        lines.join("\n")
    }

    /// The findings as a list.
    #[must_use]
    pub fn json(&self) -> Value {
        json!(self.findings)
    }

    /// Adds the pack in a folder; answers it if it is the first of its name.
    fn add(&mut self, folder: &Path) -> Option<Read> {
        let read = read_pack(folder).and_then(|found| {
            let sealed = Sealed::new(found.bundle)?;
            Ok((found.problems, load(&sealed), sealed))
        });
        match read {
            Ok((problems, mut loaded, sealed)) => {
                let name = sealed.bundle().name.clone();
                let told = problems.into_iter().chain(std::mem::take(&mut loaded.problems));
                self.findings.extend(told.filter_map(|told| told::finding(told, told::ALONE)));
                if let Some(other) = self.folders.get(&name) {
                    let message = format!("{} is the pack {name} as well", other.display());
                    let told = Located::fault("", &folder.display().to_string(), message);
                    self.say(
                        told.hint("rename one, or give it another ref"),
                        "duplicate-pack",
                        "of two packs of one name only one is in force",
                    );
                    return None;
                }
                self.folders.insert(name, folder.to_owned());
                Some(Read { sealed, loaded, folder: Some(folder.to_owned()) })
            }
            Err(error) => {
                let place = folder.display().to_string();
                let told = Located::fault("", &place, error.whole_text());
                self.say(told, "unusable-pack", "nothing of the folder is in force");
                None
            }
        }
    }

    fn say(&mut self, located: Located, id: &'static str, why: &'static str) {
        self.findings.push(Finding::of(located, id, Level::Error, why));
    }

    /// What shows only when all packs are together.
    fn look_together(&mut self, all: &BTreeMap<String, Read>) {
        // The bundled packs are always there; of what they say only what is the folder's counts.
        let packs: Vec<_> =
            all.values().map(|read| (&read.sealed, &read.loaded.definitions)).collect();
        let found = together(&packs).into_iter();
        let own = found.filter(|told| self.folders.contains_key(&told.pack));
        let findings: Vec<_> = own.filter_map(|told| told::finding(told, told::TOGETHER)).collect();
        self.findings.extend(findings);
    }

    /// What the rows of the table find.
    fn look_closer(&mut self, all: &BTreeMap<String, Read>, surroundings: &Surroundings) {
        let known = Known::new(all.values().map(|read| (&read.sealed, &read.loaded.definitions)));
        for Read { sealed, loaded, folder } in all.values() {
            let Some(folder) = folder else { continue };
            let bundle = sealed.bundle();
            let documents = Documents::read(bundle);
            let material = Material::new(folder, bundle, loaded, &documents, &known, surroundings);
            for row in TABLE {
                let mut sights = Sights::new(&bundle.name);
                (row.find)(&material, &mut sights);
                let found = sights.into_located().into_iter();
                self.findings.extend(found.map(|at| Finding::of(at, row.id, row.level, row.why)));
            }
        }
    }

    fn finding_text(&self, finding: &Finding) -> String {
        let Finding { id, level, pack, file, line, what, why, hint, .. } = finding;
        let place = match self.folders.get(pack) {
            Some(folder) => folder.join(file).display().to_string(),
            None => file.clone(),
        };
        let (place, what, level) = (printable(&place), printable(what), level.word());
        let mut text = format!("{place}:{line}: {level}: {what} [{id}]\n  why: {why}");
        if let Some(hint) = hint {
            text.push_str("\n  hint: ");
            text.push_str(&printable(hint));
        }
        text
    }

    fn summary(&self, pack: &Loaded) -> String {
        let defined = &pack.definitions;
        let of_pack = |level: Level| {
            let belongs =
                |finding: &&Finding| finding.pack == defined.name && finding.level == level;
            self.findings.iter().filter(belongs).count()
        };
        format!(
            "{}: {}, {}, {}, {}; {}, {}, {}",
            defined.name,
            counted(defined.actions.len(), "action"),
            counted(defined.rules.len(), "rule"),
            counted(defined.sensors.len(), "sensor"),
            counted(defined.triggers.len(), "trigger type"),
            counted(of_pack(Level::Error), "error"),
            counted(of_pack(Level::Warning), "warning"),
            counted(of_pack(Level::Notice), "notice"),
        )
    }
}

/// File names and what files say are the author's: none may write a line of its own.
fn printable(text: &str) -> String {
    text.chars().map(|next| if next.is_control() { '\u{fffd}' } else { next }).collect()
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests;

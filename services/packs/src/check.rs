//! What `hearken pack check DIR` says: everything that is wrong in a folder, with file and line.
//!
//! It reads what `up` would read, by the same functions, so that a pack that checks clean loads.
//! What packs name in each other and in the bundled ones is looked up; others are not known here.
//! Printing is the caller's: this makes the text, the JSON and the decision.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hearken_engine::registry::PackDefinitions;
use serde_json::{Value, json};

use crate::bundle::Sealed;
use crate::load::{Loaded, load, together};
use crate::source::{Roots, discover, is_pack, pack_folders, read_pack};
use crate::{Error, Located};

/// What is to be said of a folder.
#[derive(Clone, Debug)]
pub struct Report {
    /// The packs in it, by name.
    pub packs: Vec<Loaded>,
    /// What is wrong and what is worth knowing, pack by pack, in the order of files and lines.
    pub problems: Vec<Located>,
    /// The folder of each pack as it was given, for text that an editor can follow.
    folders: BTreeMap<String, PathBuf>,
}

/// Checks the pack in `folder`, or every pack under it.
///
/// # Errors
/// [`Error::NoPack`] when there is none; [`Error::Io`] when the folder cannot be read.
pub fn check(folder: &Path) -> Result<Report, Error> {
    std::fs::read_dir(folder).map_err(Error::io("read the folder", folder))?;
    let folders = if is_pack(folder) { vec![folder.to_owned()] } else { pack_folders(folder) };
    if folders.is_empty() {
        return Err(Error::NoPack(folder.to_owned()));
    }
    let mut report = Report { packs: Vec::new(), problems: Vec::new(), folders: BTreeMap::new() };
    let mut sealed = bundled();
    for folder in folders {
        if let Some((own, definitions)) = report.add(&folder) {
            sealed.insert(definitions.name.clone(), (own, definitions));
        }
    }
    // The bundled packs are always there; of what they say only what is the folder's counts.
    let packs: Vec<_> = sealed.values().map(|(sealed, loaded)| (sealed, loaded)).collect();
    let found = together(&packs);
    let is_own = |problem: &Located| report.folders.contains_key(&problem.pack);
    let found: Vec<Located> = found.into_iter().filter(is_own).collect();
    report.problems.extend(found);
    report.packs.sort_by(|one, other| one.definitions.name.cmp(&other.definitions.name));
    report.problems.sort_by(|one, other| order(one).cmp(&order(other)));
    Ok(report)
}

/// The packs in the binary, by name.
fn bundled() -> BTreeMap<String, (Sealed, PackDefinitions)> {
    let roots = Roots { bundled: true, folders: Vec::new() };
    let sealed = discover(&roots).packs.into_iter().filter_map(|found| {
        let sealed = Sealed::new(found.bundle).ok()?;
        let definitions = load(&sealed).definitions;
        Some((definitions.name.clone(), (sealed, definitions)))
    });
    sealed.collect()
}

/// Problems come in the order in which one would walk through the files.
fn order(problem: &Located) -> (&str, &str, u32, u32) {
    (&problem.pack, &problem.file, problem.line, problem.column)
}

impl Report {
    /// Whether everything in the folder can be in force: what decides the exit code.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.problems.iter().any(|problem| problem.fatal)
    }

    /// One problem per line, `file:line: error: …`, hints indented below; then a line per pack.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines: Vec<String> =
            self.problems.iter().map(|problem| self.problem_text(problem)).collect();
        lines.extend(self.packs.iter().map(|pack| self.summary(pack)));
        lines.push(String::new());
        lines.join("\n")
    }

    /// The same as a value: `{ok, packs, problems}`.
    #[must_use]
    pub fn json(&self) -> Value {
        let packs: Vec<Value> = self.packs.iter().map(pack_json).collect();
        json!({"ok": self.is_clean(), "packs": packs, "problems": self.problems})
    }

    /// Adds the pack in a folder; answers it if it is the first of its name.
    fn add(&mut self, folder: &Path) -> Option<(Sealed, PackDefinitions)> {
        let read = read_pack(folder).and_then(|found| {
            let sealed = Sealed::new(found.bundle)?;
            Ok((found.problems, load(&sealed), sealed))
        });
        match read {
            Ok((problems, mut loaded, sealed)) => {
                let name = sealed.bundle().name.clone();
                let definitions = loaded.definitions.clone();
                self.problems.extend(problems);
                self.problems.append(&mut loaded.problems);
                self.packs.push(loaded);
                if let Some(other) = self.folders.get(&name) {
                    let message = format!("{} is the pack {name} as well", other.display());
                    let told = Located::fault("", &folder.display().to_string(), message);
                    self.problems.push(told.hint("rename one, or give it another ref"));
                    return None;
                }
                self.folders.insert(name, folder.to_owned());
                Some((sealed, definitions))
            }
            Err(error) => {
                let place = folder.display().to_string();
                self.problems.push(Located::fault("", &place, error.whole_text()));
                None
            }
        }
    }

    fn problem_text(&self, problem: &Located) -> String {
        let Located { pack, file, line, message, .. } = problem;
        let place = match self.folders.get(pack) {
            Some(folder) => folder.join(file).display().to_string(),
            None => file.clone(),
        };
        let weight = if problem.fatal { "error" } else { "notice" };
        let mut text = format!("{}:{line}: {weight}: {message}", printable(&place));
        if let Some(hint) = &problem.hint {
            text.push_str("\n  hint: ");
            text.push_str(hint);
        }
        text
    }

    fn summary(&self, pack: &Loaded) -> String {
        let defined = &pack.definitions;
        let of_pack = |fatal: bool| {
            let belongs =
                |problem: &&Located| problem.pack == defined.name && problem.fatal == fatal;
            self.problems.iter().filter(belongs).count()
        };
        format!(
            "{}: {}, {}, {}, {}; {}, {}",
            defined.name,
            counted(defined.actions.len(), "action"),
            counted(defined.rules.len(), "rule"),
            counted(defined.sensors.len(), "sensor"),
            counted(defined.triggers.len(), "trigger type"),
            counted(of_pack(true), "error"),
            counted(of_pack(false), "notice"),
        )
    }
}

/// File names are the author's: none may write a second line.
fn printable(place: &str) -> String {
    place.chars().map(|next| if next.is_control() { '\u{fffd}' } else { next }).collect()
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn pack_json(pack: &Loaded) -> Value {
    let defined = &pack.definitions;
    let version = pack.manifest.as_ref().map(|manifest| manifest.version.as_str());
    let actions: Vec<_> = defined.actions.iter().map(|action| &action.reference).collect();
    let rules: Vec<_> = defined.rules.iter().map(|rule| &rule.reference).collect();
    let triggers: Vec<_> = defined.triggers.iter().map(|found| &found.reference).collect();
    let sensors: Vec<_> = defined.sensors.iter().map(|sensor| &sensor.reference).collect();
    json!({
        "name": defined.name,
        "version": version,
        "digest": defined.digest,
        "actions": actions,
        "rules": rules,
        "trigger_types": triggers,
        "sensors": sensors,
        "not_yet_used": pack.not_yet_used,
    })
}

#[cfg(test)]
mod tests;

//! What there is to say of a pack as a whole, and of how its files are written.

use std::path::Path;

use serde_json::Value;

use super::material::{Material, Sights};
use crate::bundle::is_ignored;
use crate::source::MANIFESTS;
use crate::yaml::Format;

/// Folders whose files define something.
const FOLDERS: [&str; 6] = ["actions", "aliases", "policies", "rules", "sensors", "triggers"];

/// What people call them by mistake.
const MISNAMED: [(&str, &str); 8] = [
    ("action", "actions"),
    ("alias", "aliases"),
    ("chatops", "aliases"),
    ("policy", "policies"),
    ("rule", "rules"),
    ("sensor", "sensors"),
    ("trigger", "triggers"),
    ("workflows", "actions/workflows"),
];

/// Folders of metadata in which programs have no business, so that what is deeper is metadata too.
const PLAIN: [&str; 4] = ["aliases", "policies", "rules", "triggers"];

/// Names looked at in one folder of the disk; a pack of more files is refused as a whole.
const NAMES_MAX: usize = 20_000;

/// A manifest that says nothing.
pub(super) fn empty(material: &Material<'_>, sights: &mut Sights) {
    let Some(manifest) = &material.documents.manifest else { return };
    if manifest.document.value.is_null() {
        sights.at(manifest, "", format!("{} is empty", manifest.path));
        sights.hint("say at least ref, name, description, version and author");
    }
}

/// Metadata in JSON, said once of all of it.
pub(super) fn json(material: &Material<'_>, sights: &mut Sights) {
    let is_json = |path: &&str| Format::of(path) == Some(Format::Json);
    let manifest = material.documents.manifest.iter();
    let all = manifest.chain(material.documents.all()).map(|metadata| metadata.path.as_str());
    let paths: Vec<&str> = all.filter(is_json).collect();
    let Some(first) = paths.first() else { return };
    let more = match paths.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more files"),
    };
    sights.in_line(first, 1, format!("metadata in JSON: this file{more}"));
    sights.hint("YAML reads JSON: it is enough to name the files .yaml, without trailing commas");
}

/// JSON with the liberties people take.
pub(super) fn lenient(material: &Material<'_>, sights: &mut Sights) {
    for metadata in material.documents.manifest.iter().chain(material.documents.all()) {
        let file = material.bundle.file(&metadata.path);
        let (Some(file), Some(Format::Json)) = (file, Format::of(&metadata.path)) else { continue };
        let text = file.content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.content);
        let is_blank = text.iter().all(u8::is_ascii_whitespace);
        if let (Err(error), false) = (serde_json::from_slice::<Value>(text), is_blank) {
            let what = if error.to_string().starts_with("trailing comma") {
                "a comma before the end of a list or mapping".to_owned()
            } else {
                "this is no strict JSON".to_owned()
            };
            sights.in_line(&metadata.path, error.line(), what);
        }
    }
}

/// A pack for Python 2 alone.
pub(super) fn python2_only(material: &Material<'_>, sights: &mut Sights) {
    let Some(manifest) = &material.documents.manifest else { return };
    let said = material.documents.manifest_says("python_versions").and_then(Value::as_array);
    let is_two = |version: &Value| match version.as_str() {
        Some(text) => text.starts_with('2'),
        None => version.as_f64().is_some_and(|number| (2.0..3.0).contains(&number)),
    };
    if said.is_some_and(|versions| !versions.is_empty() && versions.iter().all(is_two)) {
        sights.at(manifest, "/python_versions", "the pack says that it is for Python 2 only");
        sights.hint("port it, then write python_versions: [\"3\"]");
    }
}

/// Metadata where nobody looks for it.
pub(super) fn not_read(material: &Material<'_>, sights: &mut Sights) {
    for file in &material.bundle.files {
        let path = file.path.as_str();
        let (Some((folder, rest)), Some(_)) = (path.split_once('/'), Format::of(path)) else {
            continue;
        };
        let meant = MISNAMED.iter().find(|(wrong, _)| *wrong == folder);
        if let (Some((wrong, meant)), false) = (meant, rest.contains('/')) {
            sights.in_line(path, 1, format!("no file in {wrong}/ is read"));
            sights.hint(format!("move it to {meant}/"));
        } else if PLAIN.contains(&folder) && rest.contains('/') {
            sights.in_line(path, 1, format!("no folder inside {folder}/ is read"));
            sights.hint(format!("move it to {folder}/"));
        }
    }
}

/// Copies that editors and people leave behind, which no longer define anything.
pub(super) fn stale(material: &Material<'_>, sights: &mut Sights) {
    for folder in FOLDERS {
        for name in names(&material.folder.join(folder)) {
            let kept = ["~", ".bak", ".orig", ".rej"].iter().find_map(|end| name.strip_suffix(end));
            let is_copy = kept.is_some_and(|kept| Format::of(kept).is_some());
            if is_copy && is_ignored(&name) {
                sights.in_line(&format!("{folder}/{name}"), 1, "a copy of metadata is left out");
                sights.hint("remove it");
            }
        }
    }
    for name in MANIFESTS {
        let beside = MANIFESTS.iter().filter(|other| **other != name);
        let hidden = beside.filter(|other| material.bundle.file(other).is_some());
        let counts = material.documents.manifest.as_ref().is_some_and(|found| found.path == name);
        for other in hidden.filter(|_| counts) {
            sights.in_line(other, 1, format!("{name} counts, so this file is left out"));
            sights.hint("remove one of them");
        }
    }
}

/// Names of what is in a folder, in order; none when it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(folder) else { return Vec::new() };
    let listed = listing.flatten().take(NAMES_MAX);
    let mut names: Vec<String> =
        listed.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

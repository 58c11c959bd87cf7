//! The metadata files of a bundle, read, and what stands in the way of using them.
//!
//! This part knows files and their forms, not what they define: which files of a folder are
//! metadata, what their text says, whether the pack they claim is theirs.

use std::collections::{BTreeMap, BTreeSet};

use hearken_engine::definition::Problem;
use hearken_proto::definition::Bundle;
use serde_json::Value;

use crate::Located;
use crate::yaml::{self, Document, Format};

/// The longest list of folders in an entry point.
const PATH_PARTS_MAX: usize = 24;
/// What packs of the first generation kept their configuration in.
const OLD_CONFIG: &str = "actions/config.yaml";

/// A metadata file that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// Where it stands in the pack.
    pub(crate) path: String,
    /// What it says.
    pub(crate) document: Document,
}

impl Metadata {
    /// The text of a member at the top.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.document.value.get(key).and_then(Value::as_str)
    }

    /// The same file without what it says, for problems that only show later: with its name's
    /// place and no other.
    pub(super) fn outline(&self) -> Self {
        let place = self.document.place("/name");
        let lines = BTreeMap::from([("/name".to_owned(), place)]);
        let document = Document { value: Value::Null, lines, notices: Vec::new() };
        Self { path: self.path.clone(), document }
    }

    /// What a definition says of itself, with the line.
    pub(super) fn problem(&self, pack: &str, problem: Problem) -> Located {
        let Problem { pointer, message, hint, fatal } = problem;
        let place = self.document.place(&pointer);
        Located { hint, ..Located::new(pack, &self.path, fatal, message) }.at(place)
    }
}

/// Reads every metadata file directly in `folder`, by name.
pub(crate) fn read(bundle: &Bundle, folder: &str, problems: &mut Vec<Located>) -> Vec<Metadata> {
    let mut read = Vec::new();
    for (path, format) in names(bundle, folder) {
        if path == OLD_CONFIG {
            continue;
        }
        if let Some(metadata) = read_one(bundle, path, format, problems) {
            read.push(metadata);
        }
    }
    // A workflow beside its metadata is no metadata itself.
    let programs: Vec<String> = read
        .iter()
        .filter_map(|metadata| {
            let program = entry_point(folder, metadata.text("entry_point")?)?;
            (program != metadata.path).then_some(program)
        })
        .collect();
    read.retain(|metadata| !programs.contains(&metadata.path));
    read.retain(|metadata| may_define(bundle, metadata, problems));
    read
}

/// What came of one file.
struct Taken<T> {
    /// The file.
    path: String,
    /// The file of this pack that it says it runs.
    program: Option<String>,
    /// What it was taken for.
    taken: Option<T>,
    /// What is wrong with it.
    problems: Vec<Located>,
}

/// Reads what [`read`] reads, and keeps of each file only what `take` makes of it: a pack may have
/// thousands, and with the place of everything in them they are much larger than on disk.
pub(super) fn read_each<T>(
    bundle: &Bundle,
    folder: &str,
    problems: &mut Vec<Located>,
    mut take: impl FnMut(&Metadata, &mut Vec<Located>) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    for (path, format) in names(bundle, folder) {
        if path == OLD_CONFIG {
            continue;
        }
        let Some(metadata) = read_one(bundle, path, format, problems) else { continue };
        let program = metadata.text("entry_point").and_then(|text| entry_point(folder, text));
        let program = program.filter(|program| program != path);
        let mut told = Vec::new();
        let is_definition = may_define(bundle, &metadata, &mut told);
        let taken = if is_definition { take(&metadata, &mut told) } else { None };
        all.push(Taken { path: metadata.path, program, taken, problems: told });
    }
    let programs: BTreeSet<String> = all.iter_mut().filter_map(|one| one.program.take()).collect();
    all.retain(|one| !programs.contains(&one.path));
    let mut kept = Vec::new();
    for one in all {
        problems.extend(one.problems);
        kept.extend(one.taken);
    }
    kept
}

/// Reads the one file at `path`, if it is there.
pub(crate) fn read_one(
    bundle: &Bundle,
    path: &str,
    format: Format,
    problems: &mut Vec<Located>,
) -> Option<Metadata> {
    let file = bundle.file(path)?;
    match yaml::read_bytes(&file.content, format) {
        Ok(document) => {
            let notices = document.notices.iter().cloned();
            problems.extend(notices.map(|notice| Located::remark(&bundle.name, path, notice)));
            Some(Metadata { path: path.to_owned(), document })
        }
        Err(error) => {
            problems.push(Located::syntax(&bundle.name, path, error));
            None
        }
    }
}

/// Paths of the files directly in `folder` that have a metadata file's ending, with their format.
pub(crate) fn names<'bundle>(
    bundle: &'bundle Bundle,
    folder: &str,
) -> impl Iterator<Item = (&'bundle str, Format)> {
    inside(bundle, folder).filter_map(|path| Some((path, Format::of(path)?)))
}

/// Paths of the files directly in `folder`.
pub(super) fn inside<'bundle>(
    bundle: &'bundle Bundle,
    folder: &str,
) -> impl Iterator<Item = &'bundle str> {
    bundle.files.iter().map(|file| file.path.as_str()).filter(move |path| {
        let name = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| !name.contains('/'))
    })
}

/// The path in the pack that `entry_point` of a file in `folder` means; nothing when it leads out.
pub(crate) fn entry_point(folder: &str, entry_point: &str) -> Option<String> {
    if entry_point.starts_with('/') || entry_point.split('/').count() > PATH_PARTS_MAX {
        return None;
    }
    let mut parts = vec![folder];
    for part in entry_point.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a file can define something; what is in the way otherwise is told.
fn may_define(bundle: &Bundle, metadata: &Metadata, problems: &mut Vec<Located>) -> bool {
    let Metadata { path, document } = metadata;
    let is_json = path.ends_with(".json");
    let says_what_it_is =
        ["name", "runner_type", "class_name"].iter().any(|key| document.value.get(key).is_some());
    let message = if document.value.is_null() {
        "left out: the file is empty"
    } else if is_json && !says_what_it_is {
        // Programs may keep their tables beside them, under the ending that metadata once had.
        "left out: it has no name, so it is data"
    } else {
        return true;
    };
    problems.push(Located::notice(&bundle.name, path, message));
    false
}

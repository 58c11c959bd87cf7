//! What shows only when packs are together: a rule whose action nobody defines, a policy on
//! nothing. The registry finds it; this says where in the files it is written.

use std::collections::BTreeMap;

use hearken_engine::registry::{Finding, PackDefinitions, Registry};

use super::files::{self, Metadata};
use crate::Located;
use crate::bundle::Sealed;

/// Files that were read again to find lines, by pack and folder.
type Files = BTreeMap<(String, &'static str), Vec<Metadata>>;

/// What there is to say about these packs if they and no others are in force.
#[must_use]
pub fn together(packs: &[(&Sealed, &PackDefinitions)]) -> Vec<Located> {
    let definitions = packs.iter().map(|(_, definitions)| (*definitions).clone());
    let (_registry, findings) = Registry::new(definitions, &BTreeMap::new());
    let mut files = Files::new();
    findings.into_iter().map(|finding| located(packs, finding, &mut files)).collect()
}

fn located(packs: &[(&Sealed, &PackDefinitions)], finding: Finding, files: &mut Files) -> Located {
    let Finding { kind, reference, problem } = finding;
    let (pack, name) = reference.split_once('.').unwrap_or(("", &reference));
    let (folder, field) = match kind {
        "rule" => ("rules", "name"),
        "policy" => ("policies", "name"),
        "sensor" => ("sensors", "class_name"),
        _ => ("actions", "name"),
    };
    let read = || {
        let sealed = packs.iter().find(|(sealed, _)| sealed.bundle().name == pack);
        // What is wrong with single files was told when they were loaded.
        let read = |(sealed, _): &(&Sealed, _)| files::read(sealed.bundle(), folder, &mut vec![]);
        sealed.map(read).unwrap_or_default()
    };
    let known = files.entry((pack.to_owned(), folder)).or_insert_with(read);
    // Of two with one name the later file counts.
    match known.iter().rev().find(|metadata| metadata.text(field) == Some(name)) {
        Some(metadata) => metadata.problem(pack, problem),
        None => {
            let told = Located::new(pack, folder, problem.fatal, problem.message);
            Located { hint: problem.hint, ..told }
        }
    }
}

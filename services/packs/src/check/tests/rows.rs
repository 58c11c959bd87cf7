//! One tiny pack for each kind of finding that has it, and one look-alike that has it not.

mod actions;
mod pack;
mod rules;
mod said;

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::super::{Level, TABLE, told};
use super::{check, write};

/// Files of a pack: path and content.
type Files = &'static [(&'static str, &'static str)];

/// A kind of finding.
struct Sample {
    /// The kind.
    id: &'static str,
    /// File and line of its only finding.
    place: (&'static str, u32),
    /// Words that it says, hint included.
    words: &'static [&'static str],
    /// A pack that has it.
    has: Files,
    /// A pack that has it not.
    has_not: Files,
}

/// An action that does nothing.
const NOOP: &str = "name: a\nrunner_type: noop\n";
/// A rule that lacks nothing.
const RULE: &str = "name: r\nenabled: true\ntrigger: {type: core.st2.generic.inquiry}\n\
                    action: {ref: core.noop}\n";

fn samples() -> impl Iterator<Item = Sample> {
    pack::samples()
        .into_iter()
        .chain(actions::samples())
        .chain(rules::samples())
        .chain(said::samples())
}

/// What is found of one kind in a pack called shop: place, level and words.
fn found(files: Files, id: &str) -> Vec<(String, u32, Level, String)> {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/cases/none.yaml", "");
    for (path, content) in files {
        // What an installation has beside its packs.
        let inside = if path.starts_with("configs/") { "" } else { "shop/" };
        write(root.path(), &format!("{inside}{path}"), content);
    }
    let findings = check(&root.path().join("shop")).unwrap().findings;
    for finding in &findings {
        assert!(!finding.what.is_empty() && !finding.why.is_empty(), "{finding:?}");
        assert!(!finding.what.ends_with('.') && !finding.why.ends_with('.'), "{finding:?}");
    }
    let own = findings.into_iter().filter(|finding| finding.id == id);
    own.map(|finding| {
        let said = format!("{} {}", finding.what, finding.hint.unwrap_or_default());
        (finding.file, finding.line, finding.level, said)
    })
    .collect()
}

/// What is wrong with one sample.
fn faults(sample: &Sample) -> Vec<String> {
    let Sample { id, place, words, has, has_not } = sample;
    let mut faults = Vec::new();
    match found(has, id).as_slice() {
        [(file, line, level, said)] => {
            if (file.as_str(), *line) != *place {
                faults.push(format!("{id}: it is at {file}:{line} and not at {place:?}"));
            }
            let lacks = words.iter().filter(|words| !said.contains(**words));
            faults.extend(lacks.map(|words| format!("{id}: {words:?} is not in {said:?}")));
            let row = TABLE.iter().find(|row| row.id == *id);
            // Loading may say the same, and a notice of ours may be fatal there.
            if row.is_some_and(|row| row.level != *level) {
                faults.push(format!("{id}: it is {level:?}"));
            }
        }
        other => faults.push(format!("{id}: it is not found once: {other:?}")),
    }
    let more = found(has_not, id);
    if !more.is_empty() {
        faults.push(format!("{id}: the look-alike has it: {more:?}"));
    }
    faults
}

#[test]
fn each_kind_is_found_where_it_is_and_nowhere_else() {
    let faults: Vec<String> = samples().flat_map(|sample| faults(&sample)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_kind_has_a_sample() {
    let sampled: BTreeSet<&str> = samples().map(|sample| sample.id).collect();
    let all: BTreeSet<&str> = TABLE.iter().map(|row| row.id).chain(told::ids()).collect();
    let missing: Vec<_> = all.difference(&sampled).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unknown: Vec<_> = sampled.difference(&all).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_kind_has_one_row() {
    let mut seen = BTreeSet::new();
    for row in TABLE {
        assert!(seen.insert(row.id), "{} is there twice", row.id);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(row.id.chars().all(is_name), "{}", row.id);
    }
}

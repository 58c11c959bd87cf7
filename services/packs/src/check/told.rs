//! What loading says of itself, told apart: which kind of finding each of its problems is.
//!
//! A problem of a definition carries words, a place and whether it is fatal, and no name of its
//! kind. Here the kinds are recognised by their words. Nothing depends on that but the name, the
//! level and the reason that are printed: what is not recognised is said all the same, under a
//! general name. A test for each row holds words and row together.

use super::finding::{Finding, Level};
use crate::Located;

/// A kind of problem that loading tells.
struct Told {
    /// The kind.
    id: &'static str,
    /// How heavy it is; a fatal problem is an error whatever stands here.
    level: Level,
    /// Words that its message has.
    words: &'static str,
    /// What follows from it.
    why: &'static str,
}

/// Words of what loading one pack says, and a row of the table says better.
pub(super) const ALONE: &[&str] = &[" is not supported: the action is listed, not run"];

/// The same of what packs together lead to.
pub(super) const TOGETHER: &[&str] = &[
    " doesn't exist: every match is a failure",
    "nobody has registered trigger ",
    "Dependency unsatisfied in variable ",
    "no action is called ",
];

const fn told(id: &'static str, level: Level, words: &'static str, why: &'static str) -> Told {
    Told { id, level, words, why }
}

const TOLD: &[Told] = &[
    told(
        "rule-without-enabled",
        Level::Notice,
        "the rule does not say enabled",
        "as with StackStorm such a rule judges nothing until somebody enables it",
    ),
    told(
        "unknown-operator",
        Level::Error,
        " is no operator",
        "the rule is not in force: it could never match",
    ),
    told(
        "unknown-operator",
        Level::Error,
        "operators are written in lower case",
        "the rule is not in force: StackStorm refuses it in the same way",
    ),
    told(
        "criterion-without-type",
        Level::Error,
        "the criterion has no type",
        "the rule is not in force: it could never match",
    ),
    told(
        "criteria-without-trigger",
        Level::Warning,
        "does not begin with \"trigger.\"",
        "the value is always missing, so the rule never matches unless it asks for nexists",
    ),
    told(
        "criteria-on-system",
        Level::Warning,
        "a key that begins with system",
        "it is the datastore's lookup and not its text, so it is there and equals nothing",
    ),
    told(
        "criterion-fails",
        Level::Warning,
        "the criterion is an error for every event",
        "each event is a failed enforcement and no match",
    ),
    told(
        "search-never-holds",
        Level::Warning,
        "is not known to search",
        "each event is a failed enforcement and no match",
    ),
    told(
        "run-local-script",
        Level::Notice,
        "with an entry point runs the script",
        "StackStorm of today refuses it; here it is the script run that it was in 2014",
    ),
    told(
        "workflow-not-run",
        Level::Notice,
        "workflows are not supported yet",
        "the action can be seen and asked for, and asking for it is refused with this reason",
    ),
    told(
        "entry-point-missing",
        Level::Error,
        "the entry point ",
        "there is nothing to run, so it is left out",
    ),
    told(
        "immutable-without-default",
        Level::Error,
        "immutable parameter ",
        "it could have no value at all, so the action is left out",
    ),
    told(
        "immutable-twice",
        Level::Error,
        "the runner made ",
        "StackStorm refuses the action in the same way",
    ),
    told(
        "runner-parameter-changed",
        Level::Notice,
        " of runner parameter ",
        "StackStorm of today refuses the action; here the action's word counts",
    ),
    told(
        "positions",
        Level::Error,
        " is taken twice",
        "nobody could say which comes first, so the action is left out",
    ),
    told(
        "positions",
        Level::Error,
        " is left out",
        "the arguments behind it would move up, so the action is left out",
    ),
    told(
        "install-prefix",
        Level::Warning,
        "this default is a place in StackStorm's installation",
        "nothing of that path is here",
    ),
    told(
        "install-prefix",
        Level::Warning,
        "its interpreter is /opt/stackstorm",
        "the script cannot be started where StackStorm is not installed",
    ),
    told(
        "unknown-field",
        Level::Notice,
        "unknown field ",
        "the rest of the file counts, this field has no effect",
    ),
    told(
        "unknown-attribute",
        Level::Notice,
        "unknown attribute ",
        "StackStorm refuses the action for it; here it has no effect",
    ),
    told(
        "duplicate-key",
        Level::Warning,
        " is given twice",
        "what was written first is lost, as PyYAML loses it",
    ),
    told(
        "duplicate-name",
        Level::Warning,
        " as well: it counts",
        "of two definitions of one name only the later file's is in force",
    ),
    told("empty-file", Level::Notice, "left out: the file is empty", "nothing is defined by it"),
    told(
        "data-file",
        Level::Notice,
        "it has no name, so it is data",
        "it is there for the programs beside it and defines nothing",
    ),
    told(
        "not-used-yet",
        Level::Notice,
        " are not used yet",
        "they are there, and nothing of them runs in this version",
    ),
    told(
        "sensor-without-metadata",
        Level::Notice,
        " has no metadata: its trigger types",
        "rules on its triggers are accepted without a word until it has run",
    ),
    told(
        "compares-text",
        Level::Notice,
        "compare everything as text",
        "in 2014 pattern \"5\" and number 5 were equal; a pack that says version compares by type",
    ),
    told(
        "name-with-dash",
        Level::Notice,
        "is not named as StackStorm demands today",
        "the name is kept as it is in all references; StackStorm of today refuses the pack",
    ),
    told(
        "file-of-another-pack",
        Level::Error,
        "the file belongs to pack",
        "it is left out, as with StackStorm",
    ),
    told(
        "action-without-pack",
        Level::Notice,
        "is taken to be",
        "StackStorm of today looks for it in no pack",
    ),
    told(
        "disabled-action",
        Level::Warning,
        " is disabled: every match is a failure",
        "a match leaves a failed enforcement and no execution",
    ),
    told(
        "rule-cycle",
        Level::Warning,
        "Cyclic dependency found",
        "a match leaves a failed enforcement and no execution",
    ),
    told(
        "timer-parameters",
        Level::Error,
        "without parameters never fires",
        "the rule is not in force: nothing would ever happen",
    ),
    told(
        "secret-attribute",
        Level::Warning,
        " is secret: it cannot be compared",
        "executions that differ in nothing else count together",
    ),
    told("link-out", Level::Error, "this link leads ", "the file is no part of the pack"),
];

/// What loading told as a finding; nothing when a row of the table says it better, which are those
/// with the words of `said_better`.
pub(super) fn finding(located: Located, said_better: &[&str]) -> Option<Finding> {
    let has = |words: &str| located.message.contains(words);
    if !located.fatal && said_better.iter().any(|words| has(words)) {
        return None;
    }
    let (id, level, why) = match TOLD.iter().find(|told| has(told.words)) {
        Some(told) => (told.id, told.level, told.why),
        None if located.fatal => {
            ("not-in-force", Level::Error, "what this file defines is left out; the rest is loaded")
        }
        None => ("remark", Level::Notice, "it is in force all the same"),
    };
    // Whatever cannot be in force decides the exit code.
    let level = if located.fatal { Level::Error } else { level };
    Some(Finding::of(located, id, level, why))
}

/// Every kind, for those who want to see that each is tested.
#[cfg(test)]
pub(super) fn ids() -> impl Iterator<Item = &'static str> {
    TOLD.iter().map(|told| told.id).chain(["not-in-force", "remark"])
}

//! Everything that is looked for beyond what loading says: one row each.
//!
//! Adding a kind of finding is one function and one row. Its name stays the same for ever; the
//! reason says what follows, in a sentence that is true of every finding of the row; what was found
//! and what to do about it are the function's.

use super::finding::Level;
use super::material::{Material, Sights};
use super::{actions, config, criteria, manifest, names, programs, rules, sensors, timers};

/// One kind of thing that is looked for.
pub(super) struct Row {
    /// What it is called.
    pub(super) id: &'static str,
    /// How heavy it is.
    pub(super) level: Level,
    /// What follows from it.
    pub(super) why: &'static str,
    /// Looks for it.
    pub(super) find: fn(&Material<'_>, &mut Sights),
}

const fn error(id: &'static str, find: fn(&Material<'_>, &mut Sights), why: &'static str) -> Row {
    Row { id, level: Level::Error, why, find }
}

const fn warning(id: &'static str, find: fn(&Material<'_>, &mut Sights), why: &'static str) -> Row {
    Row { id, level: Level::Warning, why, find }
}

const fn notice(id: &'static str, find: fn(&Material<'_>, &mut Sights), why: &'static str) -> Row {
    Row { id, level: Level::Notice, why, find }
}

/// The reason of whatever makes each match of a rule fail.
const REFUSED: &str = "a match leaves a failed enforcement and no execution";

/// All rows.
pub(super) const TABLE: &[Row] = &[
    // The pack as a whole.
    notice(
        "empty-manifest",
        manifest::empty,
        "the folder's name is the pack's name, as in 2014; StackStorm of today refuses the pack",
    ),
    notice(
        "json-metadata",
        manifest::json,
        "it is read as it was in 2014; StackStorm of today leaves such files out without a word",
    ),
    notice(
        "trailing-comma",
        manifest::lenient,
        "it is read all the same; strict readers of JSON refuse the file",
    ),
    warning(
        "python2-only",
        manifest::python2_only,
        "what it brings may fail when it runs: Python actions run with Python 3 here",
    ),
    notice(
        "not-read",
        manifest::not_read,
        "metadata counts directly in its folder only, so nothing is defined by it",
    ),
    notice(
        "stale-copy",
        manifest::stale,
        "such names are left out: what is in force is what lies in the folder under a full name",
    ),
    // Actions.
    error(
        "unknown-runner",
        actions::unknown_runner,
        "the action can be seen, and every run of it is refused",
    ),
    warning(
        "runner-not-supported",
        actions::unsupported_runner,
        "the action can be seen, and every run of it is refused; the rest of the pack works",
    ),
    warning(
        "template-names-nothing",
        actions::undeclared,
        "every run that leaves the default in place fails before it starts",
    ),
    warning(
        "template-not-read",
        actions::unreadable,
        "it is passed on as it is typed, braces and all, as StackStorm does it",
    ),
    notice(
        "required-with-default",
        actions::required_default,
        "the default counts when none is given, so nobody is ever asked for it",
    ),
    warning(
        "default-none-text",
        actions::none_text,
        "in YAML None is a text of four letters, and that is what the action gets",
    ),
    warning(
        "secret-default",
        actions::secret_default,
        "whoever reads the pack reads the secret, and every installation has the same",
    ),
    notice(
        "script-not-executable",
        actions::not_executable,
        "it is made executable in the copy that runs; by hand it would not start",
    ),
    // Programs.
    warning(
        "python2-source",
        programs::python2,
        "Python 3 cannot read the file, so what needs it fails when it starts",
    ),
    warning("install-prefix", programs::prefix, "nothing of that path is here"),
    // Sensors.
    warning(
        "sensor-class-missing",
        sensors::class_missing,
        "the sensor would start and end at once, again and again",
    ),
    warning(
        "sensor-not-executable",
        sensors::not_executable,
        "a sensor that is no Python file is a program that is started as it is",
    ),
    // Rules.
    warning("unknown-action", rules::unknown_action, REFUSED),
    notice(
        "action-of-another-pack",
        rules::action_elsewhere,
        "until that pack is there a match leaves a failed enforcement and no execution",
    ),
    notice(
        "unknown-trigger",
        rules::unknown_trigger,
        "the rule is live all the same: any event of that name fires it",
    ),
    warning("rule-parameter-unknown", rules::unknown_parameter, REFUSED),
    warning("rule-parameter-missing", rules::missing_parameter, REFUSED),
    warning("rule-parameter-immutable", rules::immutable_parameter, REFUSED),
    warning("rule-parameter-type", rules::wrong_type, REFUSED),
    warning("rule-template-names-nothing", rules::undeclared, REFUSED),
    notice(
        "system-in-parameters",
        rules::old_datastore,
        "it is read as st2kv.system, as in old versions; StackStorm of today knows it no more",
    ),
    // Criteria.
    notice(
        "exists-without-pattern",
        criteria::exists,
        "no pattern is needed here; StackStorm, which the pack is made for, refuses the rule",
    ),
    warning(
        "text-against-number",
        criteria::types_differ,
        "nothing is converted, so a text and a number are never equal and cannot be ordered",
    ),
    warning(
        "search-never-holds",
        criteria::search,
        "an element is never found by it: inside a search such a criterion is false",
    ),
    warning(
        "stdout-is-parsed",
        criteria::parsed_output,
        "output that is JSON is an event's value and no text: 5 is a number there, true a boolean",
    ),
    warning(
        "datastore-in-pattern",
        criteria::lookup,
        "the lookup stands there and not its text: each event is a failed enforcement, no match",
    ),
    // Timers.
    notice(
        "cron-defaults",
        timers::defaults,
        "a field left out is any value above the smallest that is given, and the least below it",
    ),
    notice(
        "timer-without-zone",
        timers::zone,
        "it is in UTC here; StackStorm's own default is America/Los_Angeles",
    ),
    warning("timer-never-fires", timers::never, "the rule is in force and nothing ever happens"),
    // Configuration.
    warning(
        "config-schema",
        config::schema,
        "what is not understood is not checked, filled in or kept secret",
    ),
    warning("config-breaks-schema", config::breaks, "actions and sensors get the value as it is"),
    warning("config-secret-in-clear", config::in_clear, "whoever reads the file reads the secret"),
    // Names in other files.
    warning(
        "alias-unknown-action",
        names::aliases,
        "whoever says it would be told that there is no such action",
    ),
    warning("policy-unknown-action", names::policies, "the policy has no effect"),
];

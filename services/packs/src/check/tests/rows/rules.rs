//! Of rules: what they listen to, their criteria, what they ask for.

use super::{Files, NOOP, RULE, Sample};

/// A trigger type that says what its events carry.
const TRIGGER: &str = "name: came\npayload_schema:\n  type: object\n  properties:\n    \
                       order: {type: integer}\n    who: {type: string}\n    any: {}\n";
/// An action that takes two parameters.
const GREET: &str = "name: greet\nrunner_type: noop\nparameters:\n  who: {type: string, required: \
                     true}\n  place: {type: string}\n  kind: {type: string, immutable: true, \
                     default: a}\n";

/// A pack of the one rule in `rules/r.yaml` with what it needs, and one that has the finding not.
fn rule(
    id: &'static str,
    line: u32,
    words: &'static [&'static str],
    has: &'static str,
    has_not: &'static str,
) -> Sample {
    let files = |content: &'static str| -> Files {
        Box::leak(Box::new([
            ("rules/r.yaml", content),
            ("triggers/came.yaml", TRIGGER),
            ("actions/greet.yaml", GREET),
        ]))
    };
    Sample { id, place: ("rules/r.yaml", line), words, has: files(has), has_not: files(has_not) }
}

/// A rule on `shop.came` with these criteria: the first is in line 5.
macro_rules! with_criteria {
    ($criteria:literal) => {
        concat!(
            "name: r\nenabled: true\ntrigger: {type: shop.came}\ncriteria:\n  ",
            $criteria,
            "\naction: {ref: core.noop}\n"
        )
    };
}

/// A rule on `shop.came` that gives `shop.greet` these parameters: the first is in line 7.
macro_rules! with_parameters {
    ($parameters:literal) => {
        concat!(
            "name: r\nenabled: true\ntrigger: {type: shop.came}\naction:\n  ref: shop.greet\n  \
             parameters:\n    ",
            $parameters,
            "\n"
        )
    };
}

/// A rule on a timer with these parameters, in line 5.
macro_rules! on_timer {
    ($timer:literal, $parameters:literal) => {
        concat!(
            "name: r\nenabled: true\ntrigger:\n  type: core.st2.",
            $timer,
            "\n  parameters: ",
            $parameters,
            "\naction: {ref: core.noop}\n"
        )
    };
}

pub(super) fn samples() -> Vec<Sample> {
    [links(), parameters(), criteria(), wrong_criteria(), searches(), timers()]
        .into_iter()
        .flatten()
        .collect()
}

fn links() -> Vec<Sample> {
    vec![
        rule(
            "unknown-action",
            5,
            &["shop.great", "did you mean \"shop.greet\"?"],
            "name: r\nenabled: true\ntrigger: shop.came\naction:\n  ref: shop.great\n",
            "name: r\nenabled: true\ntrigger: shop.came\naction:\n  ref: slack.post\n",
        ),
        Sample {
            id: "unknown-action",
            place: ("rules/r.yaml", 4),
            words: &["its own file is at fault"],
            has: &[
                ("rules/r.yaml", "name: r\nenabled: on\ntrigger: shop.x\naction: shop.a\n"),
                ("actions/a.yaml", "name: a\nrunner_type: noop\nenabled: 5\n"),
            ],
            has_not: &[
                ("rules/r.yaml", "name: r\nenabled: on\ntrigger: shop.x\naction: shop.a\n"),
                ("actions/a.yaml", NOOP),
            ],
        },
        rule(
            "action-of-another-pack",
            5,
            &["\"slack\"", "install slack"],
            "name: r\nenabled: true\ntrigger: shop.came\naction:\n  ref: slack.post\n",
            "name: r\nenabled: true\ntrigger: shop.came\naction:\n  ref: core.noop\n",
        ),
        rule(
            "action-without-pack",
            5,
            &["write ref: shop.greet"],
            "name: r\nenabled: true\ntrigger: shop.came\naction:\n  ref: greet\n",
            "name: r\nenabled: true\ntrigger: shop.came\naction:\n  ref: shop.greet\n",
        ),
        Sample {
            id: "disabled-action",
            place: ("rules/r.yaml", 4),
            words: &["shop.a"],
            has: &[
                ("rules/r.yaml", "name: r\nenabled: on\ntrigger: shop.x\naction: shop.a\n"),
                ("actions/a.yaml", "name: a\nrunner_type: noop\nenabled: false\n"),
            ],
            has_not: &[
                ("rules/r.yaml", "name: r\nenabled: on\ntrigger: shop.x\naction: shop.a\n"),
                ("actions/a.yaml", NOOP),
            ],
        },
        rule(
            "unknown-trigger",
            4,
            &["shop.come", "did you mean \"shop.came\"?"],
            "name: r\nenabled: true\ntrigger:\n  type: shop.come\naction: core.noop\n",
            "name: r\nenabled: true\ntrigger:\n  type: shop.came\naction: core.noop\n",
        ),
        rule(
            "unknown-trigger",
            7,
            &["jira.issue", "not among those checked"],
            "name: r\nenabled: true\ntrigger: shop.came\naction: core.noop\nabsence:\n  period: 1m\n  \
             of: {trigger: jira.issue}\n",
            "name: r\nenabled: true\ntrigger: shop.came\naction: core.noop\nabsence:\n  period: 1m\n  \
             of: {trigger: shop.came}\n",
        ),
    ]
}

fn parameters() -> Vec<Sample> {
    vec![
        rule(
            "rule-parameter-unknown",
            8,
            &["\"plac\"", "did you mean \"place\"?"],
            with_parameters!("who: Ada\n    plac: here"),
            with_parameters!("who: Ada\n    place: here"),
        ),
        rule(
            "rule-parameter-missing",
            6,
            &["\"who\""],
            with_parameters!("place: here"),
            with_parameters!("who: '{{ trigger.who }}'"),
        ),
        rule(
            "rule-parameter-immutable",
            8,
            &["\"kind\"", "leave it out"],
            with_parameters!("who: Ada\n    kind: b"),
            with_parameters!("who: Ada"),
        ),
        rule(
            "rule-parameter-type",
            7,
            &["\"who\"", "who: \"5\""],
            with_parameters!("who: 5"),
            with_parameters!("who: \"5\""),
        ),
        rule(
            "rule-template-names-nothing",
            7,
            &["\"payload\"", "write trigger"],
            with_parameters!("who: '{{ payload.who }}'"),
            with_parameters!("who: '{{ trigger.who }} {{ place }}'"),
        ),
        rule(
            "rule-cycle",
            6,
            &["who"],
            with_parameters!("who: '{{ place }}'\n    place: '{{ who }}'"),
            with_parameters!("who: '{{ place }}'\n    place: here"),
        ),
        rule(
            "system-in-parameters",
            7,
            &["st2kv.system"],
            with_parameters!("who: '{{ system.name }}'"),
            with_parameters!("who: '{{ st2kv.system.name }}'"),
        ),
    ]
}

fn criteria() -> Vec<Sample> {
    vec![
        Sample {
            id: "exists-without-pattern",
            place: ("rules/r.yaml", 5),
            words: &["pattern: true"],
            has: &[
                ("pack.yaml", "name: shop\nstackstorm_version: '>=3.0.0'\n"),
                ("rules/r.yaml", with_criteria!("trigger.who: {type: exists}")),
            ],
            has_not: &[("rules/r.yaml", with_criteria!("trigger.who: {type: exists}"))],
        },
        rule(
            "text-against-number",
            5,
            &["trigger.order is a number", "leave out the quotes"],
            with_criteria!("trigger.order: {type: equals, pattern: '7'}"),
            with_criteria!("trigger.order: {type: equals, pattern: '{{ trigger.any }}'}"),
        ),
        rule(
            "text-against-number",
            6,
            &["trigger.who is text", "in quotes"],
            with_criteria!("any:\n    - trigger.who#2: {type: lt, pattern: 7}"),
            with_criteria!("any:\n    - trigger.any: {type: lt, pattern: 7}"),
        ),
        rule(
            "stdout-is-parsed",
            5,
            &["write pattern: 5"],
            "name: r\nenabled: true\ntrigger: core.st2.generic.actiontrigger\ncriteria:\n  \
             trigger.result.stdout: {type: equals, pattern: '5'}\naction: core.noop\n",
            "name: r\nenabled: true\ntrigger: core.st2.generic.actiontrigger\ncriteria:\n  \
             trigger.result.stdout: {type: equals, pattern: 'done'}\naction: core.noop\n",
        ),
        rule(
            "datastore-in-pattern",
            5,
            &["st2kv.system.who", "{{ st2kv.system.who | string }}"],
            with_criteria!("trigger.who: {type: equals, pattern: '{{ st2kv.system.who }}'}"),
            with_criteria!(
                "trigger.who: {type: equals, pattern: '{{ st2kv.system.who | string }}'}"
            ),
        ),
    ]
}

fn wrong_criteria() -> Vec<Sample> {
    vec![
        rule(
            "criteria-without-trigger",
            5,
            &["write \"trigger.who\""],
            with_criteria!("who: {type: equals, pattern: a}"),
            with_criteria!("trigger.who: {type: equals, pattern: a}"),
        ),
        rule(
            "criteria-on-system",
            5,
            &["in a pattern"],
            with_criteria!("system.who: {type: equals, pattern: a}"),
            with_criteria!("trigger.system: {type: equals, pattern: a}"),
        ),
        rule(
            "criterion-fails",
            5,
            &["is an error for every event"],
            with_criteria!("trigger.who: {type: regex, pattern: '('}"),
            with_criteria!("trigger.who: {type: equals, pattern: '('}"),
        ),
        rule(
            "criterion-without-type",
            5,
            &["for example type: equals"],
            with_criteria!("trigger.who: {pattern: a}"),
            with_criteria!("trigger.who: {type: eq, pattern: a}"),
        ),
        rule(
            "unknown-operator",
            5,
            &["did you mean \"equals\"?"],
            with_criteria!("trigger.who: {type: equal, pattern: a}"),
            with_criteria!("trigger.who: {type: equals, pattern: a}"),
        ),
        rule(
            "unknown-operator",
            5,
            &["lower case"],
            with_criteria!("trigger.who: {type: Equals, pattern: a}"),
            with_criteria!("trigger.who: {type: equals, pattern: a}"),
        ),
    ]
}

fn searches() -> Vec<Sample> {
    vec![
        rule(
            "unknown-operator",
            5,
            &["\"Search\"", "search"],
            with_criteria!("trigger.any: {type: Search, condition: any, pattern: {}}"),
            with_criteria!("trigger.any: {type: search, condition: any, pattern: {}}"),
        ),
        rule(
            "search-never-holds",
            5,
            &["condition \"some\"", "one of any"],
            with_criteria!("trigger.any: {type: search, condition: some, pattern: {}}"),
            with_criteria!("trigger.any: {type: search, condition: any, pattern: {}}"),
        ),
        rule(
            "search-never-holds",
            9,
            &["write \"item.x\""],
            with_criteria!(
                "trigger.any:\n    type: search\n    condition: any\n    pattern:\n      \
                 trigger.x: {type: eq, pattern: 1}"
            ),
            with_criteria!(
                "trigger.any:\n    type: search\n    condition: any\n    pattern:\n      \
                 item.x: {type: eq, pattern: 1}"
            ),
        ),
        rule(
            "search-never-holds",
            9,
            &["\"eqals\" is no operator", "did you mean \"equals\"?"],
            with_criteria!(
                "trigger.any:\n    type: search\n    condition: any\n    pattern:\n      \
                 item.x: {type: eqals, pattern: 1}"
            ),
            RULE,
        ),
    ]
}

fn timers() -> Vec<Sample> {
    vec![
        rule(
            "cron-defaults",
            5,
            &[
                "minute, second are at the least",
                "2026-02-01T06:00:00Z, 2026-02-02T06:00:00Z, 2026-02-03T06:00:00Z, \
                 2026-02-04T06:00:00Z, 2026-02-05T06:00:00Z",
            ],
            on_timer!("CronTimer", "{hour: 6, timezone: UTC}"),
            on_timer!("CronTimer", "{hour: 6, minute: 0, second: 0, timezone: UTC}"),
        ),
        rule(
            "timer-without-zone",
            5,
            &["names no time zone", "timezone: UTC"],
            on_timer!("CronTimer", "{hour: 6}"),
            on_timer!("IntervalTimer", "{unit: hours, delta: 6}"),
        ),
        rule(
            "timer-without-zone",
            5,
            &["DateTimer"],
            on_timer!("DateTimer", "{date: '2030-01-01 10:00'}"),
            on_timer!("DateTimer", "{date: '2030-01-01T10:00:00+02:00'}"),
        ),
        rule(
            "timer-never-fires",
            5,
            &["the date has passed"],
            on_timer!("DateTimer", "{date: '2020-01-01 10:00:00Z'}"),
            on_timer!("DateTimer", "{date: '2030-01-01 10:00:00Z'}"),
        ),
        rule(
            "timer-never-fires",
            5,
            &["no such moment"],
            on_timer!("CronTimer", "{month: 2, day: 30}"),
            on_timer!("CronTimer", "{month: 2, day: 29}"),
        ),
        rule(
            "timer-parameters",
            3,
            &["write parameters"],
            "name: r\nenabled: true\ntrigger: {type: core.st2.CronTimer}\naction: core.noop\n",
            on_timer!("CronTimer", "{month: 2, day: 29}"),
        ),
    ]
}

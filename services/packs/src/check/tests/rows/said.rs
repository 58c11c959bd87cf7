//! What loading says that is in no other place: fields, keys, files.

use super::{Files, NOOP, RULE, Sample};

fn sample(
    id: &'static str,
    place: (&'static str, u32),
    words: &'static [&'static str],
    has: Files,
    has_not: Files,
) -> Sample {
    Sample { id, place, words, has, has_not }
}

pub(super) fn samples() -> Vec<Sample> {
    [fields(), values(), files()].into_iter().flatten().collect()
}

fn fields() -> Vec<Sample> {
    vec![
        sample(
            "rule-without-enabled",
            ("rules/r.yaml", 1),
            &["enabled: true"],
            &[("rules/r.yaml", "name: r\ntrigger: core.st2.generic.inquiry\naction: core.noop\n")],
            &[("rules/r.yaml", RULE)],
        ),
        sample(
            "unknown-field",
            ("actions/a.yaml", 3),
            &["\"descripton\"", "did you mean \"description\"?"],
            &[("actions/a.yaml", "name: a\nrunner_type: noop\ndescripton: a\n")],
            &[("actions/a.yaml", "name: a\nrunner_type: noop\ndescription: a\n")],
        ),
        sample(
            "unknown-attribute",
            ("actions/a.yaml", 4),
            &["\"requierd\"", "did you mean \"required\"?"],
            &[(
                "actions/a.yaml",
                "name: a\nrunner_type: noop\nparameters:\n  x: {requierd: true}\n",
            )],
            &[(
                "actions/a.yaml",
                "name: a\nrunner_type: noop\nparameters:\n  x: {required: true}\n",
            )],
        ),
        sample(
            "duplicate-key",
            ("actions/a.yaml", 3),
            &["\"name\"", "the last one counts"],
            &[("actions/a.yaml", "name: b\nrunner_type: noop\nname: a\n")],
            &[("actions/a.yaml", NOOP)],
        ),
        sample(
            "duplicate-name",
            ("actions/a.yaml", 1),
            &["actions/b.yaml"],
            &[("actions/a.yaml", NOOP), ("actions/b.yaml", NOOP)],
            &[("actions/a.yaml", NOOP), ("actions/b.yaml", "name: b\nrunner_type: noop\n")],
        ),
        sample(
            "file-of-another-pack",
            ("actions/a.yaml", 3),
            &["\"other\"", "remove the field"],
            &[("actions/a.yaml", "name: a\nrunner_type: noop\npack: other\n")],
            &[("actions/a.yaml", "name: a\nrunner_type: noop\npack: shop\n")],
        ),
    ]
}

fn values() -> Vec<Sample> {
    vec![
        sample(
            "secret-attribute",
            ("policies/p.yaml", 4),
            &["\"token\""],
            &[
                ("actions/a.yaml", SECRET),
                (
                    "policies/p.yaml",
                    "name: p\nresource_ref: shop.a\n\
              policy_type: action.concurrency.attr\nparameters: {threshold: 1, attributes: [token]}\n",
                ),
            ],
            &[
                ("actions/a.yaml", SECRET),
                (
                    "policies/p.yaml",
                    "name: p\nresource_ref: shop.a\n\
              policy_type: action.concurrency.attr\nparameters: {threshold: 1, attributes: [name]}\n",
                ),
            ],
        ),
        sample(
            "remark",
            ("sensors/s.yaml", 3),
            &["poll_interval 1 is raised to 4"],
            &[("sensors/s.yaml", POLLS), ("sensors/s.py", "class S:\n    pass\n")],
            &[("actions/a.yaml", NOOP)],
        ),
        sample(
            "not-in-force",
            ("actions/a.yaml", 3),
            &["enabled must be true or false, not a number"],
            &[("actions/a.yaml", "name: a\nrunner_type: noop\nenabled: 5\n")],
            &[("actions/a.yaml", "name: a\nrunner_type: noop\nenabled: on\n")],
        ),
    ]
}

const SECRET: &str = "name: a\nrunner_type: noop\nparameters:\n  name: {type: string}\n  \
                      token: {type: string, secret: true}\n";
const POLLS: &str = "class_name: S\nentry_point: s.py\npoll_interval: 1\n";

fn files() -> Vec<Sample> {
    vec![
        sample(
            "empty-file",
            ("actions/a.yaml", 1),
            &["empty"],
            &[("actions/a.yaml", "# later\n")],
            &[("actions/a.yaml", NOOP)],
        ),
        sample(
            "data-file",
            ("actions/table.json", 1),
            &["it has no name"],
            &[("actions/table.json", "{\"rows\": []}")],
            &[("actions/table.csv", "1,2\n")],
        ),
        sample(
            "not-used-yet",
            ("checks/a.yaml", 1),
            &["1 listed"],
            &[("checks/a.yaml", "name: a\n")],
            &[("checks/README.md", "words\n")],
        ),
        sample(
            "link-out",
            ("actions/away", 1),
            &["out of the pack"],
            &[("actions/a.yaml", NOOP), ("actions/away -> /etc/passwd", "")],
            &[("actions/a.yaml", NOOP), ("actions/away -> a.yaml", "")],
        ),
    ]
}

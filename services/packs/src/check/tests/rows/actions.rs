//! Of actions, their parameters and programs.

use super::{Files, NOOP, RULE, Sample};

/// A pack of the one action in `actions/a.yaml`, and one that has the finding not.
fn action(
    id: &'static str,
    line: u32,
    words: &'static [&'static str],
    has: &'static str,
    has_not: &'static str,
) -> Sample {
    let files = |content: &'static str| -> Files {
        Box::leak(Box::new([("actions/a.yaml", content), ("actions/a.sh", "#!/bin/sh\n")]))
    };
    Sample { id, place: ("actions/a.yaml", line), words, has: files(has), has_not: files(has_not) }
}

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
    [runners(), parameters(), limits(), programs()].into_iter().flatten().collect()
}

fn runners() -> Vec<Sample> {
    vec![
        action(
            "unknown-runner",
            2,
            &["python-scirpt", "did you mean \"python-script\"?"],
            "name: a\nrunner_type: python-scirpt\nentry_point: a.sh\n",
            "name: a\nrunner_type: run-local\n",
        ),
        action(
            "unknown-runner",
            2,
            &["no runner \"teleport\"", "one of local-shell-cmd, "],
            "name: a\nrunner_type: teleport\n",
            "name: a\nrunner_type: mistral-v2\n",
        ),
        action(
            "runner-not-supported",
            2,
            &["winrm-ps-cmd", "ssh"],
            "name: a\nrunner_type: winrm-ps-cmd\n",
            NOOP,
        ),
        action(
            "run-local-script",
            2,
            &["local-shell-script"],
            "name: a\nrunner_type: run-local\nentry_point: a.sh\n",
            "name: a\nrunner_type: run-local-script\nentry_point: a.sh\n",
        ),
        action(
            "workflow-not-run",
            2,
            &["workflows"],
            "name: a\nrunner_type: action-chain\nentry_point: a.sh\n",
            "name: a\nrunner_type: local-shell-script\nentry_point: a.sh\n",
        ),
        action(
            "entry-point-missing",
            3,
            &["b.sh"],
            "name: a\nrunner_type: local-shell-script\nentry_point: b.sh\n",
            "name: a\nrunner_type: local-shell-script\nentry_point: a.sh\n",
        ),
        sample(
            "script-not-executable",
            ("actions/a.yaml", 3),
            &["b.sh", "chmod +x actions/b.sh"],
            &[
                ("actions/a.yaml", "name: a\nrunner_type: local-shell-script\nentry_point: b.sh\n"),
                ("actions/b.sh", "true\n"),
            ],
            &[
                ("actions/a.yaml", "name: a\nrunner_type: python-script\nentry_point: a.py\n"),
                ("actions/a.py", "class A:\n    pass\n"),
            ],
        ),
    ]
}

fn parameters() -> Vec<Sample> {
    vec![
        action(
            "template-names-nothing",
            8,
            &["\"hos\"", "did you mean \"host\"?"],
            "name: a\nrunner_type: noop\nparameters:\n  host:\n    type: string\n  url:\n    \
             type: string\n    default: 'http://{{ hos }}'\n",
            "name: a\nrunner_type: noop\nparameters:\n  host:\n    type: string\n  url:\n    \
             type: string\n    default: 'http://{{ host }}/{{ st2kv.system.x }}'\n",
        ),
        action(
            "template-not-read",
            6,
            &["cannot be read"],
            "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: string\n    \
             default: '{{ not jinja'\n",
            "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: string\n    \
             default: '{{ x_y if 0 }}'\n  x_y: {type: string}\n",
        ),
        action(
            "required-with-default",
            4,
            &["\"x\"", "1 more"],
            "name: a\nrunner_type: noop\nparameters:\n  x: {required: true, default: 5, type: integer}\
             \n  y: {required: true, default: 5, type: integer}\n",
            "name: a\nrunner_type: noop\nparameters:\n  x: {required: true, type: integer}\n  \
             y: {default: 5, type: integer}\n  z: {required: true, immutable: true, default: 5}\n",
        ),
        action(
            "default-none-text",
            6,
            &["None", "default: null"],
            "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: string\n    default: None\n",
            "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: string\n    default: null\n  \
             y: {type: string, enum: [None, all], default: None}\n",
        ),
        action(
            "secret-default",
            7,
            &["in the pack"],
            "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: string\n    secret: true\n    \
             default: hunter2\n",
            "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: string\n    secret: true\n    \
             default: '{{ st2kv.system.x | decrypt_kv }}'\n",
        ),
    ]
}

fn limits() -> Vec<Sample> {
    vec![
        action(
            "immutable-without-default",
            4,
            &["\"x\"", "give it a default"],
            "name: a\nrunner_type: noop\nparameters:\n  x: {immutable: true}\n",
            "name: a\nrunner_type: noop\nparameters:\n  x: {immutable: true, default: 1}\n",
        ),
        action(
            "immutable-twice",
            6,
            &["remove immutable"],
            "name: a\nrunner_type: remote-shell-cmd\nparameters:\n  cmd: {default: 'true'}\n\n  \
             dir: {immutable: true}\n",
            "name: a\nrunner_type: remote-shell-cmd\nparameters:\n  cmd: {immutable: true, \
             default: 'true'}\n",
        ),
        action(
            "runner-parameter-changed",
            5,
            &["\"type\""],
            "name: a\nrunner_type: local-shell-cmd\nparameters:\n  timeout:\n    type: string\n",
            "name: a\nrunner_type: local-shell-cmd\nparameters:\n  timeout:\n    default: 5\n",
        ),
        action(
            "positions",
            5,
            &["position 0 is taken twice"],
            "name: a\nrunner_type: noop\nparameters:\n  x: {position: 0}\n  y: {position: 0}\n",
            "name: a\nrunner_type: noop\nparameters:\n  x: {position: 0}\n  y: {position: 1}\n",
        ),
        action(
            "positions",
            5,
            &["position 1 is left out"],
            "name: a\nrunner_type: noop\nparameters:\n  x: {position: 0}\n  y: {position: 2}\n",
            "name: a\nrunner_type: noop\nparameters:\n  x: {position: 4}\n  y: {position: 3}\n",
        ),
    ]
}

fn programs() -> Vec<Sample> {
    vec![
        sample(
            "python2-source",
            ("actions/lib/b.py", 2),
            &["print without parentheses"],
            &[("actions/a.yaml", NOOP), ("actions/lib/b.py", "# b\nprint 'b'\n")],
            &[
                ("actions/a.yaml", NOOP),
                ("tests/b.py", "print 'b'\n"),
                ("lib/b.py", "print('b')\n"),
            ],
        ),
        sample(
            "install-prefix",
            ("actions/b.py", 4),
            &["/opt/stackstorm/packs/shop", "1 more", "get_pack_base_path"],
            &[
                ("actions/a.yaml", NOOP),
                (
                    "actions/b.py",
                    "#!/usr/bin/env python\n# /opt/stackstorm/a\n\nX = '/opt/stackstorm/packs/shop'\n\
                     Y = '/opt/stackstorm/packs/shop/b'\n",
                ),
            ],
            &[
                ("actions/a.yaml", NOOP),
                ("README.md", "/opt/stackstorm/packs"),
                ("actions/b.py", "'''\n/opt/stackstorm/packs\n'''\n"),
            ],
        ),
        sample(
            "install-prefix",
            ("actions/a.py", 1),
            &["write #!/usr/bin/env python"],
            &[
                ("actions/a.yaml", "name: a\nrunner_type: python-script\nentry_point: a.py\n"),
                ("actions/a.py", "#!/opt/stackstorm/st2/bin/python\n"),
            ],
            &[
                ("actions/a.yaml", "name: a\nrunner_type: python-script\nentry_point: a.py\n"),
                ("actions/a.py", "#!/usr/bin/env python\n"),
            ],
        ),
        action(
            "install-prefix",
            4,
            &["this default"],
            "name: a\nrunner_type: local-shell-cmd\nparameters:\n  cwd: {default: /opt/stackstorm/x}\n",
            "name: a\nrunner_type: local-shell-cmd\nparameters:\n  cwd: {default: /opt/shop}\n",
        ),
        sample(
            "template-not-read",
            ("rules/r.yaml", 6),
            &["cannot be read"],
            &[(
                "rules/r.yaml",
                "name: r\nenabled: true\ntrigger: {type: core.st2.generic.inquiry}\naction:\n  \
                 ref: core.local\n  parameters: {cmd: '{{ trigger. }}'}\n",
            )],
            &[("rules/r.yaml", RULE)],
        ),
    ]
}

//! Of packs as a whole, their configuration, sensors and what names actions.

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

const SENSOR: &str = "class_name: Watch\nentry_point: watch.py\n";
const ALIAS: &str = "name: a\nformats: [a]\naction_ref: shop.a\n";
const POLICY: &str = "name: p\npolicy_type: action.concurrency\nparameters: {threshold: 1}\n\
                      resource_ref: shop.a\n";
const SCHEMA: &str = "url: {type: string, required: true}\nport: {type: integer}\n\
                      token:\n  type: string\n  secret: true\n";

pub(super) fn samples() -> Vec<Sample> {
    [wholes(), files(), configuration(), others()].into_iter().flatten().collect()
}

fn wholes() -> Vec<Sample> {
    vec![
        sample(
            "empty-manifest",
            ("pack.yaml", 1),
            &["pack.yaml is empty", "say at least"],
            &[("pack.yaml", "# nothing\n")],
            &[("pack.yaml", "name: shop\n")],
        ),
        sample(
            "json-metadata",
            ("actions/a.json", 1),
            &["this file, and 1 more files"],
            &[
                ("actions/a.json", "{\"name\": \"a\", \"runner_type\": \"noop\"}"),
                ("actions/b.json", "{\"name\": \"b\", \"runner_type\": \"noop\"}"),
            ],
            &[("actions/a.yaml", NOOP), ("actions/table.json", "{\"rows\": [1]}")],
        ),
        sample(
            "trailing-comma",
            ("actions/a.json", 3),
            &["comma"],
            &[("actions/a.json", "{\"name\": \"a\",\n \"runner_type\": \"noop\",\n}")],
            &[("actions/a.json", "{\"name\": \"a\",\n \"runner_type\": \"noop\"\n}")],
        ),
        sample(
            "python2-only",
            ("pack.yaml", 2),
            &["Python 2 only"],
            &[("pack.yaml", "name: shop\npython_versions: [\"2\"]\n")],
            &[("pack.yaml", "name: shop\npython_versions: [\"2\", \"3\"]\n")],
        ),
        sample(
            "compares-text",
            ("pack.yaml", 1),
            &["in pack.yaml"],
            &[
                ("pack.yaml", ""),
                ("actions/a.json", "{\"name\": \"a\", \"runner_type\": \"run-local\"}"),
                ("rules/r.json", OLD_RULE),
            ],
            &[("pack.yaml", "version: 1.0\n"), ("rules/r.json", OLD_RULE)],
        ),
        sample(
            "name-with-dash",
            ("pack.yaml", 1),
            &["hello-shop", "lower case"],
            &[("pack.yaml", "ref: hello-shop\n")],
            &[("pack.yaml", "ref: hello_shop\n")],
        ),
    ]
}

const OLD_RULE: &str = "{\"name\": \"r\", \"enabled\": true, \"trigger\": {\"type\": \"x.y\"}, \
    \"criteria\": {\"trigger.a\": {\"type\": \"equals\", \"pattern\": 5}}, \
    \"action\": {\"ref\": \"shop.a\"}}";

fn files() -> Vec<Sample> {
    vec![
        sample(
            "not-read",
            ("rule/r.yaml", 1),
            &["rule/", "move it to rules/"],
            &[("rule/r.yaml", RULE)],
            &[("actions/workflows/w.yaml", "version: 1.0\n"), ("etc/rules/r.yaml", RULE)],
        ),
        sample(
            "not-read",
            ("rules/night/r.yaml", 1),
            &["move it to rules/"],
            &[("rules/night/r.yaml", RULE)],
            &[("rules/r.yaml", RULE)],
        ),
        sample(
            "stale-copy",
            ("rules/r.yaml.bak", 1),
            &["remove it"],
            &[("rules/r.yaml", RULE), ("rules/r.yaml.bak", RULE)],
            &[("rules/r.yaml", RULE), ("rules/notes.bak", "words")],
        ),
        sample(
            "stale-copy",
            ("pack.yml", 1),
            &["pack.yaml counts"],
            &[("pack.yaml", "name: shop\n"), ("pack.yml", "name: shop\n")],
            &[("pack.yml", "name: shop\n")],
        ),
    ]
}

fn configuration() -> Vec<Sample> {
    vec![
        sample(
            "config-schema",
            ("config.schema.yaml", 3),
            &["requried", "did you mean \"required\"?"],
            &[("config.schema.yaml", "url:\n  type: string\n  requried: true\n")],
            &[("config.schema.yaml", SCHEMA)],
        ),
        sample(
            "config-breaks-schema",
            ("configs/shop.yaml", 2),
            &["port", "is not of type"],
            &[("config.schema.yaml", SCHEMA), ("configs/shop.yaml", "url: x\nport: many\n")],
            &[
                ("config.schema.yaml", SCHEMA),
                ("config.yaml", "url: x\n"),
                ("configs/shop.yaml", "port: '{{ st2kv.system.port }}'\nmore: [1]\n"),
            ],
        ),
        sample(
            "config-breaks-schema",
            ("config.yaml", 1),
            &["url is required"],
            &[("config.schema.yaml", SCHEMA), ("config.yaml", "port: 5\n")],
            &[("config.schema.yaml", SCHEMA)],
        ),
        sample(
            "config-secret-in-clear",
            ("configs/shop.yaml", 2),
            &["hearken kv set"],
            &[("config.schema.yaml", SCHEMA), ("configs/shop.yaml", "url: x\ntoken: hunter2\n")],
            &[
                ("config.schema.yaml", SCHEMA),
                ("configs/shop.yaml", "url: x\ntoken: '{{ st2kv.system.t }}'\n"),
            ],
        ),
        sample(
            "secret-default",
            ("config.schema.yaml", 4),
            &["decrypt_kv"],
            &[(
                "config.schema.yaml",
                "token:\n  type: string\n  secret: true\n  default: hunter2\n",
            )],
            &[("config.schema.yaml", "token:\n  type: string\n  secret: true\n  default: ''\n")],
        ),
    ]
}

fn others() -> Vec<Sample> {
    vec![
        sample(
            "sensor-class-missing",
            ("sensors/s.yaml", 1),
            &["no class Watch", "it has Watcher"],
            &[("sensors/s.yaml", SENSOR), ("sensors/watch.py", "class Watcher:\n    pass\n")],
            &[
                ("sensors/s.yaml", SENSOR),
                ("sensors/watch.py", "from lib import Watch\n# class Other\n"),
            ],
        ),
        sample(
            "sensor-not-executable",
            ("sensors/s.yaml", 2),
            &["sensors/watch", "chmod +x"],
            &[
                ("sensors/s.yaml", "class_name: Watch\nentry_point: watch\n"),
                ("sensors/watch", "echo '{}'\n"),
            ],
            &[
                ("sensors/s.yaml", "class_name: Watch\nentry_point: watch\n"),
                ("sensors/watch", "#!/bin/sh\necho '{}'\n"),
            ],
        ),
        sample(
            "sensor-without-metadata",
            ("sensors/s.py", 1),
            &["Old"],
            &[("sensors/s.py", OLD_SENSOR)],
            &[("sensors/s.py", "class Helper:\n    pass\n")],
        ),
        sample(
            "alias-unknown-action",
            ("aliases/a.yaml", 3),
            &["shop.a"],
            &[("aliases/a.yaml", ALIAS)],
            &[("aliases/a.yaml", ALIAS), ("actions/a.yaml", NOOP)],
        ),
        sample(
            "policy-unknown-action",
            ("policies/p.yaml", 4),
            &["shop.a"],
            &[("policies/p.yaml", POLICY)],
            &[("policies/p.yaml", POLICY), ("actions/a.yaml", NOOP)],
        ),
    ]
}

const OLD_SENSOR: &str = "class Old:\n    def start(self):\n        pass\n\
                          \x20   def get_trigger_types(self):\n        return []\n";

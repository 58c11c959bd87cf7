//! Packs that are good, old, and bad in every way.

use std::sync::Arc;

use hearken_engine::definition::RunnerKind;
use hearken_proto::definition::{Bundle, BundleFile};
use proptest::prelude::*;

use super::{Loaded, load, shared};
use crate::Located;
use crate::bundle::Sealed;
use crate::source::{Roots, bundled, discover};

fn sealed(name: &str, files: &[(&str, &str)]) -> Sealed {
    let file = |(path, content): &(&str, &str)| BundleFile {
        path: (*path).to_owned(),
        executable: false,
        content: content.as_bytes().to_vec(),
    };
    let mut files: Vec<_> = files.iter().map(file).collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Sealed::new(Bundle { name: name.to_owned(), files }).unwrap()
}

fn pack(name: &str, files: &[(&str, &str)]) -> Loaded {
    load(&sealed(name, files))
}

/// `file:line` of each problem, with `!` when it is fatal.
fn places(problems: &[Located]) -> Vec<String> {
    let mark = |problem: &Located| if problem.fatal { "!" } else { "" };
    problems.iter().map(|told| format!("{}:{}{}", told.file, told.line, mark(told))).collect()
}

const ACTION: &str = "name: a\nrunner_type: noop\n";
const RULE: &str = "name: r\nenabled: true\ntrigger: {type: x.y}\naction: {ref: p.a}\n";

#[test]
fn the_bundled_packs_load_without_a_word() {
    for found in bundled() {
        let loaded = load(&Sealed::new(found.bundle).unwrap());
        assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
        let defined = &loaded.definitions;
        match defined.name.as_str() {
            "core" => {
                assert_eq!((defined.actions.len(), defined.triggers.len()), (16, 15));
                let names: Vec<_> = defined.actions.iter().map(|a| a.reference.as_str()).collect();
                for name in ["core.local", "core.local_sudo", "core.echo", "core.noop", "core.http"]
                {
                    assert!(names.contains(&name), "{name} is missing");
                }
            }
            "examples" => {
                let on: Vec<_> = defined.rules.iter().filter(|rule| rule.enabled).collect();
                assert_eq!((defined.rules.len(), on.len(), defined.actions.len()), (4, 3, 2));
            }
            "packs" => {
                let names: Vec<_> = defined.actions.iter().map(|a| a.reference.as_str()).collect();
                assert_eq!(names.len(), 10);
                for name in ["packs.install", "packs.uninstall", "packs.restart_component"] {
                    assert!(names.contains(&name), "{name} is missing");
                }
            }
            "linux" => {
                assert_eq!((defined.actions.len(), defined.sensors.len()), (19, 1));
            }
            other => panic!("pack {other} has no expectations"),
        }
    }
}

/// The first pack of StackStorm's documentation, with everything that is odd about it.
#[test]
fn hello_st2_loads_as_it_was_typed() {
    let root = tempfile::TempDir::new().unwrap();
    let write = |path: &str, content: &str| {
        let place = root.path().join("hello-st2").join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    };
    write("pack.yaml", "");
    write("config.yaml", "");
    write(
        "actions/hello.json",
        r#"{
    "name": "hello",
    "runner_type": "run-local",
    "description": "Say hello",
    "enabled": true,
    "entry_point": "hello.sh",
    "parameters": {}
}"#,
    );
    write("actions/hello.sh", "#!/usr/bin/env bash\necho hello\n");
    write("sensors/sensor1.py", SENSOR);
    write(
        "rules/rule1.json",
        r#"{
    "name": "hello-st2.rule1",
    "description": "Run hello on each event",
    "enabled": true,
    "trigger": {
        "type": "hello-st2.event1"
    },
    "action": {
        "ref": "hello-st2.hello",
        "parameters": {},
    }
}"#,
    );
    let roots = Roots { bundled: false, folders: vec![root.path().to_owned()] };
    let mut discovery = discover(&roots);
    assert!(discovery.problems.is_empty(), "{:?}", discovery.problems);
    let found = discovery.packs.remove(0);
    assert_eq!(found.bundle.name, "hello-st2");
    let loaded = load(&Sealed::new(found.bundle).unwrap());
    assert!(loaded.problems.iter().all(|told| !told.fatal), "{:#?}", loaded.problems);
    let defined = loaded.definitions;
    assert_eq!(defined.actions.len(), 1);
    assert_eq!(defined.actions[0].reference, "hello-st2.hello");
    assert_eq!(defined.actions[0].runner, RunnerKind::LocalShellScript);
    assert_eq!(defined.sensors.len(), 1);
    assert_eq!(defined.sensors[0].class_name, "HelloSensor");
    assert_eq!(defined.sensors[0].entry_point, "sensor1.py");
    assert_eq!(defined.rules.len(), 1);
    assert!(defined.rules[0].enabled);
    assert!(defined.compares_text);
    assert!(loaded.config.is_null());
}

const SENSOR_METADATA: &str = "class_name: A\nentry_point: a.py\n";

const SENSOR: &str = r#"import eventlet


class HelloSensor(object):
    def __init__(self, container_service, config=None):
        self._service = container_service
        self._logger = container_service.get_logger(__name__)

    def setup(self):
        pass

    def start(self):
        eventlet.spawn_after(self._tick, 10)

    def _tick(self):
        self._service.dispatch({'trigger': 'hello-st2.event1'}, {})

    def stop(self):
        pass

    def get_trigger_types(self):
        return [{'name': 'event1', 'payload_schema': {'type': 'object'}}]


def add_trigger(self, trigger):
    pass


def update_trigger(self, trigger):
    pass


def remove_trigger(self, trigger):
    pass
"#;

#[test]
fn one_bad_file_never_stops_the_others() {
    let loaded = pack(
        "p",
        &[
            ("pack.yaml", "- not\n- a mapping\n"),
            ("config.yaml", "key: [\n"),
            ("triggers/a.yaml", "name: t\n"),
            ("triggers/b.yaml", "description: no name\n"),
            ("sensors/s.yaml", "class_name: S\nentry_point: gone.py\n"),
            ("actions/a.yaml", ACTION),
            ("actions/b.yaml", "name: b\nrunner_type: noop\nparameters:\n  x:\n\ttype: string\n"),
            ("actions/c.yaml", "name: c\n\nrunner_type: noop\npack: other\n"),
            ("actions/d.yaml", "- 1\n"),
            ("actions/e.yaml", ""),
            ("actions/f.yaml", "name: f\nrunner_type: local-shell-script\nentry_point: f.sh\n"),
            ("rules/r.yaml", RULE),
            ("rules/s.json", "{\"name\": \"s\",\n  \"trigger\": ]\n}"),
            ("rules/t.yaml", "name: t\nenabled: true\ntrigger:\n  type: [x]\naction: {ref: p.a}\n"),
        ],
    );
    let defined = &loaded.definitions;
    assert_eq!(defined.triggers.len(), 1);
    assert_eq!(defined.actions.len(), 1);
    assert_eq!(defined.rules.len(), 1);
    let fatal: Vec<_> = loaded.problems.iter().filter(|told| told.fatal).cloned().collect();
    let expected = [
        "pack.yaml:1!",
        "triggers/b.yaml:1!",
        "sensors/s.yaml:2!",
        "actions/b.yaml:5!",
        "actions/c.yaml:4!",
        "actions/d.yaml:1!",
        "actions/f.yaml:3!",
        "rules/s.json:2!",
        "rules/t.yaml:4!",
        "config.yaml:2!",
    ];
    assert_eq!(places(&fatal), expected, "{fatal:#?}");
}

#[test]
fn files_that_are_no_metadata_are_left_alone() {
    let chain = "name: chain\nrunner_type: action-chain\nentry_point: chain.yaml\n";
    let loaded = pack(
        "p",
        &[
            ("actions/config.yaml", "anything: {{ here }}\n"),
            ("actions/chain.meta.yaml", chain),
            ("actions/chain.yaml", "chain:\n  - name: one\n    ref: core.local\n"),
            ("actions/table.json", "{\"rows\": [1, 2]}"),
            ("actions/list.json", "[1]"),
            ("actions/lib/deep.yaml", "- no: [metadata"),
            ("actions/README.md", "# words"),
            ("aliases/a.yaml", "name: a"),
            ("aliases/b.yaml", "name: b"),
            ("checks/c.yaml", "name: c"),
        ],
    );
    let expected = [
        "actions/chain.meta.yaml:2",
        "actions/list.json:1",
        "actions/table.json:1",
        "aliases/a.yaml:1",
        "checks/c.yaml:1",
    ];
    assert_eq!(places(&loaded.problems), expected, "{:#?}", loaded.problems);
    assert_eq!(loaded.definitions.actions[0].reference, "p.chain");
    assert_eq!(loaded.not_yet_used, ["aliases/a.yaml", "aliases/b.yaml", "checks/c.yaml"]);
}

#[test]
fn policies_are_read_and_what_is_wrong_has_its_line() {
    let good = "name: two\nresource_ref: p.a\npolicy_type: action.concurrency\n\
                parameters:\n  threshold: 2\n";
    let bad = "name: bad\nresource_ref: p.a\npolicy_type: action.retry\n\
               parameters:\n  retry_on: failure\n  max_retry_count: 9\n";
    let strange = "name: strange\nresource_ref: p.a\npolicy_type: action.concurency\n";
    let loaded = pack(
        "p",
        &[
            ("actions/a.yaml", ACTION),
            ("policies/bad.yaml", bad),
            ("policies/strange.yaml", strange),
            ("policies/two.yaml", good),
        ],
    );
    assert_eq!(places(&loaded.problems), ["policies/bad.yaml:6!", "policies/strange.yaml:3"]);
    let hint = loaded.problems[1].hint.as_deref().unwrap_or_default();
    assert!(hint.contains("action.concurrency"), "{hint}");
    let names: Vec<_> = loaded.definitions.policies.iter().map(|p| p.reference.as_str()).collect();
    assert_eq!(names, ["p.strange", "p.two"]);
}

#[test]
fn entry_points_stay_in_the_pack() {
    let action =
        |entry: &str| format!("name: a\nrunner_type: local-shell-script\nentry_point: {entry}\n");
    let rows = [
        ("run.sh", true),
        ("./lib/../run.sh", true),
        ("../etc/run.sh", true),
        ("lib/", false),
        ("../../run.sh", false),
        ("../../../p/etc/run.sh", false),
        ("/etc/passwd", false),
        ("none.sh", false),
    ];
    for (entry, expected) in rows {
        let text = action(entry);
        let files = [("actions/a.yaml", text.as_str()), ("actions/run.sh", ""), ("etc/run.sh", "")];
        let loaded = pack("p", &files);
        assert_eq!(loaded.definitions.actions.len() == 1, expected, "{entry}");
        let line = loaded.problems.iter().find(|told| told.fatal).map(|told| told.line);
        assert_eq!(line, (!expected).then_some(3), "{entry}");
    }
}

#[test]
fn of_two_files_with_one_name_the_later_counts() {
    let files = [
        (
            "actions/a.json",
            "{\"name\": \"a\", \"runner_type\": \"noop\", \"description\": \"old\"}",
        ),
        ("actions/a.yaml", "name: a\nrunner_type: noop\ndescription: new\n"),
    ];
    let loaded = pack("p", &files);
    assert_eq!(loaded.definitions.actions.len(), 1);
    assert_eq!(loaded.definitions.actions[0].description, "new");
    assert_eq!(places(&loaded.problems), ["actions/a.json:1"]);
}

#[test]
fn places_of_another_installation_are_told() {
    let action = "name: a\nrunner_type: python-script\nentry_point: a.py\nparameters:\n  cwd:\n    \
        type: string\n    default: /opt/stackstorm/packs/p\n";
    let files =
        [("actions/a.yaml", action), ("actions/a.py", "#!/opt/stackstorm/st2/bin/python -u\n")];
    let loaded = pack("p", &files);
    assert_eq!(loaded.definitions.actions.len(), 1);
    assert_eq!(places(&loaded.problems), ["actions/a.py:1", "actions/a.yaml:7"]);
    assert_eq!(loaded.problems[0].hint.as_deref(), Some("write #!/usr/bin/env python"));
}

#[test]
fn packs_of_the_first_generation_compare_as_text() {
    let action = |runner: &str| format!("{{\"name\": \"a\", \"runner_type\": \"{runner}\"}}");
    let rule = r#"{"name": "r", "enabled": true, "trigger": {"type": "x.y"},
        "criteria": {"trigger.a": {"type": "equals", "pattern": 5}}, "action": {"ref": "p.a"}}"#;
    let (old, new) = (action("run-local"), action("local-shell-cmd"));
    let judge = |manifest: &str, action: &str, more: (&str, &str)| {
        let files =
            [("pack.yaml", manifest), ("actions/a.json", action), ("rules/r.json", rule), more];
        let loaded = pack("p", &files);
        let told = loaded.problems.iter().any(|told| told.message.contains("as text"));
        assert_eq!(told, loaded.definitions.compares_text && manifest != "compat: v0");
        loaded.definitions.compares_text
    };
    let sensor = "class A:\n def start(self): pass\n def get_trigger_types(self): pass\n";
    assert!(judge("", &old, ("x", "")));
    assert!(judge("", &new, ("sensors/a.py", sensor)));
    assert!(judge("compat: v0", &new, ("x", "")));
    assert!(!judge("", &new, ("x", "")));
    assert!(judge("version: 0.1", &old, ("sensors/a.yaml", SENSOR_METADATA)));
    assert!(!judge("version: 0.1", &new, ("x", "")));
    assert!(!judge("version: 1.0", &old, ("x", "")));
    // With rules alone the version has to say it.
    for (manifest, expected) in [("version: 0.1", true), ("", false), ("version: 0.2", false)] {
        let loaded = pack("p", &[("pack.yaml", manifest), ("rules/r.json", rule)]);
        assert_eq!(loaded.definitions.compares_text, expected, "{manifest}");
    }
    assert!(!judge("", &old, ("rules/b.yaml", RULE)));
}

#[test]
fn what_somebody_has_is_not_loaded_again() {
    let sealed = |text: &str| sealed("shared", &[("actions/x.yaml", text)]);
    let (one, other) = (sealed("name: x\nrunner_type: noop\n"), sealed("name: y\n"));
    let first = shared(&one);
    assert!(Arc::ptr_eq(&first, &shared(&one)));
    assert!(!Arc::ptr_eq(&first, &shared(&other)));
    assert_eq!(first.definitions.actions.len(), 1);
    let gone = Arc::downgrade(&first);
    drop(first);
    assert!(gone.upgrade().is_none());
}

/// A file that another one names as its program is no metadata, whichever is read first.
#[test]
fn a_workflow_beside_its_metadata_says_nothing_of_its_own() {
    for metadata in ["actions/a.yaml", "actions/z.yaml"] {
        let text = "name: x\nrunner_type: orquesta\nentry_point: m.yaml\n";
        let loaded = pack("p", &[(metadata, text), ("actions/m.yaml", "version: 1.0\n")]);
        assert_eq!(loaded.definitions.actions.len(), 1);
        assert!(loaded.problems.iter().all(|told| told.file != "actions/m.yaml"), "{metadata}");
    }
}

#[test]
fn names_may_hold_dots() {
    let files = [("actions/x.yaml", "name: vault.encrypt\nrunner_type: noop\n")];
    let loaded = pack("p", &files);
    assert_eq!(loaded.definitions.actions[0].reference, "p.vault.encrypt");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the content, loading ends, says where, and says the same again.
    #[test]
    fn any_content_loads_the_same_twice(
        files in prop::collection::btree_map(
            prop::sample::select(vec![
                "pack.yaml", "config.yaml", "config.schema.yaml", "actions/a.yaml",
                "actions/b.json",
                "rules/a.yaml", "rules/b.json", "triggers/a.yml", "sensors/a.yaml", "sensors/b.py",
                "aliases/a.yaml", "policies/a.yaml", "actions/config.yaml", "actions/a.sh",
            ]),
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                prop::collection::vec(prop::sample::select(vec![
                    "name: ", "a\n", "runner_type: ", "noop\n", "entry_point: ", "../x\n", "- ",
                    "trigger:\n  type: ", "{", "}", "action: {ref: x.y}\n", "parameters:\n  x: ",
                    "criteria:\n  trigger.x: ", "{type: regex, pattern: '('}\n", "enabled: yes\n",
                    "class_name: A\n", "trigger_types: ", "[", "]", "pack: ", "1\n", "null\n",
                ]), 0..12).prop_map(|parts| parts.concat().into_bytes()),
            ],
            0..8,
        )
    ) {
        let files = files.into_iter().map(|(path, content)| {
            BundleFile { path: path.to_owned(), executable: false, content }
        });
        let bundle = Bundle { name: "p".to_owned(), files: files.collect() };
        let sealed = Sealed::new(bundle).unwrap();
        let loaded = load(&sealed);
        for told in &loaded.problems {
            prop_assert!(told.line >= 1 && told.column >= 1 && !told.message.is_empty());
            let known = told.file == "pack.yaml" || sealed.bundle().file(&told.file).is_some();
            prop_assert!(known, "{:?}", told);
        }
        prop_assert_eq!(format!("{loaded:?}"), format!("{:?}", load(&sealed)));
    }
}

//! What files say, where, and how much of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Document, Format, Place, SyntaxError, read, read_bytes};

fn yaml(text: &str) -> Result<Document, SyntaxError> {
    read(text, Format::Yaml)
}

#[test]
fn files_say_what_pyyaml_reads() {
    let rows: &[(&str, Value)] = &[
        ("", Value::Null),
        ("# only a comment\n", Value::Null),
        ("---\n", Value::Null),
        ("a: 1\nb: 1.0\nc: '1'\n", json!({"a": 1, "b": 1.0, "c": "1"})),
        ("enabled: yes\nmode: 0644\nat: 1:30\n", json!({"enabled": true, "mode": 420, "at": 90})),
        (
            "d: 2001-12-14\nt: 2001-12-14 01:02:03\n",
            json!({"d": "2001-12-14", "t": "2001-12-14T01:02:03"}),
        ),
        ("on-success: x\n", json!({"on-success": "x"})),
        ("on: x\n1: y\n~: z\n1.5: w\n", json!({"true": "x", "1": "y", "null": "z", "1.5": "w"})),
        ("a: 1\nb: 2\na: 3\n", json!({"a": 3, "b": 2})),
        (
            "base: &b {x: 1, y: 2}\nz:\n  <<: *b\n  y: 3\n",
            json!({"base": {"x": 1, "y": 2}, "z": {"x": 1, "y": 3}}),
        ),
        (
            "- &a {x: 1}\n- &b {x: 2, y: 2}\n- {<<: [*a, *b]}\n",
            json!([{"x": 1}, {"x": 2, "y": 2}, {"x": 1, "y": 2}]),
        ),
        ("{'<<': 1}\n", json!({"<<": 1})),
        ("a: &x [1]\nb: *x\n", json!({"a": [1], "b": [1]})),
        ("a: !!str 12\nb: !!int '7'\nc: !!float 3\n", json!({"a": "12", "b": 7, "c": 3.0})),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", json!({"a": "x\ny\n", "b": "x y"})),
        ("a: 10000000000000000000000\n", json!({"a": "10000000000000000000000"})),
        ("a: .inf\n", json!({"a": "inf"})),
        ("a: b\n---\n", json!({"a": "b"})),
        ("\u{feff}a: b\n", json!({"a": "b"})),
        (
            "a:\n  b: {\n  c: 1,\nd: [\n1\n] }\ne: 'x\ny\n z'\n",
            json!({"a": {"b": {"c": 1, "d": [1]}}, "e": "x y z"}),
        ),
        ("a: |\n  x", json!({"a": "x"})),
        ("a: |\n  x\n# c", json!({"a": "x\n"})),
        ("{\t\"a\": [1,\n\t2,],\n}\n", json!({"a": [1, 2]})),
    ];
    for (text, expected) in rows {
        let document = yaml(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(&document.value, expected, "{text:?}");
    }
}

#[test]
fn json_files_take_the_liberties_people_take() {
    let rows: &[(&str, Value)] = &[
        ("", Value::Null),
        ("{\"a\": 1,}", json!({"a": 1})),
        (
            "{\n\t\"a\": [1, 2.0, 1e2, -0.5,],\n\t// why\n\t\"b\": null # so\n}",
            json!({"a": [1, 2.0, 100.0, -0.5], "b": null}),
        ),
        ("/* head */ [\"\\ud83d\\ude00\\u00e9\\n\\/\"]", json!(["\u{1f600}\u{e9}\n/"])),
        ("[\"\\ud83d\"]", json!(["\u{fffd}"])),
        ("[NaN, -Infinity, 99999999999999999999]", json!(["nan", "-inf", "99999999999999999999"])),
        ("{\"a\": 1, \"a\": 2}", json!({"a": 2})),
        // Not JSON at all, but YAML.
        ("a: yes", json!({"a": true})),
        ("{'a': 012}", json!({"a": 10})),
    ];
    for (text, expected) in rows {
        let document = read(text, Format::Json).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(&document.value, expected, "{text:?}");
    }
}

#[test]
fn faults_name_line_column_and_help() {
    let rows = [
        ("a: b\n  c: d\n", Format::Yaml, 2, None),
        ("a:\n\tb: c\n", Format::Yaml, 2, Some("blanks")),
        ("a: x: y\n", Format::Yaml, 1, Some("needs quotes")),
        ("a: 1\nmessage: {{ trigger.x }}\n", Format::Yaml, 2, Some("quotes")),
        ("a: !vault x\n", Format::Yaml, 1, Some("quote")),
        ("a: &x [*x]\n", Format::Yaml, 1, None),
        ("a: *nobody\n", Format::Yaml, 1, None),
        ("a: b\n---\nc: d\n", Format::Yaml, 3, Some("one document")),
        ("a:\n  <<: 1\n", Format::Yaml, 2, None),
        ("{\n  \"a\": 1\n  \"b\": 2\n}", Format::Json, 3, None),
        ("{\n  \"a\": [1, 2\n", Format::Json, 2, None),
        ("{\"a\": \"x\n\n", Format::Json, 1, None),
        ("{\"a\": \\", Format::Json, 1, None),
    ];
    for (text, format, line, hint) in rows {
        let error = match read(text, format) {
            Err(error) => error,
            Ok(document) => panic!("{text:?} was read as {}", document.value),
        };
        assert_eq!(error.place.line, line, "{text:?}: {error}");
        assert!(error.place.column >= 1 && !error.message.is_empty());
        if let Some(part) = hint {
            assert!(error.hint.clone().unwrap_or_default().contains(part), "{text:?}: {error:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_name_their_line() {
    let error = read_bytes(b"a: b\nc: \xff\n", Format::Yaml).unwrap_err();
    assert_eq!(error.place, Place { line: 2, column: 4 });
    assert!(error.message.contains("UTF-8"));
}

#[test]
fn every_value_has_its_line() {
    let text = "name: x\nparameters:\n  a/b:\n    type: string\n  list:\n    - one\n    - two\n";
    let document = yaml(text).unwrap();
    let line = |pointer: &str| document.place(pointer).line;
    assert_eq!(line("/name"), 1);
    assert_eq!(line("/parameters/a~1b/type"), 4);
    assert_eq!(line("/parameters/list/1"), 7);
    // What the file does not have is blamed on what would hold it.
    assert_eq!(line("/parameters/a~1b/default/x"), 3);
    assert_eq!(line("/runner_type"), 1);
}

#[test]
fn duplicates_and_odd_keys_are_told() {
    let document = yaml("a: 1\non: 2\na: 3\n").unwrap();
    let told: Vec<_> = document.notices.iter().map(|notice| notice.place.line).collect();
    assert_eq!(told, [2, 3], "{:?}", document.notices);
    // A key that overrides a merged one is what merging is for.
    assert!(yaml("b: &b {x: 1}\nc: {<<: *b, x: 2}\n").unwrap().notices.is_empty());
}

#[test]
fn bombs_and_towers_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    let mut merges = String::from("m0: &m0 {k: v}\n");
    for level in 1..40 {
        let below = level - 1;
        let names = vec![format!("*a{below}"); 10].join(", ");
        bomb.extend([format!("a{level}: &a{level} [{names}]\n")]);
        let twice = format!("*m{below}, *m{below}");
        merges.extend([format!("m{level}: &m{level} {{<<: [{twice}], k: v}}\n")]);
    }
    let text_bomb = format!("a: &a {:?}\nb: [{}]\n", "x".repeat(1 << 16), "*a, ".repeat(1000));
    let long_key = format!("? {}\n: [{}]\n", "k".repeat(100_000), "1, ".repeat(10_000));
    let mut chain = String::from("- &c0 [x]\n");
    for level in 1..1000 {
        chain.extend([format!("- &c{level} [*c{}]\n", level - 1)]);
    }
    let tower = "[".repeat(100_000);
    let block_tower = "- ".repeat(100_000);
    let braces = "{\"a\":".repeat(100_000);
    for text in [bomb, merges, text_bomb, long_key, chain, tower, block_tower, braces] {
        for format in [Format::Yaml, Format::Json] {
            assert!(read(&text, format).is_err(), "{:?}", text.get(..60));
        }
    }
    assert!(read_bytes(&vec![b' '; super::TEXT_BYTES_MAX + 1], Format::Yaml).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        drop(read(&text, Format::Yaml));
        drop(read(&text, Format::Json));
    }

    #[test]
    fn no_yaml_like_text_panics(parts in prop::collection::vec(
        prop::sample::select(vec![
            "a", ": ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "? ", "&a ", "*a", "<<: ",
            "|", ">", "\"", "'", "#", "!!str ", "!", "%YAML 1.1\n", "---\n", "...\n", "\\u12",
            "1:30", "~", "\u{feff}", "\u{85}", "\r", "é", "@", "`", "|2-\n", ":", "//", "/*",
        ]), 0..60)) {
        let text = parts.concat();
        drop(read(&text, Format::Yaml));
        drop(read(&text, Format::Json));
    }

    #[test]
    fn printed_json_reads_back(
        map in prop::collection::btree_map(".{0,8}", prop::num::i64::ANY, 0..8),
        texts in prop::collection::vec(".{0,20}", 0..4),
        float in prop::num::f64::NORMAL,
    ) {
        let value = json!({"map": map, "texts": texts, "float": float});
        for printed in [value.to_string(), serde_json::to_string_pretty(&value)?] {
            prop_assert_eq!(&read(&printed, Format::Json).unwrap().value, &value);
        }
    }
}

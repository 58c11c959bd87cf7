//! What the check says, as prose and as JSON; each kind of finding is in `rows`.

mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hearken_proto::Timestamp;
use tempfile::TempDir;

use super::{Report, Surroundings};
use crate::Error;

/// Writes a file of a pack, or a link as `name -> where`; what says its interpreter is executable.
fn write(root: &Path, path: &str, content: &str) {
    let (path, leads) = path.split_once(" -> ").map_or((path, None), |(path, to)| (path, Some(to)));
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    if let Some(leads) = leads {
        return std::os::unix::fs::symlink(leads, place).unwrap();
    }
    fs::write(&place, content).unwrap();
    if content.starts_with("#!") {
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn check(folder: &Path) -> Result<Report, Error> {
    let now = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
    let configs = folder.parent().map(|root| root.join("configs"));
    super::check(folder, &Surroundings { now, configs })
}

fn text(root: &Path, folder: &str) -> (String, bool) {
    let report = check(&root.join(folder)).unwrap();
    (report.text().replace(root.to_str().unwrap(), "ROOT"), report.is_clean())
}

#[test]
fn a_clean_pack_is_one_line() {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/actions/a.yaml", "name: a\nrunner_type: noop\n");
    let expected =
        "shop: 1 action, 0 rules, 0 sensors, 0 trigger types; 0 errors, 0 warnings, 0 notices\n";
    assert_eq!(text(root.path(), "shop"), (expected.to_owned(), true));
}

#[test]
fn findings_say_where_what_why_and_what_helps() {
    let root = TempDir::new().unwrap();
    let broken = "name: a\nrunner_type: local-shell-script\nentry_point: a.sh\n";
    write(root.path(), "shop/actions/a.yaml", broken);
    write(root.path(), "shop/actions/b.yaml", "name: b\nmessage: {{ x }}\nrunner_type: noop\n");
    write(root.path(), "shop/actions/c.yaml", "name: c\nrunner_type: mistral-v2\n");
    write(root.path(), "shop/secret -> /etc/passwd", "");
    let expected = "\
ROOT/shop/actions/a.yaml:3: error: the entry point \"a.sh\" does not exist: there is no actions/a.sh [entry-point-missing]
  why: there is nothing to run, so it is left out
ROOT/shop/actions/b.yaml:2: error: a list or mapping cannot be a key [not-in-force]
  why: what this file defines is left out; the rest is loaded
  hint: a text that starts with { or [ needs quotes, as in \"{{ name }}\"
ROOT/shop/actions/c.yaml:2: warning: runner \"mistral-v2\" is not supported [runner-not-supported]
  why: the action can be seen, and every run of it is refused; the rest of the pack works
  hint: convert the workflow to orquesta with orquestaconvert
ROOT/shop/secret:1: error: refused: this link leads out of the pack [link-out]
  why: the file is no part of the pack
shop: 1 action, 0 rules, 0 sensors, 0 trigger types; 3 errors, 1 warning, 0 notices
";
    let (found, is_clean) = text(root.path(), "shop");
    assert_eq!(found, expected);
    assert!(!is_clean);
    let json = check(&root.path().join("shop")).unwrap().json();
    let expected = serde_json::json!({
        "id": "runner-not-supported",
        "level": "warning",
        "pack": "shop",
        "file": "actions/c.yaml",
        "line": 2,
        "column": 1,
        "what": "runner \"mistral-v2\" is not supported",
        "why": "the action can be seen, and every run of it is refused; the rest of the pack works",
        "hint": "convert the workflow to orquesta with orquestaconvert",
    });
    assert_eq!(json[2], expected);
    assert_eq!(json.as_array().unwrap().len(), 4);
}

#[test]
fn a_folder_of_packs_is_checked_whole() {
    let root = TempDir::new().unwrap();
    write(root.path(), "two/actions/a.yaml", "name: a\nrunner_type: noop\n");
    write(root.path(), "one/pack.yaml", "ref: two");
    write(root.path(), "b d/pack.yaml", "");
    let (found, is_clean) = text(root.path(), "");
    assert!(!is_clean);
    assert!(found.contains("b d:1: error: "), "{found}");
    assert!(found.contains("ROOT/one is the pack two as well"), "{found}");
    assert!(found.contains("two: 0 actions, "), "{found}");
}

#[test]
fn a_folder_without_packs_is_an_error() {
    let root = TempDir::new().unwrap();
    assert!(matches!(check(root.path()), Err(Error::NoPack(_))));
    assert!(matches!(check(&root.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn nothing_that_a_pack_says_writes_a_line_of_its_own() {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/actions/a\nb: error: fake.yaml", "");
    let action = "name: a\nrunner_type: \"x\\nfake.yaml:1: error: \"\n";
    write(root.path(), "shop/actions/c.yaml", action);
    let (found, _) = text(root.path(), "shop");
    let begins = |line: &str| line.starts_with("ROOT/") || line.starts_with("  ");
    assert!(found.lines().all(|line| begins(line) || line.starts_with("shop: ")), "{found}");
}

#[test]
fn of_many_findings_of_one_kind_the_last_says_how_many_more() {
    let root = TempDir::new().unwrap();
    for number in 0..60 {
        let action = format!("name: a{number}\nrunner_type: noop\npparameters: {{}}\n");
        write(root.path(), &format!("shop/actions/a{number:02}.yaml"), &action);
        let rule = format!(
            "name: r{number}\nenabled: true\ntrigger: {{type: core.st2.generic.inquiry}}\n\
             action: {{ref: shop.none}}\n"
        );
        write(root.path(), &format!("shop/rules/r{number:02}.yaml"), &rule);
    }
    let report = check(&root.path().join("shop")).unwrap();
    let unknown: Vec<_> = report.findings.iter().filter(|f| f.id == "unknown-action").collect();
    assert_eq!(unknown.len(), 50);
    let last = unknown.last().unwrap();
    assert!(last.what.ends_with(" (and 10 more of this kind)"), "{}", last.what);
}

#[test]
fn the_bundled_packs_are_examples_in_this_as_well() {
    let root = TempDir::new().unwrap();
    for found in crate::source::bundled() {
        for file in &found.bundle.files {
            let content = String::from_utf8_lossy(&file.content);
            write(root.path(), &format!("{}/{}", found.bundle.name, file.path), &content);
        }
    }
    let report = check(root.path()).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    // What core has of StackStorm is named and defaulted as it is there.
    let kept = ["default-none-text", "runner-not-supported"];
    let heavy = report.findings.iter().filter(|found| found.level < super::Level::Notice);
    let odd: Vec<_> = heavy.filter(|found| !kept.contains(&found.id)).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

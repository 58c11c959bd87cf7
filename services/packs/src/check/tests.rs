//! What the check says, as prose.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::check;
use crate::Error;

fn write(root: &Path, path: &str, content: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, content).unwrap();
}

fn text(root: &Path, folder: &str) -> (String, bool) {
    let report = check(&root.join(folder)).unwrap();
    (report.text().replace(root.to_str().unwrap(), "ROOT"), report.is_clean())
}

#[test]
fn a_clean_pack_is_one_line() {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/actions/a.yaml", "name: a\nrunner_type: noop\n");
    let expected = "shop: 1 action, 0 rules, 0 sensors, 0 trigger types; 0 errors, 0 notices\n";
    assert_eq!(text(root.path(), "shop"), (expected.to_owned(), true));
}

#[test]
fn faults_name_file_line_and_help() {
    let root = TempDir::new().unwrap();
    let broken = "name: a\nrunner_type: local-shell-script\nentry_point: a.sh\n";
    write(root.path(), "shop/actions/a.yaml", broken);
    write(root.path(), "shop/actions/b.yaml", "name: b\nmessage: {{ x }}\nrunner_type: noop\n");
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("shop/secret")).unwrap();
    let expected = "\
ROOT/shop/actions/a.yaml:3: error: the entry point \"a.sh\" does not exist: there is no actions/a.sh
ROOT/shop/actions/b.yaml:2: error: a list or mapping cannot be a key
  hint: a text that starts with { or [ needs quotes, as in \"{{ name }}\"
ROOT/shop/secret:1: error: refused: this link leads out of the pack
shop: 0 actions, 0 rules, 0 sensors, 0 trigger types; 3 errors, 0 notices
";
    let (found, is_clean) = text(root.path(), "shop");
    assert_eq!(found, expected);
    assert!(!is_clean);
    let json = check(&root.path().join("shop")).unwrap().json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["packs"][0]["name"], "shop");
    assert_eq!(json["problems"][0]["file"], "actions/a.yaml");
    assert_eq!(json["problems"][0]["line"], 3);
    assert_eq!(json["problems"][0]["fatal"], true);
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
    assert!(found.contains("two: 1 action, "), "{found}");
}

#[test]
fn a_folder_without_packs_is_an_error() {
    let root = TempDir::new().unwrap();
    assert!(matches!(check(root.path()), Err(Error::NoPack(_))));
    assert!(matches!(check(&root.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn a_file_name_writes_no_line_of_its_own() {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/actions/a\nb: error: fake.yaml", "");
    let (found, _) = text(root.path(), "shop");
    assert_eq!(found.lines().count(), 2, "{found}");
}

#[test]
fn what_nobody_defines_is_told_at_its_line() {
    let root = TempDir::new().unwrap();
    let rule = |name: &str, action: &str| {
        format!(
            "name: {name}\nenabled: true\ntrigger:\n  type: core.st2.webhook\n  parameters: \
             {{url: mine}}\naction:\n  ref: {action}\n"
        )
    };
    write(root.path(), "shop/actions/note.yaml", "name: note\nrunner_type: noop\nenabled: false\n");
    write(root.path(), "shop/rules/a.yaml", &rule("a", "shop.not"));
    write(root.path(), "shop/rules/b.yaml", &rule("b", "shop.note"));
    write(root.path(), "shop/rules/c.yaml", &rule("c", "core.noop"));
    let policy = "name: p\npolicy_type: action.concurrency\nresource_ref: shop.gone\n\
                  parameters: {threshold: 1}\n";
    write(root.path(), "shop/policies/p.yaml", policy);
    let hook = "name: e\nenabled: true\ntrigger: {type: core.st2.webhook}\naction: core.noop\n";
    write(root.path(), "shop/rules/e.yaml", hook);
    let (found, is_clean) = text(root.path(), "shop");
    assert!(!is_clean, "{found}");
    for expected in [
        "policies/p.yaml:3: notice: no action is called \"shop.gone\": no effect",
        "rules/a.yaml:7: notice: Action \"shop.not\" doesn't exist: every match is a failure\n  \
         hint: did you mean \"shop.note\"?",
        "rules/b.yaml:7: notice: action \"shop.note\" is disabled: every match is a failure",
        "rules/e.yaml:3: error: core.st2.webhook without parameters never fires\n  hint: write \
         parameters: {url: NAME}",
    ] {
        assert!(found.contains(expected), "{expected} is missing:\n{found}");
    }
    assert!(!found.contains("c.yaml"), "{found}");
}

//! Which packs are found, and which of two counts.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Origin, Roots, bundled, discover, is_pack, read_pack};
use crate::bundle::Sealed;

fn write(root: &Path, path: &str, content: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, content).unwrap();
}

fn roots(folders: &[&Path]) -> Roots {
    Roots { bundled: false, folders: folders.iter().map(|folder| folder.to_path_buf()).collect() }
}

fn names(roots: &Roots) -> Vec<String> {
    discover(roots).packs.into_iter().map(|found| found.bundle.name).collect()
}

#[test]
fn the_bundled_packs_are_canonical() {
    let packs = bundled();
    let names: Vec<_> = packs.iter().map(|found| found.bundle.name.as_str()).collect();
    assert_eq!(names, ["core", "examples", "linux", "packs"]);
    for found in packs {
        // What a shell starts, and what StackStorm's packs have without an ending.
        let others = ["actions/checks/check_processes.py", "actions/send_mail/send_mail"];
        let script = |path: &str| path.ends_with(".sh") || others.contains(&path);
        assert!(found.bundle.files.iter().all(|file| file.executable == script(&file.path)));
        // What is in the binary is what the same folder would be under a root.
        let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
        let folder = read_pack(&packs.join(&found.bundle.name)).unwrap();
        assert_eq!(Sealed::new(folder.bundle).unwrap(), Sealed::new(found.bundle).unwrap());
        assert!(folder.problems.is_empty());
    }
}

#[test]
fn every_folder_that_looks_like_a_pack_is_one() {
    let root = TempDir::new().unwrap();
    write(root.path(), "hello-st2/pack.yaml", "");
    write(root.path(), "bare/actions/a.yaml", "name: a");
    write(root.path(), "json/pack.json", "{\"ref\": \"renamed\"}");
    write(root.path(), "stackstorm.git/pack.yaml", "name: named");
    write(root.path(), "checks/rules/a.yaml", "name: a");
    write(root.path(), "notes/text.txt", "");
    write(root.path(), ".hidden/pack.yaml", "");
    write(root.path(), "no good/pack.yaml", "name: also not good");
    write(root.path(), "pack.txt", "");
    let discovery = discover(&roots(&[root.path()]));
    let found: Vec<_> = discovery.packs.iter().map(|found| found.bundle.name.as_str()).collect();
    assert_eq!(found, ["bare", "checks", "hello-st2", "named", "renamed"]);
    assert_eq!(discovery.problems.len(), 1, "{:?}", discovery.problems);
    assert!(discovery.problems[0].fatal && discovery.problems[0].file.ends_with("no good"));
}

#[test]
fn a_folder_that_is_a_pack_is_loaded_with_a_notice() {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/rules/a.yaml", "name: a");
    write(root.path(), "checks/rules/a.yaml", "name: a");
    let shop = root.path().join("shop");
    assert!(is_pack(&shop) && !is_pack(root.path()));
    let discovery = discover(&roots(&[&shop]));
    assert_eq!(discovery.packs.len(), 1);
    assert_eq!(discovery.problems.len(), 1);
    assert!(!discovery.problems[0].fatal);
}

#[test]
fn a_later_root_wins_with_a_notice() {
    let one = TempDir::new().unwrap();
    let other = TempDir::new().unwrap();
    write(one.path(), "shop/rules/a.yaml", "name: first");
    write(other.path(), "shop/rules/a.yaml", "name: second");
    write(other.path(), "core/actions/a.yaml", "name: mine");
    let mut roots = roots(&[one.path(), other.path()]);
    roots.bundled = true;
    let discovery = discover(&roots);
    assert_eq!(names(&roots), ["core", "examples", "linux", "packs", "shop"]);
    let shop = &discovery.packs[4];
    assert_eq!(shop.origin, Origin::Folder(other.path().join("shop")));
    assert_eq!(shop.bundle.files[0].content, b"name: second");
    let told: Vec<_> = discovery.problems.iter().map(|told| told.message.as_str()).collect();
    assert!(told.len() == 2 && told[0].contains("bundled") && told[1].contains("shop"), "{told:?}");
}

#[test]
fn a_root_that_is_missing_is_told_and_stops_nothing() {
    let root = TempDir::new().unwrap();
    write(root.path(), "shop/rules/a.yaml", "name: a");
    let missing = root.path().join("missing");
    let discovery = discover(&roots(&[&missing, root.path()]));
    assert_eq!(discovery.packs.len(), 1);
    assert!(discovery.problems.len() == 1 && !discovery.problems[0].fatal);
}

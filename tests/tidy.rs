//! The rules of the house, held: headers, sizes, who may depend on whom, who may name what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// A file longer than this does two jobs.
const LINES_MAX: usize = 600;
const WIDTH_MAX: usize = 100;
/// Packages in Cargo.lock. Raised only by a commit that says why.
const PACKAGES_MAX: usize = 330;

/// Which of our crates each crate may use: the table of services/README.md.
const ARROWS: [(&str, &[&str]); 13] = [
    ("proto", &[]),
    ("services/collect", &["proto", "kit", "facts"]),
    ("services/engine", &["proto"]),
    ("services/facts", &["proto"]),
    ("services/log", &["proto"]),
    ("services/kit", &["proto", "log"]),
    ("services/packs", &["proto", "engine", "kit"]),
    ("services/sensors", &["proto", "engine", "kit", "packs"]),
    ("services/rules", &["proto", "engine", "kit", "packs"]),
    ("services/actions", &["proto", "engine", "kit", "packs"]),
    ("services/ledger", &["proto", "engine", "kit", "log"]),
    ("services/web", &["proto", "engine", "kit", "packs"]),
    ("tests/bench", &["proto", "engine", "kit", "log", "packs", "rules"]),
];

/// Which crate alone may name a library.
const OWNERS: [(&str, &[&str]); 16] = [
    ("rmp-serde", &["proto"]),
    ("minijinja", &["services/engine"]),
    ("fancy-regex", &["services/engine"]),
    ("sled", &["services/log", "tests/bench"]),
    ("async-nats", &["services/kit", ".", "tests/bench"]),
    ("axum", &["services/web"]),
    ("hyper", &["services/web"]),
    ("hmac", &["services/web"]),
    ("ring", &["services/kit"]),
    ("ureq", &["services/actions", "."]),
    ("clap", &["."]),
    ("sysinfo", &["services/facts"]),
    ("saphyr-parser", &["services/packs"]),
    ("notify", &["services/packs"]),
    ("tar", &["services/collect", "services/packs"]),
    ("flate2", &["services/collect", "services/packs"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file with this ending that belongs to us.
fn files(ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    ensure!(!found.is_empty(), "no {ending} files");
    Ok(found)
}

fn report(faults: &[String]) -> anyhow::Result<()> {
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn every_file_says_what_it_is_and_stays_small() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for path in files("rs")? {
        let text = std::fs::read_to_string(&path)?;
        let name = short(&path);
        if !text.starts_with("//!") {
            faults.push(format!("{name}: no header"));
        }
        if text.lines().count() > LINES_MAX {
            faults.push(format!("{name}: more than {LINES_MAX} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            // A text that must be one line is one line.
            if line.chars().count() > WIDTH_MAX && !line.contains('"') {
                faults.push(format!("{name}:{number}: wider than {WIDTH_MAX}"));
            }
            let todo = ["TO", "DO"].concat();
            if line.contains(&todo) && !line.contains('#') {
                faults.push(format!("{name}:{number}: {todo} without a reference"));
            }
        }
    }
    report(&faults)
}

/// The manifests, by folder, as tables.
fn manifests() -> anyhow::Result<BTreeMap<String, toml::Table>> {
    let mut found = BTreeMap::new();
    for path in files("toml")? {
        if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            let folder = short(path.parent().context("a folder")?);
            let folder = if folder.is_empty() { ".".to_owned() } else { folder };
            found.insert(folder, std::fs::read_to_string(&path)?.parse()?);
        }
    }
    Ok(found)
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn arrows_never_turn_back() -> anyhow::Result<()> {
    let manifests = manifests()?;
    let mut faults = Vec::new();
    for (folder, manifest) in manifests.iter().filter(|(folder, _)| *folder != ".") {
        let allowed = ARROWS.iter().find(|(known, _)| known == folder).map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            faults.push(format!("{folder} is not in the table"));
            continue;
        };
        for used in dependencies(manifest).iter().filter_map(|d| d.strip_prefix("hearken-")) {
            if !allowed.contains(&used) {
                faults.push(format!("{folder} may not use {used}"));
            }
        }
    }
    report(&faults)
}

#[test]
fn a_library_is_named_by_its_owner_alone() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for (folder, manifest) in manifests()? {
        for (library, owners) in OWNERS {
            if dependencies(&manifest).contains(library) && !owners.contains(&folder.as_str()) {
                faults.push(format!("{folder} may not name {library}"));
            }
        }
    }
    report(&faults)
}

#[test]
fn no_test_file_is_forgotten() -> anyhow::Result<()> {
    let listed = std::fs::read_to_string(root().join("tests/main.rs"))?;
    for entry in std::fs::read_dir(root().join("tests"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|extension| extension == "rs") && name != "main" {
            ensure!(listed.contains(&format!("mod {name};")), "tests/{name}.rs is not listed");
        }
    }
    Ok(())
}

#[test]
fn the_number_of_packages_is_bounded() -> anyhow::Result<()> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    let packages = lock.matches("[[package]]").count();
    ensure!(packages <= PACKAGES_MAX, "{packages} packages in Cargo.lock");
    Ok(())
}

#[test]
fn the_top_level_stays_as_it_is() -> anyhow::Result<()> {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "compose",
        "deny.toml",
        "packs",
        "proto",
        "rustfmt.toml",
        "services",
        "target",
        "tests",
    ];
    for entry in std::fs::read_dir(root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(name.starts_with('.') || expected.contains(&name.as_str()), "{name} is new");
    }
    Ok(())
}

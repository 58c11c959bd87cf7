//! Lists the bundled packs (`packs/` at the top of the repository) and the Python that packs stand
//! on (`python/` beside this file) so that they are embedded.
//!
//! A list of `include_bytes!` needs no crate, and cargo rebuilds it when a file there changes.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let packs = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../packs");
    let packs = packs.canonicalize()?;
    println!("cargo::rerun-if-changed={}", packs.display());
    let mut list = String::from("&[\n");
    for pack in sorted(&packs)? {
        if !pack.is_dir() {
            continue;
        }
        writeln!(list, "    ({:?}, &[", name(&pack)?)?;
        write_files(&pack, &pack, &mut list)?;
        list.push_str("    ]),\n");
    }
    list.push_str("]\n");
    let out = std::env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("bundled.rs"), list)?;
    fs::write(Path::new(&out).join("python.rs"), python()?)?;
    Ok(())
}

/// The list of the Python files, without their tests.
fn python() -> Result<String, Box<dyn Error>> {
    let python = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("python");
    let mut list = String::from("&[\n");
    for part in ["last", "layer"] {
        println!("cargo::rerun-if-changed={}", python.join(part).display());
        write_files(&python, &python.join(part), &mut list)?;
    }
    list.push_str("]\n");
    Ok(list)
}

/// One line per file under `folder`: path in the pack, executable or not, bytes.
fn write_files(pack: &Path, folder: &Path, list: &mut String) -> Result<(), Box<dyn Error>> {
    for place in sorted(folder)? {
        if place.is_dir() {
            write_files(pack, &place, list)?;
            continue;
        }
        let path = place.strip_prefix(pack)?.to_str().ok_or("a path is not UTF-8")?;
        let executable = fs::metadata(&place)?.permissions().mode() & 0o100 != 0;
        writeln!(list, "        ({path:?}, {executable}, include_bytes!({place:?})),")?;
    }
    Ok(())
}

/// What is in `folder` and belongs to a pack, by name.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut places = Vec::new();
    for entry in fs::read_dir(folder)? {
        let place = entry?.path();
        let name = name(&place)?;
        let left_behind = name.starts_with('.') || name.ends_with('~') || name.ends_with(".pyc");
        if !left_behind && name != "__pycache__" {
            places.push(place);
        }
    }
    places.sort();
    Ok(places)
}

fn name(place: &Path) -> Result<&str, Box<dyn Error>> {
    Ok(place.file_name().and_then(|name| name.to_str()).ok_or("a name is not UTF-8")?)
}

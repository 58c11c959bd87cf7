//! Where a pack's own libraries are installed.

use std::path::{Path, PathBuf};

/// The interpreter of a pack's virtual environment under `data`, when it has one:
/// `virtualenvs/<pack>/current/bin/python`, or `virtualenvs/<pack>/bin/python`.
///
/// Links of folders are followed, so that another environment behind the same link is another path;
/// the interpreter itself is a link that says which environment it belongs to, and stays one.
#[must_use]
pub fn virtualenv(data: &Path, pack: &str) -> Option<PathBuf> {
    let folder = data.join("virtualenvs").join(pack);
    ["current", ""].into_iter().find_map(|part| {
        let bin = folder.join(part).join("bin").canonicalize().ok()?;
        Some(bin.join("python")).filter(|python| python.is_file())
    })
}

//! A folder that came from outside: looked through, and copied.
//!
//! Bounds first: what is beyond them is refused as a whole. Links may point to what is in the same
//! folder; a link that leads out, on the face of it or through other links, refuses the folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

/// Files and folders of one pack, or of a repository of packs.
pub(super) const ENTRIES_MAX: usize = 50_000;
/// Bytes of one pack, or of a repository of packs.
pub(super) const BYTES_MAX: u64 = 512 << 20;
/// Folders deep.
const DEPTH_MAX: usize = 64;
/// What a checkout has and a pack has not.
const NOT_COPIED: &str = ".git";

/// Looks through `root`. Answers what is wrong with it.
pub(super) fn check(root: &Path) -> Result<(), String> {
    walk(root, &mut |_path, _kind| Ok(()))
}

/// Copies what `from` holds to `to`, which must not exist.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("{path:?}: {error}");
    fs::create_dir_all(to).map_err(|error| failed(to, error))?;
    walk(from, &mut |path, kind| {
        let (source, target) = (from.join(path), to.join(path));
        let done = match kind {
            Kind::Folder => fs::create_dir(&target),
            Kind::Link => fs::read_link(&source).and_then(|leads| symlink(leads, &target)),
            Kind::File(mode) => fs::copy(&source, &target)
                .and_then(|_bytes| fs::set_permissions(&target, Permissions::from_mode(mode))),
        };
        done.map_err(|error| failed(&source, error))
    })
}

/// What is at a path.
#[derive(Clone, Copy)]
enum Kind {
    /// A folder.
    Folder,
    /// A link that stays inside.
    Link,
    /// A file with these permissions.
    File(u32),
}

/// Calls `each` for everything in `root` but repositories' own folders, parents first.
fn walk(
    root: &Path,
    each: &mut dyn FnMut(&Path, Kind) -> Result<(), String>,
) -> Result<(), String> {
    // Names are somebody's: printed in quotes, they write no line of their own.
    let unreadable = |path: &Path, error: std::io::Error| format!("{path:?}: {error}");
    let root = root.canonicalize().map_err(|error| unreadable(root, error))?;
    let (mut entries, mut bytes) = (0_usize, 0_u64);
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let path = entry.path();
            if entry.file_name() == NOT_COPIED {
                continue;
            }
            let inside = path.strip_prefix(&root).map_err(|error| error.to_string())?.to_owned();
            entries += 1;
            if entries > ENTRIES_MAX {
                return Err(format!("it has more than {ENTRIES_MAX} files and folders"));
            }
            if inside.components().count() > DEPTH_MAX {
                return Err(format!("{inside:?} is more than {DEPTH_MAX} folders deep"));
            }
            let metadata = fs::symlink_metadata(&path).map_err(|e| unreadable(&path, e))?;
            let kind = if metadata.is_dir() {
                folders.push(path);
                Kind::Folder
            } else if metadata.is_symlink() {
                check_link(&root, &path, &inside)?;
                Kind::Link
            } else if metadata.is_file() {
                bytes = bytes.saturating_add(metadata.len());
                Kind::File(metadata.permissions().mode() & 0o755 | 0o600)
            } else {
                return Err(format!("{inside:?} is neither a file, a folder nor a link"));
            };
            if bytes > BYTES_MAX {
                return Err(format!("it is larger than {} MiB", BYTES_MAX >> 20));
            }
            each(&inside, kind)?;
        }
    }
    Ok(())
}

/// Whether the link at `path` stays in `root`.
fn check_link(root: &Path, path: &Path, inside: &Path) -> Result<(), String> {
    let leads = fs::read_link(path).map_err(|error| format!("{inside:?}: {error}"))?;
    let out = || format!("the link {inside:?} leads out of it, to {leads:?}");
    let parent = inside.parent().unwrap_or(Path::new(""));
    if !stays_inside(parent, &leads) {
        return Err(out());
    }
    // Through other links it may still lead out; one that leads nowhere cannot.
    match path.canonicalize() {
        Ok(place) if !place.starts_with(root) => Err(out()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether `leads`, seen from the folder `from` inside of something, stays inside on the face of
/// it.
pub(super) fn stays_inside(from: &Path, leads: &Path) -> bool {
    let mut depth = from.components().count();
    for component in leads.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

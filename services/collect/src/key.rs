//! What a key of `[files]` means: `var_log_dirs` is the folder `var/log`.
//!
//! CaLink wrote `/` as `_`, which cannot be undone for names that have an underscore themselves.
//! The plain reading counts where it exists; otherwise neighbouring parts are joined by `_`, as few
//! as make a folder that exists. A key that begins with `/` is a path as it stands.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Parts of a key.
const PARTS_MAX: usize = 16;
/// Folders that are looked for to understand one key.
const TRIES_MAX: usize = 4096;

/// What is wanted of the folder that a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whole folders in it: `…_dirs`.
    Folders,
    /// Files in it: `…_files`.
    Files,
}

/// A key, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The folder.
    pub folder: PathBuf,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// What else it could have meant.
    pub others: Vec<PathBuf>,
}

/// Understands `key` below `prefix`; nothing when it says neither `_dirs` nor `_files`.
#[must_use]
pub fn meaning(key: &str, prefix: &Path) -> Option<Meaning> {
    let (name, wanted) = match (key.strip_suffix("_dirs"), key.strip_suffix("_files")) {
        (Some(name), _) => (name, Wanted::Folders),
        (None, Some(name)) => (name, Wanted::Files),
        (None, None) => return None,
    };
    if name.starts_with('/') {
        return Some(Meaning { folder: PathBuf::from(name), wanted, others: Vec::new() });
    }
    let plain = prefix.join(name.replace('_', "/"));
    let mut found = readings(name, prefix);
    if plain.is_dir() {
        found.retain(|path| *path != plain);
        return Some(Meaning { folder: plain, wanted, others: found });
    }
    let folder = if found.is_empty() { plain } else { found.remove(0) };
    Some(Meaning { folder, wanted, others: found })
}

/// Every folder that exists and that `name` may mean, those with the fewest joins first.
fn readings(name: &str, prefix: &Path) -> Vec<PathBuf> {
    let parts: Vec<&str> = name.split('_').collect();
    if parts.len() > PARTS_MAX {
        return Vec::new();
    }
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    let mut open = VecDeque::from([(0, 0, prefix.to_owned())]);
    let mut tries = 0;
    while let Some((taken, joins, folder)) = open.pop_front() {
        if taken == parts.len() {
            found.push((joins, folder));
            continue;
        }
        for end in taken + 1..=parts.len() {
            let Some(name) = parts.get(taken..end).map(|parts| parts.join("_")) else { continue };
            let next = folder.join(&name);
            tries += 1;
            if tries > TRIES_MAX {
                break;
            }
            // An empty part, of two underscores, names no folder by itself.
            if !name.is_empty() && next.is_dir() {
                open.push_back((end, joins + end - taken - 1, next));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, folders: &[&str], expected: Option<(&str, Wanted, &[&str])>) {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let expected = expected.map(|(folder, wanted, others)| Meaning {
            folder: root.path().join(folder),
            wanted,
            others: others.iter().map(|other| root.path().join(other)).collect(),
        });
        assert_eq!(meaning(key, root.path()), expected, "{key}");
    }

    #[test]
    fn an_underscore_is_a_slash_where_such_a_folder_exists() {
        let folders = Wanted::Folders;
        check("var_log_dirs", &["var/log"], Some(("var/log", folders, &[])));
        check("etc_files", &[], Some(("etc", Wanted::Files, &[])));
        check("var_log_my_app_dirs", &["var/log/my_app"], {
            Some(("var/log/my_app", folders, &[]))
        });
        check("a_b_dirs", &["a/b", "a_b"], Some(("a/b", folders, &["a_b"])));
        check("a_b_c_dirs", &["a_b_c", "a/b_c", "a_b/c"], {
            Some(("a/b_c", folders, &["a_b/c", "a_b_c"]))
        });
        check("a__b_dirs", &["a__b"], Some(("a__b", folders, &[])));
        check("var_log", &["var/log"], None);
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let found = meaning("/var/log/My_App_dirs", Path::new("/usr")).unwrap();
        assert_eq!(found.folder, Path::new("/var/log/My_App"));
    }

    #[test]
    fn a_key_of_many_parts_ends() {
        let root = tempfile::tempdir().unwrap();
        let deep: Vec<&str> = vec!["a"; 200];
        let found = meaning(&format!("{}_dirs", deep.join("_")), root.path()).unwrap();
        assert_eq!(found.others, Vec::<PathBuf>::new());
    }
}

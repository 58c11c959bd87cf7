//! What is remembered of an installed pack: `<root>/.records/<pack>.json`, beside its folder.
//!
//! It says what is registered, so the pack source reads it; a pack without a record was copied here
//! by somebody, and is loaded whole.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hearken_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;

/// Where records are, in a folder of packs.
pub(super) const FOLDER: &str = ".records";
/// Larger than any record: whoever wrote more wrote something else.
const BYTES_MAX: u64 = 64 << 10;

/// What of a pack is to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// Nothing: it was downloaded, or unloaded.
    None,
    /// Everything but its rules.
    Content,
    /// Its rules as well, each by its own `enabled`.
    All,
}

impl Register {
    /// Reads what StackStorm calls it: a list of kinds, with rules only where `rules` or `all` is
    /// one of them.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let named = |kind: &str| matches!(kind.trim(), "rules" | "rule" | "all");
        if text.split(',').any(named) { Self::All } else { Self::Content }
    }
}

/// How a pack came here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The pack.
    pub pack: String,
    /// Where it came from, without passwords.
    pub source: String,
    /// The version that was asked for.
    pub version: Option<String>,
    /// The commit that this was, where it came from a repository.
    pub commit: Option<String>,
    /// When it was put in place.
    pub installed: Timestamp,
    /// What of it is in force.
    pub register: Register,
}

/// The record of `pack` in the folder of packs `root`; nothing when it was not installed.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, or is no record.
pub fn read(root: &Path, pack: &str) -> Result<Option<Record>, Error> {
    let place = place(root, pack);
    match read_file(&place) {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read the record", &place)(error)),
    }
}

pub(super) fn read_file(place: &Path) -> io::Result<Record> {
    if fs::metadata(place)?.len() > BYTES_MAX {
        return Err(io::Error::other("it is larger than a record"));
    }
    serde_json::from_slice(&fs::read(place)?).map_err(io::Error::other)
}

/// Keeps a record, whole or not at all.
pub(super) fn write(root: &Path, record: &Record) -> Result<(), Error> {
    let place = place(root, &record.pack);
    write_file(&place, record).map_err(Error::io("write the record", &place))
}

pub(super) fn write_file(place: &Path, record: &Record) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = place.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, place)
}

/// Forgets a pack.
pub(super) fn remove(root: &Path, pack: &str) -> Result<(), Error> {
    let place = place(root, pack);
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove the record", &place)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn place(root: &Path, pack: &str) -> PathBuf {
    root.join(FOLDER).join(format!("{pack}.json"))
}

//! The form of the notes about runs: slots of one length, each a line of JSON or blank.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::runs::Error;
use super::spawn::Identity;

/// One note: a disk's sector, and twice what ours need.
pub(super) const SLOT_BYTES: usize = 512;
/// Most notes at once: more than a host can run. The file never exceeds 32 MiB.
pub(super) const SLOTS_MAX: u32 = 65_536;

/// Who claimed what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The execution's id.
    pub execution: String,
    /// The runner's incarnation that claimed it.
    pub incarnation: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Who claimed it.
    pub(super) claim: Claim,
    /// What was started, as soon as something was.
    #[serde(default)]
    pub(super) started: Option<Started>,
}

/// What was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Started {
    /// Which process group.
    pub(super) identity: Identity,
    /// The boot in which its numbers mean something.
    pub(super) boot: String,
}

/// A slot that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is: the file, and bytes from its beginning.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// Which slots are whose.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Slots in the file.
    pub(super) count: u32,
    /// Those of them that are blank; the lowest is taken first, so that the file stays small.
    pub(super) free: BTreeSet<u32>,
    /// The others, by execution.
    pub(super) taken: BTreeMap<String, u32>,
}

impl Slots {
    /// The lowest slot that is free, or one at the end.
    pub(super) fn take(&mut self, execution: &str) -> Result<u32, Error> {
        let execution = execution.to_owned();
        if self.taken.contains_key(&execution) {
            return Err(Error::Begun { execution });
        }
        let slot = match self.free.pop_first() {
            Some(slot) => slot,
            None if self.count < SLOTS_MAX => {
                self.count += 1;
                self.count - 1
            }
            None => return Err(Error::Full { execution }),
        };
        self.taken.insert(execution, slot);
        Ok(slot)
    }

    /// Makes the slot of a run free.
    pub(super) fn release(&mut self, execution: &str) {
        if let Some(slot) = self.taken.remove(execution) {
            self.free.insert(slot);
        }
    }
}

/// A free slot.
pub(super) const BLANK: [u8; SLOT_BYTES] = {
    let mut text = [b' '; SLOT_BYTES];
    if let Some(last) = text.last_mut() {
        *last = b'\n';
    }
    text
};

/// Where a slot begins.
pub(super) fn offset(slot: u32) -> u64 {
    u64::from(slot) * SLOT_BYTES as u64
}

/// A note as its slot holds it; `None` when it is too long.
pub(super) fn render(note: &Note) -> Option<[u8; SLOT_BYTES]> {
    let line = serde_json::to_vec(note).ok()?;
    let mut text = BLANK;
    // The last byte stays the end of the line.
    text.get_mut(..SLOT_BYTES - 1)?.get_mut(..line.len())?.copy_from_slice(&line);
    Some(text)
}

/// Reads a slot: `None` is a free one. One that was taken but not written before a later one is a
/// hole in the file, which reads as zeros.
pub(super) fn parse(text: &[u8]) -> Result<Option<Note>, String> {
    if text.len() < SLOT_BYTES {
        return Err(format!("torn after {} bytes", text.len()));
    }
    if text == BLANK || text.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    serde_json::from_slice(text.trim_ascii()).map(Some).map_err(|error| error.to_string())
}

/// The next slot of the file; shorter at a torn end, empty at the end.
pub(super) fn read_slot(file: &mut File) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(SLOT_BYTES);
    file.take(SLOT_BYTES as u64).read_to_end(&mut text)?;
    Ok(text)
}

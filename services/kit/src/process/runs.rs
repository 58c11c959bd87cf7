//! Runs that a crash would leave behind: a note of each that is claimed and not yet told.
//!
//! The note is written before the claim, gets the process group when the child has started, and is
//! wiped when the outcome is stored. What is still noted when a runner starts was interrupted: its
//! processes are killed, and the caller tells what is known (`abandoned`).
//!
//! The notes are slots of one file, `runs/claims`, each one line of JSON padded with blanks, so
//! that `grep execution runs/claims` shows what runs. A file per run was tried: making and removing
//! it cost a tenth of a short program's processor time, three writes to a slot cost a fortieth.
//! Nothing is synced: the notes have to survive our death, not the machine's, after
//! which there is no process left to find. What power loss tears is reported and skipped.
//!
//! Invariants: a process group is signalled only if its leader is the process that was started
//! (same boot, same start time); others are known by their marker. The file has one owner at a
//! time, so that a second process does not take the first one's runs for leftovers.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process_group};

use super::note::{
    BLANK, Claim, Note, SLOT_BYTES, SLOTS_MAX, Skipped, Slots, Started, offset, parse, read_slot,
    render,
};
use super::procfs;
use super::spawn::{Identity, Marker};
use super::sweep;

/// Folder under the data folder.
const FOLDER: &str = "runs";
/// The file of notes in it.
const FILE: &str = "claims";
/// Why runs cannot be noted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process works with the same data folder.
    #[error(
        "cannot use {}: another process does; stop it or give this one its own data folder",
        path.display()
    )]
    InUse {
        /// The file of notes.
        path: PathBuf,
    },
    /// The run is noted already: it was begun before and its outcome was never told.
    #[error("cannot begin run {execution}: it was begun before and has no outcome yet")]
    Begun {
        /// The execution.
        execution: String,
    },
    /// All slots are taken.
    #[error("cannot begin run {execution}: {SLOTS_MAX} others have no outcome yet")]
    Full {
        /// The execution.
        execution: String,
    },
    /// A name that cannot be part of a marker or does not fit into a note.
    #[error("cannot use {name:?} as the name of a run or an installation")]
    Name {
        /// The name.
        name: String,
    },
    /// The file or its folder cannot be used.
    #[error("cannot {attempt} {}", path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The notes of one data folder; clones are one owner.
#[derive(Clone, Debug)]
pub struct Runs(Arc<Inner>);

/// What clones share.
#[derive(Debug)]
struct Inner {
    /// The file of notes.
    path: PathBuf,
    /// Open, and locked as long as it is.
    file: File,
    /// First part of every marker.
    installation: String,
    /// This boot of the machine; empty when the kernel does not say, and then matches nothing.
    boot: String,
    /// Which slots are whose.
    slots: Mutex<Slots>,
    /// What was noted when the file was opened.
    found: Vec<Note>,
    /// What could not be read then.
    skipped: Vec<Skipped>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Closing is not enough: a child between fork and exec holds the file for a moment longer.
        let _unlocked = flock(&self.file, FlockOperation::Unlock);
    }
}

/// A run that has begun and has no outcome yet. Dropping it leaves its note, as a crash would.
#[derive(Debug)]
pub struct Run {
    /// Where it is noted.
    runs: Runs,
    /// The slot.
    slot: u32,
    /// What the slot holds.
    note: Note,
    /// What its processes carry.
    marker: Marker,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Runs without an outcome, whose processes are gone now; [`Runs::forget`] each when told.
    pub runs: Vec<Leftover>,
    /// Slots that are torn or not ours; they are used again.
    pub skipped: Vec<Skipped>,
}

/// A run that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Who had claimed it.
    pub claim: Claim,
    /// Whether a child is known to have been started. When not, it may have been all the same.
    pub was_started: bool,
    /// Whether something of it was still running and was killed.
    pub was_running: bool,
}

impl Runs {
    /// Opens the notes under `data` and becomes their owner.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process owns them, [`Error::Name`] when `installation` cannot
    /// be part of a marker, [`Error::Io`] when the file cannot be used. A torn slot is no error.
    pub fn open(data: &Path, installation: &str) -> Result<Self, Error> {
        if Marker::new(installation, "x").is_none() {
            return Err(Error::Name { name: installation.to_owned() });
        }
        let folder = data.join(FOLDER);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(failed("create", &folder))?;
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::InUse { path }),
            Err(error) => return Err(failed("lock", &path)(error.into())),
        }
        let (mut slots, mut found, mut skipped) = (Slots::default(), Vec::new(), Vec::new());
        while slots.count < SLOTS_MAX {
            let text = read_slot(&mut file).map_err(failed("read", &path))?;
            if text.is_empty() {
                break;
            }
            match parse(&text) {
                Ok(None) => slots.free.insert(slots.count),
                Ok(Some(note)) => {
                    slots.taken.insert(note.claim.execution.clone(), slots.count);
                    found.push(note);
                    true
                }
                Err(why) => {
                    let offset = offset(slots.count);
                    let place = format!("{} at byte {offset}", path.display());
                    skipped.push(Skipped { place, why });
                    slots.free.insert(slots.count)
                }
            };
            slots.count += 1;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let (installation, boot) = (installation.to_owned(), boot.trim().to_owned());
        let slots = Mutex::new(slots);
        Ok(Self(Arc::new(Inner { path, file, installation, boot, slots, found, skipped })))
    }

    /// Notes that `claim` is about to be made. To be called before the claim.
    ///
    /// # Errors
    /// [`Error::Begun`] when an earlier attempt was not told yet; otherwise what went wrong.
    pub fn begin(&self, claim: Claim) -> Result<Run, Error> {
        let name = || Error::Name { name: claim.execution.clone() };
        let marker = Marker::new(&self.0.installation, &claim.execution).ok_or_else(name)?;
        let note = Note { claim: claim.clone(), started: None };
        // Refused now rather than when the child is running: the longest form has to fit.
        let group = i32::MAX;
        let identity =
            Identity { group, started_after_ticks: u64::MAX, started_by_ticks: u64::MAX };
        let started = Some(Started { identity, boot: self.0.boot.clone() });
        render(&Note { claim: claim.clone(), started }).ok_or_else(name)?;
        let text = render(&note).ok_or_else(name)?;
        let slot = self.slots().take(&claim.execution)?;
        if let Err(error) = self.write(slot, &text) {
            self.slots().release(&claim.execution);
            return Err(error);
        }
        Ok(Run { runs: self.clone(), slot, note, marker })
    }

    /// Kills what is still running of the runs that were noted when the file was opened, and
    /// answers which they were. To be called once, before anything is claimed. Blocks for
    /// milliseconds, and for a second when something does not die.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        let mut ended = BTreeSet::new();
        for Note { claim, started } in &self.0.found {
            if started.as_ref().is_some_and(|started| self.kill_group(started)) {
                ended.insert(claim.execution.clone());
            }
        }
        ended.extend(self.kill_marked());
        let runs = self.0.found.iter().map(|Note { claim, started }| Leftover {
            claim: claim.clone(),
            was_started: started.is_some(),
            was_running: ended.contains(&claim.execution),
        });
        Leftovers { runs: runs.collect(), skipped: self.0.skipped.clone() }
    }

    /// Wipes the note of a run that has been told. Forgetting twice is forgetting once.
    ///
    /// # Errors
    /// When the file cannot be written; the run is then still noted.
    pub fn forget(&self, execution: &str) -> Result<(), Error> {
        let Some(slot) = self.slots().taken.get(execution).copied() else { return Ok(()) };
        self.write(slot, &BLANK)?;
        self.slots().release(execution);
        Ok(())
    }

    /// How many runs have begun and are not told yet.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots().taken.len()
    }

    /// Which slots are whose. A panic while it was held has broken nothing: each change is whole.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one slot, by one write, so that our own death cannot tear it.
    fn write(&self, slot: u32, text: &[u8; SLOT_BYTES]) -> Result<(), Error> {
        let written = self.0.file.write_all_at(text, offset(slot));
        written.map_err(failed("write", &self.0.path))
    }

    /// Kills a group if its leader is the very process that was started.
    fn kill_group(&self, started: &Started) -> bool {
        let group = started.identity.group;
        let same_boot = !self.0.boot.is_empty() && self.0.boot == started.boot;
        // To signal group 0 or 1 is to signal ourselves or everybody; neither is a child of ours.
        if !same_boot || group <= 1 {
            return false;
        }
        let Some(pid) = Pid::from_raw(group) else { return false };
        procfs::stat(group).is_ok_and(|stat| started.identity.is(&stat))
            && kill_process_group(pid, Signal::KILL).is_ok()
    }

    /// Kills what carries the marker of a run that was noted; answers whose it was.
    fn kill_marked(&self) -> BTreeSet<String> {
        let found = self.0.found.iter().map(|note| note.claim.execution.as_str());
        let found: BTreeSet<&str> = found.collect();
        if found.is_empty() {
            return BTreeSet::new();
        }
        let prefix = format!("{}:", self.0.installation);
        let seen = RefCell::new(BTreeSet::new());
        sweep::kill_marked(|value| {
            let run = value.strip_prefix(prefix.as_bytes());
            let run = run.and_then(|run| std::str::from_utf8(run).ok());
            match run.filter(|run| found.contains(*run)) {
                Some(run) => {
                    seen.borrow_mut().insert(run.to_owned());
                    true
                }
                None => false,
            }
        });
        seen.into_inner()
    }
}

impl Run {
    /// What to put into [`Spawn::marker`](super::Spawn::marker).
    #[must_use]
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Notes which process group it became.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn started(&mut self, identity: Identity) -> Result<(), Error> {
        let boot = self.runs.0.boot.clone();
        self.note.started = Some(Started { identity, boot });
        let name = || Error::Name { name: self.note.claim.execution.clone() };
        self.runs.write(self.slot, &render(&self.note).ok_or_else(name)?)
    }

    /// Wipes the note: the outcome is stored.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn told(self) -> Result<(), Error> {
        self.runs.forget(&self.note.claim.execution)
    }
}

/// Says what was attempted on what.
fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { attempt, path, source }
}

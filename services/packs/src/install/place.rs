//! Where installed packs are, who may work there, and how a change becomes whole.
//!
//! In `<data>/packs`: a folder for each pack; `.records` with what is remembered of them; `.lock`,
//! held by the one process that installs and with its number in it; and, while it works,
//! `.installing-…` with what is being fetched, `.ready-<pack>` with what is complete and only needs
//! to be moved, `.removing-<pack>` with what is being taken away. Every step is a rename, and each
//! of these names says how to go on: [`sweep`] throws the first away and finishes the other two.
//! Names with a dot are no packs.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hearken_kit::process::end_left_over;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use super::program::{Say, marker};
use super::record::{self, Record};
use super::{Error, environment, tree};

/// First parts of the names of folders in work.
const INSTALLING: &str = ".installing-";
const READY: &str = ".ready-";
const REMOVING: &str = ".removing-";
/// In a folder that is ready: the pack, its record, and the number by which the pack is known.
const TREE: &str = "tree";
const RECORD: &str = "record.json";
const INODE: &str = "inode";
/// How long another installation is waited for, and how often it is looked at.
const LOCK_LOOKS: u32 = 3_000;
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// Counts the folders this process has begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// The folders of a data folder that installations work in, locked.
#[derive(Debug)]
pub struct Place {
    /// The data folder.
    data: PathBuf,
    /// The installed packs.
    packs: PathBuf,
    /// Held while this exists; the kernel lets go of it whatever happens.
    _lock: File,
}

impl Place {
    /// Waits for its turn, and finishes what others left.
    ///
    /// # Errors
    /// [`Error::Busy`] when its turn does not come.
    pub(super) fn open(data: &Path, say: Say<'_>) -> Result<Self, Error> {
        let (packs, lock) = prepare(data)?;
        for look in 0..LOCK_LOOKS {
            if try_lock(&lock, &packs)? {
                end_orphans(&lock);
                note(&lock).map_err(Error::io("write the lock in", &packs))?;
                let place = Self { data: data.to_owned(), packs, _lock: lock };
                place.sweep()?;
                return Ok(place);
            }
            if look == 0 {
                (say)("another installation is at work here: waiting for its end");
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(Error::Busy(packs))
    }

    /// The data folder.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The folder of all installed packs.
    pub(super) fn packs(&self) -> &Path {
        &self.packs
    }

    /// The folder of the pack `name`, which is there.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.packs.join(name);
        let is_there = hearken_proto::definition::is_pack_name(name) && folder.is_dir();
        if is_there { Ok(folder) } else { Err(Error::NotInstalled(name.to_owned())) }
    }

    /// A fresh folder to work in.
    pub(super) fn staging(&self) -> Result<PathBuf, Error> {
        let count = BEGUN.fetch_add(1, Ordering::Relaxed);
        let folder = self.packs.join(format!("{INSTALLING}{}-{count}", std::process::id()));
        fs::create_dir(&folder).map_err(Error::io("create the folder", &folder))?;
        Ok(folder)
    }

    /// Puts the pack in `tree`, a folder of `staging`, in place of the one of its name. From the
    /// first rename on it happens, whatever is killed.
    pub(super) fn put(&self, tree: &Path, record: &Record, staging: &Path) -> Result<(), Error> {
        let whole = staging.join("whole");
        fs::create_dir(&whole).map_err(Error::io("create the folder", &whole))?;
        let moved = whole.join(TREE);
        fs::rename(tree, &moved).map_err(Error::io("move the pack", tree))?;
        let own = self.packs.join(&record.pack);
        keep_config(&own, &moved).map_err(Error::io("keep config.yaml of", &own))?;
        let inode = fs::metadata(&moved).map_err(Error::io("look at", &moved))?.ino();
        let note = whole.join(INODE);
        fs::write(&note, inode.to_string()).map_err(Error::io("write", &note))?;
        let text = whole.join(RECORD);
        record::write_file(&text, record).map_err(Error::io("write", &text))?;
        sync(&whole).map_err(Error::io("make durable", &whole))?;
        let ready = self.packs.join(format!("{READY}{}", record.pack));
        fs::rename(&whole, &ready).map_err(Error::io("make ready", &ready))?;
        self.finish_putting(&ready)
    }

    fn finish_putting(&self, ready: &Path) -> Result<(), Error> {
        let text = ready.join(RECORD);
        let record = record::read_file(&text).map_err(Error::io("read", &text))?;
        let note = ready.join(INODE);
        let inode = fs::read_to_string(&note).map_err(Error::io("read", &note))?;
        record::write(&self.packs, &record)?;
        let (tree, own) = (ready.join(TREE), self.packs.join(&record.pack));
        let is_in_place = fs::symlink_metadata(&own).is_ok_and(|m| m.ino().to_string() == inode);
        if !is_in_place {
            exchange(&tree, &own, ready).map_err(Error::io("put the pack in place at", &own))?;
        }
        sync(&self.packs).map_err(Error::io("make durable", &self.packs))?;
        remove_all(ready)
    }

    /// Takes the pack `name` away, with its record and its virtual environments.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let own = self.packs.join(name);
        let away = self.packs.join(format!("{REMOVING}{name}"));
        fs::rename(&own, &away).map_err(Error::io("take away", &own))?;
        self.finish_removing(&away, name)
    }

    fn finish_removing(&self, away: &Path, name: &str) -> Result<(), Error> {
        record::remove(&self.packs, name)?;
        remove_all(&environment::folder(&self.data, name))?;
        remove_all(away)
    }

    /// Finishes what a process that is gone has begun.
    fn sweep(&self) -> Result<(), Error> {
        for (path, name) in entries(&self.packs)? {
            if name.starts_with(INSTALLING) {
                remove_all(&path)?;
            } else if name.starts_with(READY) {
                self.finish_putting(&path)?;
            } else if let Some(pack) = name.strip_prefix(REMOVING) {
                self.finish_removing(&path, pack)?;
            }
        }
        // What somebody deleted by hand.
        for (path, name) in entries(&self.packs.join(record::FOLDER))? {
            let pack = name.strip_suffix(".json").unwrap_or_default();
            if pack.is_empty() || !self.packs.join(pack).exists() {
                remove_all(&path)?;
            }
        }
        environment::sweep(&self.data)
    }
}

/// Finishes what interrupted installations left in a data folder, unless one is at work.
///
/// # Errors
/// [`Error::Io`] with the path that cannot be put in order.
pub fn sweep(data: &Path) -> Result<(), Error> {
    let (packs, lock) = prepare(data)?;
    if try_lock(&lock, &packs)? {
        end_orphans(&lock);
        Place { data: data.to_owned(), packs, _lock: lock }.sweep()?;
    }
    Ok(())
}

fn prepare(data: &Path) -> Result<(PathBuf, File), Error> {
    let packs = data.join("packs");
    let records = packs.join(record::FOLDER);
    fs::create_dir_all(&records).map_err(Error::io("create the folder", &records))?;
    let lock = packs.join(".lock");
    let mut options = File::options();
    let opened = options.create(true).truncate(false).read(true).write(true).open(&lock);
    Ok((packs, opened.map_err(Error::io("open", &lock))?))
}

fn try_lock(lock: &File, packs: &Path) -> Result<bool, Error> {
    match flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(Error::io("lock", packs)(error.into())),
    }
}

/// Ends what the one who had the lock before has started, if it was killed: a pip that goes on
/// would write into what is swept, or built anew.
fn end_orphans(lock: &File) {
    let mut text = [0; 10];
    let read = lock.read_at(&mut text, 0).unwrap_or(0);
    let text = text.get(..read).and_then(|text| std::str::from_utf8(text).ok());
    let Some(before) = text.and_then(|text| text.trim().parse::<u32>().ok()) else { return };
    // A number that is in use again is not looked into: it is somebody else's.
    if before == std::process::id() || Path::new(&format!("/proc/{before}")).exists() {
        return;
    }
    if let Some(marker) = marker(before) {
        end_left_over(&marker);
    }
}

/// Notes who has the lock.
fn note(lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.write_all_at(std::process::id().to_string().as_bytes(), 0)
}

/// A configuration that somebody wrote into the pack, as the first generation does, stays.
fn keep_config(old: &Path, new: &Path) -> io::Result<()> {
    let (from, to) = (old.join("config.yaml"), new.join("config.yaml"));
    if from.is_file() && !to.exists() {
        fs::copy(from, to)?;
    }
    Ok(())
}

/// Puts `tree` at `own`; what was there goes to `tree`, or beside it.
fn exchange(tree: &Path, own: &Path, ready: &Path) -> io::Result<()> {
    if fs::symlink_metadata(own).is_err() {
        return fs::rename(tree, own);
    }
    if renameat_with(CWD, tree, CWD, own, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    // A file system that cannot exchange: for a moment there is no pack of this name, and a sweep
    // that comes then finds the new one still to be moved.
    fs::rename(own, ready.join("old"))?;
    fs::rename(tree, own)
}

/// Removes a file, a link or a folder; that it is not there is as good.
pub(super) fn remove_all(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is in `folder`, at most as much as a pack may have; nothing when it is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list the folder", folder)(error)),
    };
    let named = |entry: fs::DirEntry| (entry.path(), entry.file_name().into_string().ok());
    let listed = listing.flatten().take(tree::ENTRIES_MAX).map(named);
    Ok(listed.filter_map(|(path, name)| Some((path, name?))).collect())
}

/// Waits until what is in `folder` is on the disk.
#[cfg(target_os = "linux")]
fn sync(folder: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(folder)?).map_err(io::Error::from)
}

/// Waits until the folder is on the disk.
#[cfg(not(target_os = "linux"))]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

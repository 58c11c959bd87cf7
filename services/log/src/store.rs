//! The store: keys and values on disk. The only file that knows sled.
//!
//! What sled 0.34 does, and what is done about it here (read in its source, held by tests):
//!
//! - Its flush waits for the data to reach the disk (`sync_file_range`) but neither for the file's
//!   length nor for the disk's own cache. [`Store::sync`] therefore calls `fdatasync` on sled's
//!   data file; only then has an entry survived power loss.
//! - Values that make a page larger than 128 kB move to files of their own, which sled never
//!   syncs. A page holds at most 19 values, so values are cut into pieces of 6 kB and that never
//!   happens.
//! - Space is reclaimed only by its periodic flusher, so that one is on, with a long period.
//! - After a failed write every call returns an error, and some of its paths panic. Calls are
//!   fenced with `catch_unwind`, and after a failure the log writes no more ([`Error::Poisoned`]).
//! - The file lock is released when the last background job has ended, a moment after the
//!   database is dropped. We hold a lock of our own, so a lock that sled cannot get is only late:
//!   retried.
//!
//! Keys: one tree; first byte the family, then see [`Key`]. One [`Batch`] is applied whole or not
//! at all.

use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::Error;
use crate::segment::sync_folder;

/// A page of at most 19 values and their keys stays below 128 kB.
const PIECE_BYTES: usize = 6 * 1024;
/// A block that does not compress, of the largest entry, has fewer pieces than this.
const PIECES_MAX: usize = 1024;
/// How often sled reclaims space. Each round costs an `fsync` even when nothing was written.
const RECLAIM_EVERY: Duration = Duration::from_secs(2);
/// How long to wait for sled's lock after another log of this process was closed.
const LOCK_TRIES: u32 = 200;
/// How long to wait for the folder's lock: a process that is being started shares the open files of
/// the one that starts it for a moment, and keeps a lock that was given up meanwhile.
const FOLDER_LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// What a key stands for; the discriminant is its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Family {
    /// Full blocks, by stream and first sequence.
    Block = b'b',
    /// What commits left of blocks not yet full, by stream and first sequence.
    Tail = b't',
}

/// The key of something that belongs to a place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// What it stands for.
    pub(crate) family: Family,
    /// The stream's number.
    pub(crate) stream: u16,
    /// The first sequence.
    pub(crate) first: u64,
}

/// Where sled has its files.
const FOLDER: &str = "store";
const FORMAT_KEY: &[u8] = b"f";
const FORMAT: &[u8] = b"hearken log 1";
const STREAM_PREFIX: u8 = b's';
const CURSOR_PREFIX: u8 = b'c';

impl Key {
    /// Family, stream, first sequence and piece, big-endian so that they sort.
    fn piece(self, piece: u16) -> [u8; 13] {
        let mut bytes = [0; 13];
        let [number, first] = [&self.stream.to_be_bytes()[..], &self.first.to_be_bytes()[..]];
        let parts = [&[self.family as u8], number, first, &piece.to_be_bytes()[..]].concat();
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    fn first_of(bytes: &[u8]) -> Option<(u64, u16)> {
        let (first, piece) = bytes.get(3..)?.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*first), u16::from_be_bytes(piece.try_into().ok()?)))
    }
}

/// Changes that are applied together.
#[derive(Default)]
pub(crate) struct Batch {
    /// Keys and their new values; `None` for those that go. The last change of a key counts.
    changes: Vec<(sled::IVec, Option<sled::IVec>)>,
}

impl Batch {
    /// Stores a value in as many pieces as it takes.
    pub(crate) fn put(&mut self, key: Key, value: &[u8]) {
        debug_assert!(value.len() <= PIECE_BYTES * PIECES_MAX);
        for (piece, bytes) in (0_u16..).zip(value.chunks(PIECE_BYTES)) {
            self.changes.push((key.piece(piece)[..].into(), Some(bytes.into())));
        }
    }

    /// Removes a value that had this many bytes.
    pub(crate) fn remove(&mut self, key: Key, bytes: usize) {
        for piece in (0_u16..).take(bytes.div_ceil(PIECE_BYTES)) {
            self.changes.push((key.piece(piece)[..].into(), None));
        }
    }

    /// Stores the record of a stream.
    pub(crate) fn put_stream(&mut self, name: &str, record: &[u8]) {
        let key = [&[STREAM_PREFIX], name.as_bytes()].concat();
        self.changes.push((key.into(), Some(record.into())));
    }

    /// Stores or removes a cursor.
    pub(crate) fn put_cursor(&mut self, name: &str, value: Option<&[u8]>) {
        let key = [&[CURSOR_PREFIX], name.as_bytes()].concat();
        self.changes.push((key.into(), value.map(Into::into)));
    }

    /// Whether there is nothing to apply.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The open store.
pub(crate) struct Store {
    /// Gone after [`Store::close`], so that closing releases the lock whoever still has a log.
    tree: RwLock<Option<Arc<sled::Db>>>,
    /// Sled's data file, opened once more for `fdatasync`.
    file: File,
    /// Held, never read: the lock on the folder.
    lock: RwLock<Option<File>>,
    /// How closing went.
    closed: Mutex<Result<(), Error>>,
}

impl Store {
    /// Takes the lock and opens or creates the store in `path`.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let lock = lock_folder(path)?;
        let folder = path.join(FOLDER);
        let config = sled::Config::new()
            .path(&folder)
            .cache_capacity(cache_bytes)
            .flush_every_ms(u64::try_from(RECLAIM_EVERY.as_millis()).ok());
        let mut tries = 0;
        let db = loop {
            match fenced(|| config.open()) {
                Err(error) if is_late_lock(&error) && tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_WAIT);
                }
                other => {
                    break other.map_err(|e| Error::io(format!("open {}", folder.display()), e))?;
                }
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join("db"))
            .map_err(|e| Error::io(format!("open {}", folder.join("db").display()), e))?;
        let store = Self {
            tree: RwLock::new(Some(Arc::new(db))),
            file,
            lock: RwLock::new(Some(lock)),
            closed: Mutex::new(Ok(())),
        };
        store.check_format(path)?;
        Ok(store)
    }

    fn check_format(&self, path: &Path) -> Result<(), Error> {
        let format = self.call("read the format", |db| db.get(FORMAT_KEY))?;
        match format.as_deref() {
            Some(FORMAT) => Ok(()),
            Some(other) => Err(Error::corrupt(
                &path.display().to_string(),
                0,
                format!("format {:?} is not ours", String::from_utf8_lossy(other)),
            )),
            None => {
                self.call("write the format", |db| db.insert(FORMAT_KEY, FORMAT))?;
                self.write_through()?;
                self.sync()?;
                sync_folder(&path.join(FOLDER))?;
                sync_folder(path)
            }
        }
    }

    /// Applies a batch and waits until the operating system has it.
    pub(crate) fn apply(&self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.apply_lazily(batch)?;
        self.write_through()
    }

    /// Applies a batch that nobody waits for: it goes to disk with what comes next.
    pub(crate) fn apply_lazily(&self, batch: Batch) -> Result<(), Error> {
        self.call("write to the store", |db| {
            // One change is atomic by itself, and a third of the work: a batch is three writes.
            if let [(key, value)] = &batch.changes[..] {
                return match value {
                    Some(value) => db.insert(key, value),
                    None => db.remove(key),
                }
                .map(drop);
            }
            let mut changes = sled::Batch::default();
            for (key, value) in batch.changes {
                match value {
                    Some(value) => changes.insert(key, value),
                    None => changes.remove(key),
                }
            }
            db.apply_batch(changes)
        })
    }

    fn write_through(&self) -> Result<(), Error> {
        self.call("flush the store", |db| db.flush()).map(drop)
    }

    /// Waits until the disk has everything applied so far.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| Error::io("sync the store to disk", e))
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Error> {
        self.call("read from the store", |db| {
            let mut value: Option<Vec<u8>> = None;
            for piece in (0_u16..).take(PIECES_MAX) {
                let Some(bytes) = db.get(key.piece(piece))? else { break };
                let whole = bytes.len() == PIECE_BYTES;
                value.get_or_insert_default().extend_from_slice(&bytes);
                if !whole {
                    break;
                }
            }
            Ok(value)
        })
    }

    /// Everything of a family in a stream, in order; `each` gets first sequence and value.
    pub(crate) fn scan(
        &self,
        family: Family,
        stream: u16,
        mut each: impl FnMut(u64, Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut from = Key { family, stream, first: 0 };
        let end = Key { family, stream, first: u64::MAX }.piece(u16::MAX);
        loop {
            let found = self.call("read from the store", |db| {
                let next = db.range(&from.piece(0)[..]..=&end[..]).next();
                next.transpose().map(|pair| pair.map(|(key, _)| Key::first_of(&key)))
            })?;
            let Some(Some((first, _))) = found else { return Ok(()) };
            let key = Key { first, ..from };
            if let Some(value) = self.get(key)? {
                each(first, value)?;
            }
            let Some(next) = first.checked_add(1) else { return Ok(()) };
            from.first = next;
        }
    }

    /// Every stream's name and record.
    pub(crate) fn streams(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.named(STREAM_PREFIX)
    }

    /// Every cursor.
    pub(crate) fn cursors(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.named(CURSOR_PREFIX)
    }

    fn named(&self, prefix: u8) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.call("read from the store", |db| {
            db.scan_prefix([prefix])
                .map(|pair| {
                    let (key, value) = pair?;
                    let name = String::from_utf8_lossy(key.get(1..).unwrap_or_default());
                    Ok((name.into_owned(), value.to_vec()))
                })
                .collect()
        })
    }

    /// Bytes the store takes on disk.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64, Error> {
        self.call("measure the store", |db| db.size_on_disk())
    }

    /// Writes what is left, closes the files and releases the lock.
    pub(crate) fn close(&self) {
        let tree = self.tree.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(db) = tree else { return };
        let flushed = fenced(|| db.flush().map(std::mem::drop));
        let dropped = fenced(|| {
            drop(db);
            Ok(())
        });
        let synced = self.sync();
        drop(self.lock.write().unwrap_or_else(PoisonError::into_inner).take());
        let closed = flushed.and(dropped).map_err(|e| Error::io("close the store", e)).and(synced);
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = closed;
    }

    /// How closing went.
    pub(crate) fn closed(&self) -> Result<(), Error> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn call<T>(
        &self,
        what: &str,
        call: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, Error> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner).clone();
        let db = tree.ok_or(Error::Closed)?;
        fenced(|| call(&db)).map_err(|source| Error::io(what, source))
    }
}

/// Makes a panic inside sled an error.
fn fenced<T>(call: impl FnOnce() -> sled::Result<T>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(error),
        Ok(Err(error)) => Err(io::Error::other(error.to_string())),
        Err(_) => Err(io::Error::other("the store panicked; its report is on standard error")),
    }
}

/// Sled reports a lock that is taken as an error without kind; ours is held, so it is a leftover.
fn is_late_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("could not acquire lock")
}

fn lock_folder(path: &Path) -> Result<File, Error> {
    let file = path.join("lock");
    let lock = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&file)
        .map_err(|e| Error::io(format!("open {}", file.display()), e))?;
    for _ in 0..FOLDER_LOCK_TRIES {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_WAIT),
            Err(e) => return Err(Error::io(format!("lock {}", file.display()), e.into())),
        }
    }
    Err(Error::Locked(path.to_owned()))
}

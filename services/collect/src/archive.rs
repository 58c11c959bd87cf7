//! Files into the archive, within what a run may do.
//!
//! One pass, one writer, nothing kept in memory but which files were seen: what is found is opened,
//! masked, and streamed. A gap is data: it becomes an item of the manifest, and the run goes on.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use hearken_kit::Shutdown;
use rustix::fs::{Stat, fstatfs, fstatvfs};

use crate::limits::Limits;
use crate::manifest::{Item, Spool};
use crate::mask::{Counts, Masked, Masker};
use crate::plan::Files;
use crate::step::Step;
use crate::tarball::{Marks, Stored, Tarball, member, shown};
use crate::walk::{self, Bounds, Found, Next};

/// File systems whose files say nothing true of their length: proc, sysfs, cgroup, cgroup2,
/// debugfs, tracefs.
const PSEUDO: [i64; 6] = [0x9fa0, 0x6265_6572, 0x27_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163];
/// Bytes read of one of those.
const PSEUDO_BYTES_MAX: u64 = 1 << 20;
/// Bytes read at a time.
const PIECE_BYTES: u64 = 256 << 10;
/// A file with so much more length than room on disk is mostly holes.
const SPARSE_RATIO: u64 = 8;
/// Shorter ones are taken, holes and all.
const SPARSE_BYTES_MIN: u64 = 64 << 20;
/// Where a tail may begin a line: a longer line is cut.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Room that is left on the disk of the archive.
const FREE_BYTES_MIN: u64 = 512 << 20;
/// How often the room is looked at, in bytes taken.
const FREE_LOOK_BYTES: u64 = 16 << 20;
/// Bytes in which a file shows whether it is text.
const SAMPLE_BYTES: usize = 8 << 10;

/// An archive that files go into.
pub(crate) struct Archive<'a> {
    pub(crate) tarball: Tarball,
    pub(crate) spool: Spool,
    pub(crate) limits: &'a Limits,
    pub(crate) masker: Option<&'a Masker>,
    /// Device and inode of everything taken.
    pub(crate) seen: HashSet<(u64, u64)>,
    /// Device and inode of what we write ourselves.
    pub(crate) own: Vec<(u64, u64)>,
    /// Bytes that may still be taken.
    pub(crate) left: u64,
    /// Entries that may still be looked at.
    pub(crate) entries: usize,
    pub(crate) deadline: Instant,
    pub(crate) cancel: &'a Shutdown,
    pub(crate) tell: &'a (dyn Fn(Step) + Send + Sync),
    /// Seconds since 1970 when the run began.
    pub(crate) started: u64,
    /// The folder of the archive.
    pub(crate) output: File,
    /// Bytes until the room is looked at again.
    pub(crate) until_look: u64,
    /// What stopped the writing: nothing more can be written.
    pub(crate) failed: Option<io::Error>,
    pub(crate) is_cut: bool,
}

/// Files that are taken of one key, where not all of them can be.
struct Budget {
    /// Bytes left of the key.
    left: u64,
    /// Files changed before are not taken: newer ones fill the key.
    newer_than: i64,
}

impl Archive<'_> {
    /// Takes everything that one key means.
    pub(crate) fn take(&mut self, files: &Files) {
        if self.is_cut || self.failed.is_some() {
            return;
        }
        let mut budget = self.budget(files);
        let mut bounds = Bounds { depth: self.limits.depth, entries: self.entries };
        let mut visit = |found| self.found(files, &mut budget, found);
        walk::walk(files, &mut bounds, &mut visit);
        self.entries = bounds.entries;
    }

    /// What of a key fits, newest first. The ages of all files are counted by the hour, so that no
    /// list of them is needed.
    fn budget(&self, files: &Files) -> Budget {
        let all = Budget { left: u64::MAX, newer_than: i64::MIN };
        if self.limits.key_bytes == 0 {
            return all;
        }
        let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
        let mut bounds = Bounds { depth: self.limits.depth, entries: self.entries };
        walk::walk(files, &mut bounds, &mut |found| {
            if let Found::File { stat, .. } = found {
                *hours.entry(stat.st_mtime / 3600).or_default() += self.kept(files, length(&stat));
            }
            if self.is_over() { Next::Stop } else { Next::On }
        });
        let mut sum = 0_u64;
        let mut newer_than = i64::MIN;
        for (hour, bytes) in hours.into_iter().rev() {
            sum = sum.saturating_add(bytes);
            if sum > self.limits.key_bytes {
                newer_than = hour * 3600;
                break;
            }
        }
        Budget { left: self.limits.key_bytes, newer_than }
    }

    /// Bytes that are kept of a file of this length.
    fn kept(&self, files: &Files, length: u64) -> u64 {
        let most = files.file_bytes.unwrap_or(self.limits.file_bytes);
        if most == 0 { length } else { length.min(most) }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline || self.cancel.is_requested()
    }

    fn found(&mut self, files: &Files, budget: &mut Budget, found: Found) -> Next {
        if self.is_over() {
            self.cut("the run had to end before everything was taken");
            return Next::Stop;
        }
        let done = match found {
            Found::Gap { path, flag, reason } => {
                if flag == "missing" {
                    (self.tell)(Step::Missing(format!("get_files: {reason}")));
                }
                self.gap(&path, flag, &reason, None)
            }
            Found::File { path, file, stat, folder_uid } => {
                self.file(files, budget, &path, file, &stat, folder_uid)
            }
        };
        match done {
            Ok(()) if self.is_cut => Next::Stop,
            Ok(()) => Next::On,
            Err(error) => {
                self.failed = Some(error);
                Next::Stop
            }
        }
    }

    fn file(
        &mut self,
        files: &Files,
        budget: &mut Budget,
        path: &Path,
        file: OwnedFd,
        stat: &Stat,
        folder_uid: Option<u32>,
    ) -> io::Result<()> {
        if is_old(files, stat, self.started) || self.own.contains(&(stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        let is_foreign = rustix::process::geteuid().is_root()
            && folder_uid.is_some_and(|folder| folder != stat.st_uid);
        if is_foreign {
            let reason = "a hard link to a file of somebody else than the folder's owner";
            return self.gap(path, "outside", reason, Some(stat));
        }
        if !self.seen.insert((stat.st_dev, stat.st_ino)) {
            return self.gap(path, "duplicate", "the same file was taken already", Some(stat));
        }
        let length = length(stat);
        let held = u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512);
        if length >= SPARSE_BYTES_MIN && held < length / SPARSE_RATIO {
            return self.gap(path, "sparse", "it is mostly holes", Some(stat));
        }
        let kept = self.kept(files, length);
        if stat.st_mtime < budget.newer_than || kept > budget.left {
            return self.gap(
                path,
                "limit",
                "newer files fill what is kept of this key",
                Some(stat),
            );
        }
        if kept > self.left {
            return self.gap(path, "limit", "what a run may keep is full", Some(stat));
        }
        if let Some(reason) = self.has_no_room(kept) {
            self.cut(&reason);
            return Ok(());
        }
        let stored = self.store(path, file, stat, kept)?;
        budget.left = budget.left.saturating_sub(stored);
        self.left = self.left.saturating_sub(stored);
        Ok(())
    }

    /// Stores one file; answers how many bytes.
    fn store(&mut self, path: &Path, file: OwnedFd, stat: &Stat, kept: u64) -> io::Result<u64> {
        let mut item = item_of(path, stat);
        let is_pseudo = fstatfs(&file).is_ok_and(|fs| PSEUDO.contains(&fs.f_type));
        let mut file = File::from(file);
        if is_pseudo {
            let mut content = Vec::new();
            if let Err(error) = file.take(PSEUDO_BYTES_MAX).read_to_end(&mut content) {
                return self.gap(path, "unreadable", &error.to_string(), Some(stat)).map(|()| 0);
            }
            let length = content.len() as u64;
            item.bytes = Some(length);
            return self.append(path, stat, item, length, &mut content.as_slice());
        }
        let mut length = length(stat);
        if kept < length {
            match tail(&mut file, length, kept)? {
                Some(from) => length -= from,
                None => {
                    let reason = "longer than is kept of a file, and no text";
                    return self.gap(path, "limit", reason, Some(stat)).map(|()| 0);
                }
            }
            item.flags.push("truncated".to_owned());
        }
        let room = usize::try_from(length.clamp(512, PIECE_BYTES)).unwrap_or(512);
        self.append(path, stat, item, length, &mut BufReader::with_capacity(room, file))
    }

    fn append(
        &mut self,
        path: &Path,
        stat: &Stat,
        mut item: Item,
        length: u64,
        content: &mut dyn Read,
    ) -> io::Result<u64> {
        let name = member(path);
        let mtime = u64::try_from(stat.st_mtime).unwrap_or_default();
        let (mode, uid, gid) = (stat.st_mode, stat.st_uid, stat.st_gid);
        let marks = Marks { mode, uid, gid, mtime };
        let (stored, is_text) = self.masked(&name, marks, length, content)?;
        (self.tell)(Step::Done(format!("Adding file {} to the archive", path.display())));
        // What is no text is kept as it is, and told.
        let flags = [(stored.grew, "grew"), (stored.shrank, "shrank"), (!is_text, "unmasked")];
        for (is_so, flag) in flags {
            if is_so {
                item.flags.push(flag.to_owned());
            }
        }
        item.member = Some(shown(&name));
        item.stored = Some(length);
        item.sha256 = Some(stored.sha256);
        self.spool.add(&item)?;
        Ok(length)
    }

    /// Appends a member, without its secrets where they are to be hidden; false when it is no
    /// text, in which nothing could be.
    fn masked(
        &mut self,
        name: &Path,
        marks: Marks,
        length: u64,
        content: &mut dyn Read,
    ) -> io::Result<(Stored, bool)> {
        let Some(masker) = self.masker else {
            let stored = self.tarball.append(name, marks, length, &mut { content })?;
            return Ok((stored, true));
        };
        let mut masked = Masked::new(content, masker, length);
        let stored = self.tarball.append(name, marks, length, &mut masked)?;
        self.spool.masked(masked.counts());
        Ok((stored, masked.is_text()))
    }

    /// Appends something of our own, as it is.
    pub(crate) fn add(&mut self, name: &str, kind: &str, file: &mut File) -> io::Result<()> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let marks = Marks::own(self.started);
        let stored = self.tarball.append(Path::new(name), marks, length, file)?;
        self.spool.add(&Item {
            kind: kind.to_owned(),
            source: name.to_owned(),
            member: Some(name.to_owned()),
            bytes: Some(length),
            stored: Some(length),
            sha256: Some(stored.sha256),
            ..Item::default()
        })
    }

    /// Counts what was hidden elsewhere.
    pub(crate) fn count(&mut self, counts: &Counts) {
        self.spool.masked(counts);
    }

    fn gap(
        &mut self,
        path: &Path,
        flag: &str,
        reason: &str,
        stat: Option<&Stat>,
    ) -> io::Result<()> {
        let mut item = stat.map_or_else(Item::default, |stat| item_of(path, stat));
        item.kind = "file".to_owned();
        item.source = shown(path);
        item.flags.push(flag.to_owned());
        item.reason = Some(reason.to_owned());
        self.spool.add(&item)
    }

    /// Nothing more is taken, and why.
    fn cut(&mut self, reason: &str) {
        self.is_cut = true;
        let item = Item {
            kind: "run".to_owned(),
            flags: vec!["limit".to_owned()],
            reason: Some(reason.to_owned()),
            ..Item::default()
        };
        self.failed = self.spool.add(&item).err();
    }

    fn has_no_room(&mut self, bytes: u64) -> Option<String> {
        self.until_look = self.until_look.saturating_sub(bytes);
        if self.until_look > 0 {
            return None;
        }
        self.until_look = FREE_LOOK_BYTES;
        let room = fstatvfs(&self.output).ok()?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        let wanted = FREE_BYTES_MIN.min(room.f_blocks.saturating_mul(room.f_frsize) / 20);
        (free < wanted).then(|| format!("only {free} bytes are free where the archive goes"))
    }
}

fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

fn is_old(files: &Files, stat: &Stat, started: u64) -> bool {
    let since = |since: Duration| started.saturating_sub(since.as_secs());
    files.since.map(since).is_some_and(|since| u64::try_from(stat.st_mtime).unwrap_or(0) < since)
}

fn item_of(path: &Path, stat: &Stat) -> Item {
    let nanos = stat.st_mtime.checked_mul(1_000_000_000);
    Item {
        kind: "file".to_owned(),
        source: shown(path),
        bytes: Some(length(stat)),
        mode: Some(stat.st_mode & 0o7777),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
        mtime_ns: nanos.and_then(|n| n.checked_add(i64::try_from(stat.st_mtime_nsec).ok()?)),
        ..Item::default()
    }
}

/// Puts `file` to where its last `kept` bytes begin, on a line; nothing when it is no text.
fn tail(file: &mut File, length: u64, kept: u64) -> io::Result<Option<u64>> {
    let mut sample = vec![0; SAMPLE_BYTES];
    let count = file.read(&mut sample)?;
    if sample.get(..count).unwrap_or_default().contains(&0) {
        return Ok(None);
    }
    let from = length.saturating_sub(kept);
    file.seek(SeekFrom::Start(from))?;
    let mut start = vec![0; LINE_BYTES_MAX];
    let count = file.read(&mut start)?;
    let newline = start.get(..count).unwrap_or_default().iter().position(|byte| *byte == b'\n');
    let from = from + newline.map_or(0, |newline| newline as u64 + 1);
    file.seek(SeekFrom::Start(from))?;
    Ok(Some(from))
}

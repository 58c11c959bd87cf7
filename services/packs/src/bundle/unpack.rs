//! A bundle into a folder that programs can run from, and such folders away again.
//!
//! `<data>/content/<name>/<digest>/` appears whole or not at all: it is written beside and renamed.
//! A crash leaves at most a folder with a name that nobody asks for, which [`prune`] removes.
//! The data folder belongs to one process, whose lock on the log sees to that.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hearken_proto::definition::{BundleFile, is_digest};

use super::Sealed;
use super::upkeep::has_all;
use crate::Error;

/// First part of the name of a folder that is being written.
const UNPACKING: &str = ".unpacking-";

/// First part of the name of a folder that is being removed.
const REMOVING: &str = ".removing-";

/// Counts the folders this process has begun, so that two threads never share one.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// The folder of the unpacked content; it is written unless all of it is already there.
///
/// # Errors
/// [`Error::Io`] with the path that could not be written.
pub fn unpack(sealed: &Sealed, data: &Path) -> Result<PathBuf, Error> {
    let pack = data.join("content").join(&sealed.bundle().name);
    let place = pack.join(sealed.digest());
    let files = &sealed.bundle().files;
    if has_all(&place, files) {
        return Ok(place);
    }
    fs::create_dir_all(&pack).map_err(Error::io("create the folder", &pack))?;
    let count = BEGUN.fetch_add(1, Ordering::Relaxed);
    let beside = pack.join(format!("{UNPACKING}{}-{count}", std::process::id()));
    let written = write_all(files, &beside).and_then(|()| put(&beside, &place, files));
    if let Err(error) = written {
        // Nothing asks for this folder; what cannot be removed now, prune removes.
        drop(fs::remove_dir_all(&beside));
        // Another thread was faster.
        return if has_all(&place, files) { Ok(place) } else { Err(error) };
    }
    sync_folder(&pack).map_err(Error::io("make the folder durable", &pack))?;
    Ok(place)
}

/// Puts `beside` at `place`. Content there that has lost files goes away, with what was beside
/// them; programs that run in it stay where they are.
fn put(beside: &Path, place: &Path, files: &[BundleFile]) -> Result<(), Error> {
    let failed = |error| Error::io("put the pack in place at", place)(error);
    match fs::rename(beside, place) {
        Err(_) if place.is_dir() && !has_all(place, files) => {}
        done => return done.map_err(failed),
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = name(beside);
    let own = own.strip_prefix(UNPACKING).unwrap_or(&own);
    let away = place.with_file_name(format!("{REMOVING}{}-{own}", name(place)));
    fs::rename(place, &away).map_err(failed)?;
    fs::rename(beside, place).map_err(failed)?;
    // What cannot be removed now, prune removes.
    fs::remove_dir_all(&away).unwrap_or(());
    Ok(())
}

/// Removes unpacked content that is not in `keep`, and what crashes left behind. Gives the number
/// of contents removed.
///
/// # Errors
/// [`Error::Io`] with the first path that could not be removed; the others are still tried.
pub fn prune(data: &Path, keep: &HashSet<String>) -> Result<usize, Error> {
    let packs = data.join("content");
    let mut removed = 0;
    let mut failed = None;
    for pack in folders(&packs)? {
        for place in folders(&pack)? {
            let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let outdated = is_digest(name) && !keep.contains(name);
            if !outdated && !is_leftover(name) {
                continue;
            }
            match remove(&pack, &place, name) {
                Ok(()) => removed += usize::from(outdated),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // Fails when something is left in it, which is the purpose.
        drop(fs::remove_dir(&pack));
    }
    failed.map_or(Ok(removed), Err)
}

/// Whether a process that is gone left this folder.
fn is_leftover(name: &str) -> bool {
    let own = format!("{UNPACKING}{}-", std::process::id());
    name.starts_with(REMOVING) || (name.starts_with(UNPACKING) && !name.starts_with(&own))
}

/// Removes a folder so that its name is gone before its content is.
fn remove(pack: &Path, place: &Path, name: &str) -> Result<(), Error> {
    let away = pack.join(format!("{REMOVING}{}", name.trim_start_matches(REMOVING)));
    if away != place {
        fs::rename(place, &away).map_err(Error::io("remove the folder", place))?;
    }
    fs::remove_dir_all(&away).map_err(Error::io("remove the folder", &away))
}

/// The folders in `folder`, links not followed; none when it does not exist.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list the folder", folder)(error)),
    };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(listing.flatten().filter(is_folder).map(|entry| entry.path()).collect())
}

/// Writes all files under `folder` and waits until they are on the disk.
fn write_all(files: &[BundleFile], folder: &Path) -> Result<(), Error> {
    // A folder of an earlier process with our number.
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io("remove the folder", folder))?;
    }
    fs::create_dir(folder).map_err(Error::io("create the folder", folder))?;
    for file in files {
        let place = folder.join(&file.path);
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::io("create the folder", parent))?;
        write_file(file, &place).map_err(Error::io("write the file", &place))?;
    }
    sync_all(folder).map_err(Error::io("make the folder durable", folder))
}

fn write_file(file: &BundleFile, place: &Path) -> io::Result<()> {
    let mode = if file.executable { 0o755 } else { 0o644 };
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(place)?;
    opened.write_all(&file.content)?;
    // The mode above went through the umask, which is about our own files and not about a pack's.
    opened.set_permissions(Permissions::from_mode(mode))?;
    if cfg!(not(target_os = "linux")) {
        opened.sync_all()?;
    }
    Ok(())
}

/// One call for the whole file system: a pack of thousands of files would take seconds else.
#[cfg(target_os = "linux")]
fn sync_all(folder: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(folder)?).map_err(io::Error::from)
}

/// The files have been made durable one by one.
#[cfg(not(target_os = "linux"))]
fn sync_all(folder: &Path) -> io::Result<()> {
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

//! Ballast: room on the disk that can be given back.
//!
//! On a full disk the store loses nothing that was acknowledged, but it cannot be opened until
//! space is freed: opening writes. So a file of 32 MiB lies beside it. When the log is opened on a
//! full disk the file is removed first, and made again as soon as there is room for it.
//!
//! Writing stops before the disk is full ([`Ballast::check`]), because a write that fails halfway
//! poisons the log while one that is refused does not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::error::Error;

/// Writing stops when less than this is free: the store allocates half a megabyte at a time, and
/// other programs write as well.
pub(crate) const MARGIN_BYTES: u64 = 8 * 1024 * 1024;
/// What a commit may take on disk for each byte it brings: the store writes a page again for each
/// ten values it gets.
const GROWTH: u64 = 3;

/// The ballast file of a log.
#[derive(Debug)]
pub(crate) struct Ballast {
    folder: PathBuf,
    file: PathBuf,
    bytes: u64,
}

impl Ballast {
    /// For the log in `folder`, `bytes` large; 0 for none.
    pub(crate) fn new(folder: &Path, bytes: u64) -> Self {
        Self { folder: folder.to_owned(), file: folder.join("ballast"), bytes }
    }

    /// Before the store is opened: gives the ballast back when the disk is full.
    pub(crate) fn release_if_needed(&self) -> Result<(), Error> {
        if self.free()? >= MARGIN_BYTES || !self.file.exists() {
            return Ok(());
        }
        tracing::warn!(file = %self.file.display(), "disk is full: releasing the ballast");
        fs::remove_file(&self.file)
            .map_err(|e| Error::io(format!("remove {}", self.file.display()), e))
    }

    /// Makes the ballast, or makes it again, when there is room for it and as much besides.
    pub(crate) fn restore(&self) -> Result<(), Error> {
        let there = fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        if there == self.bytes || self.free()? < 2 * self.bytes + MARGIN_BYTES {
            return Ok(());
        }
        let allocate = || {
            let file = File::create(&self.file)?;
            fallocate(&file, FallocateFlags::empty(), 0, self.bytes)?;
            file.sync_all()
        };
        if self.bytes == 0 {
            return Ok(());
        }
        allocate().map_err(|e| Error::io(format!("allocate {}", self.file.display()), e))
    }

    /// Why a commit of this many bytes may not be written now, if so.
    pub(crate) fn check(&self, bytes: usize) -> Option<String> {
        // A file system that cannot say how much is free is one we cannot defend.
        let free = self.free().ok()?;
        let wanted = MARGIN_BYTES + GROWTH * bytes as u64;
        (free < wanted).then(|| format!("the disk has {free} bytes left, {wanted} are needed"))
    }

    /// Bytes that are free for us.
    pub(crate) fn free(&self) -> Result<u64, Error> {
        let found = statvfs(&self.folder).map_err(|e| {
            Error::io(format!("ask for space in {}", self.folder.display()), e.into())
        })?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

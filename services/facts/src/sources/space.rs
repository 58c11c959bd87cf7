//! How much space a file system has, asked so that a dead one hangs nothing.
//!
//! `statvfs` on a mount whose server is gone sleeps beyond the reach of signals, so all mounts are
//! asked on a thread of [`crate::patience`]: one silent mount costs `mount_time` once and is then
//! passed over, by its place, until it answers.

use std::io;
use std::path::{Path, PathBuf};

use super::mounts::{Kind, Mount};
use crate::patience::{self, Item};
use crate::{Context, Unavailable};

/// The space of a file system, in bytes, and its inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What nothing uses, with what is reserved for root.
    pub free: u64,
    /// What other users than root can use.
    pub available: u64,
    /// All inodes; 0 where they are made as needed.
    pub inodes_total: u64,
    /// Inodes that nothing uses.
    pub inodes_free: u64,
}

impl Space {
    /// What is in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// Percent in use of what users can use, as `df` has it: 100 when users can write no more,
    /// though root may.
    #[must_use]
    pub fn used_percent(&self) -> f64 {
        let usable = self.used().saturating_add(self.available);
        crate::number::percent(self.used(), usable).unwrap_or(0.0)
    }

    /// Percent of the inodes in use; 0 where they are made as needed.
    #[must_use]
    pub fn inodes_used_percent(&self) -> f64 {
        let used = self.inodes_total.saturating_sub(self.inodes_free);
        crate::number::percent(used, self.inodes_total).unwrap_or(0.0)
    }
}

/// Asks the system.
pub(crate) fn ask(path: &Path) -> io::Result<Space> {
    let told = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Ok(Space {
        total: bytes(told.f_blocks),
        free: bytes(told.f_bfree),
        available: bytes(told.f_bavail),
        inodes_total: told.f_files,
        inodes_free: told.f_ffree,
    })
}

/// The space of each mount, in their order. The kernel's own have none and are not asked: a look
/// at an automount would mount it.
pub(crate) fn of_mounts(context: &Context, mounts: &[Mount]) -> Vec<Result<Space, Unavailable>> {
    let item = |mount: &Mount| Item {
        key: Some(format!("mount {}", mount.mountpoint)),
        patience: context.bounds.mount_time,
        input: (mount.kind, PathBuf::from(&mount.mountpoint)),
    };
    let items = mounts.iter().map(item).collect();
    let ask = context.space;
    let outcomes = patience::each(items, context.deadline, move |(kind, path)| match kind {
        Kind::Kernel => Err(Unavailable::unsupported("this kind of file system has no size")),
        Kind::Local | Kind::Network | Kind::Memory => {
            ask(path).map_err(|cause| Unavailable::from_io(path, cause))
        }
    });
    outcomes.into_iter().map(|outcome| outcome.and_then(|told| told)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_of_what_users_can_use() {
        let space =
            Space { total: 1000, free: 100, available: 0, inodes_total: 10, inodes_free: 5 };
        assert!((space.used_percent() - 100.0).abs() < 1e-9);
        assert!((space.inodes_used_percent() - 50.0).abs() < 1e-9);
        assert!(Space::default().used_percent().abs() < 1e-9);
    }
}

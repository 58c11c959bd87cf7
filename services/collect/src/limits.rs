//! How much a run may do: three profiles, each bound of which can be set.
//!
//! Zero means that a bound has no value of its own: only the ones around it hold.

use std::time::Duration;

/// Bounds of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole run.
    pub run: Duration,
    /// Bytes kept of one file.
    pub file_bytes: u64,
    /// Bytes kept of what one key names, newest files first.
    pub key_bytes: u64,
    /// Bytes kept in all.
    pub total_bytes: u64,
    /// Files and folders looked at.
    pub entries: usize,
    /// Folders within folders.
    pub depth: usize,
    /// One command.
    pub command_time: Duration,
    /// Bytes kept of what a command prints.
    pub command_bytes: usize,
}

impl Limits {
    /// For a quick look.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            run: Duration::from_secs(10),
            file_bytes: 1 << 20,
            key_bytes: 4 << 20,
            total_bytes: 16 << 20,
            entries: 2_000,
            depth: 8,
            command_time: Duration::from_secs(3),
            command_bytes: 256 << 10,
        }
    }

    /// For everyday use.
    #[must_use]
    pub fn normal() -> Self {
        Self {
            run: Duration::from_secs(600),
            file_bytes: 25 << 20,
            key_bytes: 100 << 20,
            total_bytes: 2 << 30,
            entries: 200_000,
            depth: 64,
            command_time: Duration::from_secs(60),
            command_bytes: 4 << 20,
        }
    }

    /// Everything there is, within reason.
    #[must_use]
    pub fn full() -> Self {
        Self {
            run: Duration::from_secs(3600),
            file_bytes: 0,
            key_bytes: 0,
            total_bytes: 20 << 30,
            entries: 1_000_000,
            depth: 64,
            command_time: Duration::from_secs(300),
            command_bytes: 64 << 20,
        }
    }

    /// What CaLink's files are gathered with: it knew no bounds of a file or a key.
    #[must_use]
    pub fn calink() -> Self {
        Self { file_bytes: 0, key_bytes: 0, ..Self::normal() }
    }
}

//! What can go wrong with a log, by what the caller can do about it.
//!
//! Errors are `Clone`, because one failed flush is told to everybody whose entry it covered.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the log did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Compare and set lost: the subject's last entry is another than expected.
    #[error("the last entry of this subject is {last}, not the one that was expected")]
    Conflict {
        /// Sequence of the subject's last entry; 0 when it has none.
        last: u64,
    },
    /// The stream or the disk has no room; nothing was written and writing may go on later.
    #[error("cannot append to {stream}: {what}")]
    Full {
        /// The stream that refused.
        stream: String,
        /// Which limit was reached.
        what: String,
    },
    /// The command queue is full; only a blocking call that may not wait says so.
    #[error("the log's queue is full")]
    Busy,
    /// An entry, id, cursor or other value is longer than the log takes.
    #[error("{what} has {bytes} bytes, the most is {bytes_max}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// How large it was.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// The subject cannot be stored: not printable tokens joined by dots, or it has a wildcard.
    #[error("{0:?} is not a subject that can be stored")]
    Subject(String),
    /// No such stream was opened.
    #[error("the log has no stream called {0:?}")]
    Stream(String),
    /// There is no entry at this place.
    #[error("{stream} has no entry {sequence}")]
    NotFound {
        /// The stream asked.
        stream: String,
        /// The place asked for.
        sequence: u64,
    },
    /// A write failed earlier. What is on disk is unknown until the log is opened again.
    #[error("the log refuses writes since one failed: {why}")]
    Poisoned {
        /// The failure that ended writing.
        why: Arc<str>,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// Another process, or another log of this process, holds the folder.
    #[error("the log in {0} is in use by another process")]
    Locked(PathBuf),
    /// Stored bytes are not what was written, or are of a newer format.
    #[error("{stream} is damaged at entry {sequence}: {what}")]
    Corrupt {
        /// The stream, or the file, that is damaged.
        stream: String,
        /// Where, as near as can be told; 0 when it cannot.
        sequence: u64,
        /// What does not hold.
        what: String,
    },
    /// The hash chain does not hold: entries were changed after they were written.
    #[error("the chain of {stream} breaks at entry {sequence}: {what}")]
    Broken {
        /// The stream.
        stream: String,
        /// The first entry for which the chain does not hold.
        sequence: u64,
        /// What does not hold.
        what: String,
    },
    /// The operating system refused something.
    #[error("cannot {what}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// Wraps what the system said about an attempt.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source: Arc::new(source) }
    }

    /// Damage found at a place.
    pub(crate) fn corrupt(stream: &str, sequence: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { stream: stream.to_owned(), sequence, what: what.into() }
    }

    /// Whether the same call may succeed later without anybody mending the log.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Busy => true,
            Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::Subject(_)
            | Self::Stream(_)
            | Self::NotFound { .. }
            | Self::Poisoned { .. }
            | Self::Closed
            | Self::Locked(_)
            | Self::Corrupt { .. }
            | Self::Broken { .. }
            | Self::Io { .. } => false,
        }
    }
}

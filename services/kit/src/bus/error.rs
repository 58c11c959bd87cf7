//! What can go wrong on a bus, by what the caller can do about it.

use hearken_log as log;

/// Why the bus did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else wrote to the subject first. Read its last entry and decide again.
    #[error("another entry was stored on this subject first")]
    Conflict,
    /// The stream takes no more until space is made.
    #[error("the stream is full: {0}")]
    Full(String),
    /// The body is larger than the bus takes.
    #[error("the message or its id has {bytes} bytes, the bus takes {max}")]
    TooLarge {
        /// Size of the body.
        bytes: usize,
        /// The largest allowed.
        max: usize,
    },
    /// The subject belongs to no stream.
    #[error("{0:?} is not a subject that is stored")]
    NotStored(String),
    /// The server cannot be reached now; trying again later may help.
    #[error("the bus cannot be reached: {0}")]
    Unreachable(String),
    /// Nobody knows whether the entry was stored.
    #[error("no acknowledgement came: {0}")]
    Unknown(String),
    /// Streams or consumers are not as they must be.
    #[error("the bus is not set up as needed: {0}")]
    Configuration(String),
    /// The server refused the credentials.
    #[error("the bus refused access: {0}")]
    Denied(String),
    /// Nobody listens on the subject asked.
    #[error("nobody answers on {0}")]
    NoResponder(String),
    /// No answer came in time.
    #[error("no answer came in time from {0}")]
    TimedOut(String),
    /// The log of the embedded bus failed.
    #[error("the log cannot be used")]
    Log(#[source] log::Error),
    /// A file beside the log failed.
    #[error("cannot {action}")]
    Storage {
        /// What was attempted on what.
        action: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Unknown(_) | Self::TimedOut(_) | Self::NoResponder(_)
        )
    }
}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Self {
        if let log::Error::Conflict { .. } = error {
            return Self::Conflict;
        }
        if let log::Error::Full { .. } = error {
            return Self::Full(error.to_string());
        }
        if let log::Error::TooLarge { bytes, bytes_max, .. } = error {
            return Self::TooLarge { bytes, max: bytes_max };
        }
        Self::Log(error)
    }
}

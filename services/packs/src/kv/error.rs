//! What can go wrong with keys, by what the caller can do about it.

use hearken_kit::{bus, seal};

/// Why a key was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No key can be called so.
    #[error("{name:?} cannot be the name of a key: {why}")]
    Name {
        /// What was given, shortened.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The text is too long.
    #[error("the value has {bytes} bytes, and a key holds {max} at most")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest there is.
        max: usize,
    },
    /// The datastore is full.
    #[error("the datastore is full: {0}")]
    Full(String),
    /// There is no such key.
    #[error("there is no key {0:?}")]
    Missing(String),
    /// The key is not at the revision that was expected.
    #[error("the key {name:?} is at revision {found}, not at {expected}")]
    Conflict {
        /// The key.
        name: String,
        /// Where it was thought to be; 0 for a key that is not there.
        expected: u64,
        /// Where it is; 0 when it is not there.
        found: u64,
    },
    /// Others were first each time.
    #[error("the key {0:?} kept changing")]
    Contended(String),
    /// What is there cannot be counted up.
    #[error("the key {name:?} cannot be counted up: {why}")]
    Uncountable {
        /// The key.
        name: String,
        /// What speaks against it.
        why: &'static str,
    },
    /// A secret cannot be sealed or opened.
    #[error("the secret of the key {name:?} cannot be used: {source}")]
    Secret {
        /// The key.
        name: String,
        /// Why not.
        source: seal::Error,
    },
    /// No answer in time: it may have been written.
    #[error("the bus did not answer in time: whether the key {0:?} was written is not known")]
    Late(String),
    /// No random name for an entry.
    #[error("no random name can be made")]
    Random(#[source] std::io::Error),
    /// The bus failed.
    #[error("the datastore cannot be exchanged over the bus")]
    Bus(#[from] bus::Error),
}

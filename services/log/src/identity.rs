//! What a log and its streams are called.

use std::fmt;

use crate::{Error, Log};

/// Hex digits of a stream's name for its life: enough to tell two lives apart.
const INCARNATION_BYTES: usize = 6;

impl Log {
    /// A name for this life of the stream: another one after it was removed and made again.
    ///
    /// # Errors
    /// [`Error::Stream`].
    pub fn incarnation(&self, stream: &str) -> Result<String, Error> {
        let incarnation = self.inner.shared.view(stream)?.incarnation;
        let bytes = incarnation.iter().take(INCARNATION_BYTES);
        Ok(bytes.map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether the log still takes entries.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when a write has failed: only opening it again can help.
    pub fn check(&self) -> Result<(), Error> {
        self.inner.shared.check_poison()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("path", &self.inner.shared.path).finish_non_exhaustive()
    }
}

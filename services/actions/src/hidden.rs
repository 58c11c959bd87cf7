//! What a run must not tell.
//!
//! A run's secrets become known step by step: its parameters when they are opened, the pack's
//! configuration when it is read. Everything that is passed on while it runs, and its result, is
//! told without them.

use std::sync::{Arc, Mutex, PoisonError};

use hearken_kit::seal::Secrets;

/// The secrets of one run. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden(Arc<Mutex<Secrets>>);

impl Hidden {
    /// These must not be told from now on.
    pub(crate) fn add(&self, secrets: Secrets) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(secrets);
    }

    /// Those that are known.
    pub(crate) fn secrets(&self) -> Secrets {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

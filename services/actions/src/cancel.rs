//! Which executions run here, and the means to end one early.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearken_kit::Shutdown;
use hearken_proto::id;

/// Executions that run here, by key. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<String, Shutdown>>>);

/// One running execution; dropping it takes it off the list.
#[derive(Debug)]
pub(crate) struct Guard {
    running: Running,
    key: String,
    /// Requested when it should end.
    pub cancel: Shutdown,
}

impl Running {
    /// Puts an execution on the list; `None` when it is there already. Entered before the claim, so
    /// that one process never claims an execution twice at a time.
    pub(crate) fn enter(&self, execution: &str) -> Option<Guard> {
        let key = id::execution_key(execution).to_owned();
        let cancel = Shutdown::new();
        match self.lock().entry(key.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => drop(place.insert(cancel.clone())),
        }
        Some(Guard { running: self.clone(), key, cancel })
    }

    /// Ends one early, if it runs here.
    pub(crate) fn cancel(&self, execution: &str) {
        if let Some(cancel) = self.lock().get(id::execution_key(execution)) {
            cancel.request();
        }
    }

    /// Ends all early.
    pub(crate) fn cancel_all(&self) {
        self.lock().values().for_each(Shutdown::request);
    }

    /// The keys of all.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Shutdown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

//! Which executions run here, and the means to end one early.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearken_kit::Shutdown;
use hearken_proto::id;

/// Executions that run here, by key. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<String, Handle>>>);

/// The means to end one.
#[derive(Clone, Debug)]
struct Handle {
    cancel: Shutdown,
    fenced: Arc<AtomicBool>,
}

/// One running execution; dropping it takes it off the list.
#[derive(Debug)]
pub(crate) struct Guard {
    running: Running,
    key: String,
    /// Requested when it should end.
    pub cancel: Shutdown,
    fenced: Arc<AtomicBool>,
}

impl Guard {
    /// Whether it was ended because this runner's lease could not be renewed.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }
}

impl Running {
    /// Puts an execution on the list; `None` when it is there already. Entered before the claim, so
    /// that one process never claims an execution twice at a time.
    pub(crate) fn enter(&self, execution: &str) -> Option<Guard> {
        let key = id::execution_key(execution).to_owned();
        let handle = Handle { cancel: Shutdown::new(), fenced: Arc::default() };
        match self.lock().entry(key.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => drop(place.insert(handle.clone())),
        }
        let Handle { cancel, fenced } = handle;
        Some(Guard { running: self.clone(), key, cancel, fenced })
    }

    /// Ends one early, if it runs here.
    pub(crate) fn cancel(&self, execution: &str) {
        if let Some(handle) = self.lock().get(id::execution_key(execution)) {
            handle.cancel.request();
        }
    }

    /// Ends all early, because others may soon take them for lost.
    pub(crate) fn fence(&self) {
        for handle in self.lock().values() {
            handle.fenced.store(true, Ordering::Release);
            handle.cancel.request();
        }
    }

    /// The keys of all.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_fenced_is_told_from_one_that_is_canceled() {
        let running = Running::default();
        let canceled = running.enter("one").unwrap();
        assert!(running.enter("one").is_none());
        running.cancel("one");
        assert!(canceled.cancel.is_requested() && !canceled.is_fenced());
        let fenced = running.enter("two").unwrap();
        running.fence();
        assert!(fenced.cancel.is_requested() && fenced.is_fenced());
        drop((canceled, fenced));
        assert!(running.keys().is_empty());
    }
}

//! A subscription of somebody in this process, and its bounded queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::hub::{Delivered, Offer, Origin, Registration, Router, Sink};

/// Messages that wait for one subscriber. A service that is this far behind must read the log
/// instead, which is why it is told that it lags.
const QUEUE_MESSAGES_MAX: usize = 8_192;
/// Bytes of bodies that wait for one subscriber: few large messages must not hold more memory
/// than many small ones.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Messages for one subscriber. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
    /// Dropping it takes the queue out of the router.
    _registration: Registration,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    filled: Notify,
    lagged: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivered>,
    bytes: usize,
    closed: bool,
}

impl Subscription {
    pub(super) fn new(router: &Router, filter: &str, group: Option<&str>) -> Self {
        let queue = Arc::new(Queue::default());
        let sink: Arc<dyn Sink> = Arc::<Queue>::clone(&queue);
        Self { _registration: router.register(filter, group, sink), queue }
    }

    /// The next message; `None` once the router is closed and nothing is left.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Delivered> {
        loop {
            if let Some(next) = self.queue.take() {
                return next;
            }
            self.queue.filled.notified().await;
        }
    }

    /// The next message if there is one already.
    pub fn try_next(&mut self) -> Option<Delivered> {
        self.queue.take().flatten()
    }

    /// How many messages were missed since this was last asked, because the queue was full.
    pub fn lagged(&mut self) -> u64 {
        self.queue.lagged.swap(0, Ordering::Relaxed)
    }
}

impl Queue {
    /// `None`: nothing yet. `Some(None)`: nothing ever again.
    fn take(&self) -> Option<Option<Delivered>> {
        let mut state = self.lock();
        match state.waiting.pop_front() {
            Some(delivered) => {
                state.bytes -= delivered.message.body.len();
                Some(Some(delivered))
            }
            None if state.closed => Some(None),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Queue {
    fn offer(&self, delivered: &Delivered, _: Origin) -> Offer {
        let mut state = self.lock();
        if state.closed {
            return Offer::Declined;
        }
        let bytes = state.bytes + delivered.message.body.len();
        if state.waiting.len() >= QUEUE_MESSAGES_MAX || bytes > QUEUE_BYTES_MAX {
            return Offer::Full;
        }
        state.bytes = bytes;
        state.waiting.push_back(delivered.clone());
        let crowded = state.waiting.len() > QUEUE_MESSAGES_MAX / 2 || bytes > QUEUE_BYTES_MAX / 2;
        drop(state);
        self.filled.notify_one();
        if crowded { Offer::Crowded } else { Offer::Taken }
    }

    fn miss(&self) {
        self.lagged.fetch_add(1, Ordering::Relaxed);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }
}

//! What waits to be written to one connection: messages of its subscriptions and protocol lines,
//! in the order in which they came.
//!
//! A client that does not read fast enough fills it, and is then closed as a slow consumer, as
//! nats-server does: a client that silently missed messages would be wrong without knowing it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::router::{Delivered, Offer, Origin, Sink};

/// Bytes that wait for one client. A quarter of nats-server's 64 MiB, because this listener
/// shares its process with everything else.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a waiting message costs besides its text, roughly.
const PARCEL_OVERHEAD_BYTES: usize = 128;
/// Parcels and bytes taken at once: enough for large writes, little enough that the lock is
/// short and the buffer of the writer stays small.
const TAKE_MAX: usize = 512;
const TAKE_BYTES_MAX: usize = 256 * 1024;

/// One thing to write.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    /// A message of the subscription `sid`.
    Message {
        /// The client's name for the subscription.
        sid: Arc<str>,
        /// The message.
        delivered: Delivered,
    },
    /// A protocol line, end of line included.
    Line(Bytes),
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    has_finished: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Parcel>,
    bytes: usize,
    overflowed: bool,
    closed: bool,
    /// Subscriptions that have had as many messages as they were to have.
    finished: Vec<Arc<str>>,
}

impl Outbox {
    /// Adds a protocol line.
    pub(super) fn line(&self, line: impl Into<Bytes>) {
        if self.push(Parcel::Line(line.into())) == Offer::Full {
            self.overflow();
        }
    }

    /// Waits until there is something to take, or until the queue has overflowed.
    ///
    /// # Cancel safety
    /// Nothing is taken.
    pub(super) async fn ready(&self) {
        loop {
            {
                let state = self.lock();
                if !state.waiting.is_empty() || state.overflowed {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Moves the next parcels to `taken`.
    pub(super) fn take(&self, taken: &mut Vec<Parcel>) {
        let mut state = self.lock();
        let mut bytes = 0;
        while taken.len() < TAKE_MAX && bytes < TAKE_BYTES_MAX {
            let Some(parcel) = state.waiting.pop_front() else { break };
            bytes += parcel.bytes();
            taken.push(parcel);
        }
        state.bytes -= bytes;
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Whether something did not fit.
    pub(super) fn has_overflowed(&self) -> bool {
        self.lock().overflowed
    }

    /// Takes no more messages and forgets those that wait; lines are still taken.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.bytes = 0;
        state.overflowed = false;
        state.closed = true;
    }

    /// The subscriptions that have finished since this was last asked.
    pub(super) fn take_finished(&self) -> Vec<Arc<str>> {
        if !self.has_finished.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.lock().finished)
    }

    fn finish(&self, sid: &Arc<str>) {
        self.lock().finished.push(Arc::clone(sid));
        self.has_finished.store(true, Ordering::Release);
    }

    fn push(&self, parcel: Parcel) -> Offer {
        let mut state = self.lock();
        if state.closed && matches!(parcel, Parcel::Message { .. }) {
            return Offer::Declined;
        }
        let bytes = state.bytes + parcel.bytes();
        if state.overflowed || bytes > BYTES_MAX {
            return Offer::Full;
        }
        state.bytes = bytes;
        state.waiting.push_back(parcel);
        drop(state);
        self.filled.notify_one();
        if bytes > BYTES_MAX / 2 { Offer::Crowded } else { Offer::Taken }
    }

    fn overflow(&self) {
        self.lock().overflowed = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    fn bytes(&self) -> usize {
        PARCEL_OVERHEAD_BYTES
            + match self {
                Self::Message { delivered, .. } => {
                    let message = &delivered.message;
                    let headers: usize =
                        message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
                    message.subject.len() + message.body.len() + headers
                }
                Self::Line(line) => line.len(),
            }
    }
}

/// One subscription of a connection, as the router sees it.
#[derive(Debug)]
pub(super) struct Feed {
    outbox: Arc<Outbox>,
    sid: Arc<str>,
    /// The connection whose own messages it does not want.
    mute: Option<Origin>,
    seen: AtomicU64,
    /// Messages after which it ends; none for [`u64::MAX`].
    max: AtomicU64,
}

impl Feed {
    /// A subscription that leads to `outbox` and does not want to hear `mute`.
    pub(super) fn new(outbox: &Arc<Outbox>, sid: &Arc<str>, mute: Option<Origin>) -> Self {
        Self {
            outbox: Arc::clone(outbox),
            sid: Arc::clone(sid),
            mute,
            seen: AtomicU64::new(0),
            max: AtomicU64::new(u64::MAX),
        }
    }

    /// Ends the subscription after `max` messages, counted from its start. Says whether it has
    /// had them already.
    pub(super) fn end_after(&self, max: u64) -> bool {
        self.max.store(max, Ordering::Release);
        self.seen.load(Ordering::Acquire) >= max
    }
}

impl Sink for Feed {
    fn offer(&self, delivered: &Delivered, origin: Origin) -> Offer {
        if self.mute == Some(origin) {
            return Offer::Declined;
        }
        let max = self.max.load(Ordering::Acquire);
        let seen = self.seen.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if seen > max {
            return Offer::Declined;
        }
        let message = Parcel::Message { sid: Arc::clone(&self.sid), delivered: delivered.clone() };
        let offer = self.outbox.push(message);
        if offer == Offer::Full {
            self.seen.fetch_sub(1, Ordering::AcqRel);
        } else if seen == max {
            self.outbox.finish(&self.sid);
        }
        offer
    }

    fn miss(&self) {
        self.outbox.overflow();
    }

    fn close(&self) {
        self.outbox.lock().closed = true;
    }
}

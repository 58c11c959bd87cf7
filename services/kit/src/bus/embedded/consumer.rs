//! Durable consumers of the embedded bus.
//!
//! Every member of a name shares one [`Shared`]: which entry is next, and which are out. It is
//! written to a cursor of the log with the commit that comes next, so acknowledging costs no
//! flush; after `kill -9` a few entries that were acknowledged come again, and handlers are safe to
//! repeat. An entry that was out when the process ended is out no longer: it comes again at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearken_log::Log;
use hearken_proto::{Entry, Stream, subject};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::super::consumer::{Acker as AnyAcker, Delivery};
use super::reader::{READ_ENTRIES, read};
use super::{ConsumerOptions, Error, blocking, closed};

/// The cursor is handed to the log at most this often: it is bookkeeping, not a promise.
const SAVE_EVERY: Duration = Duration::from_millis(50);

/// What all members of a durable name share.
#[derive(Debug)]
pub(super) struct Shared {
    name: String,
    log: Log,
    stream: Stream,
    filter: String,
    ack_wait: Duration,
    in_flight_max: usize,
    head: watch::Receiver<u64>,
    state: Mutex<State>,
    /// Told when an entry comes back or room appears.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// The first sequence not yet looked at.
    next: u64,
    /// Entries looked at, selected, and not settled.
    out: BTreeMap<u64, Out>,
    /// Entries read ahead, not yet delivered.
    ahead: VecDeque<Entry>,
    /// Whether a member is reading ahead now.
    reading: bool,
    saved: Option<Instant>,
}

#[derive(Debug)]
struct Out {
    deliveries: u64,
    /// When it is due again; for entries being handled, the end of the acknowledgement wait.
    due: Instant,
    /// Read already, or to be read again when it is due.
    entry: Option<Entry>,
}

/// The cursor as it is kept in the log.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    next: u64,
    /// Sequence and deliveries of entries that are not settled.
    out: Vec<(u64, u64)>,
}

impl Shared {
    /// Opens the durable consumer where it was left; a new one starts at the beginning.
    pub(super) fn open(
        log: &Log,
        options: &ConsumerOptions,
        head: watch::Receiver<u64>,
    ) -> Result<Self, Error> {
        let name = format!("consumer.{}", options.durable);
        let cursor: Cursor = match log.cursor(&name) {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::Configuration(format!("the cursor of {name} is damaged: {error}"))
            })?,
            None => Cursor { next: 1, out: Vec::new() },
        };
        let now = Instant::now();
        let out = cursor
            .out
            .into_iter()
            .map(|(sequence, deliveries)| (sequence, Out { deliveries, due: now, entry: None }))
            .collect();
        let state = State {
            next: cursor.next.max(1),
            out,
            ahead: VecDeque::new(),
            reading: false,
            saved: None,
        };
        Ok(Self {
            name,
            log: log.clone(),
            stream: options.stream,
            filter: options.filter.clone(),
            ack_wait: options.ack_wait,
            in_flight_max: options.in_flight_max,
            head,
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Whether `options` are the ones it was opened with.
    pub(super) fn check(&self, options: &ConsumerOptions) -> Result<(), Error> {
        if self.stream == options.stream && self.filter == options.filter {
            return Ok(());
        }
        Err(Error::Configuration(format!(
            "{} reads {:?}, not {:?}",
            self.name, self.filter, options.filter
        )))
    }

    /// Hands the cursor to the log, to be written with the next commit.
    pub(super) fn save(&self) -> Result<(), Error> {
        let cursor = {
            let mut state = self.lock();
            state.saved = Some(Instant::now());
            let out = state.out.iter().map(|(sequence, out)| (*sequence, out.deliveries));
            let mut out: Vec<(u64, u64)> = out.collect();
            out.extend(state.ahead.iter().map(|entry| (entry.sequence, 0)));
            Cursor { next: state.next, out }
        };
        let bytes =
            serde_json::to_vec(&cursor).map_err(|error| Error::Configuration(error.to_string()))?;
        Ok(self.log.set_cursor(&self.name, bytes)?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, sequence: u64) {
        let save = {
            let mut state = self.lock();
            state.out.remove(&sequence);
            state.saved.is_none_or(|saved| saved.elapsed() >= SAVE_EVERY)
        };
        if save {
            // A cursor that is not written means that entries come again, which is harmless.
            self.save().unwrap_or(());
        }
        self.changed.notify_waiters();
    }

    fn put_back(&self, sequence: u64, delay: Duration) {
        if let Some(out) = self.lock().out.get_mut(&sequence) {
            out.due = Instant::now() + delay;
        }
        self.changed.notify_waiters();
    }
}

impl State {
    /// Takes what is due again and what was read ahead, as far as the bound on entries out allows.
    fn take(&mut self, shared: &Shared, max: usize) -> (Vec<(Entry, u64)>, Vec<u64>) {
        let now = Instant::now();
        let (mut ready, mut missing) = (Vec::new(), Vec::new());
        for (sequence, out) in &mut self.out {
            if ready.len() >= max {
                break;
            }
            if out.due > now {
                continue;
            }
            match &out.entry {
                Some(entry) => {
                    out.deliveries += 1;
                    out.due = now + shared.ack_wait;
                    ready.push((entry.clone(), out.deliveries));
                }
                None => missing.push(*sequence),
            }
        }
        while ready.len() < max && self.out.len() < shared.in_flight_max {
            let Some(entry) = self.ahead.pop_front() else { break };
            let out = Out { deliveries: 1, due: now + shared.ack_wait, entry: Some(entry.clone()) };
            self.out.insert(entry.sequence, out);
            ready.push((entry, 1));
        }
        (ready, missing)
    }

    /// When the next entry is due again.
    fn due(&self) -> Option<Instant> {
        self.out.values().map(|out| out.due).min()
    }
}

/// A member of a durable consumer.
#[derive(Debug)]
pub(in super::super) struct Member(Arc<Shared>);

impl Member {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// See [`super::super::Consumer::next`].
    pub(in super::super) async fn next(&mut self, max: usize) -> Result<VecDeque<Delivery>, Error> {
        let mut head = self.0.head.clone();
        loop {
            let changed = self.0.changed.notified();
            let (ready, missing) = self.0.lock().take(&self.0, max.max(1));
            if !ready.is_empty() {
                return Ok(ready.into_iter().map(|taken| self.deliver(taken)).collect());
            }
            if !missing.is_empty() {
                self.load(missing).await?;
                continue;
            }
            if self.read_ahead().await? {
                continue;
            }
            let (due, next, full) = {
                let state = self.0.lock();
                // A member that reads ahead tells when it is done.
                let busy = state.reading || state.out.len() >= self.0.in_flight_max;
                (state.due(), state.next, busy)
            };
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let more = async {
                if full {
                    std::future::pending::<()>().await;
                }
                head.wait_for(|last| *last >= next).await.map(|_last| ()).map_err(|_gone| closed())
            };
            tokio::select! {
                () = changed => {}
                () = due => {}
                more = more => more?,
            }
        }
    }

    fn deliver(&self, (entry, deliveries): (Entry, u64)) -> Delivery {
        let acker = Acker { shared: Arc::clone(&self.0), sequence: entry.sequence };
        Delivery { entry, deliveries, acker: AnyAcker::Embedded(acker) }
    }

    /// Reads the next stretch of the stream; false when there is nothing new or no room.
    async fn read_ahead(&self) -> Result<bool, Error> {
        let next = {
            let mut state = self.0.lock();
            let room = state.out.len() < self.0.in_flight_max && state.ahead.is_empty();
            if state.reading || !room || *self.0.head.borrow() < state.next {
                return Ok(false);
            }
            state.reading = true;
            state.next
        };
        // Another task does the reading, so that a dropped future cannot leave `reading` set.
        let shared = Arc::clone(&self.0);
        let read = blocking(move || {
            let read = read(&shared.log, shared.stream, next);
            let mut state = shared.lock();
            state.reading = false;
            let told = read.map(|entries| {
                state.next = entries.last().map_or(next, |last| last.sequence + 1);
                let selected =
                    entries.into_iter().filter(|e| subject::matches(&shared.filter, &e.subject));
                state.ahead.extend(selected);
            });
            drop(state);
            // Others wait for this, whatever came of it.
            shared.changed.notify_waiters();
            told
        });
        read.await.map(|()| true)
    }

    /// Reads entries again that were out when the process ended last time.
    async fn load(&self, missing: Vec<u64>) -> Result<(), Error> {
        let shared = Arc::clone(&self.0);
        blocking(move || {
            for sequence in missing.into_iter().take(READ_ENTRIES) {
                let found = shared.log.read(shared.stream.name(), sequence, 1, usize::MAX)?;
                let entry = found.into_iter().next().filter(|entry| entry.sequence == sequence);
                let mut state = shared.lock();
                match entry {
                    Some(entry) => {
                        if let Some(out) = state.out.get_mut(&sequence) {
                            out.entry = Some(entry);
                        }
                    }
                    // Retention took it: there is nothing left to deliver.
                    None => drop(state.out.remove(&sequence)),
                }
            }
            Ok(())
        })
        .await
    }
}

/// Settles one delivery.
#[derive(Debug)]
pub struct Acker {
    shared: Arc<Shared>,
    sequence: u64,
}

impl Acker {
    pub(in super::super) fn ack(self) {
        self.shared.settle(self.sequence);
    }

    pub(in super::super) fn nak(self, delay: Duration) {
        self.shared.put_back(self.sequence, delay);
    }

    pub(in super::super) fn progress(&self) {
        self.shared.put_back(self.sequence, self.shared.ack_wait);
    }
}

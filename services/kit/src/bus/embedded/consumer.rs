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
    /// Nothing that is out is due before this; none when nothing is out. Only a bound, because
    /// what is settled does not move it: with thousands out, looking for the first each time costs
    /// more than delivering them.
    due: Option<Instant>,
    saved: Option<Instant>,
}

#[derive(Debug)]
struct Out {
    deliveries: u64,
    /// When it is due again; for entries being handled, the end of the acknowledgement wait.
    due: Instant,
    /// Read again because it is due. What is delivered is not kept here: few come again, and those
    /// are in the log.
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
        let out: BTreeMap<u64, Out> = cursor
            .out
            .into_iter()
            .map(|(sequence, deliveries)| (sequence, Out { deliveries, due: now, entry: None }))
            .collect();
        let state = State {
            next: cursor.next.max(1),
            due: (!out.is_empty()).then_some(now),
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
        let (save, was_full) = {
            let mut state = self.lock();
            let was_full = state.out.len() >= self.in_flight_max;
            state.out.remove(&sequence);
            (state.saved.is_none_or(|saved| saved.elapsed() >= SAVE_EVERY), was_full)
        };
        if save {
            // A cursor that is not written means that entries come again, which is harmless.
            self.save().unwrap_or(());
        }
        // Room is all that settling can give to a member that waits.
        if was_full {
            self.changed.notify_waiters();
        }
    }

    fn put_back(&self, sequence: u64, delay: Duration) {
        self.lock().put_back(sequence, Instant::now() + delay);
        self.changed.notify_waiters();
    }
}

impl State {
    /// Takes what is due again and what was read ahead, as far as the bound on entries out allows.
    fn take(&mut self, shared: &Shared, max: usize) -> (Vec<(Entry, u64)>, Vec<u64>) {
        let now = Instant::now();
        let again = now + shared.ack_wait;
        let (mut ready, missing) = self.take_due(now, again, max);
        while ready.len() < max && self.out.len() < shared.in_flight_max {
            let Some(entry) = self.ahead.pop_front() else { break };
            self.out.insert(entry.sequence, Out { deliveries: 1, due: again, entry: None });
            self.is_due_at(again);
            ready.push((entry, 1));
        }
        (ready, missing)
    }

    /// Takes what is due at `now`, and puts it out until `again`; also names what is due and must
    /// be read first.
    fn take_due(
        &mut self,
        now: Instant,
        again: Instant,
        max: usize,
    ) -> (Vec<(Entry, u64)>, Vec<u64>) {
        let (mut ready, mut missing) = (Vec::new(), Vec::new());
        if self.due.is_none_or(|due| due > now) {
            return (ready, missing);
        }
        let mut first: Option<Instant> = None;
        for (sequence, out) in &mut self.out {
            if out.due <= now && ready.len() < max {
                match out.entry.take() {
                    Some(entry) => {
                        out.deliveries += 1;
                        out.due = again;
                        ready.push((entry, out.deliveries));
                    }
                    None => missing.push(*sequence),
                }
            }
            first = Some(first.map_or(out.due, |first| first.min(out.due)));
        }
        self.due = first;
        (ready, missing)
    }

    /// An entry comes back at `due`, if it is still out.
    fn put_back(&mut self, sequence: u64, due: Instant) {
        if let Some(out) = self.out.get_mut(&sequence) {
            out.due = due;
            self.is_due_at(due);
        }
    }

    fn is_due_at(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |first| first.min(due)));
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
                (state.due, state.next, busy)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hearken_proto::{Headers, Timestamp};

    use super::*;

    fn entry(sequence: u64) -> Entry {
        Entry {
            sequence,
            id: String::new(),
            time: Timestamp::EPOCH,
            subject: "hearken.event.shop.order".to_owned(),
            cause: String::new(),
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    fn state(out: impl IntoIterator<Item = (u64, Instant)>) -> State {
        let (ahead, reading, saved) = (VecDeque::new(), false, None);
        let mut state = State { next: 1, out: BTreeMap::new(), ahead, reading, due: None, saved };
        for (sequence, due) in out {
            state.out.insert(sequence, Out { deliveries: 1, due, entry: None });
            state.is_due_at(due);
        }
        state
    }

    #[test]
    fn what_is_due_is_read_again_and_then_taken_once() {
        let now = Instant::now();
        let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(10));
        let mut state = state([(1, soon), (2, later), (3, soon)]);
        assert_eq!(state.take_due(now, later, 9), (vec![], vec![]));
        assert_eq!(state.take_due(soon, later, 9), (vec![], vec![1, 3]));
        for sequence in [1, 3] {
            state.out.get_mut(&sequence).unwrap().entry = Some(entry(sequence));
        }
        assert_eq!(state.take_due(soon, later, 1), (vec![(entry(1), 2)], vec![]));
        assert_eq!(state.take_due(soon, later, 9), (vec![(entry(3), 2)], vec![]));
        assert_eq!(state.take_due(soon, later, 9), (vec![], vec![]));
        assert_eq!(state.due, Some(later));
    }

    #[test]
    fn the_bound_follows_what_comes_back_earlier_and_is_found_again_after_settling() {
        let now = Instant::now();
        let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(10));
        let mut state = state([(1, later), (2, later)]);
        state.put_back(2, soon);
        state.put_back(7, now);
        assert_eq!(state.due, Some(soon));
        state.out.remove(&2);
        assert_eq!(state.take_due(soon, later, 9), (vec![], vec![]));
        assert_eq!(state.due, Some(later));
        state.out.clear();
        assert_eq!(state.take_due(later, later, 9), (vec![], vec![]));
        assert_eq!(state.due, None);
    }
}

//! Waiting for work that may never end: a file system that is gone, a file whose lock is held.
//!
//! Neither a signal nor an async timeout ends a `statvfs` on a dead mount, so such work is done on
//! a thread of its own and waited for. Of what has a key one thing is under way at a time: others
//! that want the same wait, and once somebody has given up on it, nobody tries it again until its
//! thread comes back after all. So at most one thread is lost for each mount and each fact, in the
//! whole process: the list is a static, since threads belong to the process and not to a run.
//!
//! One thread works through all items in order; only where one is silent another takes over behind
//! it, so usually the price is one thread.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Unavailable;

/// What is under way, by key.
static UNDER_WAY: Mutex<BTreeMap<String, Flight>> = Mutex::new(BTreeMap::new());
/// Told when something of it ends or is given up.
static MOVED: Condvar = Condvar::new();

/// Threads that may be lost at once. Beyond it nothing new is tried, for a host where so many
/// things hang needs no more threads that hang.
const STUCK_MAX: usize = 256;

/// The longest that anything is waited for: what takes an hour is gone.
const PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// How something that is under way is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Awaited,
    GivenUp,
}

/// One thing to find out.
#[derive(Debug)]
pub(crate) struct Item<T> {
    /// What it is remembered by when it hangs; none for what ends by itself.
    pub(crate) key: Option<String>,
    /// How long it may take.
    pub(crate) patience: Duration,
    /// What the work is done on.
    pub(crate) input: T,
}

/// What a worker and whoever waits for it share.
#[derive(Debug)]
struct Slot<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<R> {
    /// What was found out and is not yet taken.
    done: Option<Result<R, Unavailable>>,
    /// Whoever waited has given up: come back quietly.
    abandoned: bool,
}

/// Does `work` on every item and returns the outcomes in order. After `deadline` none is waited
/// for.
pub(crate) fn each<T, R, W>(
    items: Vec<Item<T>>,
    deadline: Option<Instant>,
    work: W,
) -> Vec<Result<R, Unavailable>>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
    W: Fn(&T) -> R + Send + Sync + 'static,
{
    let (items, work) = (Arc::new(items), Arc::new(work));
    let mut outcomes = Vec::with_capacity(items.len());
    while outcomes.len() < items.len() {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            outcomes.push(Err(Unavailable::TimedOut { after: Duration::ZERO }));
            continue;
        }
        let slot = Arc::new(Slot {
            state: Mutex::new(State { done: None, abandoned: false }),
            changed: Condvar::new(),
        });
        let first = outcomes.len();
        let started = {
            let (items, work, slot) = (items.clone(), work.clone(), slot.clone());
            std::thread::Builder::new()
                .name("facts".to_owned())
                .spawn(move || work_through(&items, first, &*work, &slot))
        };
        match started {
            Ok(_detached) => collect(&items, deadline, &slot, &mut outcomes),
            Err(cause) => {
                let cause = Arc::new(cause);
                outcomes.resize_with(items.len(), || {
                    let what = "a thread to work on".to_owned();
                    Err(Unavailable::Failed { what, cause: cause.clone() })
                });
            }
        }
    }
    outcomes
}

/// Takes outcomes until all are there or one item is silent.
fn collect<T, R>(
    items: &[Item<T>],
    deadline: Option<Instant>,
    slot: &Slot<R>,
    outcomes: &mut Vec<Result<R, Unavailable>>,
) {
    while let Some(item) = items.get(outcomes.len()) {
        let begun = Instant::now();
        let until = begun + item.patience.min(PATIENCE_MAX);
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let mut state = lock(&slot.state);
        let outcome = loop {
            if let Some(outcome) = state.done.take() {
                slot.changed.notify_all();
                break outcome;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.abandoned = true;
                slot.changed.notify_all();
                // The list's lock is never taken within a slot's.
                drop(state);
                give_up(item);
                outcomes.push(Err(Unavailable::TimedOut { after: begun.elapsed() }));
                return;
            }
            state = slot
                .changed
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _timeout)| state);
        };
        drop(state);
        outcomes.push(outcome);
    }
}

/// A worker: does the items from `first` on until whoever waits has given up.
fn work_through<T, R>(
    items: &[Item<T>],
    first: usize,
    work: &(dyn Fn(&T) -> R + Send + Sync),
    slot: &Slot<R>,
) {
    for item in items.iter().skip(first) {
        let Some(outcome) = attempt(item, work, slot) else { return };
        let mut state = lock(&slot.state);
        // The one before has to be taken first: then the wait for this one has begun.
        while state.done.is_some() && !state.abandoned {
            state = slot.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.abandoned {
            return;
        }
        state.done = Some(outcome);
        slot.changed.notify_all();
    }
}

/// Does one item, alone under its key. `None` when nobody waits for it any more.
fn attempt<T, R>(
    item: &Item<T>,
    work: &(dyn Fn(&T) -> R + Send + Sync),
    slot: &Slot<R>,
) -> Option<Result<R, Unavailable>> {
    if let Some(key) = &item.key {
        let mut under_way = lock(&UNDER_WAY);
        loop {
            let given_up = |flight: &&Flight| **flight == Flight::GivenUp;
            let lost = under_way.values().filter(given_up).count();
            match under_way.get(key) {
                Some(Flight::GivenUp) => return Some(Err(Unavailable::Stuck)),
                None if lost >= STUCK_MAX => return Some(Err(Unavailable::Stuck)),
                None if lock(&slot.state).abandoned => return None,
                None => break,
                Some(Flight::Awaited) => {
                    under_way = MOVED.wait(under_way).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        under_way.insert(key.clone(), Flight::Awaited);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| work(&item.input)));
    if let Some(key) = &item.key {
        lock(&UNDER_WAY).remove(key);
        MOVED.notify_all();
    }
    Some(outcome.map_err(|_panic| Unavailable::Broken))
}

/// Remembers that nobody waits for this any more, unless it has just come back.
fn give_up<T>(item: &Item<T>) {
    let Some(key) = &item.key else { return };
    if let Some(flight) = lock(&UNDER_WAY).get_mut(key) {
        *flight = Flight::GivenUp;
    }
    MOVED.notify_all();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    type Gate = Mutex<Receiver<()>>;

    /// Items named so that tests that run at once don't meet.
    fn items(prefix: &str, inputs: &[&'static str], patience: Duration) -> Vec<Item<&'static str>> {
        let item = |input: &&'static str| Item {
            key: Some(format!("{prefix} {input}")),
            patience,
            input: *input,
        };
        inputs.iter().map(item).collect()
    }

    fn gate() -> (SyncSender<()>, Gate) {
        let (tx, rx) = sync_channel(1);
        (tx, Mutex::new(rx))
    }

    #[test]
    fn one_that_hangs_costs_the_others_nothing_and_is_not_tried_again() {
        let (open, gate) = gate();
        let (back_tx, back) = sync_channel(1);
        let work = move |input: &&'static str| {
            if *input == "dead" {
                lock(&gate).recv().unwrap();
                back_tx.send(()).unwrap();
            }
            input.len()
        };
        let long = Duration::from_secs(60);
        let mut wanted = items("first", &["a", "dead", "cc"], long);
        wanted[1].patience = Duration::from_millis(50);
        let outcomes = each(wanted, None, work);
        assert!(matches!(outcomes[0], Ok(1)));
        assert!(matches!(outcomes[1], Err(Unavailable::TimedOut { .. })), "{outcomes:?}");
        assert!(matches!(outcomes[2], Ok(2)), "{outcomes:?}");

        // It still hangs, so nobody asks again.
        let asked = |input: &&'static str| input.len();
        let outcomes = each(items("first", &["dead", "a"], long), None, asked);
        assert!(matches!(outcomes[0], Err(Unavailable::Stuck)), "{outcomes:?}");
        assert!(matches!(outcomes[1], Ok(1)));

        // It came back, so it is asked again.
        open.send(()).unwrap();
        back.recv().unwrap();
        while lock(&UNDER_WAY).contains_key("first dead") {
            std::thread::yield_now();
        }
        let outcomes = each(items("first", &["dead"], long), None, asked);
        assert!(matches!(outcomes[0], Ok(4)), "{outcomes:?}");
    }

    #[test]
    fn what_two_want_at_once_is_done_one_after_the_other() {
        let running = Arc::new(AtomicUsize::new(0));
        let work = move |_input: &&'static str| {
            let others = running.fetch_add(1, Ordering::SeqCst);
            std::thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            others
        };
        let ask = |work| {
            let inputs = ["same"; 50];
            each(items("shared", &inputs, Duration::from_secs(60)), None, work)
        };
        let (one, other) = (work.clone(), work);
        let asking = std::thread::spawn(move || ask(one));
        let outcomes = ask(other).into_iter().chain(asking.join().unwrap());
        assert!(outcomes.map(Result::unwrap).all(|others| others == 0));
    }

    #[test]
    fn a_panic_is_an_outcome() {
        let work = |input: &&'static str| match *input {
            "bad" => panic!("a defect"),
            good => good.len(),
        };
        let outcomes = each(items("panic", &["bad", "good"], Duration::from_secs(60)), None, work);
        assert!(matches!(outcomes[0], Err(Unavailable::Broken)));
        assert!(matches!(outcomes[1], Ok(4)));
    }

    #[test]
    fn after_the_deadline_nothing_is_begun() {
        let work = |_: &&'static str| -> usize { panic!("begun") };
        let begun = items("late", &["a", "b"], Duration::from_secs(60));
        let outcomes = each(begun, Some(Instant::now()), work);
        assert_eq!(outcomes.len(), 2);
        for outcome in outcomes {
            assert!(matches!(outcome, Err(Unavailable::TimedOut { .. })), "{outcome:?}");
        }
    }
}

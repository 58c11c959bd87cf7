//! Prepared interpreters: one for each interpreter and content of a pack, as many as memory allows.
//!
//! Content is known by its folder, whose name is its digest: a pack that was edited is another key,
//! and what was prepared for the old one is ended as the least recently used. Ending one takes no
//! run along: it lives until the last run that was forked from it has ended.
//!
//! Nothing here is needed for a run to succeed. Whatever goes wrong, the answer is that there is no
//! prepared interpreter, and one is started for the run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearken_kit::process::{Marker, Prepared, PreparedError, Running, Spawn};
use tokio::time::Instant;
use tracing::{debug, warn};

/// Interpreters that are kept: 8 MB each where actions import little, 20 to 40 MB where they import
/// libraries, as measured over packs in use; two thirds of a gigabyte at the very most.
const PREPARED_MAX: usize = 16;
/// How long an interpreter is kept that nobody needs; looked at when a run of any pack needs one.
/// When none does, the interpreter ends by itself after as long (`server.py`, `IDLE_SECONDS`).
const IDLE_MAX: Duration = Duration::from_secs(15 * 60);
/// Forks of one interpreter before another is prepared: libraries that leak where they fork leak
/// for so long.
const FORKS_MAX: u32 = 10_000;
/// How long an interpreter may take to prepare itself. The first run of a pack waits for it.
pub(super) const PREPARE_WAIT: Duration = Duration::from_secs(30);
/// How long runs of a pack are started one by one when an interpreter cannot be prepared for it.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Room for markers in the environment of a prepared interpreter.
const MARKER_BYTES_MIN: usize = 256;

/// Counts the interpreters of this process: what ends one looks for its marker, and must not find
/// another.
static PREPARED: AtomicU64 = AtomicU64::new(0);

/// For what an interpreter is prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The interpreter.
    pub(super) program: PathBuf,
    /// The folder of the pack's content.
    pub(super) folder: PathBuf,
}

/// The interpreters that are kept.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slots: Mutex<Vec<Slot>>,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    used: Instant,
    /// Held while an interpreter is prepared, so that runs that come together wait for one.
    state: Arc<tokio::sync::Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    prepared: Option<Prepared>,
    forks: u32,
    /// Until when nothing is tried.
    failed_until: Option<Instant>,
}

impl Pool {
    /// Forks a run from the interpreter that is prepared for `key`; `preparation` starts one where
    /// there is none. `None` when the run has to be started otherwise.
    pub(super) async fn fork(
        &self,
        key: &Key,
        preparation: &Spawn,
        spawn: &Spawn,
    ) -> Option<Running> {
        let state = self.state(key, Instant::now());
        // One that died is found out when it is asked; the second one is fresh.
        for _ in 0..2 {
            let prepared = prepared(&state, preparation).await?;
            match prepared.fork(spawn).await {
                Ok(running) => return Some(running),
                Err(PreparedError::Gone(error)) => {
                    let folder = key.folder.display();
                    debug!(%folder, %error, "a prepared interpreter is gone");
                    forget(&state, &prepared).await;
                }
                Err(error) => {
                    warn!(folder = %key.folder.display(), %error, "an interpreter does not fork");
                    return None;
                }
            }
        }
        None
    }

    /// The state of `key`; makes room for it.
    fn state(&self, key: &Key, now: Instant) -> Arc<tokio::sync::Mutex<State>> {
        let mut slots = self.slots();
        slots.retain(|slot| now.duration_since(slot.used) < IDLE_MAX || slot.key == *key);
        if let Some(slot) = slots.iter_mut().find(|slot| slot.key == *key) {
            slot.used = now;
            return Arc::clone(&slot.state);
        }
        if slots.len() >= PREPARED_MAX {
            let oldest = slots.iter().enumerate().min_by_key(|(_, slot)| slot.used);
            if let Some((index, _)) = oldest {
                slots.swap_remove(index);
            }
        }
        let state = Arc::default();
        slots.push(Slot { key: key.clone(), used: now, state: Arc::clone(&state) });
        state
    }

    /// A panic while it was held has broken nothing: each change is whole.
    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The marker of a prepared interpreter: its own, and long enough for `run`, whose marker a forked
/// process writes over it.
pub(super) fn marker(installation: &str, run: &Marker) -> Option<Marker> {
    let number = PREPARED.fetch_add(1, Ordering::Relaxed);
    let name = format!("prepared-{}-{number}-", std::process::id());
    let marker = Marker::new(installation, &format!("{name:.<MARKER_BYTES_MIN$}"))?;
    (marker.value().len() >= run.value().len()).then_some(marker)
}

/// The interpreter of a state; prepares one when there is none, or when it has served long enough.
async fn prepared(state: &tokio::sync::Mutex<State>, preparation: &Spawn) -> Option<Prepared> {
    let mut state = state.lock().await;
    if state.failed_until.is_some_and(|until| Instant::now() < until) {
        return None;
    }
    if let Some(prepared) = &state.prepared
        && state.forks < FORKS_MAX
    {
        let prepared = prepared.clone();
        state.forks += 1;
        return Some(prepared);
    }
    *state = State::default();
    match Prepared::start(preparation).await {
        Ok(prepared) => {
            *state = State { prepared: Some(prepared.clone()), forks: 1, failed_until: None };
            Some(prepared)
        }
        Err(error) => {
            warn!(%error, "no interpreter can be prepared: actions of this pack start slowly");
            state.failed_until = Some(Instant::now() + PAUSE_AFTER_FAILURE);
            None
        }
    }
}

/// Forgets an interpreter that is gone, unless another has taken its place.
async fn forget(state: &tokio::sync::Mutex<State>, gone: &Prepared) {
    let mut state = state.lock().await;
    let is_it = |prepared: &Prepared| prepared.identity() == gone.identity();
    if state.prepared.as_ref().is_some_and(is_it) {
        *state = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_each_their_own_and_have_room() {
        let run = Marker::new("home", "65a1b2c3d4e5f60718293a4b").unwrap();
        let (one, two) = (marker("home", &run).unwrap(), marker("home", &run).unwrap());
        assert_ne!(one, two);
        assert!(one.value().starts_with("home:prepared-") && one.value().len() > 256);
        let long = Marker::new("home", &"x".repeat(300)).unwrap();
        assert_eq!(marker("home", &long), None);
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let pool = Pool::default();
        let key = |number: usize| Key {
            program: PathBuf::from("python3"),
            folder: PathBuf::from(number.to_string()),
        };
        let now = Instant::now();
        let first = pool.state(&key(0), now);
        for number in 1..PREPARED_MAX {
            pool.state(&key(number), now);
        }
        let later = now + Duration::from_secs(1);
        assert!(Arc::ptr_eq(&first, &pool.state(&key(0), later)));
        pool.state(&key(PREPARED_MAX), later);
        let kept: Vec<Key> = pool.slots().iter().map(|slot| slot.key.clone()).collect();
        assert_eq!(kept.len(), PREPARED_MAX);
        assert!(kept.contains(&key(0)) && !kept.contains(&key(1)));
        // What nobody has needed for long goes, except what is needed now.
        let last = pool.state(&key(PREPARED_MAX), later + IDLE_MAX);
        let kept: Vec<Key> = pool.slots().iter().map(|slot| slot.key.clone()).collect();
        assert_eq!(kept, [key(PREPARED_MAX)]);
        assert!(Arc::ptr_eq(&last, &pool.state(&key(PREPARED_MAX), later + IDLE_MAX * 3)));
    }

    /// How something is prepared that says `said` and waits.
    fn preparation(name: &str, said: &str) -> Spawn {
        let mut spawn = Spawn::new("/bin/sh", Marker::new("pool", name).unwrap());
        spawn.arguments = ["-c", &format!("printf {said} >&0; exec cat")].map(Into::into).into();
        spawn.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
        spawn
    }

    #[tokio::test]
    async fn an_interpreter_that_has_served_long_enough_is_replaced() {
        let state = tokio::sync::Mutex::default();
        let first = prepared(&state, &preparation("one", "Y")).await.unwrap().identity();
        let two = preparation("two", "Y");
        for _ in 1..3 {
            assert_eq!(prepared(&state, &two).await.unwrap().identity(), first);
        }
        assert_eq!(state.lock().await.forks, 3);
        state.lock().await.forks = FORKS_MAX;
        assert_ne!(prepared(&state, &two).await.unwrap().identity(), first);
        assert_eq!(state.lock().await.forks, 1);
    }

    #[tokio::test]
    async fn what_cannot_be_prepared_is_not_tried_again_at_once() {
        let state = tokio::sync::Mutex::default();
        let mut broken = preparation("broken", "No");
        broken.arguments = vec!["-c".into(), "printf No >&0".into()];
        assert!(prepared(&state, &broken).await.is_none());
        assert!(prepared(&state, &preparation("whole", "Y")).await.is_none());
        state.lock().await.failed_until = Some(Instant::now());
        assert!(prepared(&state, &preparation("whole", "Y")).await.is_some());
    }
}

//! Gates on the bus: read, decided upon by the engine, and written by compare and set.
//!
//! Whatever changes a gate also lets in whoever has room then, in the same write: no room is left
//! over because the one who made it died. The moment at which time alone will make room is kept as
//! an alarm here; other runners learn of it when they look.
//!
//! Invariant: a decision counts only once its write is stored; one that lost is made again on what
//! is stored.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearken_engine::definition::Policy;
use hearken_engine::policy::{Limits, Place, gate};
use hearken_engine::registry::Registry;
use hearken_kit::bus::{Bus, Error};
use hearken_kit::work::{self, Claim};
use hearken_kit::{Clock, payload};
use hearken_proto::record::{Gate, GateState};
use hearken_proto::subject::Kind;
use hearken_proto::{Entry, Stream, Subject, Timestamp, codec, id};
use tokio::sync::{Notify, Semaphore};

/// Attempts at one change. Each loss means that somebody else's change was stored, so this many
/// are far more than the runners that can meet at one gate.
const CHANGES_MAX: u32 = 200;
/// The pause after a loss, times the losses so far, up to ten.
const PAUSE: Duration = Duration::from_millis(2);
/// Changes of this process to one gate go one after another, so that they do not lose against each
/// other; so many gates at a time.
const TURNS: usize = 16;

/// The gates of this installation. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Gates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bus: Bus,
    clock: Clock,
    /// Part of the ids of what this process writes: two writers must not share one.
    writer: String,
    written: AtomicU64,
    turns: [Semaphore; TURNS],
    /// When time alone makes room, by entity.
    alarms: Mutex<BTreeMap<String, Timestamp>>,
    earlier: Notify,
    /// Whether any gate was ever seen from here.
    used: AtomicBool,
}

/// By what a gate is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keeper<'a> {
    /// By the moments that requests name.
    Moment,
    /// By a policy in force.
    Policy(&'a Policy),
    /// By a policy that is not in force here, or not yet: nobody is let in.
    Unknown,
    /// By a policy that is gone: everybody is let in.
    Gone,
}

impl<'a> Keeper<'a> {
    /// Who keeps the gates of `entity`.
    pub(crate) fn of(registry: &'a Registry, entity: &str) -> Self {
        match entity.rsplit_once('#') {
            Some((reference, _)) if reference.contains('.') => {
                registry.policies().get(reference).map_or(Self::Unknown, Self::Policy)
            }
            Some(_) | None => Self::Moment,
        }
    }

    fn limits(self) -> Limits {
        match self {
            Self::Policy(policy) => Limits::of(Some(policy)),
            Self::Moment | Self::Gone => Limits::default(),
            Self::Unknown => Limits::CLOSED,
        }
    }
}

/// A change that is stored.
#[derive(Debug)]
pub(crate) struct Changed<T> {
    /// What the change answered.
    pub answer: T,
    /// Keys of the executions that were let in.
    pub granted: Vec<String>,
    /// Place of the gate's last entry.
    pub sequence: u64,
}

impl Gates {
    pub(crate) fn new(bus: Bus, clock: Clock, writer: &str) -> Self {
        Self(Arc::new(Inner {
            bus,
            clock,
            writer: writer.to_owned(),
            written: AtomicU64::new(0),
            turns: std::array::from_fn(|_turn| Semaphore::new(1)),
            alarms: Mutex::default(),
            earlier: Notify::new(),
            used: AtomicBool::new(false),
        }))
    }

    /// Whether there may be gates that are in use.
    pub(crate) fn are_used(&self) -> bool {
        self.0.used.load(Ordering::Acquire)
    }

    /// Says whether there are gates that are in use.
    pub(crate) fn set_used(&self, used: bool) {
        self.0.used.store(used, Ordering::Release);
    }

    /// Changes the gates of one entity. `decide` gets all lanes, and is called again when somebody
    /// else's change came first.
    pub(crate) async fn change<T>(
        &self,
        entity: &str,
        keeper: Keeper<'_>,
        decide: impl Fn(&mut BTreeMap<String, Gate>, Limits, Timestamp) -> T,
    ) -> Result<Changed<T>, Error> {
        self.set_used(true);
        let turn = self.0.turns.get(turn(entity));
        let _turn = match turn {
            Some(turn) => turn.acquire().await.ok(),
            None => None,
        };
        let limits = keeper.limits();
        for attempt in 1..=CHANGES_MAX {
            let (last, mut state) = self.read(entity).await?;
            let before = state.clone();
            let now = self.0.clock.now();
            let mut granted = grant(&mut state.lanes, limits, now);
            let answer = decide(&mut state.lanes, limits, now);
            granted.extend(grant(&mut state.lanes, limits, now));
            state.lanes.retain(|_, lane| !gate::tidy(lane, limits, now));
            if let Keeper::Policy(policy) = keeper {
                state.policy.clone_from(&policy.reference);
            }
            let unchanged = state.lanes == before.lanes;
            let stored =
                if unchanged { Some(last) } else { self.write(entity, &state, last).await? };
            if let Some(sequence) = stored {
                self.set_alarm(entity, &state, limits);
                return Ok(Changed { answer, granted, sequence });
            }
            tokio::time::sleep(PAUSE * attempt.min(10)).await;
        }
        Err(Error::Conflict)
    }

    /// Whether an execution was let in at `place`.
    pub(crate) async fn holds(&self, place: &Place, key: &str) -> Result<bool, Error> {
        let (_, state) = self.read(&place.entity).await?;
        let lane = state.lanes.get(&place.lane);
        Ok(lane.is_some_and(|lane| lane.running.iter().any(|holder| holder.0 == key)))
    }

    /// Every entity that is in use.
    pub(crate) async fn all(&self) -> Result<BTreeMap<String, GateState>, Error> {
        let bus = &self.0.bus;
        let filter = format!("{}.state.{}.*", bus.prefix(), Kind::Gate.token());
        let mut found = BTreeMap::new();
        for entry in bus.collect(Stream::State, &filter, 1).await? {
            let Ok(Subject::State { id, .. }) = Subject::parse(bus.prefix(), &entry.subject) else {
                continue;
            };
            // The embedded stream may still have older states: the last one counts.
            match codec::decode::<GateState>(&entry.headers, &entry.body) {
                Ok(state) if !state.lanes.is_empty() => drop(found.insert(id, state)),
                Ok(_) | Err(_) => drop(found.remove(&id)),
            }
        }
        Ok(found)
    }

    /// Waits until time alone makes room somewhere; answers where.
    ///
    /// # Cancel safety
    /// An alarm is taken off the list only when it is answered.
    pub(crate) async fn alarm(&self) -> String {
        loop {
            let earlier = self.0.earlier.notified();
            let now = self.0.clock.now();
            let first = {
                let mut alarms = self.alarms();
                let first = alarms.iter().min_by_key(|(_, at)| **at);
                let first = first.map(|(entity, at)| (entity.clone(), *at));
                if let Some((entity, _)) = first.as_ref().filter(|(_, at)| *at <= now) {
                    alarms.remove(entity);
                    return entity.clone();
                }
                first
            };
            let Some((_, at)) = first else {
                earlier.await;
                continue;
            };
            tokio::select! {
                () = earlier => {}
                () = tokio::time::sleep(at.since(now)) => {}
            }
        }
    }

    fn set_alarm(&self, entity: &str, state: &GateState, limits: Limits) {
        let next = state.lanes.values().filter_map(|lane| gate::next(lane, limits)).min();
        let mut alarms = self.alarms();
        match next {
            Some(next) => drop(alarms.insert(entity.to_owned(), next)),
            None => drop(alarms.remove(entity)),
        }
        self.0.earlier.notify_waiters();
    }

    fn alarms(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subject(&self, entity: &str) -> String {
        self.0.bus.subject(&Subject::state(Kind::Gate, entity))
    }

    async fn read(&self, entity: &str) -> Result<(u64, GateState), Error> {
        let last = self.0.bus.last(Stream::State, &self.subject(entity)).await?;
        let Some(entry) = last else { return Ok((0, GateState::default())) };
        let state = codec::decode(&entry.headers, &entry.body).map_err(|error| {
            Error::Configuration(format!("the gate {entity} cannot be read: {error}"))
        })?;
        Ok((entry.sequence, state))
    }

    /// Nothing when somebody else wrote first.
    async fn write(
        &self,
        entity: &str,
        state: &GateState,
        last: u64,
    ) -> Result<Option<u64>, Error> {
        let mut message = payload::message(self.subject(entity), state)?;
        let number = self.0.written.fetch_add(1, Ordering::Relaxed).to_string();
        let name = id::derived(&["gate", entity, &self.0.writer, &number]);
        message.id = Some(name.clone());
        let mine = move |entry: &Entry| entry.id == name;
        match work::claim(&self.0.bus, Stream::State, message, last, mine).await? {
            Claim::Held(sequence) => Ok(Some(sequence)),
            Claim::Lost(_) => Ok(None),
        }
    }
}

fn grant(lanes: &mut BTreeMap<String, Gate>, limits: Limits, now: Timestamp) -> Vec<String> {
    lanes.values_mut().flat_map(|lane| gate::grant(lane, limits, now)).collect()
}

fn turn(entity: &str) -> usize {
    let sum: usize = entity.bytes().map(usize::from).sum();
    sum % TURNS
}

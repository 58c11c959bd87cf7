//! The fold of rules that remember: one replica reads the events in order and decides.
//!
//! A lease says which replica; it saves work and nothing else, because everything decided here has
//! an id derived from the event and the rule, and where the fold has come to is compared and set.
//! What is remembered is kept in STATE every few seconds; whoever takes over reads on from there
//! and decides the same again.
//!
//! While no rule remembers, only marks are read: the events cost nothing then.
//!
//! Invariant: a place is kept only after everything decided up to it is stored.

mod decisions;
mod store;

use std::sync::Arc;
use std::time::Duration;

use hearken_engine::memory::{Decision, Memory};
use hearken_kit::bus::{Error as BusError, Reader};
use hearken_kit::lease::{Lease, RENEW_EVERY};
use hearken_kit::{Clock, Shutdown};
use hearken_packs::{Definitions, Follower};
use hearken_proto::record::{DEFINITIONS_TRIGGER, TIME_TRIGGER};
use hearken_proto::{Entry, Message, Stream, Subject, Timestamp};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::Error;
use crate::judge::{self, Seen};
use crate::outgoing::Desk;

use decisions::Decisions;
use store::{Kept, Saved, Store};

/// While something waits for a moment, log time moves at least this often: well below the gap that
/// the engine takes for an outage of ours.
const TIME_EVERY: Duration = Duration::from_secs(10);
/// A memory is kept so much less often as it is large: half a megabyte a second at most.
const KEEP_BYTES_PER_MILLI: usize = 512;
/// The shortest pause between two entries that only move log time: clocks may differ.
const TIME_PAUSE: Duration = Duration::from_millis(500);

/// What the fold is made of.
#[derive(Debug)]
pub(crate) struct Fold {
    pub desk: Desk,
    pub definitions: Follower,
    pub clock: Clock,
    /// Name of this replica, unlike any other.
    pub replica: String,
}

/// Why a replica stopped being the active one.
enum End {
    /// The service ends.
    Shutdown,
    /// Another replica may be active by now.
    LeaseLost,
}

impl Fold {
    /// Stands by, and folds whenever this replica holds the lease, until `shutdown` is requested.
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let bus = self.desk.bus.clone();
        let mut lease = Lease::new(bus, self.clock.clone(), "rules-memory", &self.replica);
        loop {
            if !stand_by(&mut lease, &shutdown).await {
                break;
            }
            match Active::start(&self).await?.run(&mut lease, &shutdown).await? {
                End::Shutdown => break,
                End::LeaseLost => info!("another replica decides for the rules that remember"),
            }
        }
        if let Err(error) = lease.release().await {
            info!(%error, "the lease on remembering was not given back, it runs out by itself");
        }
        Ok(())
    }
}

/// Waits for the lease; false when the service ends.
async fn stand_by(lease: &mut Lease, shutdown: &Shutdown) -> bool {
    let mut every = tokio::time::interval(RENEW_EVERY);
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return false,
            _ = every.tick() => {}
        }
        match lease.renew().await {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => warn!(%error, "the lease on remembering could not be taken"),
        }
    }
}

/// The fold while this replica is the active one.
struct Active<'a> {
    fold: &'a Fold,
    store: Store,
    memory: Memory,
    /// The last entry that the memory knows of.
    place: u64,
    /// Its log time.
    time: Timestamp,
    /// The definitions for the next event.
    in_force: Arc<Definitions>,
    reader: Reader,
    /// Whether only marks are read.
    is_idle: bool,
    decisions: Decisions,
    /// When an entry that moves log time may be written next.
    time_after: Instant,
    /// When the memory may be kept next: a large one less often.
    keep_after: Instant,
}

enum Input {
    Entry(Box<Entry>),
    Renew,
    Due,
}

impl<'a> Active<'a> {
    /// Takes up what was kept, or begins with the definitions in force.
    async fn start(fold: &'a Fold) -> Result<Self, Error> {
        let desk = &fold.desk;
        let mut store = Store::new(desk.clone());
        let Kept { place, memory } = match store.load().await? {
            Some(kept) => kept,
            None => {
                let kept =
                    Kept { place: fold.definitions.current().mark, memory: Memory::default() };
                store.save(kept.place, &kept.memory).await?;
                kept
            }
        };
        let in_force = fold.definitions.at(place + 1).await?;
        let is_idle = !in_force.registry.remembers() && memory.is_empty();
        let reader = open(fold, is_idle, place).await?;
        info!(place, idle = is_idle, "this replica decides for the rules that remember");
        Ok(Self {
            fold,
            store,
            memory,
            place,
            time: Timestamp::EPOCH,
            in_force,
            reader,
            is_idle,
            decisions: Decisions::new(desk.clone()),
            time_after: Instant::now(),
            keep_after: Instant::now(),
        })
    }

    async fn run(mut self, lease: &mut Lease, shutdown: &Shutdown) -> Result<End, Error> {
        let mut renewal = tokio::time::interval(RENEW_EVERY);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.due();
            let input = tokio::select! {
                biased;
                () = shutdown.requested() => {
                    self.save().await?;
                    return Ok(End::Shutdown);
                }
                _ = renewal.tick() => Input::Renew,
                entry = self.reader.next() => Input::Entry(Box::new(entry?)),
                () = until(due) => Input::Due,
            };
            match input {
                Input::Entry(entry) => self.take(&entry).await?,
                Input::Due => self.move_time().await,
                Input::Renew => {
                    let held = lease.renew().await.unwrap_or_else(|error| {
                        warn!(%error, "the lease on remembering could not be renewed");
                        false
                    });
                    if !held || self.keep().await? == Saved::Overtaken {
                        return Ok(End::LeaseLost);
                    }
                }
            }
        }
    }

    /// Folds one entry.
    async fn take(&mut self, entry: &Entry) -> Result<(), Error> {
        let decided = match judge::read(&self.fold.desk, self.in_force.mark, entry) {
            Ok(Seen::Fact(fact)) => {
                let registry = &self.in_force.registry;
                let (event, instance) = (fact.event(entry), &fact.instance);
                self.memory.event(registry, &event, instance, &self.fold.desk.context)
            }
            Ok(Seen::Definitions) => return self.redefine(entry).await,
            Ok(Seen::Time) => self.memory.advance(entry.time),
            Err(why) => {
                // The other side of the service makes a dead letter of it.
                debug!(sequence = entry.sequence, why, "not an event");
                self.memory.advance(entry.time)
            }
        };
        self.come_to(entry);
        self.decide(decided).await
    }

    /// Other definitions are in force from this entry on.
    async fn redefine(&mut self, entry: &Entry) -> Result<(), Error> {
        let decided = self.memory.advance(entry.time);
        self.decide(decided).await?;
        self.fold.definitions.reach(entry.sequence).await;
        self.in_force = self.fold.definitions.at(entry.sequence + 1).await?;
        self.memory.retain(&self.in_force.registry);
        self.come_to(entry);
        let is_idle = !self.in_force.registry.remembers() && self.memory.is_empty();
        if is_idle != self.is_idle {
            self.reader = open(self.fold, is_idle, self.place).await?;
            self.is_idle = is_idle;
        }
        Ok(())
    }

    fn come_to(&mut self, entry: &Entry) {
        self.place = entry.sequence;
        self.time = entry.time;
    }

    async fn decide(&mut self, mut decided: Vec<Decision>) -> Result<(), Error> {
        let outcomes = decided.iter_mut().map(|decision| &mut decision.outcome);
        self.fold.desk.opened.hide_reasons(outcomes);
        for decision in decided {
            self.decisions.tell(&self.in_force.registry, decision).await?;
        }
        Ok(())
    }

    /// Keeps the memory if it is time for it.
    async fn keep(&mut self) -> Result<Saved, Error> {
        if Instant::now() < self.keep_after {
            return Ok(Saved::NotNow);
        }
        let saved = self.save().await?;
        let millis = self.store.bytes() / KEEP_BYTES_PER_MILLI;
        self.keep_after = Instant::now() + Duration::from_millis(millis as u64);
        Ok(saved)
    }

    async fn save(&mut self) -> Result<Saved, Error> {
        self.decisions.settle().await?;
        self.store.save(self.place, &self.memory).await
    }

    /// When log time has to move because something waits for it.
    fn due(&self) -> Option<Instant> {
        let due = self.memory.due()?;
        let now = self.fold.clock.now();
        let next = due.min(self.time.plus(TIME_EVERY));
        let sleep = Instant::now() + next.since(now);
        Some(sleep.max(self.time_after))
    }

    /// Writes an entry that only moves log time on. Replicas that write one at the same place write
    /// one; one that comes too early changes nothing.
    async fn move_time(&mut self) {
        let desk = &self.fold.desk;
        self.time_after = Instant::now() + TIME_PAUSE;
        let message = Message {
            subject: desk.bus.subject(&Subject::event(TIME_TRIGGER)),
            id: Some(format!("time-{}-{}", desk.incarnation, self.place)),
            body: "{}".into(),
            ..Message::default()
        };
        if let Err(error) = desk.bus.publish(message).await {
            warn!(%error, "log time could not be moved on");
        }
    }
}

/// Reads everything after `place`, or only the marks.
async fn open(fold: &Fold, is_idle: bool, place: u64) -> Result<Reader, BusError> {
    let bus = &fold.desk.bus;
    let filter = if is_idle {
        bus.subject(&Subject::event(DEFINITIONS_TRIGGER))
    } else {
        format!("{}.event.>", bus.prefix())
    };
    bus.read(Stream::Events, &filter, place + 1).await
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

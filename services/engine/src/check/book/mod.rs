//! The book of all checks: the state of the fold, and the way into it.
//!
//! What is kept is exactly the records that other programs read: one for each check, each open
//! incident and each silence. Whoever stores them one by one can put the book together again, and
//! it goes on as if it had never stopped: `tests/check_model.rs`.
//!
//! Invariants: what was told is in the incident's record and nowhere else, and alone decides what
//! is told next; whoever was told a start is told its end, whatever lies between; time is the
//! newest log time seen and never runs backwards; two books that were told the same are the same.
//!
//! In reading order: `effect.rs` says what goes in and comes out; `turn.rs` is one input from
//! beginning to end; `result.rs` makes certain of results, `settle.rs` opens and ends incidents,
//! `reach.rs` knows what stands before what, `tell.rs` decides who is told what, and why not.

mod effect;
mod reach;
mod result;
mod settle;
mod tell;
mod turn;

use std::collections::{BTreeMap, BTreeSet};

use hearken_proto::Timestamp;
use hearken_proto::check::CheckRecord;
use hearken_proto::incident::{IncidentRecord, SilenceRecord};
use serde::{Deserialize, Serialize};

use super::definitions::Definitions;
pub use effect::{Effect, HeldBack, Input};
pub use reach::PARENT_WAIT;
use turn::Turn;

/// The state of all checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Book {
    /// The newest log time seen.
    now: Timestamp,
    /// When the last outage of ours was over: before, nobody could hear anything.
    resumed: Timestamp,
    checks: BTreeMap<String, CheckRecord>,
    incidents: BTreeMap<String, IncidentRecord>,
    silences: BTreeMap<String, SilenceRecord>,
    /// When something is to be looked at although nothing comes; follows from the records.
    #[serde(skip)]
    timers: BTreeSet<(Timestamp, Key)>,
}

/// What a timer is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Check(String),
    Incident(String),
    Silence(String),
}

/// One entity of the book, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A check.
    Check(CheckRecord),
    /// An open incident.
    Incident(IncidentRecord),
    /// A silence that may still last.
    Silence(SilenceRecord),
}

/// A book as it is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    now: Timestamp,
    resumed: Timestamp,
    checks: BTreeMap<String, CheckRecord>,
    incidents: BTreeMap<String, IncidentRecord>,
    silences: BTreeMap<String, SilenceRecord>,
}

impl From<Written> for Book {
    fn from(written: Written) -> Self {
        let Written { now, resumed, checks, incidents, silences } = written;
        let mut book =
            Self { now, resumed, checks, incidents, silences, timers: BTreeSet::default() };
        let mut timers = BTreeSet::new();
        timers.extend(book.checks.values().filter_map(check_timer));
        timers.extend(book.incidents.values().filter_map(incident_timer));
        timers.extend(book.silences.values().filter_map(silence_timer));
        book.timers = timers;
        book
    }
}

impl Book {
    /// Puts a book together from what was stored of it. `now` is the newest log time that it had
    /// seen, `resumed` the end of the last outage; whoever does not know it any more gives `now`.
    #[must_use]
    pub fn restore(
        now: Timestamp,
        resumed: Timestamp,
        parts: impl IntoIterator<Item = Part>,
    ) -> Self {
        let mut written =
            Written { now: whole(now), resumed: whole(resumed), ..Written::default() };
        for part in parts {
            match part {
                Part::Check(check) => {
                    written.checks.insert(check.check.clone(), check);
                }
                Part::Incident(incident) if incident.closed.is_none() => {
                    written.incidents.insert(incident.id.clone(), incident);
                }
                // It is over, and everybody was told.
                Part::Incident(_) => {}
                Part::Silence(silence) if silence.ended.is_none() => {
                    written.silences.insert(silence.id.clone(), silence);
                }
                Part::Silence(_) => {}
            }
        }
        Self::from(written)
    }

    /// Everything there is to store of it, and what [`Book::restore`] needs beside: the newest log
    /// time and the end of the last outage.
    #[must_use]
    pub fn parts(&self) -> (Timestamp, Timestamp, Vec<Part>) {
        let checks = self.checks.values().cloned().map(Part::Check);
        let incidents = self.incidents.values().cloned().map(Part::Incident);
        let silences = self.silences.values().cloned().map(Part::Silence);
        (self.now, self.resumed, checks.chain(incidents).chain(silences).collect())
    }

    /// One input at log time `at`. What was due before comes first.
    ///
    /// Effects are in the order in which they have to be stored: first what is to be told, so that
    /// nothing that is kept as told was never asked for.
    pub fn apply(&mut self, definitions: &Definitions, input: Input, at: Timestamp) -> Vec<Effect> {
        let mut effects = self.pass(definitions, at);
        let mut turn = Turn::new(self, definitions);
        turn.take(input);
        effects.extend(turn.finish());
        effects
    }

    /// Log time has come to `at`, and nothing else happened.
    pub fn pass(&mut self, definitions: &Definitions, at: Timestamp) -> Vec<Effect> {
        self.now = self.now.max(whole(at));
        let mut effects = Vec::new();
        // Each timer that goes off is gone or later afterwards; the bound is for what cannot be.
        let rounds = self.timers.len().saturating_mul(4).saturating_add(16);
        for _ in 0..rounds {
            let Some((_, key)) = self.timers.first().filter(|(due, _)| *due <= self.now).cloned()
            else {
                break;
            };
            let mut turn = Turn::new(self, definitions);
            turn.due(&key);
            effects.extend(turn.finish());
        }
        effects
    }

    /// When something is due although nothing comes.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// The newest log time seen.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// How a check stands.
    #[must_use]
    pub fn check(&self, id: &str) -> Option<&CheckRecord> {
        self.checks.get(id)
    }

    /// All checks that were heard of.
    pub fn checks(&self) -> impl Iterator<Item = &CheckRecord> {
        self.checks.values()
    }

    /// An incident that is not over.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<&IncidentRecord> {
        self.incidents.get(id)
    }

    /// All incidents that are not over.
    pub fn incidents(&self) -> impl Iterator<Item = &IncidentRecord> {
        self.incidents.values()
    }

    /// All silences that may still last.
    pub fn silences(&self) -> impl Iterator<Item = &SilenceRecord> {
        self.silences.values()
    }
}

/// The moment in whole microseconds, as records write it: what is read again is the same.
fn whole(at: Timestamp) -> Timestamp {
    let nanos = at.nanos();
    Timestamp::from_nanos(nanos.saturating_sub(nanos.rem_euclid(1_000)))
}

fn check_timer(check: &CheckRecord) -> Option<(Timestamp, Key)> {
    Some((check.fresh_until?, Key::Check(check.check.clone())))
}

fn incident_timer(incident: &IncidentRecord) -> Option<(Timestamp, Key)> {
    Some((incident.next?, Key::Incident(incident.id.clone())))
}

fn silence_timer(silence: &SilenceRecord) -> Option<(Timestamp, Key)> {
    Some((silence.until?, Key::Silence(silence.id.clone())))
}

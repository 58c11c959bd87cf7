//! What is kept: what one rule remembers, and what each of its fields remembers of a key.

use std::collections::VecDeque;
use std::time::Duration;

use hearken_proto::request::TriggerInstance;
use serde::{Deserialize, Serialize};

use super::gates::Gates;
use super::keyed::{Keyed, Lasting};
use super::moment::Moment;
use crate::judge::RequestDraft;

/// What one rule remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The definition it belongs to; under another it means nothing.
    #[serde(default)]
    pub(super) fingerprint: String,
    /// Until when the events of a key are repeats.
    #[serde(default)]
    pub(super) dedupe: Keyed<Until>,
    /// The matching events of a key.
    #[serde(default)]
    pub(super) window: Keyed<Times>,
    /// Events that wait for what may not come.
    #[serde(default)]
    pub(super) absence: Keyed<Pending>,
    /// What is remembered about requests.
    #[serde(default)]
    pub(super) gates: Gates,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        let Self { fingerprint: _, dedupe, window, absence, gates } = self;
        dedupe.is_empty() && window.is_empty() && absence.is_empty() && gates.is_empty()
    }

    /// When the first of what just runs out does; absences do not, they are due.
    pub(super) fn first_end(&self) -> Option<Moment> {
        let ends = [self.dedupe.first_end(), self.window.first_end(), self.gates.first_end()];
        ends.into_iter().flatten().min()
    }

    /// Forgets what has run out.
    pub(super) fn forget(&mut self, now: Moment) {
        while self.dedupe.take_first(Some(now)).is_some() {}
        while self.window.take_first(Some(now)).is_some() {}
        self.gates.forget(now);
    }
}

/// A while that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Until(pub(super) Moment);

impl Lasting for Until {
    fn ends(&self) -> Moment {
        self.0
    }
}

/// When something happened, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Times {
    /// When the newest will be outside.
    ends: Moment,
    times: VecDeque<Moment>,
}

impl Times {
    /// How many are within `period` before `now`.
    pub(super) fn within(&self, period: Duration, now: Moment) -> usize {
        self.times.iter().rev().take_while(|time| now.since(**time) < period).count()
    }

    /// Adds `now`, and forgets what is outside.
    pub(super) fn push(&mut self, period: Duration, now: Moment) {
        while self.times.front().is_some_and(|time| now.since(*time) >= period) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.ends = now.plus(period);
    }
}

impl Lasting for Times {
    fn ends(&self) -> Moment {
        self.ends
    }
}

/// An event that waits for what may not come, with the request it leads to then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// When it has waited long enough.
    pub(super) due: Moment,
    /// The event.
    pub(super) instance: TriggerInstance,
    /// Its own log time.
    pub(super) time: Moment,
    /// Its key for the throttle of the rule.
    #[serde(default)]
    pub(super) throttle: String,
    /// Its key for the cooldown of the rule.
    #[serde(default)]
    pub(super) cooldown: String,
    /// Size of the request, in bytes of JSON.
    #[serde(default)]
    pub(super) bytes: usize,
    /// What it leads to.
    pub(super) request: RequestDraft,
}

impl Lasting for Pending {
    fn ends(&self) -> Moment {
        self.due
    }
}

//! The fields that only count requests: `throttle` and `cooldown`.
//!
//! They keep their own limits, because an absence comes due when there is no definition at hand.
//! Both are asked before a request is drafted, and are told only of requests that are made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kept::{Times, Until};
use super::keyed::Keyed;
use super::moment::Moment;
use crate::definition::Remember;
use crate::definition::period::show;
use crate::judge::{HeldBy, Outcome};

/// What is remembered about the requests of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gates {
    /// Most requests, and the while that counts; none without a throttle.
    #[serde(default)]
    throttle: Option<Limit>,
    /// How long there is silence; none without a cooldown.
    #[serde(default)]
    cooldown: Option<Duration>,
    /// The requests of a key.
    #[serde(default)]
    throttled: Keyed<Times>,
    /// Until when a key is silent.
    #[serde(default)]
    cooling: Keyed<Until>,
}

/// So many in a while.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Limit {
    limit: u32,
    period: Duration,
}

/// The keys of one event.
#[derive(Clone, Debug, Default)]
pub(super) struct GateKeys {
    pub(super) throttle: String,
    pub(super) cooldown: String,
}

impl Gates {
    /// Nothing yet, with the limits of a rule.
    pub(super) fn new(remember: &Remember) -> Self {
        let throttle = remember.throttle.as_ref();
        Self {
            throttle: throttle.map(|quota| Limit { limit: quota.count, period: quota.period }),
            cooldown: remember.cooldown.as_ref().map(|spell| spell.period),
            ..Self::default()
        }
    }

    /// What speaks against a request now.
    pub(super) fn hold(&self, keys: &GateKeys, now: Moment) -> Option<Outcome> {
        if let Some(Limit { limit, period }) = self.throttle
            && let Some(times) = self.throttled.get(&keys.throttle)
            && times.within(period, now) >= limit as usize
        {
            let of = for_key(&keys.throttle);
            let reason = format!("{limit} within {} is the limit{of}", show(period));
            return Some(Outcome::Held { by: HeldBy::Throttle, reason });
        }
        if self.cooldown.is_some()
            && let Some(Until(end)) = self.cooling.get(&keys.cooldown)
            && now < *end
        {
            let reason = format!("silent until {}{}", end.timestamp(), for_key(&keys.cooldown));
            return Some(Outcome::Held { by: HeldBy::Cooldown, reason });
        }
        None
    }

    /// A request is made.
    pub(super) fn made(&mut self, keys: GateKeys, now: Moment) {
        if let Some(Limit { limit: _, period }) = self.throttle {
            let mut times = self.throttled.take(&keys.throttle).unwrap_or_default();
            times.push(period, now);
            self.throttled.put(keys.throttle, times);
        }
        if let Some(period) = self.cooldown {
            self.cooling.put(keys.cooldown, Until(now.plus(period)));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.throttled.is_empty() && self.cooling.is_empty()
    }

    pub(super) fn first_end(&self) -> Option<Moment> {
        [self.throttled.first_end(), self.cooling.first_end()].into_iter().flatten().min()
    }

    pub(super) fn forget(&mut self, now: Moment) {
        while self.throttled.take_first(Some(now)).is_some() {}
        while self.cooling.take_first(Some(now)).is_some() {}
    }
}

/// The end of a sentence about a key; nothing when there is none.
pub(super) fn for_key(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" for key {key:?}") }
}

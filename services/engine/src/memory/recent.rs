//! Events that were decided on a short while ago, by the name that their sender gave them.
//!
//! A sender that is in doubt publishes again, and a bus drops the copy only for a short while. A
//! window must not count it twice. Events without a name of their own are named by their place,
//! which never comes twice.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use hearken_proto::id;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::moment::Moment;

/// Names that are remembered: enough for a sender that repeats a long batch.
const NAMES_MAX: usize = 4_096;
/// How long a name is remembered: longer than senders repeat.
const PERIOD: Duration = Duration::from_secs(86_400);

/// Names of events, oldest first; a name is kept as its hash.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recent {
    order: VecDeque<(Moment, String)>,
    names: HashSet<String>,
}

impl Recent {
    /// Whether the event called `name` was decided on.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.names.is_empty() && self.names.contains(&hash(name))
    }

    /// Remembers an event, unless it is named by its place.
    pub(super) fn add(&mut self, name: &str, now: Moment) {
        if name.starts_with('@') {
            return;
        }
        let name = hash(name);
        if self.names.insert(name.clone()) {
            self.order.push_back((now, name));
        }
        while self.order.len() > NAMES_MAX {
            self.forget_first();
        }
    }

    /// Forgets what is old.
    pub(super) fn forget(&mut self, now: Moment) {
        while self.order.front().is_some_and(|(since, _)| now.since(*since) >= PERIOD) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.names.remove(&name);
        }
    }
}

fn hash(name: &str) -> String {
    id::derived(&[name])
}

impl Serialize for Recent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.order.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let order: VecDeque<(Moment, String)> = VecDeque::deserialize(deserializer)?;
        let names = order.iter().map(|(_, name)| name.clone()).collect();
        Ok(Self { order, names })
    }
}

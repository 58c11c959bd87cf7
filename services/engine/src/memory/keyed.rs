//! What is remembered per key, and when it is forgotten.
//!
//! The order in which memories end is kept beside them, so that finding what has run out, and what
//! to forget when there are too many keys, costs no look at the rest. That order follows from the
//! memories and is not written down with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::moment::Moment;

/// Most keys that one field of one rule remembers: enough for every host of a large site, and
/// little enough that a rule with a random key harms nobody else.
pub(super) const KEYS_MAX: usize = 10_000;

/// A memory that ends by itself.
pub(super) trait Lasting {
    /// When nothing of it is left: it is valid before, and no more at this moment.
    fn ends(&self) -> Moment;
}

/// Memories by key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keyed<T> {
    entries: BTreeMap<String, T>,
    ends: BTreeSet<(Moment, String)>,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), ends: BTreeSet::new() }
    }
}

impl<T: Lasting> Keyed<T> {
    pub(super) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the first memory ends.
    pub(super) fn first_end(&self) -> Option<Moment> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Remembers `value` for `key`, instead of what was there. When there are too many keys, the
    /// one whose memory would have ended first is forgotten and returned.
    pub(super) fn put(&mut self, key: String, value: T) -> Option<(String, T)> {
        self.take(&key);
        let forgotten = if self.entries.len() < KEYS_MAX { None } else { self.take_first(None) };
        self.ends.insert((value.ends(), key.clone()));
        self.entries.insert(key, value);
        forgotten
    }

    /// Forgets `key`; what was remembered.
    pub(super) fn take(&mut self, key: &str) -> Option<T> {
        let (key, value) = self.entries.remove_entry(key)?;
        self.ends.remove(&(value.ends(), key));
        Some(value)
    }

    /// Forgets the memory that ends first; with `until`, only if it ends by then.
    pub(super) fn take_first(&mut self, until: Option<Moment>) -> Option<(String, T)> {
        let (end, _) = self.ends.first()?;
        if until.is_some_and(|until| *end > until) {
            return None;
        }
        let (_, key) = self.ends.pop_first()?;
        self.entries.remove_entry(&key)
    }

    /// Changes every memory.
    pub(super) fn change(&mut self, change: impl Fn(&mut T)) {
        self.entries.values_mut().for_each(change);
        self.ends = order(&self.entries);
    }
}

fn order<T: Lasting>(entries: &BTreeMap<String, T>) -> BTreeSet<(Moment, String)> {
    entries.iter().map(|(key, value)| (value.ends(), key.clone())).collect()
}

impl<T: Serialize> Serialize for Keyed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl<'de, T: Lasting + Deserialize<'de>> Deserialize<'de> for Keyed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::deserialize(deserializer)?;
        Ok(Self { ends: order(&entries), entries })
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::Timestamp;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Until(i64);

    impl Lasting for Until {
        fn ends(&self) -> Moment {
            Moment::of(Timestamp::from_nanos(self.0))
        }
    }

    #[test]
    fn a_key_too_many_forgets_the_one_that_ends_first() {
        let mut keyed = Keyed::default();
        for number in 0..KEYS_MAX {
            // The ends run against the keys, so that neither order can pass for the other.
            let end = i64::try_from(KEYS_MAX - number).expect("it is small");
            assert_eq!(keyed.put(format!("{number:05}"), Until(end)), None);
        }
        let last = format!("{:05}", KEYS_MAX - 1);
        assert_eq!(keyed.put("00000".to_owned(), Until(1)), None, "a known key needs no room");
        // Two end at 1 now: the key decides.
        assert_eq!(keyed.put("new".to_owned(), Until(5)), Some(("00000".to_owned(), Until(1))));
        assert_eq!(keyed.put("newer".to_owned(), Until(5)), Some((last, Until(1))));
        assert_eq!(keyed.entries.len(), KEYS_MAX);
        assert_eq!(keyed.ends, order(&keyed.entries));
    }
}

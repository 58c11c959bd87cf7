//! The keys of all scopes in memory: looked up, listed, bounded.
//!
//! Entries come twice: from whoever writes here, at once, and from the stream, in order. The one of
//! the later place stands. A key that was deleted is remembered only until the stream has come to
//! that place: from then on no earlier entry can bring it back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use hearken_proto::Timestamp;
use hearken_proto::kv::{KeyState, Scope};

use super::{Error, Key};

/// Keys there may be: configuration and state of packs, not a database. Every host keeps them all.
pub(super) const KEYS_MAX: usize = 100_000;
/// What all names and values may take together, because every host keeps them in memory.
pub(super) const BYTES_MAX: usize = 256 << 20;
/// The longest value, and sealed a third more: two of them fit into the event of a change.
pub(super) const VALUE_BYTES_MAX: usize = 64 << 10;
/// Room for what racing writers add after each has seen that there is room, and no further.
const OVERSHOOT: usize = 1000;

/// A key that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// Its text, sealed when it is secret.
    pub value: String,
    /// Whether the text is sealed.
    pub secret: bool,
    /// From when on it is missing.
    pub expires: Option<Timestamp>,
    /// The place of its entry: another one after each change.
    pub revision: u64,
}

impl Item {
    /// What the entry at `revision` says of `key`, if it is there at `now`.
    pub(super) fn of(key: &Key, revision: u64, state: &KeyState, now: Timestamp) -> Option<Self> {
        if state.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        Some(Self {
            key: key.clone(),
            value: state.value.clone()?,
            secret: state.secret,
            expires: state.expires,
            revision,
        })
    }
}

/// Which keys are wanted, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only of this scope.
    pub scope: Option<Scope>,
    /// Of users' keys only those of this one.
    pub user: String,
    /// Only names that begin so.
    pub prefix: String,
    /// So many are left out first.
    pub offset: usize,
    /// At most so many.
    pub limit: usize,
}

/// Who brings an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The stream, in order.
    Stream,
    /// Whoever has just written it.
    Writer,
}

#[derive(Debug)]
struct Held {
    sequence: u64,
    state: KeyState,
}

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    held: BTreeMap<Key, Held>,
    expiring: BTreeSet<(Timestamp, Key)>,
    /// What names and values take.
    bytes: usize,
    /// How far the stream has been read.
    reached: u64,
}

impl Keys {
    /// Takes up an entry. False when there is no room for it.
    pub(super) fn apply(&mut self, key: &Key, sequence: u64, state: KeyState, from: From) -> bool {
        if from == From::Stream {
            self.reached = self.reached.max(sequence);
        }
        if self.held.get(key).is_some_and(|held| held.sequence > sequence)
            || (from == From::Writer && sequence <= self.reached && !self.held.contains_key(key))
        {
            return true;
        }
        self.forget(key);
        if state.value.is_none() && sequence <= self.reached {
            return true;
        }
        let bytes = weight(key, &state);
        if self.held.len() >= KEYS_MAX + OVERSHOOT
            || self.bytes + bytes > BYTES_MAX + OVERSHOOT * VALUE_BYTES_MAX
        {
            return false;
        }
        self.bytes += bytes;
        if let Some(expires) = state.expires {
            self.expiring.insert((expires, key.clone()));
        }
        self.held.insert(key.clone(), Held { sequence, state });
        true
    }

    fn forget(&mut self, key: &Key) {
        let Some(held) = self.held.remove(key) else { return };
        self.bytes -= weight(key, &held.state);
        if let Some(expires) = held.state.expires {
            self.expiring.remove(&(expires, key.clone()));
        }
    }

    /// The key, if it is there at `now`.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Option<Item> {
        let held = self.held.get(key)?;
        Item::of(key, held.sequence, &held.state, now)
    }

    /// The keys wanted, and how many there are without offset and limit.
    pub(super) fn list(&self, wanted: &Selection, now: Timestamp) -> (Vec<Item>, usize) {
        let (mut found, mut total) = (Vec::new(), 0);
        for scope in Scope::ALL {
            if wanted.scope.is_some_and(|only| only != scope) {
                continue;
            }
            let prefix = match scope {
                Scope::System => wanted.prefix.clone(),
                Scope::User => format!("{}:{}", wanted.user, wanted.prefix),
            };
            let from = Bound::Included(Key::stored_as(scope, &prefix));
            let range = self.held.range((from, Bound::Unbounded));
            let range = range
                .take_while(|(key, _)| key.scope() == scope && key.stored().starts_with(&prefix));
            for (key, held) in range {
                let Some(item) = Item::of(key, held.sequence, &held.state, now) else { continue };
                if total >= wanted.offset && found.len() < wanted.limit {
                    found.push(item);
                }
                total += 1;
            }
        }
        (found, total)
    }

    /// Whether a key may get a text of `bytes` in the place of what it has.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub(super) fn room(&self, key: &Key, bytes: usize) -> Result<(), Error> {
        let held = self.held.get(key);
        if held.is_none() && self.held.len() >= KEYS_MAX {
            return Err(Error::Full(format!("{KEYS_MAX} keys are the most")));
        }
        let before = held.map_or(0, |held| weight(key, &held.state));
        if self.bytes - before + key.stored().len() + bytes > BYTES_MAX {
            let most = format!("{BYTES_MAX} bytes of names and values are the most");
            return Err(Error::Full(most));
        }
        Ok(())
    }

    /// When the next key expires.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiring.first().map(|(expires, _)| *expires)
    }

    /// At most `limit` keys that have expired by `now`, with the places of their entries.
    pub(super) fn expired(&self, now: Timestamp, limit: usize) -> Vec<(Key, u64)> {
        let due = self.expiring.iter().take_while(|(expires, _)| *expires <= now).take(limit);
        due.filter_map(|(_, key)| Some((key.clone(), self.held.get(key)?.sequence))).collect()
    }
}

fn weight(key: &Key, state: &KeyState) -> usize {
    key.stored().len() + state.value.as_ref().map_or(0, String::len)
}

//! The handle: keys read from memory, and written by compare and set.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use hearken_kit::backoff::until_back;
use hearken_kit::bus::Bus;
use hearken_kit::work::{Claim, claim};
use hearken_kit::{Clock, Sealer, payload, random};
use hearken_proto::kv::{self, KeyState};
use hearken_proto::{Entry, Stream, Timestamp, codec};
use serde_json::{Value, json};
use tracing::{error, warn};

use super::following::{Following, filter, key_at};
use super::keys::{From, Keys, VALUE_BYTES_MAX};
use super::{Error, Item, Key, Selection, tell};
use crate::Follower;

/// Attempts at one change. Each that is lost is one that somebody else has made: so many writers of
/// one key at a time are served, and more are told to come again.
const ATTEMPTS_MAX: u32 = 100;
/// How long one change may take with all its attempts.
const WRITE_WAIT: Duration = Duration::from_secs(10);
/// What sealed texts belong to: the datastore, whichever key. So a sealed text can be renamed, and
/// taken over by an installation with the same key.
const PLACE: &str = "datastore";
/// The member of a sealed value.
const SEALED: &str = "$sealed";
/// The longest text in clear whose sealed form is a value that is not too long.
const SECRET_BYTES_MAX: usize = VALUE_BYTES_MAX / 4 * 3 - 256;

/// All keys of the installation. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Datastore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bus: Bus,
    sealer: Sealer,
    clock: Clock,
    /// Which rules hear of changes.
    definitions: Follower,
    keys: RwLock<Keys>,
}

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub struct Write {
    /// The text.
    pub value: String,
    /// Whether it is to be sealed.
    pub secret: bool,
    /// Whether the text is sealed already, by a key of the same name as ours.
    pub sealed: bool,
    /// After so long the key is missing.
    pub ttl: Option<Duration>,
    /// Who writes.
    pub user: String,
}

/// What must be there for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything, or nothing.
    Anything,
    /// The key at this revision; 0 when it must not be there.
    Revision(u64),
}

/// What a change has come to.
struct Changed {
    before: Option<Item>,
    after: Option<Item>,
}

impl Datastore {
    /// Reads every key. The second value reads on: its owner runs it.
    ///
    /// # Errors
    /// When the bus cannot be read.
    pub async fn start(
        bus: Bus,
        sealer: Sealer,
        clock: Clock,
        definitions: Follower,
    ) -> Result<(Self, Following), Error> {
        let filter = filter(&bus);
        let collect = || bus.collect(Stream::State, &filter, 1);
        let entries = until_back("the datastore", collect).await?;
        let place = entries.last().map_or(0, |entry| entry.sequence);
        let reader = bus.read(Stream::State, &filter, place + 1).await?;
        let keys = RwLock::default();
        let datastore = Self(Arc::new(Inner { bus, sealer, clock, definitions, keys }));
        for entry in &entries {
            datastore.take_up(entry);
        }
        Ok((datastore.clone(), Following::new(datastore, reader)))
    }

    /// The key as far as entries have been read, without asking the bus.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Item> {
        self.keys().get(key, self.0.clock.now())
    }

    /// The key as the bus has it now, whoever wrote it.
    ///
    /// # Errors
    /// When the bus cannot be asked.
    pub async fn fetch(&self, key: &Key) -> Result<Option<Item>, Error> {
        let (sequence, state) = self.last(key).await?;
        Ok(Item::of(key, sequence, &state, self.0.clock.now()))
    }

    /// The keys wanted, and how many there are without offset and limit.
    #[must_use]
    pub fn list(&self, wanted: &Selection) -> (Vec<Item>, usize) {
        self.keys().list(wanted, self.0.clock.now())
    }

    /// Writes a key, if what is there is as `expected`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set(&self, key: &Key, write: &Write, expected: Expected) -> Result<Item, Error> {
        let (value, secret) = self.text(key, write)?;
        let changed = self
            .change(key, |before, now| {
                check(key, before, expected)?;
                Ok(KeyState {
                    value: Some(value.clone()),
                    secret,
                    expires: write.ttl.map(|ttl| now.plus(ttl)),
                    user: write.user.clone(),
                })
            })
            .await?;
        changed.after.ok_or_else(|| Error::Missing(key.name().to_owned()))
    }

    /// Takes a key away, if it is as `expected`; answers what it was.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, and others.
    pub async fn delete(&self, key: &Key, user: &str, expected: Expected) -> Result<Item, Error> {
        let missing = || Error::Missing(key.name().to_owned());
        let changed = self
            .change(key, |before, _now| {
                before.ok_or_else(missing)?;
                check(key, before, expected)?;
                Ok(KeyState { user: user.to_owned(), ..KeyState::default() })
            })
            .await?;
        changed.before.ok_or_else(missing)
    }

    /// Adds `by` to the whole number in a key, which is 0 when the key is not there. When it
    /// expires stays as it is, unless the key is new or `ttl` says otherwise.
    ///
    /// # Errors
    /// [`Error::Uncountable`], and others.
    pub async fn increment(
        &self,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        user: &str,
    ) -> Result<Item, Error> {
        let why = |why| Error::Uncountable { name: key.name().to_owned(), why };
        let changed = self
            .change(key, |before, now| {
                let count = match before {
                    None => 0,
                    Some(before) if before.secret => return Err(why("it is secret")),
                    Some(before) => {
                        let count = before.value.trim().parse::<i64>();
                        count.map_err(|_text| why("its value is not a whole number"))?
                    }
                };
                let count = count.checked_add(by).ok_or_else(|| why("the sum is too large"))?;
                let kept = before.and_then(|before| before.expires);
                Ok(KeyState {
                    value: Some(count.to_string()),
                    secret: false,
                    expires: ttl.map(|ttl| now.plus(ttl)).or(kept),
                    user: user.to_owned(),
                })
            })
            .await?;
        changed.after.ok_or_else(|| Error::Missing(key.name().to_owned()))
    }

    /// The text of a key in clear.
    ///
    /// # Errors
    /// [`Error::Secret`].
    pub fn open(&self, item: &Item) -> Result<String, Error> {
        if !item.secret {
            return Ok(item.value.clone());
        }
        let secret = |source| Error::Secret { name: item.key.name().to_owned(), source };
        self.open_text(&item.value).map_err(secret)
    }

    /// The clear text of a sealed one.
    pub(super) fn open_text(&self, sealed: &str) -> Result<String, hearken_kit::seal::Error> {
        open_text(&self.0.sealer, sealed)
    }

    pub(super) fn bus(&self) -> &Bus {
        &self.0.bus
    }

    pub(super) fn definitions(&self) -> &Follower {
        &self.0.definitions
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(super) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys_mut(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up an entry of the stream.
    pub(super) fn take_up(&self, entry: &Entry) {
        let Some(key) = key_at(self.0.bus.prefix(), &entry.subject) else { return };
        let state = read(entry);
        if !self.keys_mut().apply(&key, entry.sequence, state, From::Stream) {
            error!(key = key.stored(), "the datastore is full: this key reads as missing here");
        }
    }

    /// What is to be written as it is kept, and whether it is secret.
    fn text(&self, key: &Key, write: &Write) -> Result<(String, bool), Error> {
        let secret = |source| Error::Secret { name: key.name().to_owned(), source };
        let max = if write.secret { SECRET_BYTES_MAX } else { VALUE_BYTES_MAX };
        let bytes = write.value.len();
        if write.sealed {
            // What opens nowhere is refused while somebody can still be told.
            self.open_text(&write.value).map_err(secret)?;
        } else if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        } else if write.secret {
            let sealed = self.0.sealer.seal(&json!(write.value), PLACE).map_err(secret)?;
            let text = sealed.get(SEALED).and_then(Value::as_str).unwrap_or_default();
            return Ok((text.to_owned(), true));
        }
        if bytes > VALUE_BYTES_MAX {
            return Err(Error::TooLarge { bytes, max: VALUE_BYTES_MAX });
        }
        Ok((write.value.clone(), write.sealed))
    }

    /// Changes a key to what `decide` makes of what is there. Whoever loses a race decides again.
    async fn change(
        &self,
        key: &Key,
        decide: impl Fn(Option<&Item>, Timestamp) -> Result<KeyState, Error>,
    ) -> Result<Changed, Error> {
        let late = |_elapsed| Error::Late(key.name().to_owned());
        tokio::time::timeout(WRITE_WAIT, self.try_change(key, decide)).await.map_err(late)?
    }

    async fn try_change(
        &self,
        key: &Key,
        decide: impl Fn(Option<&Item>, Timestamp) -> Result<KeyState, Error>,
    ) -> Result<Changed, Error> {
        let bus = &self.0.bus;
        let (mut last, mut state) = self.last(key).await?;
        for _attempt in 0..ATTEMPTS_MAX {
            let now = self.0.clock.now();
            let before = Item::of(key, last, &state, now);
            let next = decide(before.as_ref(), now)?;
            if let Some(value) = &next.value {
                self.keys().room(key, value.len())?;
            }
            let subject = bus.subject(&kv::subject(key.scope(), key.stored()));
            let mut message = payload::message(subject, &next)?;
            let id = format!("kv-{}", random::hex(16).map_err(Error::Random)?);
            message.id = Some(id.clone());
            let mine = |entry: &Entry| entry.id == id;
            match claim(bus, Stream::State, message, last, mine).await? {
                Claim::Held(sequence) => {
                    let after = Item::of(key, sequence, &next, now);
                    self.keys_mut().apply(key, sequence, next, From::Writer);
                    tell::change(self, &id, before.as_ref(), after.as_ref()).await;
                    return Ok(Changed { before, after });
                }
                Claim::Lost(entry) => {
                    last = entry.sequence;
                    state = read(&entry);
                }
            }
        }
        Err(Error::Contended(key.name().to_owned()))
    }

    /// What the bus has of a key: its place, 0 when it never was there, and its state.
    async fn last(&self, key: &Key) -> Result<(u64, KeyState), Error> {
        let bus = &self.0.bus;
        let subject = bus.subject(&kv::subject(key.scope(), key.stored()));
        let entry = bus.last(Stream::State, &subject).await?;
        Ok(entry.map_or_else(Default::default, |entry| (entry.sequence, read(&entry))))
    }
}

/// The clear text of a sealed one.
///
/// # Errors
/// As [`Sealer::open`].
pub fn open_text(sealer: &Sealer, sealed: &str) -> Result<String, hearken_kit::seal::Error> {
    let opened = sealer.open(&json!({ SEALED: sealed }), PLACE)?;
    Ok(opened.as_str().map_or_else(|| opened.to_string(), ToOwned::to_owned))
}

/// Whether what is there is what was expected.
fn check(key: &Key, before: Option<&Item>, expected: Expected) -> Result<(), Error> {
    let Expected::Revision(expected) = expected else { return Ok(()) };
    let found = before.map_or(0, |item| item.revision);
    if found == expected {
        return Ok(());
    }
    Err(Error::Conflict { name: key.name().to_owned(), expected, found })
}

/// What an entry says. One that cannot be read says that there is no key, and can be written over.
fn read(entry: &Entry) -> KeyState {
    codec::decode(&entry.headers, &entry.body).unwrap_or_else(|error| {
        warn!(subject = entry.subject, %error, "a key cannot be read");
        KeyState::default()
    })
}

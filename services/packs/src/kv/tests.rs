//! The datastore over a real log: what is written, read, raced for, sealed and taken away.

use std::sync::Arc;
use std::time::Duration;

use hearken_engine::template::{Datastore as _, KeyScope};
use hearken_kit::bus::{Bus, Embedded, EmbeddedOptions};
use hearken_kit::router::Router;
use hearken_kit::{Clock, Sealer, Shutdown, Tasks};
use hearken_log::{Log, Options, StreamOptions};
use hearken_proto::kv::KeyState;
use hearken_proto::{Stream, Timestamp, codec};
use serde_json::json;
use tempfile::TempDir;

use super::keys::{BYTES_MAX, From, KEYS_MAX, Keys, VALUE_BYTES_MAX};
use super::*;
use crate::Follower;

/// How long what comes at once may take on a machine that does other things.
const WAIT: Duration = Duration::from_secs(30);

fn bus(folder: &TempDir) -> Bus {
    let streams = Stream::ALL.map(|stream| StreamOptions::new(stream.name()));
    let options = Options::new(Arc::new(move || Clock::System.now()), streams.to_vec());
    let log = Log::open(&folder.path().join("log"), options).unwrap();
    let data = folder.path().to_owned();
    let options = EmbeddedOptions { prefix: "hearken".into(), data, payload_max: 1 << 20 };
    Bus::Embedded(Embedded::new(log, Router::default(), options).unwrap())
}

fn sealer(digit: char) -> Sealer {
    Sealer::from_hex(&digit.to_string().repeat(64)).unwrap()
}

/// One host: its datastore, and what reads on.
async fn host(bus: &Bus, folder: &TempDir, key: char, clock: Clock) -> (Datastore, Following) {
    let (definitions, _marks) = Follower::start(bus.clone(), folder.path()).await.unwrap();
    Datastore::start(bus.clone(), sealer(key), clock, definitions).await.unwrap()
}

fn key(name: &str) -> Key {
    Key::new(Scope::System, "", name).unwrap()
}

fn write(value: &str) -> Write {
    Write { value: value.to_owned(), user: "ann".to_owned(), ..Write::default() }
}

fn secret(value: &str) -> Write {
    Write { secret: true, ..write(value) }
}

fn state(value: &str) -> KeyState {
    KeyState { value: Some(value.to_owned()), ..KeyState::default() }
}

fn texts(keys: &Keys, wanted: &Selection) -> Vec<String> {
    let (found, _total) = keys.list(wanted, Timestamp::EPOCH);
    found.into_iter().map(|item| item.key.name().to_owned()).collect()
}

#[test]
fn a_name_is_checked_before_it_is_a_key() {
    for (scope, user, name, stored) in [
        (Scope::System, "", "a.b:c d", Some("a.b:c d")),
        (Scope::System, "ann", "x", Some("x")),
        (Scope::User, "ann", "x:y", Some("ann:x:y")),
        (Scope::System, "", "", None),
        (Scope::User, "", "x", None),
        (Scope::User, "a:b", "x", None),
    ] {
        let key = Key::new(scope, user, name);
        assert_eq!(key.as_ref().ok().map(Key::stored), stored, "{user} {name}");
        if let Ok(key) = key {
            assert_eq!(key.name(), name);
        }
    }
    assert!(Key::new(Scope::System, "", &"x".repeat(384)).is_ok());
    assert!(Key::new(Scope::System, "", &"x".repeat(385)).is_err());
    assert!(Key::new(Scope::System, "", &".".repeat(129)).is_err());
    for (text, scope) in [
        ("system", Some(Scope::System)),
        ("st2kv.user", Some(Scope::User)),
        ("st2kv.", None),
        ("all", None),
    ] {
        assert_eq!(scope_of(text), scope, "{text}");
    }
}

#[test]
fn the_later_place_stands_however_entries_come() {
    let mut keys = Keys::default();
    let (a, now) = (key("a"), Timestamp::EPOCH);
    let value = |keys: &Keys| keys.get(&a, now).map(|item| item.value);
    assert!(keys.apply(&a, 5, state("five"), From::Writer));
    assert!(keys.apply(&a, 3, state("three"), From::Stream));
    assert_eq!(value(&keys).as_deref(), Some("five"));
    assert!(keys.apply(&a, 7, KeyState::default(), From::Writer));
    // The stream has not come to the end of the key yet.
    assert!(keys.apply(&a, 5, state("five"), From::Stream));
    assert_eq!(value(&keys), None);
    assert!(keys.apply(&a, 7, KeyState::default(), From::Stream));
    assert_eq!(value(&keys), None);
    // What was written before that, and comes late.
    assert!(keys.apply(&a, 6, state("six"), From::Writer));
    assert_eq!(value(&keys), None);
    assert!(keys.apply(&a, 8, state("eight"), From::Stream));
    assert_eq!(value(&keys).as_deref(), Some("eight"));
}

#[test]
fn keys_are_listed_by_name_scope_and_prefix() {
    let mut keys = Keys::default();
    let own = |user: &str, name: &str| Key::new(Scope::User, user, name).unwrap();
    let all = [key("b"), key("app.x"), key("app.y"), key("apq"), own("ann", "x"), own("bob", "x")];
    for (at, key) in all.iter().enumerate() {
        assert!(keys.apply(key, at as u64 + 1, state("v"), From::Stream));
    }
    let wanted = |scope, prefix: &str| Selection {
        scope,
        user: "ann".to_owned(),
        prefix: prefix.to_owned(),
        offset: 0,
        limit: 10,
    };
    assert_eq!(texts(&keys, &wanted(Some(Scope::System), "")), ["app.x", "app.y", "apq", "b"]);
    assert_eq!(texts(&keys, &wanted(Some(Scope::System), "app.")), ["app.x", "app.y"]);
    assert_eq!(texts(&keys, &wanted(Some(Scope::User), "")), ["x"]);
    assert_eq!(texts(&keys, &wanted(None, "")).len(), 5);
    let some = Selection { offset: 1, limit: 2, ..wanted(None, "") };
    let (found, total) = keys.list(&some, Timestamp::EPOCH);
    assert_eq!((found.len(), total), (2, 5));
    assert_eq!(texts(&keys, &some), ["app.y", "apq"]);
}

#[test]
fn there_is_an_end_to_keys_and_to_what_they_hold() {
    let mut keys = Keys::default();
    for at in 0..KEYS_MAX {
        assert!(keys.apply(&key(&at.to_string()), at as u64 + 1, state(""), From::Stream));
    }
    assert!(matches!(keys.room(&key("one more"), 1), Err(Error::Full(_))));
    assert!(keys.room(&key("7"), 1).is_ok(), "a key that is there may change");
    assert!(keys.apply(&key("7"), KEYS_MAX as u64 + 1, KeyState::default(), From::Stream));
    assert!(keys.room(&key("one more"), 1).is_ok());

    let (mut keys, long) = (Keys::default(), "x".repeat(VALUE_BYTES_MAX));
    let count = BYTES_MAX / (VALUE_BYTES_MAX + 6);
    for at in 0..count {
        let name = key(&format!("{at:06}"));
        assert!(keys.room(&name, long.len()).is_ok());
        assert!(keys.apply(&name, at as u64 + 1, state(&long), From::Stream));
    }
    assert!(matches!(keys.room(&key("aaaaaa"), long.len()), Err(Error::Full(_))));
    assert!(keys.room(&key("000001"), long.len()).is_ok());
}

#[tokio::test]
async fn what_is_written_is_read_here_at_once_and_elsewhere_soon() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(&folder);
    let (here, _reading) = host(&bus, &folder, 'a', Clock::System).await;
    let (there, following) = host(&bus, &folder, 'a', Clock::System).await;
    let (shutdown, mut tasks) = (Shutdown::new(), Tasks::new());
    tasks.spawn("following", {
        let run = following.run(shutdown.clone());
        async move { run.await.unwrap() }
    });
    let written = here.set(&key("a.b"), &write("1"), Expected::Anything).await.unwrap();
    assert_eq!(here.get(&key("a.b")), Some(written.clone()));
    assert_eq!(there.fetch(&key("a.b")).await.unwrap(), Some(written));
    let seen = tokio::time::timeout(WAIT, async {
        while there.get(&key("a.b")).is_none() {
            tokio::task::yield_now().await;
        }
    });
    seen.await.unwrap();
    // Whoever starts later has it from the beginning.
    let (late, _reading) = host(&bus, &folder, 'a', Clock::System).await;
    assert_eq!(late.value(&KeyScope::System, "a.b").as_deref(), Some("1"));
    here.delete(&key("a.b"), "ann", Expected::Anything).await.unwrap();
    assert_eq!(here.get(&key("a.b")), None);
    let gone = here.delete(&key("a.b"), "ann", Expected::Anything).await;
    assert!(matches!(gone, Err(Error::Missing(_))), "{gone:?}");
    shutdown.request();
    assert_eq!(tasks.next().await.unwrap().unwrap(), "following");
}

#[tokio::test]
async fn who_expects_something_else_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(&folder);
    let (store, _reading) = host(&bus, &folder, 'a', Clock::System).await;
    let a = key("a");
    let absent = Expected::Revision(0);
    let first = store.set(&a, &write("1"), absent).await.unwrap();
    let again = store.set(&a, &write("2"), absent).await;
    assert!(
        matches!(again, Err(Error::Conflict { found, .. }) if found == first.revision),
        "{again:?}"
    );
    let second = store.set(&a, &write("2"), Expected::Revision(first.revision)).await.unwrap();
    let stale = store.delete(&a, "ann", Expected::Revision(first.revision)).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    store.delete(&a, "ann", Expected::Revision(second.revision)).await.unwrap();
    // A key that was there and is gone is one that is not there.
    store.set(&a, &write("3"), absent).await.unwrap();
}

#[tokio::test]
async fn racing_increments_lose_nothing() {
    const EACH: i64 = 25;
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(&folder);
    let mut tasks = Tasks::new();
    for _host in 0..4 {
        let (store, _reading) = host(&bus, &folder, 'a', Clock::System).await;
        tasks.spawn("counting", async move {
            for _time in 0..EACH {
                store.increment(&key("n"), 1, None, "ann").await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.next().await {
        ended.unwrap();
    }
    let (store, _reading) = host(&bus, &folder, 'a', Clock::System).await;
    assert_eq!(store.get(&key("n")).unwrap().value, (4 * EACH).to_string());
    for (value, by) in [("x", 1), ("9223372036854775807", 1), ("", 1), ("1.5", 1)] {
        store.set(&key("odd"), &write(value), Expected::Anything).await.unwrap();
        let counted = store.increment(&key("odd"), by, None, "ann").await;
        assert!(matches!(counted, Err(Error::Uncountable { .. })), "{value}: {counted:?}");
    }
}

#[tokio::test]
async fn a_secret_is_sealed_wherever_it_is_kept() {
    const TEXT: &str = "correct horse battery";
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(&folder);
    let (store, _reading) = host(&bus, &folder, 'a', Clock::System).await;
    let item = store.set(&key("s"), &secret(TEXT), Expected::Anything).await.unwrap();
    assert!(item.secret && !item.value.contains("horse"), "{item:?}");
    assert_eq!(store.open(&item).unwrap(), TEXT);
    assert_eq!(store.decrypt(&item.value).unwrap(), TEXT);
    for entry in bus.collect(Stream::State, ">", 1).await.unwrap() {
        let is_in = entry.body.windows(5).any(|bytes| bytes == b"horse");
        assert!(!is_in, "{}", entry.subject);
    }
    // Sealed already, and taken over under another name.
    let sealed = Write { sealed: true, ..write(&item.value) };
    let copy = store.set(&key("copy"), &sealed, Expected::Anything).await.unwrap();
    assert_eq!(store.open(&copy).unwrap(), TEXT);
    for forged in ["v1:00000000:AAAA", "plain", ""] {
        let forged = Write { sealed: true, ..write(forged) };
        let refused = store.set(&key("forged"), &forged, Expected::Anything).await;
        assert!(matches!(refused, Err(Error::Secret { .. })), "{refused:?}");
    }
    let (other, _reading) = host(&bus, &folder, 'b', Clock::System).await;
    let elsewhere = other.open(&item).unwrap_err().to_string();
    assert!(elsewhere.contains("another installation's key"), "{elsewhere}");
    assert!(matches!(
        store.set(&key("l"), &write(&"x".repeat(VALUE_BYTES_MAX + 1)), Expected::Anything).await,
        Err(Error::TooLarge { .. })
    ));
    let most =
        store.set(&key("l"), &secret(&"x".repeat(48_000)), Expected::Anything).await.unwrap();
    assert!(most.value.len() <= VALUE_BYTES_MAX);
}

#[tokio::test]
async fn what_templates_opened_is_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(&folder);
    let (store, _reading) = host(&bus, &folder, 'a', Clock::System).await;
    let item = store.set(&key("s"), &secret("swordfish"), Expected::Anything).await.unwrap();
    let opened = Opened::of(&store);
    let shown = json!({"a": ["x swordfish y"], "swordfish": 1});
    assert_eq!(opened.hide(shown.clone()), shown, "nothing was opened");
    assert_eq!(opened.decrypt(&item.value).unwrap(), "swordfish");
    assert_eq!(opened.hide(shown), json!({"a": ["x ******** y"], "********": 1}));
    assert!(opened.take().is_none());
}

#[tokio::test]
async fn a_key_that_has_expired_is_missing_and_then_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(&folder);
    let clock = Clock::virtual_at(Timestamp::from_nanos(1_700_000_000_000_000_000));
    let (store, _reading) = host(&bus, &folder, 'a', clock.clone()).await;
    let (minute, short) = (Duration::from_secs(60), key("short"));
    let brief = Write { ttl: Some(minute), ..write("1") };
    store.set(&short, &brief, Expected::Anything).await.unwrap();
    // Counting keeps the moment, writing anew sets another.
    store.increment(&short, 1, None, "ann").await.unwrap();
    clock.advance(minute - Duration::from_nanos(1));
    assert_eq!(store.get(&short).unwrap().value, "2");
    clock.advance(Duration::from_nanos(1));
    assert_eq!(store.get(&short), None);
    assert_eq!(store.fetch(&short).await.unwrap(), None);
    assert_eq!(store.list(&Selection { limit: 9, ..Selection::default() }).1, 0);
    let gone = store.delete(&short, "ann", Expected::Anything).await;
    assert!(matches!(gone, Err(Error::Missing(_))), "{gone:?}");

    // Two hosts notice.
    let (shutdown, mut tasks) = (Shutdown::new(), Tasks::new());
    for _host in 0..2 {
        let (_store, following) = host(&bus, &folder, 'a', clock.clone()).await;
        let run = following.run(shutdown.clone());
        tasks.spawn("following", async move { run.await.unwrap() });
    }
    let subject = "hearken.state.kv.system.short";
    let mut entries = bus.read(Stream::State, subject, 1).await.unwrap();
    let mut values = Vec::new();
    while values.last() != Some(&None) {
        let entry = tokio::time::timeout(WAIT, entries.next()).await.unwrap().unwrap();
        let state: KeyState = codec::decode(&entry.headers, &entry.body).unwrap();
        values.push(state.value);
    }
    let anew = store.set(&short, &write("3"), Expected::Revision(0)).await.unwrap();
    assert_eq!((anew.value.as_str(), anew.expires), ("3", None));
    shutdown.request();
    while let Some(ended) = tasks.next().await {
        ended.unwrap();
    }
    assert_eq!(store.get(&short).unwrap().value, "3", "nobody takes away what was written anew");
}

//! Append, compare and set, deduplication, reading, watching, cursors.

use std::sync::mpsc;
use std::time::Duration;

use hearken_log::{Condition, Durability, Error, Log};
use hearken_proto::Message;

use crate::harness::{Place, Result, STATE, STREAM, all, append, bodies, message, with_id};

#[test]
fn what_was_appended_is_read_back_in_order_and_after_reopening() -> Result {
    let place = Place::new();
    let log = place.open();
    for n in 0..300 {
        place.pass(Duration::from_millis(5));
        let mut message = message(&format!("a.{}", n % 7), &format!("body {n}"));
        message.id = Some(format!("id {n}"));
        message.cause = (n % 2 == 0).then(|| format!("cause {n}"));
        message.headers.append("Content-Type", "text/plain");
        let receipt = append(&log, message)?;
        assert_eq!((receipt.sequence, receipt.time), (n + 1, place.now()));
    }
    let before = all(&log, STREAM);
    assert_eq!(before.len(), 300);
    assert_eq!(before[8].subject, "a.1");
    assert_eq!(before[8].cause, "cause 8");
    assert_eq!(before[9].cause, "");
    assert_eq!(before[8].headers.get("content-type"), Some("text/plain"));
    let head = log.head(STREAM)?;
    assert_eq!((head.first, head.last), (1, 300));
    log.close()?;
    let log = place.open();
    assert_eq!(all(&log, STREAM), before);
    assert_eq!(log.head(STREAM)?, head);
    assert_eq!(append(&log, message("a.b", "next"))?.sequence, 301);
    Ok(())
}

#[test]
fn a_read_stops_at_its_limits_but_returns_something() -> Result {
    let place = Place::new();
    let log = place.open();
    for n in 0..200 {
        append(&log, message("a.b", &format!("{n:01000}")))?;
    }
    assert_eq!(log.read(STREAM, 1, 7, usize::MAX)?.len(), 7);
    assert_eq!(log.read(STREAM, 150, 100, 1)?.len(), 1);
    let some = log.read(STREAM, 100, 1000, 10_000)?;
    assert!(some.len() < 10 && some[0].sequence == 100);
    assert_eq!(log.read(STREAM, 201, 10, 1000)?.len(), 0);
    Ok(())
}

#[test]
fn compare_and_set_lets_one_of_many_win() -> Result {
    let place = Place::new();
    let log = place.open();
    let expect = |last| Condition::LastOfSubject(last);
    assert_eq!(log.append_wait(STREAM, message("e.1", ""), expect(0))?.sequence, 1);
    append(&log, message("e.2", ""))?;
    let lost = log.append_wait(STREAM, message("e.1", ""), expect(0));
    assert!(matches!(lost, Err(Error::Conflict { last: 1 })), "{lost:?}");
    assert_eq!(log.append_wait(STREAM, message("e.1", ""), expect(1))?.sequence, 3);
    // Racers that are decided in the same commit.
    let (tx, rx) = mpsc::sync_channel(100);
    for _ in 0..100 {
        let tx = tx.clone();
        let done = move |result| tx.send(result).expect("the test listens");
        assert!(log.append(STREAM, message("e.3", ""), expect(0), done).is_ok());
    }
    drop(tx);
    let won: Vec<_> = rx.iter().filter_map(std::result::Result::ok).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(log.last(STREAM, "e.3")?.map(|entry| entry.sequence), Some(won[0].sequence));
    Ok(())
}

#[test]
fn compare_and_set_and_deduplication_survive_reopening() -> Result {
    let place = Place::new();
    let log = place.open();
    for n in 0..150 {
        append(&log, with_id(&format!("i{n}"), message(&format!("e.{}", n % 50), "")))?;
    }
    log.close()?;
    let log = place.open();
    let lost = log.append_wait(STREAM, message("e.7", ""), Condition::LastOfSubject(58));
    assert!(matches!(lost, Err(Error::Conflict { last: 108 })), "{lost:?}");
    let again = append(&log, with_id("i149", message("e.1", "")))?;
    assert!(again.duplicate && again.sequence == 150);
    assert_eq!(log.head(STREAM)?.last, 150);
    Ok(())
}

#[test]
fn an_id_is_looked_at_before_the_condition_and_forgotten_after_the_window() -> Result {
    let place = Place::new();
    let log = place.open_with(|options| {
        options.streams[0].dedup_window = Duration::from_secs(1);
    });
    let claim = || with_id("x", message("e.1", ""));
    assert!(!log.append_wait(STREAM, claim(), Condition::LastOfSubject(0))?.duplicate);
    // The condition no longer holds, and is not asked.
    let again = log.append_wait(STREAM, claim(), Condition::LastOfSubject(0))?;
    assert!(again.duplicate && again.sequence == 1);
    place.pass(Duration::from_millis(1002));
    let late = log.append_wait(STREAM, claim(), Condition::LastOfSubject(0));
    assert!(matches!(late, Err(Error::Conflict { last: 1 })), "{late:?}");
    assert_eq!(append(&log, claim())?.sequence, 2);
    Ok(())
}

#[test]
fn log_time_never_goes_back() -> Result {
    let place = Place::new();
    let log = place.open();
    let first = append(&log, message("a.b", ""))?;
    log.close()?;
    let log = place.open_with(|options| {
        options.clock = std::sync::Arc::new(|| hearken_proto::Timestamp::EPOCH);
    });
    assert_eq!(append(&log, message("a.b", ""))?.time, first.time);
    Ok(())
}

#[test]
fn watchers_are_told_after_the_flush() -> Result {
    let place = Place::new();
    let log = place.open();
    let (tx, rx) = mpsc::sync_channel(100);
    let watched = log.clone();
    let subscription = log.subscribe(STREAM, move |last| {
        let head = watched.head(STREAM).map(|head| head.last);
        tx.send((last, head.ok())).expect("the test listens");
    })?;
    append(&log, message("a.b", ""))?;
    append(&log, message("a.b", ""))?;
    assert_eq!(rx.recv()?, (1, Some(1)));
    assert_eq!(rx.recv()?, (2, Some(2)));
    drop(subscription);
    append(&log, message("a.b", ""))?;
    assert!(rx.recv().is_err(), "the callback was dropped");
    Ok(())
}

#[test]
fn a_callback_that_panics_harms_nobody_else() -> Result {
    let place = Place::new();
    let log = place.open();
    let _subscription = log.subscribe(STREAM, |_| panic!("a watcher of this test"))?;
    let done = |_| panic!("a callback of this test");
    assert!(log.append(STREAM, message("a.b", ""), Condition::Always, done).is_ok());
    assert_eq!(append(&log, message("a.b", ""))?.sequence, 2);
    Ok(())
}

#[test]
fn the_last_clone_may_be_dropped_by_a_callback() -> Result {
    let place = Place::new();
    let log = place.open();
    let (tx, rx) = mpsc::sync_channel(1);
    let clone = log.clone();
    let done = move |result: std::result::Result<_, Error>| {
        drop(clone);
        tx.send(result.is_ok()).expect("the test listens");
    };
    assert!(log.append(STREAM, message("a.b", "1"), Condition::Always, done).is_ok());
    for _ in 0..10 {
        assert!(log.append(STREAM, message("a.b", "2"), Condition::Always, |_| {}).is_ok());
    }
    drop(log);
    assert!(rx.recv()?);
    // Opening waits for the lock, hence for the end of the writer.
    assert_eq!(all(&place.open(), STREAM).len(), 11);
    Ok(())
}

#[test]
fn streams_are_apart() -> Result {
    let place = Place::new();
    let log = place.open();
    append(&log, with_id("x", message("a.b", "1")))?;
    let other = log.append_wait(STATE, with_id("x", message("a.b", "2")), Condition::Always)?;
    assert!(other.sequence == 1 && !other.duplicate);
    assert_eq!(bodies(&all(&log, STREAM)), ["1"]);
    assert_eq!(bodies(&all(&log, STATE)), ["2"]);
    assert!(matches!(log.read("NONE", 1, 1, 1), Err(Error::Stream(_))));
    Ok(())
}

#[test]
fn cursors_go_with_the_next_commit_or_soon_after() -> Result {
    let place = Place::new();
    let log = place.open();
    log.set_cursor("rules", vec![1])?;
    log.set_cursor("gone", vec![9])?;
    append(&log, message("a.b", ""))?;
    log.set_cursor("rules", vec![2])?;
    log.remove_cursor("gone");
    assert_eq!(log.cursor("rules"), Some(vec![2]));
    log.close()?;
    let log = place.open();
    assert_eq!(log.cursor("rules"), Some(vec![2]));
    assert_eq!(log.cursor("gone"), None);
    assert!(matches!(log.set_cursor("big", vec![0; 5000]), Err(Error::TooLarge { .. })));
    Ok(())
}

#[test]
fn an_import_keeps_places_and_skips_what_is_there() -> Result {
    let place = Place::new();
    let log = place.open();
    for n in 0..100 {
        append(&log, with_id(&format!("i{n}"), message("a.b", &n.to_string())))?;
    }
    let mut entries = all(&log, STREAM);
    entries.retain(|entry| entry.sequence % 10 != 0);
    let other = Place::new();
    let copy = other.open();
    assert_eq!(copy.import(STREAM, entries[..50].to_vec())?, 50);
    assert_eq!(copy.import(STREAM, entries[40..].to_vec())?, 40);
    assert_eq!(all(&copy, STREAM), entries);
    copy.close()?;
    let copy = other.open();
    assert_eq!(all(&copy, STREAM), entries);
    assert_eq!(copy.import(STREAM, entries.clone())?, 0);
    assert_eq!(copy.last(STREAM, "a.b")?.map(|entry| entry.sequence), Some(99));
    Ok(())
}

#[test]
fn what_cannot_be_stored_is_refused() -> Result {
    let place = Place::new();
    let log = place.open();
    for subject in ["", "a..b", "a.*", "a b"] {
        assert!(matches!(append(&log, message(subject, "")), Err(Error::Subject(_))), "{subject}");
    }
    let large =
        Message { body: vec![0; hearken_log::ENTRY_BYTES_MAX + 1].into(), ..message("a", "") };
    assert!(matches!(append(&log, large), Err(Error::TooLarge { .. })));
    let largest =
        Message { body: vec![7; hearken_log::ENTRY_BYTES_MAX].into(), ..message("a", "") };
    append(&log, largest.clone())?;
    assert_eq!(log.read(STREAM, 1, 1, 1)?[0].body, largest.body);
    Ok(())
}

#[test]
fn large_entries_stay_in_the_files_that_are_synced() -> Result {
    let place = Place::new();
    let log = place.open_with(|options| options.streams[0].segment_blocks = 1000);
    for n in 0..40_u64 {
        let mut body = vec![0; if n % 3 == 0 { hearken_log::ENTRY_BYTES_MAX } else { 60_000 }];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut body);
        append(&log, Message { body: body.into(), ..message("a.b", "") })?;
    }
    // The store would put values that are too large for it into files that it never syncs.
    assert_eq!(std::fs::read_dir(place.path().join("store/blobs"))?.count(), 0);
    let before = log.verify(STREAM)?;
    log.close()?;
    assert_eq!(place.open().verify(STREAM)?, before);
    Ok(())
}

#[test]
fn a_second_log_in_the_same_folder_is_refused() -> Result {
    let place = Place::new();
    let log = place.open();
    assert!(matches!(Log::open(&place.path(), place.options()), Err(Error::Locked(_))));
    let clone = log.clone();
    log.close()?;
    assert!(matches!(append(&clone, message("a", "")), Err(Error::Closed)));
    place.open().close()?;
    Ok(())
}

#[test]
fn interval_durability_acknowledges_and_keeps_everything() -> Result {
    let place = Place::new();
    let log = place.open_with(|options| {
        options.durability = Durability::Interval(Duration::from_millis(20));
    });
    for n in 0..50 {
        append(&log, message("a.b", &n.to_string()))?;
    }
    drop(log);
    assert_eq!(all(&place.open(), STREAM).len(), 50);
    Ok(())
}

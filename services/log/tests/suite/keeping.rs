//! Segments, retention, erasing, verifying, damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearken_log::{Condition, Error, Full, Log, Order, Query, StreamStats};
use hearken_proto::Message;

use crate::harness::{Place, Result, STREAM, all, append, bodies, message, with_id};

/// Appends `count` entries and gives the log time to pack them.
fn fill(log: &Log, place: &Place, count: u64) -> Result {
    let from = log.head(STREAM)?.last;
    let (tx, rx) = std::sync::mpsc::sync_channel(usize::try_from(count)?);
    for n in from..from + count {
        let mut message =
            with_id(&format!("id-{n}"), message(&format!("a.{}", n % 5), &format!("{n}")));
        message.cause = Some(format!("cause-{}", n / 10));
        let tx = tx.clone();
        let done = move |result| tx.send(result).expect("the test listens");
        assert!(log.append(STREAM, message, Condition::Always, done).is_ok());
    }
    drop(tx);
    for result in rx {
        result?;
    }
    place.pass(Duration::from_secs(1));
    log.retain(place.now())?;
    Ok(())
}

fn stats(log: &Log) -> StreamStats {
    let stats = log.stats().expect("figures");
    stats.streams.into_iter().find(|stream| stream.name == STREAM).expect("the stream")
}

fn segment_files(place: &Place) -> Vec<PathBuf> {
    let files = std::fs::read_dir(place.path().join("segments")).expect("the folder");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths
}

#[test]
fn old_blocks_move_to_segments_and_are_read_as_before() -> Result {
    let place = Place::new();
    let log = place.open();
    fill(&log, &place, 2000)?;
    let stats = stats(&log);
    assert!(stats.segments >= 6 && stats.blocks < 8, "{stats:?}");
    assert_eq!(segment_files(&place).len(), stats.segments);
    let entries = all(&log, STREAM);
    assert_eq!(entries.len(), 2000);
    assert_eq!(bodies(&entries[700..702]), ["700", "701"]);
    let query = Query { id: Some("id-333".into()), order: Order::Descending, ..Query::new(10) };
    let found = log.select(STREAM, &query)?;
    assert_eq!(bodies(&found.entries), ["333"]);
    let query = Query { cause: Some("cause-50".into()), ..Query::new(100) };
    assert_eq!(log.select(STREAM, &query)?.entries.len(), 10);
    assert_eq!(log.verify(STREAM)?.entries, 2000);
    log.close()?;
    let log = place.open();
    assert_eq!(all(&log, STREAM), entries);
    assert_eq!(log.verify(STREAM)?.entries, 2000);
    Ok(())
}

#[test]
fn blocks_move_by_themselves_when_there_are_many() -> Result {
    let place = Place::new();
    let log = place.open();
    for _ in 0..10 {
        let (tx, rx) = std::sync::mpsc::sync_channel(500);
        for n in 0..500 {
            let tx = tx.clone();
            let done = move |result| tx.send(result).expect("the test listens");
            let message = message("a.b", &n.to_string());
            assert!(log.append(STREAM, message, Condition::Always, done).is_ok());
        }
        drop(tx);
        assert_eq!(rx.iter().filter(std::result::Result::is_ok).count(), 500);
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while stats(&log).blocks >= 8 {
        assert!(std::time::Instant::now() < deadline, "{:?}", stats(&log));
        std::thread::yield_now();
    }
    assert_eq!(all(&log, STREAM).len(), 5000);
    Ok(())
}

#[test]
fn readers_find_everything_while_blocks_move() -> Result {
    let place = Place::new();
    let log = place.open();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (log, stop) = (log.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) || rounds == 0 {
                    let entries = all(&log, STREAM);
                    for (entry, expected) in entries.iter().zip(1..) {
                        assert_eq!(entry.sequence, expected, "a reader missed an entry");
                    }
                    let query = Query { order: Order::Descending, ..Query::new(usize::MAX) };
                    let back = log.select(STREAM, &query).expect("selected").entries;
                    for (entry, expected) in back.iter().rev().zip(1..) {
                        assert_eq!(entry.sequence, expected, "a query missed an entry");
                    }
                    rounds += 1;
                }
            })
        })
        .collect();
    for _ in 0..20 {
        fill(&log, &place, 400)?;
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().is_ok());
    }
    Ok(())
}

#[test]
fn what_is_too_old_goes_and_the_stream_goes_on() -> Result {
    let place = Place::new();
    let open =
        || place.open_with(|options| options.streams[0].age_max = Some(Duration::from_secs(100)));
    let log = open();
    for _ in 0..5 {
        fill(&log, &place, 300)?;
        place.pass(Duration::from_secs(30));
    }
    log.retain(place.now())?;
    let head = log.head(STREAM)?;
    let entries = all(&log, STREAM);
    assert!(head.first > 300 && head.first <= 601, "{head:?}");
    assert_eq!(entries[0].sequence, head.first);
    assert!(entries.iter().all(|entry| place.now().since(entry.time) < Duration::from_secs(131)));
    let verified = log.verify(STREAM)?;
    assert_eq!((verified.first, verified.last), (head.first, 1500));
    log.close()?;
    let log = open();
    assert_eq!(all(&log, STREAM), entries);
    // Everything goes, the tail too; sequence, time and chain go on.
    place.pass(Duration::from_secs(1000));
    assert_eq!(log.retain(place.now())?.dropped, entries.len() as u64);
    let empty = log.head(STREAM)?;
    assert_eq!((empty.first, empty.last, empty.chain), (1501, 1500, head.chain));
    assert_eq!(all(&log, STREAM), []);
    assert_eq!(segment_files(&place), Vec::<PathBuf>::new());
    log.close()?;
    let log = open();
    assert_eq!(log.head(STREAM)?, empty);
    assert_eq!(append(&log, message("a.b", "next"))?.sequence, 1501);
    assert_eq!(log.verify(STREAM)?.entries, 1);
    Ok(())
}

#[test]
fn a_stream_that_is_full_refuses_or_drops_its_oldest() -> Result {
    let body = |n: u64| {
        let noise = blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof();
        let mut bytes = vec![0; 1000];
        let mut noise = noise;
        noise.fill(&mut bytes);
        Message { body: bytes.into(), ..message("a.b", "") }
    };
    for full in [Full::Refuse, Full::DropOldest] {
        let place = Place::new();
        let log = place.open_with(|options| {
            options.streams[0].bytes_max = Some(1 << 20);
            options.streams[0].full = full;
        });
        let mut refused = None;
        for n in 0..2000 {
            if let Err(error) = append(&log, body(n)) {
                refused = Some(error);
                break;
            }
        }
        log.retain(place.now())?;
        let bytes = stats(&log).bytes;
        assert!((900_000..1_100_000).contains(&bytes), "{bytes}");
        let head = log.head(STREAM)?;
        match full {
            Full::Refuse => {
                assert!(matches!(refused, Some(Error::Full { .. })), "{refused:?}");
                assert_eq!(head.first, 1);
            }
            Full::DropOldest => {
                assert!(refused.is_none() && head.last == 2000 && head.first > 900, "{head:?}");
            }
        }
        assert_eq!(all(&log, STREAM).len() as u64, head.last + 1 - head.first);
    }
    Ok(())
}

#[test]
fn what_was_erased_is_gone_and_the_chain_still_verifies() -> Result {
    let place = Place::new();
    let log = place.open();
    fill(&log, &place, 1990)?;
    let secret = with_id("secret", message("a.b", "the launch code is 0000"));
    assert_eq!(append(&log, secret)?.sequence, 1991);
    let head = log.head(STREAM)?;
    // In a segment, in the same block of it, in the store, and in the tail.
    for sequence in [70, 71, 1900, 1991] {
        assert!(log.erase(STREAM, sequence)?, "{sequence}");
        assert!(!log.erase(STREAM, sequence)?, "{sequence} was erased twice");
    }
    assert!(matches!(log.erase(STREAM, 3000), Err(Error::NotFound { .. })));
    let check = |log: &Log| -> Result {
        let entries = all(log, STREAM);
        assert_eq!(entries.len(), 1991);
        for sequence in [70, 71, 1900, 1991] {
            let entry = &entries[sequence - 1];
            assert_eq!((entry.body.len(), entry.headers.is_empty()), (0, true));
        }
        assert_eq!((&entries[69].id[..], &entries[71].body[..]), ("id-69", &b"71"[..]));
        let verified = log.verify(STREAM)?;
        assert_eq!((verified.entries, verified.erased), (1987, 4));
        assert_eq!((verified.chain, log.head(STREAM)?), (head.chain, head));
        Ok(())
    };
    check(&log)?;
    log.close()?;
    let log = place.open();
    check(&log)?;
    append(&log, message("a.b", "and on"))?;
    assert_eq!(log.verify(STREAM)?.entries, 1988);
    Ok(())
}

#[test]
fn damage_to_a_segment_is_found() -> Result {
    let place = Place::new();
    let log = place.open();
    fill(&log, &place, 2000)?;
    let entries = all(&log, STREAM);
    log.close()?;
    let file = segment_files(&place)[1].clone();
    let whole = std::fs::read(&file)?;
    let at = |part: usize| whole.len() * part / 100;
    let mut unreadable = 0;
    for damage in (1..100).step_by(7).map(at).chain([whole.len() - 20]) {
        let mut damaged = whole.clone();
        damaged[damage] ^= 1;
        std::fs::write(&file, &damaged)?;
        match Log::open(&place.path(), place.options()) {
            Ok(log) => {
                let found = log.verify(STREAM);
                assert!(found.is_err(), "{damage}: {found:?}");
                // Reading does not verify, but it never returns what was not written.
                match log.read(STREAM, 1, usize::MAX, usize::MAX) {
                    Ok(read) => assert!(read == entries, "{damage}: other entries"),
                    Err(_) => unreadable += 1,
                }
                log.close()?;
            }
            Err(error) => {
                assert!(matches!(error, Error::Corrupt { .. }), "{damage}: {error:?}");
            }
        }
    }
    assert!(unreadable > 3, "{unreadable} damages were in rows");
    std::fs::write(&file, &whole[..at(50)])?;
    assert!(matches!(Log::open(&place.path(), place.options()), Err(Error::Corrupt { .. })));
    std::fs::write(&file, &whole)?;
    assert_eq!(place.open().verify(STREAM)?.entries, 2000);
    Ok(())
}

#[test]
fn names_are_the_same_with_a_checkpoint_and_without() -> Result {
    let place = Place::new();
    let log = place.open();
    fill(&log, &place, 3000)?;
    log.close()?;
    let file = place.path().join("names-00000");
    assert!(file.exists());
    let last = |log: &Log| -> Vec<Option<u64>> {
        let last = |n| log.last(STREAM, &format!("a.{n}")).expect("read");
        (0..6).map(|n| last(n).map(|entry| entry.sequence)).collect()
    };
    let log = place.open();
    let with = last(&log);
    assert_eq!(with, [Some(2996), Some(2997), Some(2998), Some(2999), Some(3000), None]);
    // More entries after the checkpoint, and no chance to write another.
    fill(&log, &place, 7)?;
    std::fs::copy(&file, place.path().join("kept"))?;
    log.close()?;
    std::fs::copy(place.path().join("kept"), &file)?;
    let log = place.open();
    let behind = last(&log);
    log.close()?;
    for damage in [None, Some(0), Some(40), Some(60)] {
        match damage {
            None => std::fs::remove_file(&file)?,
            Some(at) => {
                let mut bytes = std::fs::read(&file)?;
                bytes[at] ^= 1;
                std::fs::write(&file, bytes)?;
            }
        }
        let log = place.open();
        assert_eq!(last(&log), behind, "{damage:?}");
        log.close()?;
    }
    assert_eq!(behind[2], Some(3003));
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        match file.file_type()?.is_dir() {
            true => copy_folder(&file.path(), &target)?,
            false => drop(std::fs::copy(file.path(), target)?),
        }
    }
    Ok(())
}

#[test]
fn what_a_crash_leaves_behind_is_tidied_away() -> Result {
    let place = Place::new();
    let kept = tempfile::tempdir()?;
    let open = || {
        place.open_with(|options| {
            options.streams[0].age_max = Some(Duration::from_secs(100));
        })
    };
    // Blocks that are in a segment, but still in the store as well.
    let log = place.open_with(|options| options.streams[0].segment_blocks = 1000);
    fill(&log, &place, 2000)?;
    let entries = all(&log, STREAM);
    log.close()?;
    copy_folder(&place.path().join("store"), &kept.path().join("store"))?;
    let log = open();
    assert!(log.retain(place.now())?.segments > 0);
    log.close()?;
    std::fs::remove_dir_all(place.path().join("store"))?;
    copy_folder(&kept.path().join("store"), &place.path().join("store"))?;
    let log = open();
    assert_eq!(all(&log, STREAM), entries);
    assert_eq!(log.verify(STREAM)?.entries, 2000);
    assert!(stats(&log).blocks < 8, "blocks are still in both places");
    // A file without its name, and the older generation of one that was written again.
    std::fs::write(place.path().join("segments/00000-1.unfinished"), b"half")?;
    let first = segment_files(&place)[0].clone();
    let old = std::fs::read(&first)?;
    assert!(log.erase(STREAM, 3)?);
    log.close()?;
    std::fs::write(&first, old)?;
    let log = open();
    assert!(!first.exists() && all(&log, STREAM)[2].body.is_empty());
    assert!(
        segment_files(&place).iter().all(|file| file.extension().is_some_and(|e| e == "segment"))
    );
    // A segment whose entries were dropped.
    copy_folder(&place.path().join("segments"), &kept.path().join("segments"))?;
    place.pass(Duration::from_secs(200));
    log.retain(place.now())?;
    let head = log.head(STREAM)?;
    log.close()?;
    copy_folder(&kept.path().join("segments"), &place.path().join("segments"))?;
    let log = open();
    assert_eq!((log.head(STREAM)?, all(&log, STREAM)), (head, vec![]));
    assert_eq!(segment_files(&place), Vec::<PathBuf>::new());
    Ok(())
}

//! Disks that are full, files that cannot grow.

use std::path::Path;
use std::process::{Command, Stdio};

use hearken_log::{Condition, Error, Log};
use hearken_proto::Message;

use crate::harness::{Place, Result, STREAM, all, append, message};

/// Tells a child where its log is.
const FOLDER: &str = "HEARKEN_LOG_DISK_FOLDER";
/// Tells a child where its small disk is mounted.
const SMALL_DISK: &str = "HEARKEN_LOG_DISK_SMALL";

/// A body that does not compress, so that the disk fills.
fn noise(n: u64) -> Message {
    let mut state = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let body: Vec<u8> = (0..8000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect();
    Message { body: body.into(), ..message("a.b", "") }
}

/// Not a test by itself: appends until writing fails, when [`FOLDER`] is set.
#[test]
fn child() -> Result {
    let Ok(folder) = std::env::var(FOLDER) else { return Ok(()) };
    let place = Place::new();
    let mut options = place.options();
    // Everything stays in the store, whose file grows then.
    options.streams[0].segment_blocks = 1 << 20;
    let log = Log::open(Path::new(&folder), options)?;
    let mut stored = 0;
    let error = loop {
        match append(&log, noise(stored)) {
            Ok(receipt) => stored = receipt.sequence,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "writing never failed");
    };
    assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
    // From now on every write is refused, and what was flushed can still be read.
    let again = log.append_wait(STREAM, message("a.b", "small"), Condition::Always);
    assert!(matches!(again, Err(Error::Poisoned { .. })), "{again:?}");
    assert_eq!(log.head(STREAM)?.last, stored);
    assert_eq!(log.read(STREAM, stored, 1, 1)?.len(), 1);
    assert!(log.stats()?.poisoned.is_some());
    assert!(matches!(log.close(), Err(Error::Poisoned { .. })));
    std::fs::write(Path::new(&folder).with_extension("stored"), stored.to_string())?;
    Ok(())
}

#[test]
fn after_a_failed_write_the_log_refuses_writes_and_keeps_what_was_acknowledged() -> Result {
    let place = Place::new();
    for round in 1..=3 {
        // Files may not grow beyond 4, 8, 12 MiB; the signal that says so is ignored.
        let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", round * 8192);
        let child = Command::new("sh")
            .args(["-c", &limit, "sh"])
            .arg(std::env::current_exe()?)
            .args(["--exact", "disk::child", "--nocapture"])
            .env(FOLDER, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "round {round}: {said}");
        let stored = std::fs::read_to_string(place.path().with_extension("stored"))?;
        let stored: u64 = stored.parse()?;
        let log = place.open();
        assert!(log.head(STREAM)?.last >= stored, "round {round}: acknowledged entries are gone");
        log.verify(STREAM)?;
        let entries = all(&log, STREAM);
        assert_eq!(entries.len() as u64, log.head(STREAM)?.last);
        append(&log, message("a.b", "and on"))?;
        log.close()?;
    }
    Ok(())
}

/// Not a test by itself: on a small disk of its own, when [`SMALL_DISK`] is set.
#[test]
fn child_on_a_small_disk() -> Result {
    let Ok(disk) = std::env::var(SMALL_DISK) else { return Ok(()) };
    let (disk, place) = (Path::new(&disk), Place::new());
    let mut options = place.options();
    options.ballast_bytes = 12 << 20;
    let path = disk.join("log");
    let log = Log::open(&path, options.clone())?;
    assert_eq!(std::fs::metadata(path.join("ballast"))?.len(), 12 << 20);
    let mut stored = 0;
    let full = loop {
        match append(&log, noise(stored)) {
            Ok(receipt) => stored = receipt.sequence,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "the disk never filled");
    };
    // Refused, not broken: duplicates are still recognised, and reading goes on.
    assert!(matches!(full, Error::Full { .. }) && full.is_transient(), "{full:?}");
    assert!(stored > 500, "only {stored} entries on 48 MiB");
    assert_eq!(log.stats()?.poisoned, None);
    assert_eq!(all(&log, STREAM).len() as u64, stored);
    // Somebody else takes the rest, and the log is opened on the full disk.
    let filler = disk.join("filler");
    let mut file = std::fs::File::create(&filler)?;
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    log.close()?;
    let log = Log::open(&path, options.clone())?;
    assert!(!path.join("ballast").exists(), "the ballast was not released");
    assert_eq!(all(&log, STREAM).len() as u64, stored);
    log.verify(STREAM)?;
    // Space comes back.
    std::fs::remove_file(&filler)?;
    std::fs::write(disk.join("room"), vec![0; 1 << 20])?;
    assert_eq!(append(&log, noise(stored))?.sequence, stored + 1);
    log.close()?;
    Ok(())
}

#[test]
fn a_full_disk_refuses_appends_and_the_ballast_lets_the_log_open() -> Result {
    let folder = tempfile::tempdir()?;
    let script = "mount -t tmpfs -o size=48m tmpfs \"$1\" && shift && exec \"$@\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount"]);
    // Some systems do not let users have mounts of their own: then there is no small disk.
    if !unshare
        .args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"])
        .output()
        .is_ok_and(|o| o.status.success())
    {
        println!("skipped: no mounts of our own here");
        return Ok(());
    }
    let child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe()?)
        .args(["--exact", "disk::child_on_a_small_disk", "--nocapture"])
        .env(SMALL_DISK, folder.path())
        .output()?;
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    Ok(())
}

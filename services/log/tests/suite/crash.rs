//! Processes killed while they append: what was acknowledged is there, and nothing else is odd.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hearken_log::{Condition, Durability, Log, Options, StreamOptions};
use hearken_proto::Timestamp;

use crate::harness::{Result, STATE, STREAM, all, message, with_id};

/// Tells the child where its log is, and how durable.
const FOLDER: &str = "HEARKEN_LOG_CRASH_FOLDER";
const INTERVAL: &str = "HEARKEN_LOG_CRASH_INTERVAL";
/// Rounds of appending and killing, each in the folder that the last one left.
const ROUNDS: u64 = 12;

fn options(interval: bool) -> Options {
    let started = std::time::Instant::now();
    let clock =
        move || Timestamp::EPOCH.plus(Duration::from_secs(1_700_000_000) + started.elapsed());
    let mut log = StreamOptions::new(STREAM);
    log.segment_blocks = 4;
    let mut state = StreamOptions::new(STATE);
    state.one_per_subject = true;
    let mut options = Options::new(Arc::new(clock), vec![log, state]);
    options.ballast_bytes = 0;
    if interval {
        options.durability = Durability::Interval(Duration::from_millis(50));
    }
    options
}

/// Not a test by itself: appends until it is killed, when [`FOLDER`] is set.
#[test]
fn child() -> Result {
    let Ok(folder) = std::env::var(FOLDER) else { return Ok(()) };
    let log = Log::open(Path::new(&folder), options(std::env::var(INTERVAL).is_ok()))?;
    let (tx, rx) = std::sync::mpsc::sync_channel(10_000);
    let start = log.head(STREAM)?.last;
    std::thread::spawn(move || {
        let mut out = std::io::stdout().lock();
        for (stream, sequence, body) in rx {
            let line = writeln!(out, "\nstored {stream} {sequence} {body}");
            line.and_then(|()| out.flush()).expect("the parent listens");
        }
    });
    for n in start.. {
        for stream in [STREAM, STATE] {
            let size = if n % 50 == 0 { 20_000 } else { 100 };
            let body = format!("{n}-{}", "x".repeat(size));
            let mut message = with_id(&format!("{n}"), message(&format!("e.{}", n % 40), &body));
            loop {
                let (tx, id) = (tx.clone(), n);
                let done = move |result: std::result::Result<hearken_log::Receipt, _>| {
                    let sequence = result.expect("stored").sequence;
                    tx.send((stream, sequence, id)).expect("the printer listens");
                };
                match log.append(stream, message, Condition::Always, done) {
                    Ok(()) => break,
                    Err(hearken_log::QueueFull(back)) => message = back,
                }
                std::thread::yield_now();
            }
        }
        if n % 100 == 99 {
            log.set_cursor("seen", n.to_le_bytes().to_vec())?;
            // Small commits as well as large ones.
            log.append_wait(STREAM, message("alone", &format!("{n}")), Condition::Always)?;
        }
    }
    Ok(())
}

fn spawn(folder: &Path, interval: bool) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "crash::child", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdout(Stdio::piped());
    if interval {
        command.env(INTERVAL, "1");
    }
    command.spawn()
}

/// Kills the child after `lines` acknowledgements and returns all that were printed.
fn run_and_kill(mut child: Child, lines: usize) -> std::io::Result<Vec<(String, u64, u64)>> {
    let mut stored = Vec::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while out.read_line(&mut line)? > 0 {
        // A line that the kill cut off does not count, nor do the words of the test runner.
        if line.ends_with('\n') && line.starts_with("stored ") {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [_, stream, sequence, body] = words[..] {
                let number = |text: &str| text.parse::<u64>().expect("a number");
                stored.push((stream.to_owned(), number(sequence), number(body)));
            }
        }
        line.clear();
        if stored.len() == lines {
            child.kill()?;
        }
    }
    child.wait()?;
    Ok(stored)
}

fn survive(interval: bool) -> Result {
    let folder = tempfile::tempdir()?;
    let mut acknowledged: HashMap<(String, u64), u64> = HashMap::new();
    let mut seen = 0;
    for round in 0..ROUNDS {
        let lines = usize::try_from(200 + round * 731 % 3000)?;
        for (stream, sequence, body) in run_and_kill(spawn(folder.path(), interval)?, lines)? {
            assert_eq!(acknowledged.insert((stream, sequence), body), None, "acknowledged twice");
        }
        let log = Log::open(folder.path(), options(interval))?;
        for stream in [STREAM, STATE] {
            log.verify(stream)?;
            let entries = all(&log, stream);
            let found: HashMap<u64, u64> = entries
                .iter()
                .map(|entry| {
                    let body = String::from_utf8_lossy(&entry.body);
                    (
                        entry.sequence,
                        body.split('-').next().unwrap_or("").parse().expect("a number"),
                    )
                })
                .collect();
            let head = log.head(stream)?;
            if stream == STREAM {
                assert_eq!(found.len() as u64, head.last, "round {round}: holes");
            }
            for ((name, sequence), body) in &acknowledged {
                if name == stream && (stream == STREAM || found.contains_key(sequence)) {
                    assert_eq!(found.get(sequence), Some(body), "round {round}: {name} {sequence}");
                }
            }
        }
        let cursor =
            log.cursor("seen").map_or(Ok(0), |bytes| bytes.try_into().map(u64::from_le_bytes));
        let cursor = cursor.expect("eight bytes");
        assert!(cursor >= seen, "a cursor went back from {seen} to {cursor}");
        seen = cursor;
        log.close()?;
    }
    assert!(acknowledged.len() > 10_000, "{} acknowledged", acknowledged.len());
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_kill() -> Result {
    survive(false)
}

#[test]
fn what_was_acknowledged_survives_kill_with_interval_durability() -> Result {
    survive(true)
}

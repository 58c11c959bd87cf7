//! Three ways to keep entries: the log, sled with one key per entry, a plain file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hearken_kit::Clock;
use hearken_log::{Condition, Durability, Log, Options, QueueFull, StreamOptions};
use hearken_proto::Message;

/// What is on the disk is at most this old, where that is the mode.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of one entry's text.
pub(crate) const ENTRY_BYTES: usize = 300;

const STREAM: &str = "EVENTS";
/// Entries read at a time, as the bus does.
const READ_ENTRIES: usize = 512;
/// Bytes read at a time, as the bus does.
const READ_BYTES: usize = 4 << 20;
/// Page cache of sled: what its users commonly give it.
const SLED_CACHE_BYTES: u64 = 128 << 20;
/// How long a closed store of sled may take to be let go of.
const LET_GO: Duration = Duration::from_secs(5);
/// Buffer of the plain file.
const BUFFER_BYTES: usize = 64 << 10;

/// A way to keep entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `hearken-log`, acknowledged every interval.
    LogInterval,
    /// `hearken-log`, acknowledged after each flush.
    LogFlush,
    /// One key per entry, flushed every interval.
    Sled,
    /// Lines in a file, flushed every interval.
    File,
}

impl Way {
    /// All ways.
    pub(crate) const ALL: [Self; 4] = [Self::File, Self::LogInterval, Self::LogFlush, Self::Sled];

    /// As it is called in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LogInterval => "log, interval:100ms",
            Self::LogFlush => "log, flush",
            Self::Sled => "sled",
            Self::File => "append file",
        }
    }

    /// Appends `count` entries and waits until all are on the disk.
    pub(crate) fn append(self, folder: &Path, count: u64) -> anyhow::Result<()> {
        match self {
            Self::LogInterval => append_log(folder, Durability::Interval(INTERVAL), count),
            Self::LogFlush => append_log(folder, Durability::Flush, count),
            Self::Sled => append_sled(folder, count),
            Self::File => append_file(folder, count),
        }
    }

    /// Reads every entry in order; answers how many there are.
    pub(crate) fn scan(self, folder: &Path) -> anyhow::Result<u64> {
        match self {
            Self::LogInterval | Self::LogFlush => scan_log(folder),
            Self::Sled => scan_sled(folder),
            Self::File => scan_file(folder),
        }
    }
}

/// The text of an entry: JSON with what repeats and what does not, as records of events are.
fn text(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = format!(
        "{{\"id\":\"{mixed:016x}\",\"time\":\"2026-01-0{}T{:02}:{:02}:{:02}.{:06}Z\",\
         \"host\":\"web-{:03}.example.org\",\"check\":\"{}\",\"status\":\"{}\",\
         \"value\":{}.{:03},\"unit\":\"ms\",\"attempt\":{},\"message\":\"",
        1 + number / 86_400_000 % 9,
        number / 3_600_000 % 24,
        number / 60_000 % 60,
        number / 1000 % 60,
        mixed % 1_000_000,
        mixed >> 32 & 0x7f,
        ["http", "disk", "load", "memory"]
            .get(usize::try_from(mixed & 3).unwrap_or(0))
            .unwrap_or(&""),
        if mixed.is_multiple_of(50) { "critical" } else { "ok" },
        mixed >> 16 & 0xff,
        mixed >> 40 & 0x1ff,
        1 + (mixed >> 24 & 1),
    );
    let rest = ENTRY_BYTES - 2 - text.len();
    text.extend(
        "the answer came within the time that was given to it, and it was good; "
            .chars()
            .cycle()
            .take(rest),
    );
    text.push_str("\"}");
    text
}

fn open_log(folder: &Path, durability: Durability) -> anyhow::Result<Log> {
    let clock = Clock::System;
    let streams = vec![StreamOptions::new(STREAM)];
    let mut options = Options::new(Arc::new(move || clock.now()), streams);
    options.durability = durability;
    // A reserve for a full disk is no cost of an entry.
    options.ballast_bytes = 0;
    Ok(Log::open(folder, options)?)
}

fn append_log(folder: &Path, durability: Durability, count: u64) -> anyhow::Result<()> {
    let log = open_log(folder, durability)?;
    let (tx, rx) = sync_channel(1);
    for number in 0..count {
        let mut message = Message {
            subject: "hearken.event.bench.entry".to_owned(),
            body: Bytes::from(text(number)),
            ..Message::default()
        };
        let is_last = number + 1 == count;
        loop {
            let tx = tx.clone();
            let done = move |stored: Result<_, _>| {
                if is_last || stored.is_err() {
                    tx.try_send(stored.map(|_receipt| ())).unwrap_or(());
                }
            };
            let Err(QueueFull(back)) = log.append(STREAM, message, Condition::Always, done) else {
                break;
            };
            message = back;
            let (wake, woken) = sync_channel(1);
            log.when_room(move || wake.try_send(()).unwrap_or(()));
            woken.recv()?;
        }
    }
    rx.recv().context("the last acknowledgement")??;
    log.close()?;
    Ok(())
}

fn scan_log(folder: &Path) -> anyhow::Result<u64> {
    let log = open_log(folder, Durability::Flush)?;
    let mut found = 0;
    let mut next = 1;
    loop {
        let entries = log.read(STREAM, next, READ_ENTRIES, READ_BYTES)?;
        let Some(last) = entries.last() else { break };
        next = last.sequence + 1;
        found += entries.iter().filter(|entry| entry.body.len() == ENTRY_BYTES).count() as u64;
    }
    log.close()?;
    Ok(found)
}

/// A store that was closed is let go of by its threads a moment later.
fn open_sled(folder: &Path) -> anyhow::Result<sled::Db> {
    let config = sled::Config::new().path(folder).cache_capacity(SLED_CACHE_BYTES);
    let millis = u64::try_from(INTERVAL.as_millis())?;
    let config = config.flush_every_ms(Some(millis));
    let begin = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock")
                    && begin.elapsed() < LET_GO =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return Ok(opened?),
        }
    }
}

fn append_sled(folder: &Path, count: u64) -> anyhow::Result<()> {
    let store = open_sled(folder)?;
    for number in 0..count {
        store.insert(number.to_be_bytes(), text(number).into_bytes())?;
    }
    store.flush()?;
    Ok(())
}

fn scan_sled(folder: &Path) -> anyhow::Result<u64> {
    let store = open_sled(folder)?;
    let mut found = 0;
    for pair in store.iter() {
        found += u64::from(pair?.1.len() == ENTRY_BYTES);
    }
    Ok(found)
}

fn lines(folder: &Path) -> PathBuf {
    folder.join("lines")
}

fn append_file(folder: &Path, count: u64) -> anyhow::Result<()> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(lines(folder))?);
    let mut flushed = Instant::now();
    for number in 0..count {
        file.write_all(text(number).as_bytes())?;
        file.write_all(b"\n")?;
        if flushed.elapsed() >= INTERVAL {
            file.flush()?;
            file.get_ref().sync_data()?;
            flushed = Instant::now();
        }
    }
    file.flush()?;
    file.get_ref().sync_data()?;
    Ok(())
}

fn scan_file(folder: &Path) -> anyhow::Result<u64> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(lines(folder))?);
    let mut line = Vec::new();
    let mut found = 0;
    while file.read_until(b'\n', &mut line)? > 0 {
        found += u64::from(line.len() == ENTRY_BYTES + 1);
        line.clear();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_back_what_was_put() -> anyhow::Result<()> {
        for way in Way::ALL {
            let folder = tempfile::tempdir()?;
            way.append(folder.path(), 1000)?;
            assert_eq!(way.scan(folder.path())?, 1000, "{way:?}");
        }
        Ok(())
    }
}

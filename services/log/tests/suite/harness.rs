//! A log in a folder of its own, with a clock in the test's hands.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hearken_log::{Condition, Error, Log, Options, Receipt, StreamOptions};
use hearken_proto::{Entry, Message, Timestamp};

/// The stream most tests use.
pub(crate) const STREAM: &str = "LOG";
/// A stream with one entry per subject.
pub(crate) const STATE: &str = "STATE";

pub(crate) type Result = std::result::Result<(), Box<dyn std::error::Error>>;

/// A folder and a clock; logs are opened in it one after another.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    nanos: Arc<AtomicI64>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, nanos: Arc::new(AtomicI64::new(1_700_000_000_000_000_000)) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, duration: Duration) {
        let nanos = i64::try_from(duration.as_nanos()).expect("a short time");
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn options(&self) -> Options {
        let nanos = Arc::clone(&self.nanos);
        let clock = Arc::new(move || Timestamp::from_nanos(nanos.load(Ordering::Relaxed)));
        let mut state = StreamOptions::new(STATE);
        state.one_per_subject = true;
        let mut log = StreamOptions::new(STREAM);
        log.segment_blocks = 4;
        Options { ballast_bytes: 0, ..Options::new(clock, vec![log, state]) }
    }

    pub(crate) fn open(&self) -> Log {
        self.open_with(|_| {})
    }

    pub(crate) fn open_with(&self, change: impl FnOnce(&mut Options)) -> Log {
        let mut options = self.options();
        change(&mut options);
        Log::open(&self.path(), options).expect("the log opens")
    }
}

pub(crate) fn message(subject: &str, body: &str) -> Message {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Message { subject: subject.into(), body, ..Message::default() }
}

pub(crate) fn with_id(id: &str, message: Message) -> Message {
    Message { id: Some(id.into()), ..message }
}

/// Appends and waits.
pub(crate) fn append(log: &Log, message: Message) -> std::result::Result<Receipt, Error> {
    log.append_wait(STREAM, message, Condition::Always)
}

/// Everything in a stream.
pub(crate) fn all(log: &Log, stream: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let from = entries.last().map_or(1, |entry| entry.sequence + 1);
        let more = log.read(stream, from, 100, 1 << 20).expect("reading");
        if more.is_empty() {
            return entries;
        }
        entries.extend(more);
    }
}

/// The bodies of entries as text.
pub(crate) fn bodies(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8_lossy(&entry.body).into_owned()).collect()
}

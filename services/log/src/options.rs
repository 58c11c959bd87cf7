//! How a log is opened: durability, memory, and what each stream keeps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::Timestamp;

/// Where the log gets the time; a closure, so that tests own it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The store's page cache. Small, because readers near the head are served from memory of our own
/// and older blocks live in segment files.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Space kept in a file of its own, to be released when a full disk keeps the log from opening.
const BALLAST_BYTES: u64 = 32 * 1024 * 1024;
/// JetStream's default window.
const DEDUP_WINDOW: Duration = Duration::from_secs(120);
/// LOG's default age on NATS: the same memory on both buses.
const SUBJECTS_AGE: Duration = Duration::from_secs(72 * 3600);
/// A million subjects cost 29 to 57 MB of memory.
const SUBJECTS_MAX: usize = 1 << 20;
/// A quarter of a million ids, 7 to 14 MB: two minutes at 2,000 entries/s. Beyond that the window
/// gets shorter, which costs nothing but work: correctness never rests on it.
const IDS_MAX: usize = 1 << 18;
/// With blocks of about 5 kB, a segment file of 2.5 MB.
const SEGMENT_BLOCKS: usize = 512;

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the disk has it: survives power loss.
    Flush,
    /// After the operating system has it: survives the end of the process; power loss may take
    /// what came in this interval.
    Interval(Duration),
}

/// What a stream with `bytes_max` does when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Appends get [`crate::Error::Full`].
    Refuse,
    /// The oldest entries go.
    DropOldest,
}

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// Page cache of the store, in bytes.
    pub cache_bytes: u64,
    /// Space to keep in reserve for opening on a full disk; 0 for none.
    pub ballast_bytes: u64,
    /// The source of log time.
    pub clock: Clock,
    /// The streams; those that are new are created.
    pub streams: Vec<StreamOptions>,
}

impl Options {
    /// Flushed appends and the default reserves.
    #[must_use]
    pub fn new(clock: Clock, streams: Vec<StreamOptions>) -> Self {
        Self {
            durability: Durability::Flush,
            cache_bytes: CACHE_BYTES,
            ballast_bytes: BALLAST_BYTES,
            clock,
            streams,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("cache_bytes", &self.cache_bytes)
            .field("ballast_bytes", &self.ballast_bytes)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// What one stream keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// The stream's name.
    pub name: String,
    /// How long a message id is remembered.
    pub dedup_window: Duration,
    /// The most message ids remembered; beyond it the oldest are forgotten early.
    pub ids_max: usize,
    /// Whether only the last entry of each subject matters (STATE): subjects are remembered for
    /// ever and superseded entries are dropped by [`crate::Log::retain`].
    pub one_per_subject: bool,
    /// How long compare-and-set remembers a subject; no meaning with `one_per_subject`.
    pub subjects_age: Duration,
    /// The most subjects remembered. Beyond it the oldest are forgotten early; with
    /// `one_per_subject` a new subject is refused instead.
    pub subjects_max: usize,
    /// Entries older than this are dropped.
    pub age_max: Option<Duration>,
    /// The most bytes on disk.
    pub bytes_max: Option<u64>,
    /// What happens at `bytes_max`.
    pub full: Full,
    /// How many blocks make a segment file; the store keeps one to two times as many.
    pub segment_blocks: usize,
}

impl StreamOptions {
    /// A stream without limits on age and size.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dedup_window: DEDUP_WINDOW,
            ids_max: IDS_MAX,
            one_per_subject: false,
            subjects_age: SUBJECTS_AGE,
            subjects_max: SUBJECTS_MAX,
            age_max: None,
            bytes_max: None,
            full: Full::Refuse,
            segment_blocks: SEGMENT_BLOCKS,
        }
    }
}

//! What facts are gathered with: where to look, how much, how long, and what to hide.
//!
//! One [`Context`] is one run: its window is sampled once and shared by all its facts, and so by
//! all clones of it. Whoever gathers again makes a new one, which costs nothing.
//!
//! The roots are values so that a recorded machine can be read as well as this one. What cannot be
//! read from files (addresses of interfaces, temperatures) is only told about this one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearken_proto::Timestamp;
use jiff::tz::TimeZone;

use crate::Unavailable;
use crate::sources::space::{self, Space};
use crate::window::{Samples, Sampling, Window};

/// Hides what is secret in a text.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Everything that facts are gathered with.
#[derive(Clone)]
pub struct Context {
    /// Where the files are.
    pub roots: Roots,
    /// The present moment, from the caller's clock.
    pub now: Timestamp,
    /// The zone of `timestamp` and `date`: local time.
    pub zone: TimeZone,
    /// How much is read and how long is waited.
    pub bounds: Bounds,
    /// How the window of cpu, vmem, smem and iostat is sampled.
    pub sampling: Sampling,
    /// When the whole run has to be over, if it has to.
    pub deadline: Option<Instant>,
    /// What command lines of processes, and devices and options of mounts, pass through.
    pub mask: Mask,
    /// How a file system is asked for its space: a seam for tests of mounts that hang.
    pub space: fn(&Path) -> io::Result<Space>,
    /// The window that the facts of this run share.
    window: Window,
}

impl Context {
    /// This machine at `now`, with normal bounds, the default window and nothing hidden.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            roots: Roots::default(),
            now,
            zone: TimeZone::system(),
            bounds: Bounds::normal(),
            sampling: Sampling::default(),
            deadline: None,
            mask: Arc::new(str::to_owned),
            space: space::ask,
            window: Window::default(),
        }
    }

    /// Starts the window on a thread of its own, so that it passes behind other work. Does nothing
    /// when it has been started before.
    pub fn start_window(&self) {
        self.window.start(&self.roots, self.sampling, self.bounds);
    }

    /// What the window has seen; starts it if nobody has, and waits for its end.
    pub(crate) fn samples(&self) -> Result<Arc<Samples>, Unavailable> {
        self.start_window();
        self.window.finish()
    }

    /// How long something may take that has `limit` of its own.
    pub(crate) fn patience(&self, limit: Duration) -> Duration {
        self.deadline
            .map_or(limit, |deadline| limit.min(deadline.saturating_duration_since(Instant::now())))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("roots", &self.roots)
            .field("now", &self.now)
            .field("bounds", &self.bounds)
            .field("sampling", &self.sampling)
            .finish_non_exhaustive()
    }
}

/// Where the files of a machine are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/etc`.
    pub etc: PathBuf,
    /// `/usr`, for `lib/os-release`.
    pub usr: PathBuf,
    /// `/var`, for the lists of packages.
    pub var: PathBuf,
    /// `/run`, for what services leave there.
    pub run: PathBuf,
    /// `/lib`, for apk's list of packages.
    pub lib: PathBuf,
}

impl Roots {
    /// The machine whose files lie under `prefix`.
    #[must_use]
    pub fn under(prefix: &Path) -> Self {
        Self {
            proc: prefix.join("proc"),
            sys: prefix.join("sys"),
            etc: prefix.join("etc"),
            usr: prefix.join("usr"),
            var: prefix.join("var"),
            run: prefix.join("run"),
            lib: prefix.join("lib"),
        }
    }

    /// Whether these are the files of the machine that this runs on, so that the system itself may
    /// be asked as well.
    #[must_use]
    pub fn are_here(&self) -> bool {
        self.proc == Path::new("/proc")
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self::under(Path::new("/"))
    }
}

/// How much is read and how long is waited. Beyond a bound a fact is unavailable, never cut: half a
/// list would be taken for a whole one, and its missing rows for removed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long one fact may take, without the window.
    pub fact_time: Duration,
    /// How many bytes one fact may have as JSON.
    pub fact_bytes: usize,
    /// How long one file system may take to tell its space.
    pub mount_time: Duration,
    /// How long the name servers may take to tell our full name.
    pub name_time: Duration,
    /// How many bytes of one file of the kernel are read.
    pub file_bytes: usize,
    /// How many bytes of a long list are read: packages at 1 kB each, connections at 150 bytes.
    pub list_bytes: usize,
    /// How many processes are looked at: the most that Linux can be told to allow is 4 million, and
    /// 65,536 of them are already 16 MiB of JSON.
    pub processes: usize,
    /// How many mounts are looked at: the kernel allows 100,000, container hosts have thousands.
    pub mounts: usize,
    /// How many packages are listed: a full Debian desktop has 5,000.
    pub packages: usize,
    /// How many rows any other list may have (users, units, sockets that listen, interfaces).
    pub rows: usize,
    /// How many bytes of one command line are read.
    pub cmdline_bytes: usize,
}

impl Bounds {
    /// For a look that must not delay help: 1 s and 256 KiB for a fact.
    #[must_use]
    pub const fn quick() -> Self {
        Self {
            fact_time: Duration::from_secs(1),
            fact_bytes: 256 * 1024,
            mount_time: Duration::from_millis(500),
            name_time: Duration::from_millis(500),
            ..Self::normal()
        }
    }

    /// The default: 5 s and 4 MiB for a fact.
    #[must_use]
    pub const fn normal() -> Self {
        Self {
            fact_time: Duration::from_secs(5),
            fact_bytes: 4 * 1024 * 1024,
            mount_time: Duration::from_secs(2),
            name_time: Duration::from_secs(2),
            file_bytes: 4 * 1024 * 1024,
            list_bytes: 64 * 1024 * 1024,
            processes: 65_536,
            mounts: 8_192,
            packages: 65_536,
            rows: 65_536,
            cmdline_bytes: 4 * 1024,
        }
    }

    /// For everything there is: 30 s and 16 MiB for a fact.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            fact_time: Duration::from_secs(30),
            fact_bytes: 16 * 1024 * 1024,
            mount_time: Duration::from_secs(10),
            name_time: Duration::from_secs(5),
            ..Self::normal()
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::normal()
    }
}

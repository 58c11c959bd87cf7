//! Says when something changed under the roots, soon and not too often.
//!
//! The kernel tells (inotify); where it cannot, the folders are looked at every two seconds, which
//! is said once. What changed is not told: the answer to a change is to read the roots again, and
//! the digests show what is new.
//!
//! Invariants: nothing is queued but one number, so any number of writes is one wake-up; a change
//! is reported after `QUIET`, or after `SETTLE_MAX` when writing goes on; a folder that is
//! written to for ever costs one reading every `REFILL`. A change that comes while the caller
//! reads is reported again.

mod arm;
mod poll;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, Event, EventKind};
use notify::{ErrorKind, RecommendedWatcher};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bundle::is_ignored;
use crate::source::Roots;

use arm::Armed;

/// How long nothing may happen before a change is reported: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(40);

/// The longest wait for quiet.
const SETTLE_MAX: Duration = Duration::from_millis(240);

/// Changes reported without pause: more than a person or a deployment makes in a hurry.
const BURST: u32 = 20;

/// After a burst, one report per this time: a program writes into its own folder.
const REFILL: Duration = Duration::from_millis(500);

/// How often folders are looked at when the kernel does not tell.
const POLL: Duration = Duration::from_secs(2);

/// Watches roots of packs, also those that do not exist yet.
#[derive(Debug)]
pub struct Watcher {
    /// Absolute paths of the roots.
    roots: Arc<[PathBuf]>,
    /// Who tells.
    backend: Backend,
    /// What has been told.
    signal: Arc<Signal>,
    /// The value of the signal's count that the caller knows of.
    seen: u64,
    /// Whether a change waits to be reported; it outlives a cancelled call.
    is_pending: bool,
    /// How many changes may be reported at once.
    tokens: u32,
    /// When the number of tokens was right.
    refilled: Instant,
}

/// Who tells about changes.
#[derive(Debug)]
enum Backend {
    /// The kernel, and what it has been asked to watch.
    Kernel(RecommendedWatcher, Armed),
    /// We look, and compare with what was there.
    Polling(poll::Fingerprint),
}

/// From the kernel's thread to ours.
#[derive(Debug, Default)]
struct Signal {
    /// Relevant events so far.
    count: AtomicU64,
    /// Wakes whoever waits for the next.
    wake: Notify,
    /// Set when the kernel cannot watch any more folders.
    is_exhausted: AtomicBool,
}

impl Signal {
    fn raise(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.wake.notify_one();
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl Watcher {
    /// Begins to watch; changes from now on are reported. Blocks while folders are listed.
    #[must_use]
    pub fn start(roots: &Roots) -> Self {
        let absolute = |root: &PathBuf| std::path::absolute(root).unwrap_or_else(|_| root.clone());
        let roots: Arc<[PathBuf]> = roots.folders.iter().map(absolute).collect();
        let signal = Arc::new(Signal::default());
        let backend = kernel(&roots, &signal).unwrap_or_else(|error| polling(&roots, &error));
        Self {
            roots,
            backend,
            signal,
            seen: 0,
            is_pending: false,
            tokens: BURST,
            refilled: Instant::now(),
        }
    }

    /// Whether folders are looked at every two seconds because the kernel cannot tell.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        matches!(self.backend, Backend::Polling(_))
    }

    /// Waits until something has changed since the last report, and for it to settle.
    ///
    /// # Cancel safety
    /// A change that was seen before the call was cancelled is reported by the next call.
    pub async fn changed(&mut self) {
        if !self.is_pending {
            self.event().await;
            self.is_pending = true;
        }
        self.settle().await;
        self.token().await;
        self.rearm();
        self.seen = self.signal.count();
        self.is_pending = false;
    }

    /// Waits for an event that the caller does not know of.
    async fn event(&mut self) {
        loop {
            match &mut self.backend {
                Backend::Kernel(..) => {
                    if self.signal.count() != self.seen {
                        return;
                    }
                    self.signal.wake.notified().await;
                }
                Backend::Polling(before) => {
                    tokio::time::sleep(POLL).await;
                    let Some(now) = poll::fingerprint(Arc::clone(&self.roots)).await else {
                        continue;
                    };
                    if now != *before {
                        *before = now;
                        return;
                    }
                }
            }
        }
    }

    /// Waits until nothing has happened for a while, or for long enough.
    async fn settle(&self) {
        let turns = SETTLE_MAX.as_millis() / QUIET.as_millis();
        for _ in 0..turns {
            let before = self.signal.count();
            tokio::time::sleep(QUIET).await;
            if self.signal.count() == before {
                return;
            }
        }
    }

    /// Waits for the right to report.
    async fn token(&mut self) {
        let passed = self.refilled.elapsed().as_millis() / REFILL.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.refilled += REFILL * passed;
        self.tokens = self.tokens.saturating_add(passed).min(BURST);
        if self.tokens == 0 {
            tokio::time::sleep_until(self.refilled + REFILL).await;
            self.refilled += REFILL;
            self.tokens = 1;
        }
        self.tokens -= 1;
    }

    /// Watches roots that have appeared; falls back to looking when that is no longer possible.
    fn rearm(&mut self) {
        let Backend::Kernel(watcher, armed) = &mut self.backend else { return };
        let result = if self.signal.is_exhausted.load(Ordering::SeqCst) {
            Err(notify::Error::new(ErrorKind::MaxFilesWatch))
        } else {
            armed.arm(&self.roots, watcher)
        };
        if let Err(error) = result {
            self.backend = polling(&self.roots, &error);
        }
    }
}

fn kernel(roots: &Arc<[PathBuf]>, signal: &Arc<Signal>) -> Result<Backend, notify::Error> {
    let (watched, signal) = (Arc::clone(roots), Arc::clone(signal));
    let mut watcher =
        notify::recommended_watcher(move |told: Result<Event, notify::Error>| match told {
            Ok(event) if is_relevant(&event, &watched) => signal.raise(),
            Ok(_) => {}
            Err(error) => {
                if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                    signal.is_exhausted.store(true, Ordering::SeqCst);
                }
                signal.raise();
            }
        })?;
    let mut armed = Armed::default();
    armed.arm(roots, &mut watcher)?;
    Ok(Backend::Kernel(watcher, armed))
}

fn polling(roots: &[PathBuf], error: &notify::Error) -> Backend {
    tracing::warn!(
        error = %error,
        "folders of packs cannot be watched: they are looked at every 2 s instead"
    );
    Backend::Polling(poll::Fingerprint::of(roots))
}

/// Whether an event may change what is loaded. Our own reading of the folders may not.
fn is_relevant(event: &Event, roots: &[PathBuf]) -> bool {
    if event.need_rescan() {
        return true;
    }
    let is_reading = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => false,
    };
    !is_reading && event.paths.iter().any(|path| roots.iter().any(|root| concerns(path, root)))
}

/// Whether `path` is in `root` and no ignored file, or on the way to it.
fn concerns(path: &Path, root: &Path) -> bool {
    match path.strip_prefix(root) {
        Ok(inside) => !inside.iter().any(|part| is_ignored(&part.to_string_lossy())),
        Err(_) => root.starts_with(path),
    }
}

#[cfg(test)]
mod tests;

//! The keeper: a thread for what may take its time, so that the writer need not.
//!
//! It writes checkpoints and tidies streams when the writer notices that it is time. A second
//! thread syncs at intervals, because that is a promise and must not wait for the rest. Both have
//! an inbox of wishes that are granted once however often they are made.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::checkpoint::{self, Checkpoint};
use crate::error::Error;
use crate::options::Durability;
use crate::retain;
use crate::shared::{Shared, describe};
use crate::stream::Stream;

/// How long the writer waits after a commit when blocks come faster than they can be moved: an
/// eighth of what moving a segment takes.
const BEHIND_WAIT: Duration = Duration::from_millis(4);

/// What the keeper is asked to do next.
#[derive(Default)]
struct Wishes {
    /// Something was written that the disk may not have.
    sync: bool,
    /// Streams want tidying.
    tidy: bool,
    /// At most one for each stream.
    checkpoints: Vec<Checkpoint>,
    closed: bool,
}

#[derive(Default)]
struct Inbox {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the writer talks to the keeper.
#[derive(Clone, Default)]
pub(crate) struct Keeper {
    inbox: Arc<Inbox>,
}

impl Keeper {
    /// The disk should have what was written within the interval.
    pub(crate) fn sync_soon(&self) {
        let mut wishes = self.inbox.lock();
        if !wishes.sync {
            wishes.sync = true;
            drop(wishes);
            self.inbox.changed.notify_all();
        }
    }

    /// After a commit: is it time for a checkpoint, or for tidying?
    pub(crate) fn look_after(&self, shared: &Shared, stream: &mut Stream) {
        let tidy = retain::is_due(&stream.view);
        let checkpoint = stream.unchecked >= checkpoint::ENTRIES_MIN
            && stream.unchecked >= stream.names() as u64;
        if !tidy && !checkpoint {
            return;
        }
        let checkpoint = checkpoint.then(|| self.take_checkpoint(shared, stream));
        let mut wishes = self.inbox.lock();
        wishes.tidy |= tidy;
        if let Some(checkpoint) = checkpoint {
            wishes.checkpoints.retain(|other| other.path != checkpoint.path);
            wishes.checkpoints.push(checkpoint);
        }
        drop(wishes);
        self.inbox.changed.notify_all();
        if retain::is_behind(&stream.view) {
            std::thread::sleep(BEHIND_WAIT);
        }
    }

    fn take_checkpoint(&self, shared: &Shared, stream: &mut Stream) -> Checkpoint {
        stream.unchecked = 0;
        checkpoint::take(&shared.path, &stream.view, &stream.ids, stream.last().sequence)
    }

    /// Writes a checkpoint now, when the log is closed.
    pub(crate) fn checkpoint(&self, shared: &Shared, stream: &mut Stream) {
        if stream.unchecked > 0 {
            write(&self.take_checkpoint(shared, stream));
        }
    }

    /// Ends both threads.
    pub(crate) fn close(&self) {
        self.inbox.lock().closed = true;
        self.inbox.changed.notify_all();
    }

    /// Writes checkpoints and tidies until closed.
    pub(crate) fn tidy(&self, shared: &Arc<Shared>) {
        loop {
            let mut wishes = self.inbox.lock();
            while !wishes.tidy && wishes.checkpoints.is_empty() && !wishes.closed {
                wishes = self.inbox.changed.wait(wishes).unwrap_or_else(PoisonError::into_inner);
            }
            if wishes.closed {
                return;
            }
            let tidy = std::mem::take(&mut wishes.tidy);
            let checkpoints = std::mem::take(&mut wishes.checkpoints);
            drop(wishes);
            checkpoints.iter().for_each(write);
            if tidy {
                report(retain::retain(shared, (shared.clock)()).map(drop), "blocks stay unmoved");
            }
        }
    }

    /// Syncs at intervals until closed; ends at once when every append is flushed anyway.
    pub(crate) fn sync(&self, shared: &Shared) {
        let Durability::Interval(interval) = shared.durability else { return };
        loop {
            let mut wishes = self.inbox.lock();
            while !wishes.sync && !wishes.closed {
                wishes = self.inbox.changed.wait(wishes).unwrap_or_else(PoisonError::into_inner);
            }
            let changed = &self.inbox.changed;
            let waited = changed.wait_timeout_while(wishes, interval, |wishes| !wishes.closed);
            let (mut wishes, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if wishes.closed {
                return;
            }
            wishes.sync = false;
            drop(wishes);
            if let Err(error) = shared.store.sync() {
                shared.poison(&error);
            }
        }
    }
}

fn write(checkpoint: &Checkpoint) {
    report(checkpoint.write(), "checkpoint could not be written");
}

/// What the keeper does can be done later: failures are told, and that is all.
fn report(result: Result<(), Error>, consequence: &'static str) {
    match result {
        Ok(()) | Err(Error::Closed) => {}
        Err(error) => tracing::warn!(error = describe(&error), "{consequence}"),
    }
}

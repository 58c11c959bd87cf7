//! Tasks with an owner: whoever starts one waits for it, and a panic is never silence.

use std::future::Future;

use tokio::task::{JoinError, JoinSet};

/// A set of named tasks. Dropping it ends them all.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<&'static str>,
}

/// A task that ended by a panic.
#[derive(Debug, thiserror::Error)]
#[error("a task ended by a panic")]
pub struct Panicked(#[source] JoinError);

impl Tasks {
    /// No tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task; `name` is what [`Tasks::next`] answers when it ends.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(async move {
            task.await;
            name
        });
    }

    /// How many are still running or not yet waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The name of the next task to end; `None` when there is none left.
    ///
    /// # Errors
    /// [`Panicked`] when that task panicked: its owner should stop.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<&'static str, Panicked>> {
        match self.set.join_next().await? {
            Ok(name) => Some(Ok(name)),
            Err(error) => Some(Err(Panicked(error))),
        }
    }

    /// Forgets tasks that have ended, so that a long-lived owner stays small.
    ///
    /// # Errors
    /// [`Panicked`] when one of them panicked.
    pub fn sweep(&mut self) -> Result<(), Panicked> {
        while let Some(ended) = self.set.try_join_next() {
            ended.map_err(Panicked)?;
        }
        Ok(())
    }

    /// Ends every task now, without waiting for its work.
    pub async fn abort(&mut self) {
        self.set.shutdown().await;
    }
}

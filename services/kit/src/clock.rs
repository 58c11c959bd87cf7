//! The one place where the wall clock is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hearken_proto::Timestamp;

/// Where time comes from: the machine, or a test's hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clock.
    #[default]
    System,
    /// A clock that moves only when a test says so.
    Virtual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn virtual_at(start: Timestamp) -> Self {
        Self::Virtual(Arc::new(AtomicI64::new(start.nanos())))
    }

    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let nanos = since.unwrap_or(Duration::ZERO).as_nanos();
                Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
            }
            Self::Virtual(nanos) => Timestamp::from_nanos(nanos.load(Ordering::Acquire)),
        }
    }

    /// Moves a virtual clock forward; the machine's clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Virtual(nanos) = self {
            let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
            nanos.fetch_add(by, Ordering::AcqRel);
        }
    }
}

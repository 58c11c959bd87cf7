//! Log time as a memory keeps it: whole nanoseconds.
//!
//! The text form of a timestamp ends at microseconds, and a memory that is taken up again must be
//! exactly the one that was written down.

use std::time::Duration;

use hearken_proto::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment in log time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Moment(i64);

impl Moment {
    pub(super) fn of(timestamp: Timestamp) -> Self {
        Self(timestamp.nanos())
    }

    pub(super) fn timestamp(self) -> Timestamp {
        Timestamp::from_nanos(self.0)
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        Self::of(self.timestamp().plus(duration))
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        self.timestamp().since(earlier.timestamp())
    }
}

//! What the listener has done, in numbers, for metrics and for `doctor`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Connections open now: the only number that also falls.
    ConnectionsOpen,
    /// Connections accepted.
    ConnectionsAccepted,
    /// Connections turned away because there were too many.
    ConnectionsRefused,
    /// Messages that clients published.
    MessagesIn,
    /// Bytes of those messages, headers included.
    BytesIn,
    /// Messages written to clients.
    MessagesOut,
    /// Bytes of those messages, headers included.
    BytesOut,
    /// Publishes the store took.
    Stored,
    /// Publishes the store had already.
    Duplicates,
    /// Publishes and subscriptions without permission.
    RefusedPermission,
    /// Connections with wrong or missing credentials.
    RefusedCredentials,
    /// Publishes whose condition did not hold.
    RefusedConflict,
    /// Publishes refused because a stream is full.
    RefusedFull,
    /// Publishes the store could not take, or did not answer in time.
    RefusedUnavailable,
    /// Publishes with headers or a condition that cannot be understood.
    RefusedMalformed,
    /// Messages over the limit of the connection or the stream.
    Oversized,
    /// Connections closed because what they sent is not the protocol.
    ParserErrors,
    /// Connections closed because they did not read fast enough.
    SlowConsumers,
    /// Connections closed because they did not answer.
    StaleConnections,
}

impl Metric {
    /// Every metric, with the name it has outside.
    pub const ALL: [(Self, &'static str); 19] = [
        (Self::ConnectionsOpen, "connections_open"),
        (Self::ConnectionsAccepted, "connections_accepted"),
        (Self::ConnectionsRefused, "connections_refused"),
        (Self::MessagesIn, "messages_in"),
        (Self::BytesIn, "bytes_in"),
        (Self::MessagesOut, "messages_out"),
        (Self::BytesOut, "bytes_out"),
        (Self::Stored, "stored"),
        (Self::Duplicates, "duplicates"),
        (Self::RefusedPermission, "refused_permission"),
        (Self::RefusedCredentials, "refused_credentials"),
        (Self::RefusedConflict, "refused_conflict"),
        (Self::RefusedFull, "refused_full"),
        (Self::RefusedUnavailable, "refused_unavailable"),
        (Self::RefusedMalformed, "refused_malformed"),
        (Self::Oversized, "oversized"),
        (Self::ParserErrors, "parser_errors"),
        (Self::SlowConsumers, "slow_consumers"),
        (Self::StaleConnections, "stale_connections"),
    ];
}

/// A handle on the numbers of one listener. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<[AtomicU64; Metric::ALL.len()]>);

impl Counters {
    /// Numbers that are all zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The present number.
    #[must_use]
    pub fn get(&self, metric: Metric) -> u64 {
        self.cell(metric).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Every number with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Metric::ALL.into_iter().map(|(metric, name)| (name, self.get(metric)))
    }

    pub(super) fn add(&self, metric: Metric, count: u64) {
        if let Some(cell) = self.cell(metric) {
            cell.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn one(&self, metric: Metric) {
        self.add(metric, 1);
    }

    pub(super) fn one_less(&self, metric: Metric) {
        if let Some(cell) = self.cell(metric) {
            cell.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn cell(&self, metric: Metric) -> Option<&AtomicU64> {
        self.0.get(metric as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_cell() {
        let counters = Counters::new();
        for (place, (metric, _)) in (1..).zip(Metric::ALL) {
            counters.add(metric, place);
        }
        let read: Vec<u64> = counters.iter().map(|(_, count)| count).collect();
        assert_eq!(read, (1..=19).collect::<Vec<u64>>());
        counters.one_less(Metric::ConnectionsOpen);
        assert_eq!(counters.get(Metric::ConnectionsOpen), 0);
    }
}

//! Reading a stream of the embedded log in order.

use std::collections::VecDeque;
use std::sync::Arc;

use hearken_log::Log;
use hearken_proto::{Entry, Stream, subject};
use tokio::sync::watch;

use super::{Error, blocking, closed};

/// Entries read from the log at a time: enough to make the hop to a blocking thread cheap.
pub(super) const READ_ENTRIES: usize = 512;
/// Bytes read from the log at a time.
pub(super) const READ_BYTES: usize = 4 << 20;

/// Entries of one stream, in order, for as long as it lives.
#[derive(Debug)]
pub struct Reader {
    log: Log,
    stream: Stream,
    filter: String,
    next: u64,
    ready: VecDeque<Entry>,
    head: Option<watch::Receiver<u64>>,
}

impl Reader {
    pub(super) fn new(
        log: Log,
        stream: Stream,
        filter: &str,
        from: u64,
        head: Option<&Arc<watch::Sender<u64>>>,
    ) -> Self {
        Self {
            log,
            stream,
            filter: filter.to_owned(),
            next: from.max(1),
            ready: VecDeque::new(),
            head: head.map(|head| head.subscribe()),
        }
    }

    /// See [`super::super::Reader::next`].
    pub(in super::super) async fn next(&mut self) -> Result<Entry, Error> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(entry);
            }
            let head = self.head.as_mut().ok_or_else(closed)?;
            let next = self.next;
            head.wait_for(|last| *last >= next).await.map_err(|_gone| closed())?;
            let (log, stream) = (self.log.clone(), self.stream);
            let entries = blocking(move || read(&log, stream, next)).await?;
            // Only after the await: a dropped future has changed nothing.
            if let Some(last) = entries.last() {
                self.next = last.sequence + 1;
            }
            self.ready
                .extend(entries.into_iter().filter(|e| subject::matches(&self.filter, &e.subject)));
        }
    }
}

/// One stretch of a stream, from sequence `from`.
pub(super) fn read(log: &Log, stream: Stream, from: u64) -> Result<Vec<Entry>, Error> {
    Ok(log.read(stream.name(), from, READ_ENTRIES, READ_BYTES)?)
}

/// Everything up to the present head that `filter` selects.
pub(super) async fn collect(
    log: Log,
    stream: Stream,
    filter: String,
    from: u64,
) -> Result<Vec<Entry>, Error> {
    blocking(move || {
        let head = log.head(stream.name())?.last;
        let mut found = Vec::new();
        let mut next = from.max(1);
        while next <= head {
            let entries = read(&log, stream, next)?;
            let Some(last) = entries.last() else { break };
            next = last.sequence + 1;
            found.extend(
                entries
                    .into_iter()
                    .filter(|e| e.sequence <= head && subject::matches(&filter, &e.subject)),
            );
        }
        Ok(found)
    })
    .await
}

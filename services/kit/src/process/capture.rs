//! One stream of a child's output: kept up to a cap, passed on to whoever listens, and otherwise
//! read and thrown away, so that the child never waits for us.
//!
//! Bytes are bytes here; whoever shows them decides what is text.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// First buffer of a stream: most programs say less.
const BUFFER_BYTES_MIN: usize = 4 << 10;
/// Buffer for what is not kept: as much as a pipe holds.
const DISCARD_BYTES: usize = 64 << 10;
/// Reads from one stream before others get their turn, 1 MiB of a child that writes for ever.
const READS_PER_TURN: u32 = 16;

/// Which of a child's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What was kept of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Its beginning.
    pub bytes: Vec<u8>,
    /// Whether there was more than is kept.
    pub truncated: bool,
    /// How much there was, as far as it was read.
    pub total_bytes: u64,
}

/// A piece of output as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it came from.
    pub output: Output,
    /// How much of that stream came before; a gap is what was dropped.
    pub offset: u64,
    /// The bytes, which may begin and end within a character.
    pub bytes: Bytes,
}

/// Passes output on while the child runs, beyond the cap as well. When the receiver is slow, pieces
/// are dropped and counted: a listener never holds up what it listens to.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where chunks go; its bound is the caller's.
    tx: mpsc::Sender<Chunk>,
    /// Bytes dropped because the channel was full.
    dropped_bytes: Arc<AtomicU64>,
}

impl Listener {
    /// A listener at the other end of `tx`.
    #[must_use]
    pub fn new(tx: mpsc::Sender<Chunk>) -> Self {
        Self { tx, dropped_bytes: Arc::default() }
    }

    /// Bytes dropped so far because the receiver was slow, on all clones together.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes.load(Ordering::Relaxed)
    }

    /// Passes on a copy of `bytes`, or counts them.
    fn offer(&self, output: Output, offset: u64, bytes: &[u8]) {
        match self.tx.try_reserve() {
            Ok(permit) => {
                permit.send(Chunk { output, offset, bytes: Bytes::copy_from_slice(bytes) });
            }
            Err(TrySendError::Full(())) => {
                let dropped = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.dropped_bytes.fetch_add(dropped, Ordering::Relaxed);
            }
            // Nobody listens any more.
            Err(TrySendError::Closed(())) => {}
        }
    }
}

/// One stream while the child runs.
#[derive(Debug)]
pub(super) struct Capture {
    /// Which one.
    output: Output,
    /// Our end; `None` once it has ended or was taken.
    pipe: Option<Receiver>,
    /// What is kept.
    kept: Vec<u8>,
    /// Most that is kept.
    max_bytes: usize,
    /// What has come.
    total_bytes: u64,
    /// Where bytes beyond the cap go; allocated when there are any.
    discarded: Vec<u8>,
}

impl Capture {
    /// Nothing has come yet.
    pub(super) fn new(output: Output, pipe: Receiver, max_bytes: usize) -> Self {
        let (kept, discarded) = (Vec::new(), Vec::new());
        Self { output, pipe: Some(pipe), kept, max_bytes, total_bytes: 0, discarded }
    }

    /// Hands our end over to somebody who reads it instead.
    pub(super) fn take(&mut self) -> Option<Receiver> {
        self.pipe.take()
    }

    /// Whether nothing more can come.
    pub(super) fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    /// Waits until there is something to read; for ever when nothing more can come.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn readable(&self) {
        match &self.pipe {
            // An error shows again in the read that follows.
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// Reads what is there, up to a turn's worth.
    pub(super) fn read(&mut self, listener: Option<&Listener>) {
        for _ in 0..READS_PER_TURN {
            match self.read_once(listener) {
                // The end, or a pipe that cannot be read any more.
                Ok(0) => self.pipe = None,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.pipe = None,
            }
            return;
        }
    }

    /// One read into the part that is kept, or else into the part that is not.
    fn read_once(&mut self, listener: Option<&Listener>) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Ok(0) };
        let room = self.max_bytes.saturating_sub(self.kept.len());
        let buffer = if room > 0 {
            grow(&mut self.kept, self.max_bytes);
            &mut self.kept
        } else {
            self.discarded.clear();
            self.discarded.reserve_exact(DISCARD_BYTES);
            &mut self.discarded
        };
        let before = buffer.len();
        let limit = if room > 0 { room } else { DISCARD_BYTES };
        let count = pipe.try_read_buf(&mut (&mut *buffer).limit(limit))?;
        if let (Some(listener), Some(new)) = (listener, buffer.get(before..))
            && count > 0
        {
            listener.offer(self.output, self.total_bytes, new);
        }
        self.total_bytes += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }

    /// What was kept.
    pub(super) fn finish(self) -> Captured {
        let kept_bytes = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let truncated = self.total_bytes > kept_bytes;
        Captured { bytes: self.kept, truncated, total_bytes: self.total_bytes }
    }
}

/// Makes room to read into: doubling, so that a flood costs few copies, and never beyond the cap.
fn grow(buffer: &mut Vec<u8>, max_bytes: usize) {
    if buffer.capacity() - buffer.len() < BUFFER_BYTES_MIN {
        let wanted = (buffer.capacity() * 2).clamp(BUFFER_BYTES_MIN, usize::MAX).min(max_bytes);
        buffer.reserve_exact(wanted.saturating_sub(buffer.len()));
    }
}

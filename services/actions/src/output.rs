//! Passing on what an action prints, while it prints.
//!
//! Chunks are samples: a listener that is slow misses some, and the outcome has the beginning of
//! everything anyway. A run that is over before the first pause sends none.

use std::time::Duration;

use hearken_kit::bus::Bus;
use hearken_kit::payload;
use hearken_kit::process::{Chunk, Listener, Output};
use hearken_proto::{Subject, id};
use serde_json::json;
use tokio::sync::mpsc;

/// Chunks that wait to be passed on; more are dropped with a count.
const CHUNKS_MAX: usize = 64;
/// Chunks are gathered for so long: short for an eye, long for a program.
const PAUSE: Duration = Duration::from_millis(40);
/// The most that one message carries of each stream.
const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// Passes chunks on.
#[derive(Debug)]
pub(crate) struct Forwarder {
    bus: Bus,
    execution: String,
    chunks: mpsc::Receiver<Chunk>,
}

/// The two ends: one for the process, one to be run beside it.
pub(crate) fn channel(bus: &Bus, execution: &str) -> (Listener, Forwarder) {
    let (tx, chunks) = mpsc::channel(CHUNKS_MAX);
    let forwarder = Forwarder { bus: bus.clone(), execution: execution.to_owned(), chunks };
    (Listener::new(tx), forwarder)
}

impl Forwarder {
    /// Runs until the other end is gone.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(first) = self.chunks.recv().await else { return };
            let mut gathered = vec![first];
            while let Ok(next) = self.chunks.try_recv() {
                gathered.push(next);
            }
            for (output, name) in [(Output::Stdout, "stdout"), (Output::Stderr, "stderr")] {
                let chunks = gathered.iter().filter(|chunk| chunk.output == output);
                self.send(name, chunks).await;
            }
        }
    }

    async fn send(&self, name: &str, chunks: impl Iterator<Item = &Chunk>) {
        let mut text = Vec::new();
        let mut offset = None;
        for chunk in chunks {
            offset.get_or_insert(chunk.offset);
            text.extend_from_slice(&chunk.bytes);
        }
        let Some(offset) = offset else { return };
        text.truncate(MESSAGE_BYTES_MAX);
        let key = id::execution_key(&self.execution).to_owned();
        let subject = self.bus.subject(&Subject::Output { execution: key });
        let body = json!({
            "execution": self.execution,
            "stream": name,
            "offset": offset,
            "data": String::from_utf8_lossy(&text),
        });
        // A chunk that cannot be passed on is missing from a live view and nowhere else.
        if let Ok(message) = payload::message(subject, &body) {
            self.bus.send(message, None).await.map(drop).unwrap_or(());
        }
    }
}

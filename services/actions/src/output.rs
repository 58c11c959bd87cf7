//! Passing on what an action prints, while it prints.
//!
//! Chunks are samples: a listener that is slow misses some, and the outcome has the beginning of
//! everything anyway. A run that is over before the first pause sends none. Secrets of the run are
//! shown as asterisks, also where a chunk ends within one; offsets are those of what is shown,
//! which is what the result will hold.

use std::time::Duration;

use hearken_kit::bus::Bus;
use hearken_kit::payload;
use hearken_kit::process::{Chunk, Listener, Output};
use hearken_kit::seal::{Secrets, Veil};
use hearken_proto::{Subject, id};
use serde_json::json;
use tokio::sync::mpsc;

use crate::hidden::Hidden;

/// Chunks that wait to be passed on; more are dropped with a count.
const CHUNKS_MAX: usize = 64;
/// Chunks are gathered for so long: short for an eye, long for a program.
const PAUSE: Duration = Duration::from_millis(40);
/// The most that one message carries of each stream.
const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// Passes chunks on.
#[derive(Debug)]
pub(crate) struct Forwarder {
    sender: Sender,
    chunks: mpsc::Receiver<Chunk>,
    hidden: Hidden,
    streams: [Stream; 2],
}

/// One of the two streams.
#[derive(Debug)]
struct Stream {
    output: Output,
    name: &'static str,
    veil: Veil,
    /// Bytes of it that were heard of.
    heard: u64,
    /// Bytes of it that were shown, and those that nobody heard of.
    shown: u64,
}

/// Where chunks go.
#[derive(Debug)]
struct Sender {
    bus: Bus,
    execution: String,
}

/// The two ends: one for the process, one to be run beside it.
pub(crate) fn channel(bus: &Bus, execution: &str, hidden: &Hidden) -> (Listener, Forwarder) {
    let (tx, chunks) = mpsc::channel(CHUNKS_MAX);
    let stream = |output, name| Stream { output, name, veil: Veil::default(), heard: 0, shown: 0 };
    let forwarder = Forwarder {
        sender: Sender { bus: bus.clone(), execution: execution.to_owned() },
        chunks,
        hidden: hidden.clone(),
        streams: [stream(Output::Stdout, "stdout"), stream(Output::Stderr, "stderr")],
    };
    (Listener::new(tx), forwarder)
}

impl Forwarder {
    /// Runs until the other end is gone.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(first) = self.chunks.recv().await else { break };
            let mut gathered = vec![first];
            while let Ok(next) = self.chunks.try_recv() {
                gathered.push(next);
            }
            let secrets = self.hidden.secrets();
            for stream in &mut self.streams {
                let output = stream.output;
                let chunks = gathered.iter().filter(|chunk| chunk.output == output);
                if let Some((offset, text)) = stream.pass(&secrets, chunks) {
                    self.sender.send(stream.name, offset, text).await;
                }
            }
        }
        for stream in &mut self.streams {
            let end = stream.veil.end();
            self.sender.send(stream.name, stream.shown, end).await;
        }
    }
}

impl Stream {
    /// What may be shown of `chunks`, and where that begins in what is shown of the stream; nothing
    /// of none. Where something is missing a gap is left, so that whoever shows it can tell.
    fn pass<'a>(
        &mut self,
        secrets: &Secrets,
        chunks: impl Iterator<Item = &'a Chunk>,
    ) -> Option<(u64, Vec<u8>)> {
        let mut text = Vec::new();
        let mut from = self.shown;
        for chunk in chunks {
            from += chunk.offset.saturating_sub(self.heard);
            self.heard = chunk.offset + u64::try_from(chunk.bytes.len()).unwrap_or_default();
            text.append(&mut self.veil.pass(secrets, chunk.offset, &chunk.bytes));
        }
        self.shown = from + u64::try_from(text.len()).unwrap_or_default();
        (!text.is_empty()).then_some((from, text))
    }
}

impl Sender {
    async fn send(&self, stream: &str, offset: u64, mut text: Vec<u8>) {
        if text.is_empty() {
            return;
        }
        text.truncate(MESSAGE_BYTES_MAX);
        let key = id::execution_key(&self.execution).to_owned();
        let subject = self.bus.subject(&Subject::Output { execution: key });
        let body = json!({
            "execution": self.execution,
            "stream": stream,
            "offset": offset,
            "data": String::from_utf8_lossy(&text),
        });
        // A chunk that cannot be passed on is missing from a live view and nowhere else.
        if let Ok(message) = payload::message(subject, &body) {
            self.bus.send(message, None).await.map(drop).unwrap_or(());
        }
    }
}

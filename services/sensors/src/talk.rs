//! The conversation with one running sensor: its events onto the bus in order, answers and changes
//! of triggers back to it, what it prints to the log.
//!
//! Events are handed to the bus as they come, without waiting for the one before; each is answered
//! once it is stored. A sensor that tells faster than the bus stores is not read meanwhile, so it
//! waits. While the bus is away everything waits.
//!
//! Invariant: an event is answered `stored` only after the bus has acknowledged it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearken_kit::Shutdown;
use hearken_kit::backoff::until_back;
use hearken_kit::bus::{Error, Pending};
use hearken_kit::chain;
use hearken_proto::{Message, Subject, entry};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, info, warn};

use crate::host::{Shared, Wanted};
use crate::lines::{LINE_BYTES_MAX, Line, Lines};
use crate::payload;
use crate::reporter::Reporter;
use crate::said::{self, Event, Said, shortened};
use crate::triggers::Triggers;

/// Events of one sensor that are under way to the bus: enough to fill the way to a server that is
/// milliseconds away, and at a mebibyte each at most.
const UNDER_WAY_MAX: usize = 64;
/// Lines that wait until the sensor reads them.
const OUTGOING_MAX: usize = 256;
/// How long after its end the output of a sensor is read on while nothing comes: somebody it
/// started may hold it open.
const LINGER: Duration = Duration::from_millis(250);

/// The header that keeps the tag of an event, as it does for webhooks.
const TRACE_TAG: &str = "St2-Trace-Tag";

/// What goes in and out of a sensor's process.
pub(crate) struct Streams {
    /// Where its events come from.
    pub(crate) input: Box<dyn AsyncRead + Send + Unpin>,
    /// Where answers go.
    pub(crate) output: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it prints besides; each may be missing.
    pub(crate) printed: [Option<Box<dyn AsyncRead + Send + Unpin>>; 2],
}

/// The conversation with one process.
pub(crate) struct Talk<'a> {
    shared: &'a Shared,
    wanted: &'a Wanted,
    reporter: &'a Reporter,
    /// Name of this process, part of the ids of its events.
    name: &'a str,
    triggers: Mutex<Triggers>,
    /// Types were registered: triggers may have come.
    registered: Notify,
    /// The last line on standard error, and what the host said went wrong.
    last: Mutex<Last>,
    /// The process has ended.
    pub(crate) gone: Shutdown,
}

#[derive(Debug, Default)]
struct Last {
    printed: Option<String>,
    error: Option<String>,
}

/// An event that was handed to the bus, or refused before.
struct Told {
    number: Option<u64>,
    sent: Result<(Message, Pending), String>,
}

impl<'a> Talk<'a> {
    /// The conversation with the process called `name`.
    pub(crate) fn new(
        shared: &'a Shared,
        wanted: &'a Wanted,
        reporter: &'a Reporter,
        name: &'a str,
    ) -> Self {
        let triggers = Triggers::new(&wanted.sensor.pack, &wanted.sensor.trigger_types);
        Self {
            shared,
            wanted,
            reporter,
            name,
            triggers: Mutex::new(triggers),
            registered: Notify::new(),
            last: Mutex::default(),
            gone: Shutdown::new(),
        }
    }

    /// The first line: what it is told at its start, with the triggers that there are.
    pub(crate) fn first(&self, mut first: Map<String, Value>, is_python: bool) -> Bytes {
        let triggers: Vec<Value> = self.changes().into_iter().map(|(_, trigger)| trigger).collect();
        if is_python {
            let wrapped = triggers.iter().map(|trigger| json!({ "object": trigger }));
            first.insert("triggers".to_owned(), Value::Array(wrapped.collect()));
            return line(&Value::Object(first));
        }
        first.insert("triggers".to_owned(), Value::Array(triggers));
        line(&json!({ "start": first }))
    }

    /// Why the process ended, in its own words.
    pub(crate) fn last_words(&self) -> Option<String> {
        let mut last = self.last();
        last.error.take().or_else(|| last.printed.take())
    }

    /// Serves the process until it has nothing more to say.
    pub(crate) async fn serve(&self, streams: Streams, first: Bytes) {
        let Streams { input, output, printed: [stdout, stderr] } = streams;
        let (told_tx, told_rx) = mpsc::channel(UNDER_WAY_MAX);
        let (outgoing_tx, outgoing_rx) = mpsc::channel(OUTGOING_MAX);
        let heard = async {
            tokio::join!(
                self.hear(input, told_tx),
                self.settle(told_rx, outgoing_tx.clone()),
                self.print(stdout, false),
                self.print(stderr, true),
            );
        };
        let answering = async {
            tokio::join!(write(output, first, outgoing_rx), self.follow(outgoing_tx.clone()));
        };
        tokio::select! {
            () = heard => {}
            () = answering => {}
        }
    }

    /// Reads what it says until the end.
    async fn hear(&self, input: impl AsyncRead + Unpin, told: mpsc::Sender<Told>) {
        let mut lines = Lines::new(input);
        let mut count = 0_u64;
        while let Some(line) = self.next(&mut lines).await {
            let (number, why) = match line {
                Line::TooLong => (None, format!("a line is longer than {LINE_BYTES_MAX} bytes")),
                Line::Whole(line) if line.trim_ascii().is_empty() => continue,
                Line::Whole(line) => match said::read(&line) {
                    Err(refused) => refused,
                    Ok(Said::Event(event)) => {
                        count += 1;
                        let number = event.number;
                        let sent = self.send(event, count).await;
                        if told.send(Told { number, sent }).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Ok(said) => {
                        self.note(said).await;
                        continue;
                    }
                },
            };
            let refused = Told { number, sent: Err(why) };
            if told.send(refused).await.is_err() {
                return;
            }
        }
    }

    /// The next line, for as long as the process lives and a little longer.
    async fn next<R: AsyncRead + Unpin>(&self, lines: &mut Lines<R>) -> Option<Line> {
        let silence = async {
            self.gone.requested().await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            biased;
            line = lines.next() => line,
            () = silence => None,
        }
    }

    /// Hands an event to the bus, if it is what its type says.
    async fn send(&self, event: Event, count: u64) -> Result<(Message, Pending), String> {
        let (resolved, payload) = {
            let triggers = self.triggers();
            let resolved = triggers.resolve(&event.trigger)?;
            let payload = match triggers.schema(&resolved.trigger) {
                Some(schema) => payload::complete(event.payload, schema)
                    .map_err(|why| format!("{} does not fit: {why}", resolved.trigger))?,
                None => event.payload,
            };
            (resolved, payload)
        };
        let bus = &self.shared.bus;
        let mut message = Message {
            subject: bus.subject(&Subject::event(&resolved.trigger)),
            id: Some(event.id.unwrap_or_else(|| format!("sensor-{}-{count}", self.name))),
            body: Value::Object(payload).to_string().into(),
            ..Message::default()
        };
        message.headers.append(entry::CONTENT_TYPE, entry::JSON);
        message.headers.append(entry::SOURCE, format!("sensor {}", self.wanted.sensor.reference));
        if let Some(digest) = resolved.digest {
            message.headers.append(entry::TRIGGER_PARAMETERS, digest);
        }
        if let Some(tag) = event.tag {
            message.headers.append(TRACE_TAG, tag);
        }
        let sent = until_back("a sensor's event", || bus.send(message.clone(), None)).await;
        sent.map(|pending| (message, pending)).map_err(|error| chain(&error))
    }

    /// What is no event.
    async fn note(&self, said: Said) {
        match said {
            Said::Event(_) => {}
            Said::Register(types) => {
                let (wrong, types) = {
                    let mut triggers = self.triggers();
                    (triggers.register(&types), triggers.types())
                };
                wrong.iter().for_each(|why| self.reporter.fault(why));
                self.reporter.types(types).await;
                self.registered.notify_one();
            }
            Said::Log { level, message } => {
                let sensor = self.wanted.sensor.reference.as_str();
                let message = self.reporter.concealed(&message);
                match level.as_str() {
                    "ERROR" | "CRITICAL" | "AUDIT" => self.reporter.fault(&message),
                    "WARNING" => warn!(sensor, "{message}"),
                    "INFO" => info!(sensor, "{message}"),
                    _ => debug!(sensor, "{message}"),
                }
            }
            Said::Ready => self.reporter.ready().await,
            Said::Error(error) => self.last().error = Some(error),
        }
    }

    /// Answers events in their order, each once it is stored.
    async fn settle(&self, mut told: mpsc::Receiver<Told>, outgoing: mpsc::Sender<Bytes>) {
        while let Some(Told { number, sent }) = told.recv().await {
            let stored = match sent {
                Ok((message, pending)) => self.stored(message, pending).await,
                Err(why) => Err(why),
            };
            if let Err(why) = &stored {
                self.reporter.fault(&format!("an event is dropped: {why}"));
            }
            let Some(number) = number else { continue };
            let answer = match stored {
                Ok(()) => json!({ "stored": number }),
                Err(why) => json!({ "refused": number, "why": why }),
            };
            // Nobody reads answers any more when the process is gone.
            drop(outgoing.send(line(&answer)).await);
        }
    }

    async fn stored(&self, message: Message, pending: Pending) -> Result<(), String> {
        let error = match pending.stored().await {
            Ok(_ack) => return Ok(()),
            Err(error) => error,
        };
        if !error.is_transient() {
            return Err(chain(&error));
        }
        // Its id makes it one entry, however often it is published.
        let again = || self.shared.bus.publish(message.clone());
        let stored: Result<_, Error> = until_back("a sensor's event", again).await;
        stored.map(|_ack| ()).map_err(|error| chain(&error))
    }

    /// Tells it of triggers that come and go, for ever.
    async fn follow(&self, outgoing: mpsc::Sender<Bytes>) {
        let mut changes = self.shared.definitions.changes();
        loop {
            for (what, trigger) in self.changes() {
                let change = json!({ "trigger": what, "object": trigger });
                if outgoing.send(line(&change)).await.is_err() {
                    // It does not listen; that is no reason to stop listening to it.
                    std::future::pending::<()>().await;
                }
            }
            tokio::select! {
                () = changes.next() => {}
                () = self.registered.notified() => {}
            }
        }
    }

    fn changes(&self) -> Vec<(&'static str, Value)> {
        let registry = self.shared.definitions.current();
        self.triggers().follow(&registry.registry)
    }

    /// Puts what it prints into the log.
    async fn print(&self, from: Option<Box<dyn AsyncRead + Send + Unpin>>, is_error: bool) {
        let Some(from) = from else { return };
        let mut lines = Lines::new(from);
        let sensor = self.wanted.sensor.reference.as_str();
        while let Some(line) = self.next(&mut lines).await {
            let Line::Whole(line) = line else {
                warn!(sensor, "it printed a line of more than {LINE_BYTES_MAX} bytes");
                continue;
            };
            let text = self.reporter.concealed(&String::from_utf8_lossy(&line));
            let text = shortened(&text);
            debug!(sensor, "{text}");
            if is_error && !text.is_empty() {
                self.last().printed = Some(text);
            }
        }
    }

    fn triggers(&self) -> MutexGuard<'_, Triggers> {
        self.triggers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes lines for ever; those that nobody reads any more are dropped.
async fn write(
    mut output: impl AsyncWrite + Unpin,
    first: Bytes,
    mut outgoing: mpsc::Receiver<Bytes>,
) {
    let mut next = Some(first);
    while let Some(line) = next {
        if output.write_all(&line).await.is_err() {
            outgoing.close();
            std::future::pending::<()>().await;
        }
        next = outgoing.recv().await;
    }
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

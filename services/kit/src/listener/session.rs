//! One connection, from its first line to its last.
//!
//! One loop: `select!` yields one [`Input`], a plain function handles it. Reading pauses while
//! too many publishes are in flight or a subscriber's queue fills up; that is how a fast client
//! is slowed down. However a connection ends, what it has published is settled first.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::permission::Identity;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};

use super::connect::{self, Connect};
use super::counters::Metric;
use super::outbox::{Feed, Outbox};
use super::parse::{Limits, Malformed, Parser};
use super::serve::{Context, Store};
use super::settle::{Flight, Settled};
use super::write::{PING, Writer, error_line};
use crate::Shutdown;
use crate::router::Registration;

/// How long a publisher rests when a subscriber's queue is more than half full; nats-server's
/// own measure.
const STALL: Duration = Duration::from_millis(5);
/// How long a connection that ends may take to read what was still to be said.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a connection that was closed for what it sent is still read from, so that the reason
/// reaches the client instead of a reset.
const LINGER: Duration = Duration::from_millis(500);
/// Bytes that are read and forgotten meanwhile.
const LINGER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One connection.
pub(super) struct Session<S> {
    pub(super) context: Arc<Context<S>>,
    /// Its number, unique in this run.
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    /// Who the client is, so far as it has said.
    pub(super) identity: Identity,
    /// How the client wants to be spoken to.
    pub(super) options: Connect,
    reader: OwnedReadHalf,
    parser: Parser,
    /// Whether the parser needs more bytes.
    hungry: bool,
    pub(super) writer: Writer<OwnedWriteHalf>,
    pub(super) outbox: Arc<Outbox>,
    /// By the client's name for each.
    pub(super) subscriptions: HashMap<Arc<str>, Live>,
    pub(super) flight: Flight,
    /// Until when nothing is read, because a subscriber's queue fills up.
    resting_until: Option<Instant>,
    opened: Instant,
    /// When it was last looked whether the client is still there.
    asked: Instant,
    /// Whether the client has said something whole since then.
    pub(super) active: bool,
    /// Questions to which the client has not answered.
    pub(super) pings_outstanding: u32,
}

/// A subscription that is in force. Dropping it unsubscribes.
pub(super) struct Live {
    /// What it selects.
    pub(super) filter: Box<str>,
    /// Where its messages go.
    pub(super) feed: Arc<Feed>,
    pub(super) _registration: Registration,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The client has gone.
    Gone,
    /// The listener stops.
    Stopped,
    /// The client does not read fast enough.
    SlowConsumer,
    /// The client does not answer.
    Stale,
    /// The store does not answer.
    StoreStuck,
    /// The client did what ends a connection; this is what it is told.
    Violation(&'static str),
}

/// Everything that can wake a connection.
enum Input {
    Stop,
    Tick,
    Rested,
    Written(std::io::Result<()>),
    Settled(Settled),
    Read(std::io::Result<usize>),
}

impl<S: Store> Session<S> {
    pub(super) fn new(
        context: Arc<Context<S>>,
        id: u64,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> Self {
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%error, "small answers may be late");
        }
        let (reader, writer) = socket.into_split();
        let config = &context.config;
        let limits = Limits {
            control_line_max: config.control_line_max_bytes,
            payload_max: config.payload_max_bytes,
        };
        let writer = Writer::new(writer, config.counters.clone());
        let now = Instant::now();
        Self {
            id,
            peer,
            identity: connect::without_credentials(peer.ip()),
            options: Connect::default(),
            reader,
            parser: Parser::new(limits),
            hungry: true,
            writer,
            outbox: Arc::new(Outbox::default()),
            subscriptions: HashMap::new(),
            flight: Flight::new(),
            resting_until: None,
            opened: now,
            asked: now,
            active: false,
            pings_outstanding: 0,
            context,
        }
    }

    /// Serves the client until one of the two has had enough.
    pub(super) async fn run(mut self, shutdown: &Shutdown) {
        self.outbox.line(self.context.info.line(self.id, self.peer.ip()));
        let close = self.live(shutdown).await;
        debug!(connection = self.id, peer = %self.peer, ?close, "disconnecting");
        self.end(close).await;
    }

    async fn live(&mut self, shutdown: &Shutdown) -> Close {
        let mut stop = pin!(shutdown.requested());
        let mut tick = tokio::time::interval(self.context.config.tick());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let rest = self.resting_until;
            let readable = self.hungry && rest.is_none() && self.flight.has_room();
            // Every branch is cancel-safe: a token, timers, a queue, and a socket's readiness.
            let input = tokio::select! {
                () = &mut stop => Input::Stop,
                _ = tick.tick() => Input::Tick,
                () = tokio::time::sleep_until(rest.unwrap_or(self.opened)), if rest.is_some() => {
                    Input::Rested
                }
                written = self.writer.write(&self.outbox) => Input::Written(written),
                Some(settled) = self.flight.next() => Input::Settled(settled),
                read = self.reader.read_buf(self.parser.buffer()), if readable => {
                    Input::Read(read)
                }
            };
            if let Err(close) = self.handle(input) {
                return close;
            }
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), Close> {
        match input {
            Input::Stop => return Err(Close::Stopped),
            Input::Tick => self.look_at_deadlines()?,
            Input::Rested => self.resting_until = None,
            Input::Written(Ok(())) => {}
            Input::Read(Ok(0)) | Input::Read(Err(_)) | Input::Written(Err(_)) => {
                return Err(Close::Gone);
            }
            Input::Read(Ok(_)) => self.hungry = false,
            Input::Settled(settled) => {
                self.settle(settled);
                while let Some(settled) = self.flight.try_next() {
                    self.settle(settled);
                }
            }
        }
        self.pump()?;
        for sid in self.outbox.take_finished() {
            self.subscriptions.remove(&sid);
        }
        if self.outbox.has_overflowed() {
            return Err(Close::SlowConsumer);
        }
        Ok(())
    }

    /// Does what has been read, as far as it may.
    fn pump(&mut self) -> Result<(), Close> {
        while !self.hungry && self.resting_until.is_none() && self.flight.has_room() {
            match self.parser.next() {
                Ok(Some(operation)) => self.operate(operation)?,
                Ok(None) => self.hungry = true,
                Err(malformed) => {
                    self.count(match malformed {
                        Malformed::Payload => Metric::Oversized,
                        Malformed::Operation | Malformed::Arguments | Malformed::ControlLine => {
                            Metric::ParserErrors
                        }
                    });
                    return Err(Close::Violation(malformed.text()));
                }
            }
        }
        Ok(())
    }

    /// Rests a moment, because somebody does not read as fast as this client writes.
    pub(super) fn slow_down(&mut self) {
        self.resting_until = Some(Instant::now() + STALL);
    }

    fn look_at_deadlines(&mut self) -> Result<(), Close> {
        let config = &self.context.config;
        if self.identity == Identity::Remote && self.opened.elapsed() > config.connect_timeout {
            self.count(Metric::RefusedCredentials);
            return Err(Close::Violation("Authentication Timeout"));
        }
        if self.writer.is_blocked(config.write_timeout) {
            return Err(Close::SlowConsumer);
        }
        if self.flight.is_stuck(config.store_timeout) {
            return Err(Close::StoreStuck);
        }
        if self.asked.elapsed() < config.ping_interval {
            return Ok(());
        }
        self.asked = Instant::now();
        if std::mem::take(&mut self.active) {
            return Ok(());
        }
        if self.pings_outstanding >= config.pings_outstanding_max {
            return Err(Close::Stale);
        }
        self.pings_outstanding += 1;
        self.outbox.line(PING);
        Ok(())
    }

    async fn end(mut self, close: Close) {
        self.count_close(close);
        if close != Close::StoreStuck {
            self.settle_all().await;
        }
        self.subscriptions.clear();
        if close == Close::SlowConsumer {
            self.outbox.discard();
        }
        if let Some(text) = close.text() {
            self.outbox.line(error_line(text));
        }
        let farewell = async {
            self.writer.flush(&self.outbox).await?;
            self.writer.shutdown().await
        };
        let said = tokio::time::timeout(FAREWELL, farewell).await;
        if matches!(said, Ok(Ok(()))) && close.text().is_some() {
            let mut rest = (&mut self.reader).take(LINGER_BYTES_MAX);
            let mut sink = tokio::io::sink();
            let forgotten = tokio::io::copy(&mut rest, &mut sink);
            let _ended = tokio::time::timeout(LINGER, forgotten).await;
        }
    }

    /// A client that has gone, or must go, has still published what it has published.
    async fn settle_all(&mut self) {
        let deadline = Instant::now() + self.context.config.store_timeout;
        loop {
            match tokio::time::timeout_at(deadline, self.flight.next()).await {
                Ok(Some(settled)) => self.settle(settled),
                Ok(None) => return,
                Err(_) => {
                    let left = self.flight.len();
                    warn!(connection = self.id, left, "the store did not answer in time");
                    return;
                }
            }
        }
    }

    fn count_close(&self, close: Close) {
        match close {
            Close::Gone | Close::Stopped | Close::Violation(_) => {}
            Close::SlowConsumer => {
                warn!(connection = self.id, peer = %self.peer, "slow consumer");
                self.count(Metric::SlowConsumers);
            }
            Close::Stale => self.count(Metric::StaleConnections),
            Close::StoreStuck => {
                let left = self.flight.len();
                warn!(connection = self.id, left, "the store did not answer in time");
                let left = u64::try_from(left).unwrap_or(u64::MAX);
                self.context.config.counters.add(Metric::RefusedUnavailable, left);
            }
        }
    }
}

impl Close {
    /// What the client is told, if anything.
    const fn text(self) -> Option<&'static str> {
        match self {
            Self::Gone | Self::Stopped => None,
            Self::SlowConsumer => Some("Slow Consumer"),
            Self::Stale => Some("Stale Connection"),
            Self::StoreStuck => Some("the store does not answer"),
            Self::Violation(text) => Some(text),
        }
    }
}

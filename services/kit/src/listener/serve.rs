//! Accepting connections, and the seam to whatever stores what they publish.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::{Message, Stream, permission};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, info, warn};

use super::connect::Info;
use super::counters::{Counters, Metric};
use super::session::Session;
use super::write::error_line;
use crate::router::Router;
use crate::{Shutdown, Tasks};

/// Pause after a failed accept: the usual reason, too many open files, lasts a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between looks at deadlines: no timeout needs to be more exact.
const TICK_MAX: Duration = Duration::from_secs(1);
/// The shortest sensible time between looks at deadlines.
const TICK_MIN: Duration = Duration::from_millis(5);
/// What connections get beyond their own deadlines when the listener stops.
const GRACE: Duration = Duration::from_secs(1);

/// How a listener behaves. Every limit here is per connection unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Config {
    /// First token of every subject of the installation.
    pub prefix: String,
    /// What gives its holder more than anonymous rights. Empty: nobody has more.
    pub token: String,
    /// The largest body, headers included: nats-server's default.
    pub payload_max_bytes: usize,
    /// The longest protocol line: nats-server's default.
    pub control_line_max_bytes: usize,
    /// Connections of the whole listener.
    pub connections_max: usize,
    /// How long a client may read nothing while something waits for it.
    pub write_timeout: Duration,
    /// How often a silent client is asked whether it is still there.
    pub ping_interval: Duration,
    /// Questions that may be unanswered before the connection is given up.
    pub pings_outstanding_max: u32,
    /// How long a client that needs credentials may take to present them.
    pub connect_timeout: Duration,
    /// How long the store may take for one publish before the connection is given up.
    pub store_timeout: Duration,
    /// Packs whose events only credentials may publish.
    pub reserved_packs: Vec<String>,
    /// Where the listener counts; keep a clone to read it.
    pub counters: Counters,
}

impl Config {
    /// The defaults for an installation.
    #[must_use]
    pub fn new(prefix: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            token: token.into(),
            payload_max_bytes: 1024 * 1024,
            control_line_max_bytes: 4096,
            connections_max: 256,
            write_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(120),
            pings_outstanding_max: 2,
            connect_timeout: Duration::from_secs(2),
            store_timeout: Duration::from_secs(10),
            reserved_packs: permission::RESERVED_PACKS.map(str::to_owned).to_vec(),
            counters: Counters::new(),
        }
    }

    /// How often a connection looks at its deadlines.
    pub(super) fn tick(&self) -> Duration {
        let timeouts =
            [self.write_timeout, self.ping_interval, self.connect_timeout, self.store_timeout];
        let shortest = timeouts.into_iter().min().unwrap_or(TICK_MAX);
        (shortest / 4).clamp(TICK_MIN, TICK_MAX)
    }
}

/// Why a listener ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket has no address.
    #[error("cannot tell where the listener listens")]
    Address(#[source] std::io::Error),
    /// A connection's task panicked: a bug of ours.
    #[error("a connection of the listener ended by a bug")]
    Panicked(#[source] crate::tasks::Panicked),
}

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the stream; of a duplicate, the place of the first.
    pub sequence: u64,
    /// Whether the stream had an entry of this id already.
    pub duplicate: bool,
}

/// Why something was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The subject's last entry is another than expected.
    #[error("the last sequence of the subject is {last}")]
    Conflict {
        /// The sequence of the subject's last entry; 0 for none.
        last: u64,
    },
    /// The stream is full.
    #[error("the stream is full")]
    Full,
    /// The stream cannot store now; says why.
    #[error("the stream cannot store: {0}")]
    Unavailable(String),
    /// The stream takes no message of this size.
    #[error("the message is too large for the stream")]
    TooLarge,
}

/// Where publishes to stored subjects go: the embedded bus, or a test's memory.
pub trait Store: Clone + Send + Sync + 'static {
    /// Stores `message`, if the last sequence of its subject is the expected one, and passes it
    /// on to live subscribers. Resolves when the entry is durable.
    ///
    /// Futures are polled for the first time in the order in which a connection published: that
    /// is where a store takes its place in line. One that is dropped may or may not store.
    fn append(
        &self,
        stream: Stream,
        message: Message,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Stored, Refused>> + Send;
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Context<S> {
    pub(super) config: Config,
    pub(super) router: Router,
    pub(super) store: S,
    pub(super) info: Info,
    /// Names of the streams, as publishers are told them.
    stream_names: [String; Stream::ALL.len()],
}

impl<S> Context<S> {
    /// What the connections of a listener at `local` share.
    pub(super) fn new(config: Config, router: Router, store: S, local: SocketAddr) -> Self {
        let mut info = Info::new(server_id(&router), local);
        info.max_payload = config.payload_max_bytes;
        info.auth_required = !config.token.is_empty();
        let stream_names = Stream::ALL.map(|stream| stream.under(&config.prefix));
        Self { config, router, store, info, stream_names }
    }

    /// The name of `stream` in this installation.
    pub(super) fn stream_name(&self, stream: Stream) -> &str {
        self.stream_names.get(stream as usize).map_or("", String::as_str)
    }
}

/// Accepts connections until `shutdown` is requested, then lets each finish what it has begun.
///
/// # Errors
/// [`Error::Panicked`] when a connection ended by a bug: the caller should stop as well.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    router: Router,
    store: impl Store,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let local = listener.local_addr().map_err(Error::Address)?;
    let context = Arc::new(Context::new(config, router, store, local));
    let mut connections = Tasks::new();
    let mut next_id = 0;
    info!(address = %local, "listening");
    let ended = loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => break Ok(()),
            Some(ended) = connections.next() => match ended {
                Ok(_) => continue,
                Err(panicked) => break Err(Error::Panicked(panicked)),
            },
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                next_id += 1;
                admit(&context, &mut connections, next_id, socket, peer, &shutdown);
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    };
    drop(listener);
    let grace = context.config.store_timeout + context.config.write_timeout + GRACE;
    finish(connections, grace).await.and(ended)
}

/// Starts a connection, or turns it away when there are too many.
fn admit<S: Store>(
    context: &Arc<Context<S>>,
    connections: &mut Tasks,
    id: u64,
    socket: TcpStream,
    peer: SocketAddr,
    shutdown: &Shutdown,
) {
    let counters = &context.config.counters;
    counters.one(Metric::ConnectionsAccepted);
    if connections.len() >= context.config.connections_max {
        counters.one(Metric::ConnectionsRefused);
        warn!(%peer, "too many connections");
        turn_away(&context.info.line(id, peer.ip()), socket);
        return;
    }
    debug!(%peer, connection = id, "connected");
    counters.one(Metric::ConnectionsOpen);
    let session = Session::new(Arc::clone(context), id, socket, peer);
    let (shutdown, counters) = (shutdown.clone(), counters.clone());
    connections.spawn("connection", async move {
        session.run(&shutdown).await;
        counters.one_less(Metric::ConnectionsOpen);
    });
}

/// Tells a client that it is one too many, if that can be done without waiting for it.
fn turn_away(info: &[u8], socket: TcpStream) {
    let mut lines = info.to_vec();
    lines.extend(error_line("maximum connections exceeded"));
    let told =
        socket.into_std().and_then(|mut socket| std::io::Write::write_all(&mut socket, &lines));
    if let Err(error) = told {
        debug!(%error, "a client was turned away without a word");
    }
}

async fn finish(mut connections: Tasks, grace: Duration) -> Result<(), Error> {
    let mut result = Ok(());
    let all = async {
        while let Some(ended) = connections.next().await {
            if let Err(panicked) = ended {
                result = Err(Error::Panicked(panicked));
            }
        }
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        warn!(connections = connections.len(), "connections did not end in time");
        connections.abort().await;
    }
    result
}

/// A name for this run, in the manner of nats-server: an `N`, letters and digits.
fn server_id(router: &Router) -> String {
    let inbox = router.inbox();
    let random = inbox.rsplit('.').next().unwrap_or_default();
    format!("N{}", random.to_uppercase())
}

//! A listener with a store in memory, and a client that speaks bytes.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearken_proto::{Message, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::listener::serve::Context;
use crate::listener::session::Session;
use crate::listener::{Config, Counters, Metric, Refused, Store, Stored, serve};
use crate::router::Router;
use crate::{Shutdown, Tasks};

/// The token of every test.
pub(super) const TOKEN: &str = "secret";
/// Long enough for a loaded machine; nothing waits this long when it works.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A store in memory that refuses on demand.
#[derive(Clone)]
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    router: Router,
    /// While it is shut, nothing is acknowledged.
    gate: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct State {
    entries: Vec<(Stream, Message)>,
    ids: HashMap<String, u64>,
    last: HashMap<String, u64>,
    refusal: Option<Refused>,
}

impl Memory {
    pub(super) fn entries(&self) -> Vec<(Stream, Message)> {
        self.state.lock().unwrap().entries.clone()
    }

    pub(super) fn refuse(&self, refusal: Option<Refused>) {
        self.state.lock().unwrap().refusal = refusal;
    }

    pub(super) fn shut(&self) {
        self.gate.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.gate.send_replace(true);
    }

    fn store(
        &self,
        stream: Stream,
        message: Message,
        expected: Option<u64>,
    ) -> Result<Stored, Refused> {
        let mut state = self.state.lock().unwrap();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if let Some(sequence) = message.id.as_ref().and_then(|id| state.ids.get(id)) {
            return Ok(Stored { sequence: *sequence, duplicate: true });
        }
        let last = state.last.get(&message.subject).copied().unwrap_or(0);
        if expected.is_some_and(|expected| expected != last) {
            return Err(Refused::Conflict { last });
        }
        let sequence = u64::try_from(state.entries.len()).unwrap() + 1;
        state.last.insert(message.subject.clone(), sequence);
        if let Some(id) = &message.id {
            state.ids.insert(id.clone(), sequence);
        }
        state.entries.push((stream, message));
        Ok(Stored { sequence, duplicate: false })
    }
}

impl Store for Memory {
    async fn append(
        &self,
        stream: Stream,
        message: Message,
        expected: Option<u64>,
    ) -> Result<Stored, Refused> {
        let result = self.store(stream, message.clone(), expected);
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        if result.as_ref().is_ok_and(|stored| !stored.duplicate) {
            self.router.publish(&message, None);
        }
        result
    }
}

/// A running listener. Dropping it ends it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) router: Router,
    pub(super) store: Memory,
    pub(super) counters: Counters,
    pub(super) shutdown: Shutdown,
    pub(super) tasks: Tasks,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let (mut server, listener, config) = Self::prepare(change).await;
        let (router, store) = (server.router.clone(), server.store.clone());
        let shutdown = server.shutdown.clone();
        server.tasks.spawn("listener", async move {
            serve(listener, config, router, store, shutdown).await.unwrap();
        });
        server
    }

    /// A listener for one connection, which it takes for one from `peer`.
    pub(super) async fn start_for(peer: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        let (mut server, listener, config) = Self::prepare(change).await;
        let context =
            Context::new(config, server.router.clone(), server.store.clone(), server.address);
        let shutdown = server.shutdown.clone();
        server.tasks.spawn("connection", async move {
            let (socket, _) = listener.accept().await.unwrap();
            Session::new(Arc::new(context), 1, socket, peer).run(&shutdown).await;
        });
        server
    }

    async fn prepare(change: impl FnOnce(&mut Config)) -> (Self, TcpListener, Config) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut config = Config::new("hearken", TOKEN);
        change(&mut config);
        let router = Router::new();
        let store = Memory {
            state: Arc::default(),
            router: router.clone(),
            gate: Arc::new(watch::Sender::new(true)),
        };
        let server = Self {
            address: listener.local_addr().unwrap(),
            router,
            store,
            counters: config.counters.clone(),
            shutdown: Shutdown::new(),
            tasks: Tasks::new(),
        };
        (server, listener, config)
    }

    /// A client that has read `INFO` and said nothing.
    pub(super) async fn connect(&self) -> Client {
        let mut client = Client { socket: TcpStream::connect(self.address).await.unwrap() };
        assert!(client.line().await.starts_with("INFO {"));
        client
    }

    /// A client that has said `CONNECT` with `options` and has been answered.
    pub(super) async fn connect_with(&self, options: &str) -> Client {
        let mut client = self.connect().await;
        client
            .send(&format!("CONNECT {{\"verbose\":false,\"pedantic\":false,{options}}}\r\n"))
            .await;
        client.round_trip().await;
        client
    }

    /// A client with the token, and with headers.
    pub(super) async fn connect_trusted(&self) -> Client {
        self.connect_with(&format!(
            r#""auth_token":"{TOKEN}","headers":true,"no_responders":true,"protocol":1"#
        ))
        .await
    }

    /// Waits until `metric` is at least `count`.
    pub(super) async fn counted(&self, metric: Metric, count: u64) {
        within(&format!("{metric:?} {count}"), async {
            while self.counters.get(metric) < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// A client that speaks bytes.
pub(super) struct Client {
    pub(super) socket: TcpStream,
}

impl Client {
    pub(super) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        within("sending", self.socket.write_all(bytes)).await.unwrap();
    }

    /// Reads exactly `text`.
    pub(super) async fn expect(&mut self, text: &str) {
        let mut read = Vec::new();
        // A wrong answer is shown at once, not after the patience is over.
        while read.len() < text.len() && text.as_bytes().starts_with(&read) {
            let mut rest = (&mut self.socket).take((text.len() - read.len()) as u64);
            match tokio::time::timeout(PATIENCE, rest.read_buf(&mut read)).await {
                Ok(bytes) if bytes.as_ref().is_ok_and(|bytes| *bytes > 0) => {}
                ended => panic!("{:?} of {text:?}: {ended:?}", String::from_utf8_lossy(&read)),
            }
        }
        assert_eq!(String::from_utf8_lossy(&read), text);
    }

    /// Reads exactly `text` and then the end.
    pub(super) async fn expect_end(&mut self, text: &str) {
        self.expect(text).await;
        let mut rest = Vec::new();
        let read = within("the end", self.socket.read_to_end(&mut rest)).await;
        assert_eq!(String::from_utf8_lossy(&rest), "", "{read:?}");
    }

    pub(super) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(within("a line", self.socket.read_u8()).await.unwrap());
        }
        String::from_utf8(line).unwrap()
    }

    /// Everything said before is done, and nothing else was answered.
    pub(super) async fn round_trip(&mut self) {
        self.send("PING\r\n").await;
        self.expect("PONG\r\n").await;
    }

    /// Says `text` and reads the answer, nothing more and nothing less.
    pub(super) async fn say(&mut self, text: &str, answer: &str) {
        self.send(text).await;
        self.expect(answer).await;
        self.round_trip().await;
    }
}

/// Fails with `what` when `future` takes too long.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

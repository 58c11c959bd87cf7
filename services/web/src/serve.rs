//! The sockets: how many are open, how long each may take, and who gives way.
//!
//! A server that takes every connection and waits for as long as the client likes is stopped by a
//! thousand clients that say nothing. Here a request's head has to be there in ten seconds, which
//! also bounds how long an open connection may be silent; its body has a deadline of its own
//! ([`crate::body`]); and there are [`CONNECTIONS_MAX`] seats. When all are held, the connection
//! that has been silent for longest gives way to a new one. When all are at work, new ones wait in
//! the kernel's backlog. Watchers count as work, and are bounded in [`crate::follow`].

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hearken_kit::Shutdown;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::seat::{Held, Seat};
use crate::{fault, routes};

/// Connections open at a time: half of the 1,024 files that a process may open by default.
pub(crate) const CONNECTIONS_MAX: usize = 512;
/// How long a request's head may take, and how long a connection may be silent between two.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// The most headers of one request.
const HEADERS_MAX: usize = 100;
/// How much of a head, or of a body not yet asked for, is kept for one connection.
const BUFFER_BYTES: usize = 64 << 10;
/// How often a connection without a seat looks for one.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause after the kernel refused a connection, for want of files mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown` is requested and everything that was at work has ended.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    floor(listener, Floor::new(router, shutdown, CONNECTIONS_MAX)).await;
}

async fn floor(listener: TcpListener, mut floor: Floor) {
    let shutdown = floor.shutdown.clone();
    // Accepted, and without a seat: nobody else is accepted meanwhile.
    let mut standing: Option<TcpStream> = None;
    loop {
        let input = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            Some(ended) = floor.connections.join_next_with_id() => {
                Input::Ended(ended.map_or_else(|broken| broken.id(), |(id, ())| id))
            }
            accepted = listener.accept(), if standing.is_none() => Input::Accepted(accepted),
            () = tokio::time::sleep(LOOK_EVERY), if standing.is_some() => Input::Looked,
        };
        match input {
            Input::Ended(id) => {
                floor.seats.remove(&id);
            }
            Input::Accepted(Ok((stream, _address))) => standing = Some(stream),
            Input::Accepted(Err(_refused)) => tokio::time::sleep(ACCEPT_PAUSE).await,
            Input::Looked => {}
        }
        if standing.is_some()
            && floor.has_room()
            && let Some(stream) = standing.take()
        {
            floor.seat(stream);
        }
    }
    drop(listener);
    // What has not arrived whole changes nothing by going away.
    while floor.give_way() {}
    while floor.connections.join_next().await.is_some() {}
}

enum Input {
    Ended(Id),
    Accepted(std::io::Result<(TcpStream, std::net::SocketAddr)>),
    Looked,
}

/// Everybody who is connected.
struct Floor {
    router: Router,
    shutdown: Shutdown,
    connections: JoinSet<()>,
    seats: HashMap<Id, (Seat, AbortHandle)>,
    /// As many as there may be.
    seats_max: usize,
}

impl Floor {
    fn new(router: Router, shutdown: Shutdown, seats_max: usize) -> Self {
        Self { router, shutdown, connections: JoinSet::new(), seats: HashMap::new(), seats_max }
    }

    /// Whether there is a seat, be it that somebody gives way.
    fn has_room(&mut self) -> bool {
        self.seats.len() < self.seats_max || self.give_way()
    }

    /// Gives a new connection a seat.
    fn seat(&mut self, stream: TcpStream) {
        let seat = Seat::new();
        let talk = talk(stream, self.router.clone(), seat.clone(), self.shutdown.clone());
        let handle = self.connections.spawn(talk);
        self.seats.insert(handle.id(), (seat, handle));
    }

    /// Takes the seat back that has been silent for longest. False when all are at work.
    fn give_way(&mut self) -> bool {
        let since = |(id, (seat, _)): (&Id, &(Seat, _))| Some((seat.silent_since()?, *id));
        let oldest = self.seats.iter().filter_map(since).min_by_key(|(since, _)| *since);
        let Some((_, id)) = oldest else { return false };
        if !self.seats.get(&id).is_some_and(|(seat, _)| seat.take()) {
            return false;
        }
        if let Some((_, handle)) = self.seats.remove(&id) {
            handle.abort();
        }
        true
    }
}

/// Serves one connection to its end. What a client does wrong is answered, or ends it.
async fn talk(stream: TcpStream, router: Router, seat: Seat, shutdown: Shutdown) {
    // Lines of a stream are small and wanted at once; without it they are only later.
    let _slower = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(seat.clone());
        if let Some(plain) = routes::plain(request.uri()) {
            *request.uri_mut() = plain;
        }
        let (answer, seat) = (router.call(request), seat.clone());
        async move {
            let response = answer.await.unwrap_or_else(|never| match never {});
            // Here, because the router names the methods of a path only at its very end.
            let response = fault::in_words(response).await;
            Ok::<_, Infallible>(response.map(|body| Held::new(body, seat)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let _gone = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::middleware;
    use axum::routing::get;
    use hearken_kit::Tasks;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::body;

    const REQUEST: &[u8] = b"GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    struct Server {
        address: std::net::SocketAddr,
        /// Told when `/wait` has begun.
        begun: mpsc::Receiver<()>,
        /// Lets `/wait` end.
        end: Arc<Semaphore>,
        shutdown: Shutdown,
        tasks: Tasks,
    }

    impl Server {
        async fn start(seats_max: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (tx, begun) = mpsc::channel(8);
            let (end, shutdown) = (Arc::new(Semaphore::new(0)), Shutdown::new());
            let wait = Arc::clone(&end);
            let handler = move || {
                let (tx, wait) = (tx.clone(), Arc::clone(&wait));
                async move {
                    tx.send(()).await.unwrap();
                    wait.acquire().await.unwrap().forget();
                    "waited"
                }
            };
            let router = Router::new()
                .route("/now", get(|| async { "now" }))
                .route("/wait", get(handler))
                .layer(middleware::from_fn(body::first));
            let mut tasks = Tasks::new();
            tasks.spawn("floor", floor(listener, Floor::new(router, shutdown.clone(), seats_max)));
            Self { address, begun, end, shutdown, tasks }
        }

        async fn connect(&self, said: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(said).await.unwrap();
            stream
        }
    }

    /// Everything that the server says until it hangs up.
    async fn heard(mut stream: TcpStream) -> String {
        let mut heard = Vec::new();
        // A reset is the end of what is heard, too.
        let _reset = stream.read_to_end(&mut heard).await.is_err();
        String::from_utf8(heard).unwrap()
    }

    #[tokio::test]
    async fn the_connection_that_was_silent_for_longest_gives_way() {
        let server = Server::start(2).await;
        let first = server.connect(b"GET /now HTTP/1.1\r\nHost").await;
        // Answered, so the first one has its seat by now, and is older.
        assert!(heard(server.connect(REQUEST).await).await.ends_with("now"));
        let mut second = server.connect(b"GET /n").await;
        assert!(heard(server.connect(REQUEST).await).await.ends_with("now"));
        assert_eq!(heard(first).await, "");
        // The other one is younger, and goes on where it stopped.
        second.write_all(b"ow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(heard(second).await.ends_with("now"));
    }

    #[tokio::test]
    async fn what_is_at_work_is_left_alone_and_others_wait() {
        let mut server = Server::start(2).await;
        let wait = b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let first = server.connect(wait).await;
        server.begun.recv().await.unwrap();
        let second = server.connect(wait).await;
        server.begun.recv().await.unwrap();
        let third = server.connect(REQUEST).await;
        server.end.add_permits(2);
        assert!(heard(third).await.ends_with("now"));
        assert!(heard(first).await.ends_with("waited"));
        assert!(heard(second).await.ends_with("waited"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_has_an_end() {
        let server = Server::start(2).await;
        assert_eq!(heard(server.connect(b"GET /now HTTP/1.1\r\nHost: x\r\n").await).await, "");
        let answered = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(heard(server.connect(answered).await).await.ends_with("now"));
    }

    #[tokio::test]
    async fn a_shutdown_finishes_what_is_at_work_and_drops_the_silent() {
        let mut server = Server::start(3).await;
        let silent = server.connect(b"GET /").await;
        let asked = server.connect(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
        server.begun.recv().await.unwrap();
        server.shutdown.request();
        assert_eq!(heard(silent).await, "");
        server.end.add_permits(2);
        assert!(heard(asked).await.ends_with("waited"));
        assert_eq!(server.tasks.next().await.unwrap().unwrap(), "floor");
    }
}

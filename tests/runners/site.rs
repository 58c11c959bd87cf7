//! A web server of the test's own: few paths, every answer known.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::{Map, Value, json};

/// Bytes of `/large`.
pub(super) const LARGE: usize = 3 << 20;

/// Connections that went through a proxy of this file.
pub(super) static PASSED_ON: AtomicUsize = AtomicUsize::new(0);

/// A running server. Ends when dropped.
pub(super) struct Site {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What came in.
struct Asked {
    method: String,
    path: String,
    headers: Map<String, Value>,
    body: String,
}

impl Site {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // One that is slow holds up nobody. It ends with its client.
                drop(std::thread::spawn(move || answer(stream, address.port())));
            }
        });
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// The address of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).map(drop).unwrap_or(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or(());
        }
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), json!(value));
    }
    let length = headers.get("content-length").and_then(Value::as_str);
    let mut body = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Asked { method, path, headers, body })
}

fn answer(mut stream: TcpStream, port: u16) {
    let Some(asked) = read(&stream) else { return };
    if asked.method == "CONNECT" {
        pass_on(stream, &asked.path);
        return;
    }
    let path = asked.path.split('?').next().unwrap_or_default();
    let json = |value: &Value| ("200 OK", "application/json".to_owned(), value.to_string());
    let to = |code: &'static str, place: &str| {
        (code, format!("text/plain\r\nLocation: {place}"), "elsewhere".to_owned())
    };
    let (status, kind, body) = match path {
        "/json" => json(&json!({"a": [1]})),
        "/broken" => ("200 OK", "application/json".to_owned(), "{broken".to_owned()),
        "/text" => ("201 Created", "text/plain; charset=utf-8".to_owned(), "hello".to_owned()),
        "/echo" => json(&json!({
            "method": asked.method, "path": asked.path, "headers": asked.headers,
            "body": asked.body,
        })),
        "/basic"
            if asked.headers.get("authorization") == Some(&json!("Basic bWU6aHVudGVyMg==")) =>
        {
            json(&json!("welcome"))
        }
        "/basic" => ("401 Unauthorized", "text/plain".to_owned(), "who?".to_owned()),
        "/redirect" => to("302 Found", "/echo?from=redirect"),
        "/kept" => to("307 Temporary Redirect", "/echo"),
        "/away" => to("302 Found", &format!("http://localhost:{port}/echo")),
        "/handed" => to("307 Temporary Redirect", &format!("http://localhost:{port}/echo")),
        "/loop" => to("302 Found", "/loop"),
        "/nowhere" => to("302 Found", "ftp://example/x"),
        "/large" => ("200 OK", "text/plain".to_owned(), "x".repeat(LARGE)),
        "/headers" => {
            let more = "X-Filler: ".to_owned() + &"y".repeat(100 << 10);
            ("200 OK", format!("text/plain\r\n{more}"), String::new())
        }
        "/slow" => {
            // Until the client gives up.
            let _ended = stream.read(&mut [0]);
            return;
        }
        "/garbage" => {
            stream.write_all(b"this is no HTTP\r\n\r\n").unwrap_or(());
            return;
        }
        _ => ("404 Not Found", "text/plain".to_owned(), "nothing here".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    // A client that has read enough goes away.
    sent.unwrap_or(());
}

/// What a proxy does: a connection to somebody else, in both directions.
fn pass_on(mut stream: TcpStream, to: &str) {
    let Ok(mut server) = TcpStream::connect(to) else { return };
    let both = stream.try_clone().and_then(|client| Ok((client, server.try_clone()?)));
    let Ok((mut from_client, mut to_server)) = both else { return };
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap_or(());
    PASSED_ON.fetch_add(1, Ordering::Relaxed);
    let there = std::thread::spawn(move || drop(std::io::copy(&mut from_client, &mut to_server)));
    drop(std::io::copy(&mut server, &mut stream));
    stream.shutdown(std::net::Shutdown::Both).unwrap_or(());
    there.join().unwrap_or(());
}

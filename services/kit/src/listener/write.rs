//! Writing to one connection: parcels become bytes, bytes go out as fast as the client reads.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use hearken_proto::Message;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::counters::{Counters, Metric};
use super::headers;
use super::outbox::{Outbox, Parcel};

/// Memory kept between writes; what one large message needed beyond that is given back.
const BUFFER_KEPT_MAX: usize = 512 * 1024;
/// The longest text of an error line: it may quote what the client sent.
const ERROR_TEXT_MAX: usize = 1024;

/// `PING`, `PONG` and `+OK` as lines.
pub(super) const PING: Bytes = Bytes::from_static(b"PING\r\n");
/// See [`PING`].
pub(super) const PONG: Bytes = Bytes::from_static(b"PONG\r\n");
/// See [`PING`].
pub(super) const OK: Bytes = Bytes::from_static(b"+OK\r\n");

/// Whether a client reads `HMSG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderSupport {
    /// It said so.
    Yes,
    /// It did not: it gets bodies without their headers.
    No,
}

/// The writing side of one connection.
#[derive(Debug)]
pub(super) struct Writer<W> {
    socket: W,
    buffer: BytesMut,
    head: BytesMut,
    taken: Vec<Parcel>,
    counters: Counters,
    /// Since when the client has not read anything, while something waits for it.
    blocked_since: Option<Instant>,
    /// Whether the client reads headers; it says so in its `CONNECT`.
    pub(super) header_support: HeaderSupport,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(socket: W, counters: Counters) -> Self {
        Self {
            socket,
            buffer: BytesMut::new(),
            head: BytesMut::new(),
            taken: Vec::new(),
            counters,
            blocked_since: None,
            header_support: HeaderSupport::No,
        }
    }

    /// Writes some of what waits; waits when there is nothing.
    ///
    /// # Cancel safety
    /// What was taken from `outbox` and not written stays in the buffer.
    pub(super) async fn write(&mut self, outbox: &Outbox) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            outbox.ready().await;
            self.fill(outbox);
        }
        if !self.buffer.is_empty() {
            let _since = self.blocked_since.get_or_insert_with(Instant::now);
            if self.socket.write_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.blocked_since = None;
        }
        Ok(())
    }

    /// Writes all that waits.
    pub(super) async fn flush(&mut self, outbox: &Outbox) -> std::io::Result<()> {
        while !self.buffer.is_empty() || !outbox.is_empty() {
            self.write(outbox).await?;
        }
        self.socket.flush().await
    }

    /// Says that nothing more will be written.
    pub(super) async fn shutdown(&mut self) -> std::io::Result<()> {
        self.socket.shutdown().await
    }

    /// Whether the client has read nothing for longer than `timeout`.
    pub(super) fn is_blocked(&self, timeout: Duration) -> bool {
        self.blocked_since.is_some_and(|since| since.elapsed() > timeout)
    }

    fn fill(&mut self, outbox: &Outbox) {
        if self.buffer.capacity() > BUFFER_KEPT_MAX {
            self.buffer = BytesMut::new();
        }
        outbox.take(&mut self.taken);
        let (mut messages, mut bytes) = (0, 0);
        for parcel in self.taken.drain(..) {
            match parcel {
                Parcel::Line(line) => self.buffer.put_slice(&line),
                Parcel::Message { sid, delivered } => {
                    self.head.clear();
                    if self.header_support == HeaderSupport::Yes {
                        headers::encode(&delivered.message, &mut self.head);
                    }
                    let reply = delivered.reply.as_deref();
                    let message = &delivered.message;
                    encode(message, &sid, reply, &self.head, &mut self.buffer);
                    messages += 1;
                    bytes += message.body.len() + self.head.len();
                }
            }
        }
        self.counters.add(Metric::MessagesOut, messages);
        self.counters.add(Metric::BytesOut, u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// Writes `MSG` or, when there is a header block, `HMSG`.
fn encode(message: &Message, sid: &str, reply: Option<&str>, head: &[u8], out: &mut BytesMut) {
    let reply_bytes = reply.map_or(0, str::len);
    out.reserve(
        message.subject.len() + sid.len() + reply_bytes + head.len() + message.body.len() + 64,
    );
    out.put_slice(if head.is_empty() { b"MSG " } else { b"HMSG " });
    out.put_slice(message.subject.as_bytes());
    out.put_u8(b' ');
    out.put_slice(sid.as_bytes());
    out.put_u8(b' ');
    if let Some(reply) = reply {
        out.put_slice(reply.as_bytes());
        out.put_u8(b' ');
    }
    if !head.is_empty() {
        put_number(head.len(), out);
        out.put_u8(b' ');
    }
    put_number(head.len() + message.body.len(), out);
    out.put_slice(b"\r\n");
    out.put_slice(head);
    out.put_slice(&message.body);
    out.put_slice(b"\r\n");
}

fn put_number(number: usize, out: &mut BytesMut) {
    let mut divisor: usize = 1;
    while number / divisor >= 10 {
        divisor *= 10;
    }
    while divisor > 0 {
        let digit = u8::try_from(number / divisor % 10).unwrap_or(0);
        out.put_u8(b'0' + digit);
        divisor /= 10;
    }
}

/// `-ERR 'text'` as a line; what would break the line is blanked.
pub(super) fn error_line(text: &str) -> Bytes {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = plain.take(ERROR_TEXT_MAX).collect();
    Bytes::from(format!("-ERR '{text}'\r\n"))
}

/// What tells a requester that nobody is there to answer it.
pub(super) fn no_responders_line(reply: &str, sid: &str) -> Bytes {
    Bytes::from(format!("HMSG {reply} {sid} 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(message: &Message, reply: Option<&str>) -> String {
        let (mut head, mut out) = (BytesMut::new(), BytesMut::new());
        headers::encode(message, &mut head);
        encode(message, "7", reply, &head, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn messages_are_written_as_nats_server_writes_them() {
        let mut message = Message {
            subject: "a.b".into(),
            body: Bytes::from_static(b"hi"),
            ..Message::default()
        };
        assert_eq!(encoded(&message, None), "MSG a.b 7 2\r\nhi\r\n");
        assert_eq!(encoded(&message, Some("_INBOX.1")), "MSG a.b 7 _INBOX.1 2\r\nhi\r\n");
        message.id = Some("x".into());
        assert_eq!(
            encoded(&message, None),
            "HMSG a.b 7 28 30\r\nNATS/1.0\r\nNats-Msg-Id: x\r\n\r\nhi\r\n"
        );
        message.body = Bytes::from(vec![b'x'; 1_000]);
        assert!(encoded(&message, None).starts_with("HMSG a.b 7 28 1028\r\n"));
    }

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(error_line("a\r\nPONG"), "-ERR 'a  PONG'\r\n");
        assert_eq!(error_line(&"x".repeat(5_000)).len(), ERROR_TEXT_MAX + "-ERR ''\r\n".len());
    }

    #[test]
    fn numbers() {
        for number in [0, 7, 10, 99, 100, 1_048_576, usize::MAX] {
            let mut out = BytesMut::new();
            put_number(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}

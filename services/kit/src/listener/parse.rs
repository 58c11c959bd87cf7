//! The client protocol: bytes in, operations out.
//!
//! Incremental: however the bytes are cut, the same operations come out, and a line is looked at
//! once. Limits are arguments; nothing is read beyond them. Whether an operation is allowed, or
//! its subject a subject, is decided later.

use bytes::{Buf, Bytes, BytesMut};

/// The longest subscription id. Clients count; longer ids would only fill memory.
const SID_LENGTH_MAX: usize = 128;
/// Bodies up to this size are copied out of the read buffer, so that a small message which waits
/// somewhere does not keep a large buffer alive.
const COPIED_BODY_MAX: usize = 8 * 1024;
/// Free room before each read: enough that a busy connection reads hundreds of messages at once.
const READ_CHUNK: usize = 64 * 1024;

/// What the parser accepts at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of one line, without its end.
    pub(super) control_line_max: usize,
    /// Bytes of one body, headers included.
    pub(super) payload_max: usize,
}

/// One thing a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `CONNECT {…}`: who I am, and how I want to be spoken to.
    Connect(Bytes),
    /// `PUB` and `HPUB`.
    Publish(Publish),
    /// `SUB subject [queue] sid`.
    Subscribe(Subscribe),
    /// `UNSUB sid [max]`: now, or after as many messages.
    Unsubscribe {
        /// The subscription.
        sid: String,
        /// Messages after which it ends.
        max: Option<u64>,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `-ERR`, of which nothing good can follow.
    ClientError,
    /// `+OK` and `INFO`, which a client has no reason to send.
    Ignored,
}

/// A message a client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publish {
    /// Where to.
    pub(super) subject: String,
    /// Where an answer is awaited.
    pub(super) reply: Option<String>,
    /// The header block of `HPUB`, undecoded.
    pub(super) headers: Option<Bytes>,
    /// The payload.
    pub(super) body: Bytes,
}

/// A subscription a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscribe {
    /// What to.
    pub(super) filter: String,
    /// The group of which one member gets each message.
    pub(super) queue: Option<String>,
    /// The client's name for it.
    pub(super) sid: String,
}

/// Why the bytes are no operation. The connection cannot go on: where the next one would start is
/// not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// No operation starts like this, or a body is longer than it said.
    Operation,
    /// The operation is known, its arguments are not: nats-server says nothing here.
    Arguments,
    /// The line is too long.
    ControlLine,
    /// The body would be too long.
    Payload,
}

impl Malformed {
    /// What the client is told.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Operation => "Unknown Protocol Operation",
            Self::Arguments => "Parser Error",
            Self::ControlLine => "maximum control line exceeded",
            Self::Payload => "Maximum Payload Violation",
        }
    }
}

/// The operations clients send, as they are spelt; the most frequent first.
const NAMES: [&str; 10] =
    ["PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG", "CONNECT", "INFO", "+OK", "-ERR"];

/// A publish whose body has not arrived whole.
#[derive(Debug)]
struct Awaited {
    subject: String,
    reply: Option<String>,
    headers_bytes: Option<usize>,
    bytes: usize,
}

/// Turns what was read into operations.
#[derive(Debug)]
pub(super) struct Parser {
    limits: Limits,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of line.
    scanned: usize,
    awaited: Option<Awaited>,
}

impl Parser {
    /// A parser at the start of a connection.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), scanned: 0, awaited: None }
    }

    /// Where to read into. Bounded by the caller: it reads only after [`Parser::next`] said that
    /// there is nothing whole left.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ_CHUNK);
        &mut self.buffer
    }

    /// The next whole operation; `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Operation>, Malformed> {
        if self.awaited.is_none() {
            let Some(line) = self.take_line()? else { return Ok(None) };
            match parse_line(&line, self.limits)? {
                Line::Whole(operation) => return Ok(Some(operation)),
                Line::Publish(awaited) => self.awaited = Some(awaited),
            }
        }
        self.take_body()
    }

    fn take_line(&mut self) -> Result<Option<Bytes>, Malformed> {
        let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(place) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            if !starts_like_an_operation(&self.buffer) {
                return Err(Malformed::Operation);
            }
            if self.scanned > self.limits.control_line_max + 1 {
                return Err(Malformed::ControlLine);
            }
            return Ok(None);
        };
        let mut line = self.buffer.split_to(self.scanned + place);
        self.buffer.advance(1);
        self.scanned = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.limits.control_line_max {
            // The same verdict as if the line had come in pieces.
            let is_known = starts_like_an_operation(&line);
            return Err(if is_known { Malformed::ControlLine } else { Malformed::Operation });
        }
        Ok(Some(line.freeze()))
    }

    fn take_body(&mut self) -> Result<Option<Operation>, Malformed> {
        let Some(awaited) = &self.awaited else { return Ok(None) };
        // What follows a body is checked as soon as it is there, not when all of it is.
        match self.buffer.get(awaited.bytes..).unwrap_or_default() {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {}
            _ => return Err(Malformed::Operation),
        }
        let Some(awaited) = self.awaited.take() else { return Ok(None) };
        let whole = self.buffer.split_to(awaited.bytes);
        self.buffer.advance(2);
        let mut body = if whole.len() <= COPIED_BODY_MAX {
            Bytes::copy_from_slice(&whole)
        } else {
            whole.freeze()
        };
        let headers = awaited.headers_bytes.map(|bytes| body.split_to(bytes));
        let Awaited { subject, reply, .. } = awaited;
        Ok(Some(Operation::Publish(Publish { subject, reply, headers, body })))
    }
}

/// Whether the first word of `bytes`, so far as it has come, can be one of [`NAMES`]. A client
/// that speaks something else (HTTP, TLS) learns it at once and not when its line is too long.
fn starts_like_an_operation(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| is_blank(*byte));
    let word = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    let word = word.strip_suffix(b"\r").unwrap_or(word);
    NAMES.iter().any(|name| {
        name.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
}

enum Line {
    Whole(Operation),
    Publish(Awaited),
}

fn parse_line(line: &Bytes, limits: Limits) -> Result<Line, Malformed> {
    let end = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).ok_or(Malformed::Operation)?;
    let name = NAMES
        .into_iter()
        .find(|name| name.as_bytes().eq_ignore_ascii_case(word))
        .ok_or(Malformed::Operation)?;
    Ok(Line::Whole(match name {
        "PUB" => return parse_publish(rest, limits, Headers::Absent).map(Line::Publish),
        "HPUB" => return parse_publish(rest, limits, Headers::Counted).map(Line::Publish),
        "SUB" => Operation::Subscribe(parse_subscribe(rest)?),
        "UNSUB" => parse_unsubscribe(rest)?,
        "CONNECT" => Operation::Connect(line.slice_ref(rest.trim_ascii())),
        "PING" => Operation::Ping,
        "PONG" => Operation::Pong,
        "-ERR" => Operation::ClientError,
        _ => Operation::Ignored,
    }))
}

/// Whether a publish counts the bytes of its headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Headers {
    Absent,
    Counted,
}

fn parse_publish(rest: &[u8], limits: Limits, headers: Headers) -> Result<Awaited, Malformed> {
    let arguments = words::<4>(rest)?;
    let (subject, reply, counts) = match (headers, arguments) {
        (Headers::Absent, [Some(subject), Some(size), None, None]) => {
            (subject, None, [None, Some(size)])
        }
        (Headers::Absent, [Some(subject), reply, Some(size), None]) => {
            (subject, reply, [None, Some(size)])
        }
        (Headers::Counted, [Some(subject), head, Some(size), None]) => {
            (subject, None, [head, Some(size)])
        }
        (Headers::Counted, [Some(subject), reply, head, Some(size)]) => {
            (subject, reply, [head, Some(size)])
        }
        (Headers::Absent | Headers::Counted, _) => return Err(Malformed::Arguments),
    };
    let [headers_bytes, bytes] = counts.map(|count| count.map(number).transpose());
    let (headers_bytes, bytes) = (headers_bytes?, bytes?.ok_or(Malformed::Arguments)?);
    if headers_bytes.is_some_and(|head| head > bytes) {
        return Err(Malformed::Arguments);
    }
    let limit = u64::try_from(limits.payload_max).unwrap_or(u64::MAX);
    if bytes > limit {
        return Err(Malformed::Payload);
    }
    let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Malformed::Payload);
    Ok(Awaited {
        subject: subject.to_owned(),
        reply: reply.map(str::to_owned),
        headers_bytes: headers_bytes.map(size).transpose()?,
        bytes: size(bytes)?,
    })
}

fn parse_subscribe(rest: &[u8]) -> Result<Subscribe, Malformed> {
    let (filter, queue, sid) = match words::<3>(rest)? {
        [Some(filter), Some(sid), None] => (filter, None, sid),
        [Some(filter), queue, Some(sid)] => (filter, queue, sid),
        _ => return Err(Malformed::Arguments),
    };
    let queue = queue.map(str::to_owned);
    Ok(Subscribe { filter: filter.to_owned(), queue, sid: parse_sid(sid)? })
}

fn parse_unsubscribe(rest: &[u8]) -> Result<Operation, Malformed> {
    let [Some(sid), max] = words::<2>(rest)? else { return Err(Malformed::Arguments) };
    // Zero is the same as none: now.
    let max = max.map(number).transpose()?.filter(|max| *max > 0);
    Ok(Operation::Unsubscribe { sid: parse_sid(sid)?, max })
}

fn parse_sid(word: &str) -> Result<String, Malformed> {
    if word.len() > SID_LENGTH_MAX {
        return Err(Malformed::Arguments);
    }
    Ok(word.to_owned())
}

/// The words of a line, at most `N`, as text.
fn words<const N: usize>(rest: &[u8]) -> Result<[Option<&str>; N], Malformed> {
    let text = std::str::from_utf8(rest).map_err(|_| Malformed::Arguments)?;
    let mut found = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let words = std::array::from_fn(|_| found.next());
    if found.next().is_some() { Err(Malformed::Arguments) } else { Ok(words) }
}

/// Digits only: the standard parser would accept a sign.
fn number(word: &str) -> Result<u64, Malformed> {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Arguments);
    }
    // A number that does not fit in 64 bits is nats-server's "bad size" as well.
    word.parse().map_err(|_| Malformed::Arguments)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

//! One question to one name server: which name is this an alias of?
//!
//! Just enough of RFC 1035: a question for an address, whose answers are followed along their
//! aliases. What is not an answer to our question is passed over as if nothing had come.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Where name servers listen.
pub(super) const PORT: u16 = 53;

/// The longest answer over UDP without extensions.
const ANSWER_BYTES_MAX: usize = 512;
/// Pointers that one name may jump by: an honest one has as many as labels at most.
const JUMPS_MAX: usize = 64;
/// Aliases that are followed.
const ALIASES_MAX: usize = 16;
/// Names are this long at most.
const NAME_BYTES_MAX: usize = 255;

const TYPE_ADDRESS: u16 = 1;
const TYPE_ALIAS: u16 = 5;
const CLASS_INTERNET: u16 = 1;

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name that the asked one leads to.
    Name(String),
    /// That there is no such name, or no address for it.
    Unknown,
    /// Nothing that could be understood, in time.
    Silence,
}

/// Asks `server` for the address of `name` and tells the name that has it.
pub(super) fn canonical_name(server: SocketAddr, name: &str, patience: Duration) -> Answer {
    exchange(server, name, patience).unwrap_or(Answer::Silence)
}

fn exchange(server: SocketAddr, name: &str, patience: Duration) -> Option<Answer> {
    let until = Instant::now() + patience;
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    // Only what comes from the server is received.
    socket.connect(server).ok()?;
    // Whoever wants to answer in the server's place has to guess it. The keys of a new map's hasher
    // are the standard library's only randomness.
    let [high, low, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    let id = u16::from_ne_bytes([high, low]);
    let question = question(id, name)?;
    socket.send(&question).ok()?;
    let mut buffer = [0_u8; ANSWER_BYTES_MAX];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        socket.set_read_timeout(Some(left)).ok()?;
        let length = socket.recv(&mut buffer).ok()?;
        if let Some(answer) = answer(buffer.get(..length)?, id, name) {
            return Some(answer);
        }
    }
}

/// A question for the address, to be answered whatever it takes the server.
fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 18);
    let recursive = 0x0100;
    for field in [id, recursive, 1, 0, 0, 0] {
        bytes.extend(field.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(TYPE_ADDRESS.to_be_bytes());
    bytes.extend(CLASS_INTERNET.to_be_bytes());
    (name.len() <= NAME_BYTES_MAX).then_some(bytes)
}

/// What this message answers; `None` when it is no answer to our question.
fn answer(message: &[u8], id: u16, asked: &str) -> Option<Answer> {
    let flags = word(message, 2)?;
    let (is_answer, code) = (flags & 0x8000 != 0, flags & 0x000f);
    if word(message, 0)? != id || !is_answer || word(message, 4)? != 1 {
        return None;
    }
    let (name, mut at) = name_at(message, 12)?;
    if !name.eq_ignore_ascii_case(asked.trim_end_matches('.')) {
        return None;
    }
    at = at.checked_add(4)?;
    match code {
        0 => {}
        3 => return Some(Answer::Unknown),
        // The server cannot or will not: the next one may.
        _other => return Some(Answer::Silence),
    }
    let mut records = Vec::new();
    for _record in 0..word(message, 6)? {
        let (owner, after) = name_at(message, at)?;
        let kind = word(message, after)?;
        let length = usize::from(word(message, after + 8)?);
        records.push((owner, kind, after + 10));
        at = after.checked_add(10)?.checked_add(length)?;
    }
    Some(follow(message, &records, name))
}

/// Goes from alias to alias until a name has an address.
fn follow(message: &[u8], records: &[(String, u16, usize)], asked: String) -> Answer {
    let mut name = asked;
    for _alias in 0..ALIASES_MAX {
        let of = |kind| {
            let same = |record: &&(String, u16, usize)| {
                record.1 == kind && record.0.eq_ignore_ascii_case(&name)
            };
            records.iter().find(same)
        };
        if of(TYPE_ADDRESS).is_some() {
            return Answer::Name(name);
        }
        let target = of(TYPE_ALIAS).and_then(|(_owner, _kind, at)| name_at(message, *at));
        match target {
            Some((target, _after)) => name = target,
            None => return Answer::Unknown,
        }
    }
    Answer::Unknown
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_be_bytes)
}

/// A name and where it ends. The rest of a name can be a pointer to an earlier one.
fn name_at(message: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut at, mut end, mut jumps) = (start, None, 0);
    let mut name = String::new();
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(std::str::from_utf8(label).ok()?);
                at += 1 + usize::from(length);
            }
            192..=255 => {
                end = end.or(Some(at + 2));
                at = usize::from(word(message, at)? & 0x3fff);
                jumps += 1;
            }
            _reserved => return None,
        }
        if jumps > JUMPS_MAX || name.len() > NAME_BYTES_MAX {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: u16 = 7;

    /// An answer to a question for `h1.example.org` with these records after the question.
    fn message(flags: u16, count: u16, records: &[u8]) -> Vec<u8> {
        let mut bytes = question(ID, "h1.example.org").unwrap();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&count.to_be_bytes());
        bytes.extend(records);
        bytes
    }

    /// `h1.example.org` is an alias of `web.example.org`, which has an address. Pointers: 12 is the
    /// name of the question, 15 its domain.
    fn aliased() -> Vec<u8> {
        let mut records = vec![0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 6, 3];
        records.extend(b"web");
        records.extend([0xc0, 15]);
        // The alias's name begins 12 bytes behind the end of the question, which is at 32.
        records.extend([0xc0, 44, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        records
    }

    #[test]
    fn aliases_are_followed_to_the_name_that_has_the_address() {
        let told = answer(&message(0x8180, 2, &aliased()), ID, "H1.example.org");
        assert_eq!(told, Some(Answer::Name("web.example.org".to_owned())));
    }

    #[test]
    fn what_is_no_answer_to_our_question_is_none() {
        let whole = message(0x8180, 2, &aliased());
        assert_eq!(answer(&whole, ID + 1, "h1.example.org"), None);
        assert_eq!(answer(&whole, ID, "h2.example.org"), None);
        assert_eq!(answer(&message(0x0100, 0, &[]), ID, "h1.example.org"), None);
        assert_eq!(answer(&message(0x8183, 0, &[]), ID, "h1.example.org"), Some(Answer::Unknown));
        assert_eq!(answer(&message(0x8182, 0, &[]), ID, "h1.example.org"), Some(Answer::Silence));
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let mut records = vec![0xc0, 32];
        records.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        assert_eq!(answer(&message(0x8180, 1, &records), ID, "h1.example.org"), None);
    }

    #[test]
    fn a_server_is_asked_over_the_wire() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let mut buffer = [0_u8; ANSWER_BYTES_MAX];
            let (_length, client) = server.recv_from(&mut buffer).unwrap();
            let mut reply = message(0x8180, 2, &aliased());
            reply[..2].copy_from_slice(&buffer[..2]);
            server.send_to(b"noise", client).unwrap();
            server.send_to(&reply, client).unwrap();
        });
        let told = canonical_name(address, "h1.example.org", Duration::from_secs(60));
        assert_eq!(told, Answer::Name("web.example.org".to_owned()));
        serving.join().unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            at in 0_usize..80, byte: u8, length in 0_usize..90, noise: Vec<u8>,
        ) {
            let mut bytes = message(0x8180, 2, &aliased());
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(length);
            let _told = answer(&bytes, ID, "h1.example.org");
            let _told = answer(&noise, ID, "h1.example.org");
        }
    }
}

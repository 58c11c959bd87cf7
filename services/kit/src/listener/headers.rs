//! Header blocks: `NATS/1.0`, a line per header, an empty line.
//!
//! Ids and causes have places of their own in a message, so they are taken out of the block and
//! put back into it. What a client says about causes is a claim and is kept as one.

use bytes::{BufMut, BytesMut};
use hearken_proto::entry::{CAUSE, MESSAGE_ID};
use hearken_proto::permission::{CLAIMED_CAUSE, Identity};
use hearken_proto::{Headers, Message};

/// The longest header block, as on JetStream.
pub(super) const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// Headers of one message: a block of empty ones must not become a thousand times its size.
const COUNT_MAX: usize = 256;

const VERSION: &[u8] = b"NATS/1.0";

/// A header block that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadHeaders;

/// What a header block says: the id, the cause, everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// The message's id.
    pub(super) id: Option<String>,
    /// The cause, when it is believed.
    pub(super) cause: Option<String>,
    /// All other headers.
    pub(super) headers: Headers,
}

/// Reads a header block as `identity` sent it.
pub(super) fn decode(block: &[u8], identity: Identity) -> Result<Decoded, BadHeaders> {
    let block = block.strip_prefix(VERSION).ok_or(BadHeaders)?;
    let text = String::from_utf8_lossy(block);
    // What follows the version is a status, which only servers have reason to send.
    let (_status, lines) = text.split_once('\n').ok_or(BadHeaders)?;
    let mut decoded = Decoded::default();
    let mut count = 0;
    for line in lines.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.is_empty() {
            continue;
        }
        count += 1;
        let (name, value) = line.split_once(':').ok_or(BadHeaders)?;
        if count > COUNT_MAX || name.trim().is_empty() {
            return Err(BadHeaders);
        }
        decoded.keep(name.trim(), value.trim(), identity);
    }
    Ok(decoded)
}

impl Decoded {
    fn keep(&mut self, name: &str, value: &str, identity: Identity) {
        if name.eq_ignore_ascii_case(MESSAGE_ID) {
            // The first one counts, as it does for every header; an empty one is none.
            if self.id.is_none() && !value.is_empty() {
                self.id = Some(value.to_owned());
            }
        } else if name.eq_ignore_ascii_case(CAUSE) {
            if !identity.is_believed() {
                self.headers.append(CLAIMED_CAUSE, value);
            } else if self.cause.is_none() && !value.is_empty() {
                self.cause = Some(value.to_owned());
            }
        } else {
            self.headers.append(name, value);
        }
    }
}

/// Writes the header block of `message`; writes nothing when it needs none.
pub(super) fn encode(message: &Message, out: &mut BytesMut) {
    if message.id.is_none() && message.cause.is_none() && message.headers.is_empty() {
        return;
    }
    out.put_slice(VERSION);
    out.put_slice(b"\r\n");
    let own = [(MESSAGE_ID, &message.id), (CAUSE, &message.cause)];
    for (name, value) in own {
        if let Some(value) = value {
            encode_line(name, value, out);
        }
    }
    for (name, value) in message.headers.iter() {
        encode_line(name, value, out);
    }
    out.put_slice(b"\r\n");
}

/// Ends of line inside a header would let it forge others: they become blanks.
fn encode_line(name: &str, value: &str, out: &mut BytesMut) {
    let plain = |byte: u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
    out.reserve(name.len() + value.len() + 4);
    name.bytes().map(plain).for_each(|byte| out.put_u8(byte));
    out.put_slice(b": ");
    value.bytes().map(plain).for_each(|byte| out.put_u8(byte));
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(headers: &Headers) -> Vec<(&str, &str)> {
        headers.iter().collect()
    }

    #[test]
    fn ids_have_their_place_and_the_rest_keeps_its_order() {
        let block = b"NATS/1.0\r\nB: 2\r\nnats-msg-id: shop:1\r\nA:  x y \r\nA:z:\r\n\r\n";
        let decoded = decode(block, Identity::Token).unwrap();
        assert_eq!(decoded.id.as_deref(), Some("shop:1"));
        assert_eq!(pairs(&decoded.headers), [("B", "2"), ("A", "x y"), ("A", "z:")]);
    }

    #[test]
    fn a_cause_from_outside_is_a_claim() {
        let block = b"NATS/1.0\r\nHearken-Cause: abc\r\n\r\n";
        for identity in [Identity::Anonymous, Identity::Token] {
            let decoded = decode(block, identity).unwrap();
            assert_eq!(decoded.cause, None);
            assert_eq!(pairs(&decoded.headers), [(CLAIMED_CAUSE, "abc")]);
        }
        let decoded = decode(block, Identity::Service).unwrap();
        assert_eq!(decoded.cause.as_deref(), Some("abc"));
        assert!(decoded.headers.is_empty());
    }

    #[test]
    fn what_is_no_header_block_is_refused() {
        let crowd = format!("NATS/1.0\r\n{}\r\n", "a:\r\n".repeat(COUNT_MAX + 1));
        let rows: [&[u8]; 6] = [
            b"",
            b"abcd",
            b"NATS/1.0",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\n: v\r\n\r\n",
            crowd.as_bytes(),
        ];
        for row in rows {
            assert_eq!(decode(row, Identity::Token), Err(BadHeaders));
        }
        for row in [&b"NATS/1.0\r\n\r\n"[..], b"NATS/1.0 503 No Responders\r\n\r\n"] {
            assert_eq!(decode(row, Identity::Token), Ok(Decoded::default()));
        }
    }

    #[test]
    fn a_header_cannot_forge_another() {
        let mut message = Message::default();
        message.headers.append("a", "b\r\nNats-Msg-Id: forged");
        let mut out = BytesMut::new();
        encode(&message, &mut out);
        assert_eq!(decode(&out, Identity::Service).unwrap().id, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(block in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut with_version = b"NATS/1.0\r\n".to_vec();
            with_version.extend(&block);
            let _refused = decode(&block, Identity::Token).is_err();
            let _refused = decode(&with_version, Identity::Token).is_err();
        }

        #[test]
        fn what_is_written_reads_back(
            id in prop::option::of("[a-z:.]{1,9}"),
            cause in prop::option::of("[a-z]{1,9}"),
            headers in prop::collection::vec(("[A-Z][a-z-]{0,9}", "[ -~]{0,20}"), 0..5),
        ) {
            let headers: Headers =
                headers.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect();
            let message = Message { id, cause, headers, ..Message::default() };
            let mut out = BytesMut::new();
            encode(&message, &mut out);
            if out.is_empty() {
                prop_assert!(message.id.is_none() && message.headers.is_empty());
            } else {
                let decoded = decode(&out, Identity::Service).unwrap();
                prop_assert_eq!(decoded.id, message.id);
                prop_assert_eq!(decoded.cause, message.cause);
                prop_assert_eq!(decoded.headers, message.headers);
            }
        }
    }
}

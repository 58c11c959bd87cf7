//! Claims about the parser alone.

use bytes::Bytes;
use proptest::prelude::*;

use crate::listener::parse::{Limits, Malformed, Operation, Parser, Publish, Subscribe};

const LIMITS: Limits = Limits { control_line_max: 64, payload_max: 32 };

/// What comes out of `chunks`: the operations, and what ended them.
fn parse(chunks: &[&[u8]]) -> (Vec<Operation>, Option<Malformed>) {
    let mut parser = Parser::new(LIMITS);
    let mut operations = Vec::new();
    for chunk in chunks {
        parser.buffer().extend_from_slice(chunk);
        loop {
            match parser.next() {
                Ok(Some(operation)) => operations.push(operation),
                Ok(None) => break,
                Err(malformed) => return (operations, Some(malformed)),
            }
        }
    }
    (operations, None)
}

fn publish(subject: &str, reply: Option<&str>, headers: Option<&str>, body: &str) -> Operation {
    Operation::Publish(Publish {
        subject: subject.to_owned(),
        reply: reply.map(str::to_owned),
        headers: headers.map(|block| Bytes::copy_from_slice(block.as_bytes())),
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

fn subscribe(filter: &str, queue: Option<&str>, sid: &str) -> Operation {
    let (filter, queue, sid) = (filter.to_owned(), queue.map(str::to_owned), sid.to_owned());
    Operation::Subscribe(Subscribe { filter, queue, sid })
}

fn unsubscribe(sid: &str, max: Option<u64>) -> Operation {
    Operation::Unsubscribe { sid: sid.to_owned(), max }
}

#[test]
fn every_operation_is_read() {
    let rows = [
        ("PING\r\n", Operation::Ping),
        ("ping\r\n", Operation::Ping),
        ("PING\n", Operation::Ping),
        ("PING something\r\n", Operation::Ping),
        ("PONG\r\n", Operation::Pong),
        ("+OK\r\n", Operation::Ignored),
        ("INFO {}\r\n", Operation::Ignored),
        ("-ERR 'x'\r\n", Operation::ClientError),
        ("CONNECT {\"a\": 1} \r\n", Operation::Connect(Bytes::from_static(b"{\"a\": 1}"))),
        ("CONNECT\r\n", Operation::Connect(Bytes::new())),
        ("SUB a.> 1\r\n", subscribe("a.>", None, "1")),
        ("sub  a\t q \t 1 \r\n", subscribe("a", Some("q"), "1")),
        ("UNSUB 1\r\n", unsubscribe("1", None)),
        ("UNSUB 1 0\r\n", unsubscribe("1", None)),
        ("UNSUB 1 5\r\n", unsubscribe("1", Some(5))),
        ("PUB a 0\r\n\r\n", publish("a", None, None, "")),
        ("PUB a 2\r\nhi\r\n", publish("a", None, None, "hi")),
        ("PUB a r 2\r\n\r\n\r\n", publish("a", Some("r"), None, "\r\n")),
        ("PUB a 2\nhi\r\n", publish("a", None, None, "hi")),
        ("HPUB a 3 5\r\nabchi\r\n", publish("a", None, Some("abc"), "hi")),
        ("HPUB a r 0 2\r\nhi\r\n", publish("a", Some("r"), Some(""), "hi")),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(&[text.as_bytes()]), (vec![expected], None), "{text:?}");
    }
}

#[test]
fn what_is_malformed_is_told_apart() {
    use Malformed::{Arguments, ControlLine, Operation, Payload};
    let long = "a".repeat(65);
    let rows = [
        ("FOO\r\n", Operation),
        ("GET / HTTP/1.1", Operation),
        ("\u{16}\u{3}\u{1}", Operation),
        ("\r\n", Operation),
        (" PING\r\n", Operation),
        ("PINGX\r\n", Operation),
        ("PUB\r\n", Arguments),
        ("PUB a\r\n", Arguments),
        ("PUB a x\r\n", Arguments),
        ("PUB a -1\r\n", Arguments),
        ("PUB a +1\r\n", Arguments),
        ("PUB a 18446744073709551616\r\n", Arguments),
        ("PUB a b c 1\r\n", Arguments),
        ("PUB a 33\r\n", Payload),
        ("PUB a 18446744073709551615\r\n", Payload),
        ("PUB a 2\r\nhello\r\n", Operation),
        ("PUB a 2\r\nhi\n", Operation),
        ("HPUB a 2\r\n", Arguments),
        ("HPUB a 3 2\r\n", Arguments),
        ("HPUB a 3 33\r\n", Payload),
        ("SUB a\r\n", Arguments),
        ("SUB a b c d\r\n", Arguments),
        ("UNSUB\r\n", Arguments),
        ("UNSUB 1 x\r\n", Arguments),
        (&format!("SUB {long} 1\r\n"), ControlLine),
        (&format!("SUB {long} 1"), ControlLine),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(&[text.as_bytes()]), (vec![], Some(expected)), "{text:?}");
    }
    assert_eq!(parse(&[b"PUB \xff 1\r\n"]), (vec![], Some(Arguments)));
    let sid = format!("UNSUB {}\r\n", "1".repeat(58));
    assert_eq!(parse(&[sid.as_bytes()]).1, None, "a line of the longest length");
}

#[test]
fn nothing_comes_of_half_an_operation() {
    for text in ["", "P", "PUB a 2\r\nhi\r", "PUB a 2\r\n", "CONNECT {", "SUB a 1\r"] {
        assert_eq!(parse(&[text.as_bytes()]), (vec![], None), "{text:?}");
    }
}

#[test]
fn large_bodies_arrive_whole() {
    let limits = Limits { control_line_max: 64, payload_max: 1 << 20 };
    let body = vec![7; 1 << 20];
    let mut parser = Parser::new(limits);
    parser.buffer().extend_from_slice(format!("PUB a {}\r\n", body.len()).as_bytes());
    for chunk in body.chunks(65_536) {
        assert_eq!(parser.next(), Ok(None));
        parser.buffer().extend_from_slice(chunk);
    }
    parser.buffer().extend_from_slice(b"\r\nPING\r\n");
    let Ok(Some(Operation::Publish(publish))) = parser.next() else { panic!("no publish") };
    assert_eq!(publish.body, body);
    assert_eq!(parser.next(), Ok(Some(Operation::Ping)));
}

fn operation() -> impl Strategy<Value = Operation> {
    let word = "[a-z.*>]{1,8}";
    prop_oneof![
        Just(Operation::Ping),
        Just(Operation::Pong),
        Just(Operation::Ignored),
        (word, prop::option::of(word), "[0-9]{1,4}").prop_map(|(filter, queue, sid)| {
            Operation::Subscribe(Subscribe { filter, queue, sid })
        }),
        ("[0-9]{1,4}", prop::option::of(1_u64..))
            .prop_map(|(sid, max)| { Operation::Unsubscribe { sid, max } }),
        (
            word,
            prop::option::of(word),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..16)),
            prop::collection::vec(any::<u8>(), 0..16),
        )
            .prop_map(|(subject, reply, headers, body)| {
                let headers = headers.map(Bytes::from);
                Operation::Publish(Publish { subject, reply, headers, body: body.into() })
            }),
    ]
}

fn written(operation: &Operation) -> Vec<u8> {
    let optional = |word: &Option<String>| word.as_ref().map_or(String::new(), |w| format!("{w} "));
    match operation {
        Operation::Ping => b"PING\r\n".to_vec(),
        Operation::Pong => b"PONG\r\n".to_vec(),
        Operation::Ignored => b"+OK\r\n".to_vec(),
        Operation::ClientError => b"-ERR\r\n".to_vec(),
        Operation::Connect(json) => [b"CONNECT ", &json[..], b"\r\n"].concat(),
        Operation::Subscribe(Subscribe { filter, queue, sid }) => {
            format!("SUB {filter} {}{sid}\r\n", optional(queue)).into_bytes()
        }
        Operation::Unsubscribe { sid, max } => {
            let max = max.map_or(String::new(), |max| format!(" {max}"));
            format!("UNSUB {sid}{max}\r\n").into_bytes()
        }
        Operation::Publish(Publish { subject, reply, headers, body }) => {
            let head = headers.clone().unwrap_or_default();
            let size = head.len() + body.len();
            let line = match headers {
                Some(_) => format!("HPUB {subject} {}{} {size}\r\n", optional(reply), head.len()),
                None => format!("PUB {subject} {}{size}\r\n", optional(reply)),
            };
            [line.as_bytes(), &head, body, b"\r\n"].concat()
        }
    }
}

/// Cuts `bytes` at the places given.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut chunks = Vec::new();
    let mut start = 0;
    for place in places.into_iter().chain([bytes.len()]) {
        chunks.push(&bytes[start..place]);
        start = place;
    }
    chunks
}

proptest! {
    #[test]
    fn what_is_written_reads_back_however_it_is_cut(
        operations in prop::collection::vec(operation(), 0..12),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = operations.iter().map(written).collect::<Vec<_>>().concat();
        prop_assert_eq!(parse(&cut(&bytes, &places)), (operations, None));
    }

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..256),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(parse(&cut(&bytes, &places)), parse(&[&bytes]));
    }

    #[test]
    fn almost_the_protocol_gives_the_same_however_it_is_cut(
        words in prop::collection::vec(
            prop_oneof![
                "PUB|HPUB|SUB|UNSUB|PING|PONG|CONNECT|INFO", "[a-c>*.]{1,3}", "[0-9]{1,3}",
                Just(" ".to_owned()), Just("\r\n".to_owned()), Just("\n".to_owned()),
                Just("\t".to_owned()), "[a-z]{60,70}",
            ],
            0..40,
        ),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let text = words.concat();
        prop_assert_eq!(parse(&cut(text.as_bytes(), &places)), parse(&[text.as_bytes()]));
    }
}

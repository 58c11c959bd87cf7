//! Who listens here, and how many connections there are in each state.
//!
//! `/proc/net/tcp` and its like have a line for each connection; they are counted as they are read,
//! so a host with a million of them needs no more memory. Sockets that listen stand first.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use crate::read::{self, Row, Text};
use crate::{Context, Unavailable};

/// The kernel's states of TCP, by their numbers from 1.
const STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_received",
    "fin_wait_1",
    "fin_wait_2",
    "time_wait",
    "closed",
    "close_wait",
    "last_ack",
    "listening",
    "closing",
    "syn_received",
];

/// One line of such a table.
#[derive(Debug)]
struct Socket {
    address: IpAddr,
    port: u16,
    state: &'static str,
    uid: u32,
}

/// Sockets that listen, connections by state, and the kernel's own summary.
pub(crate) fn sockets(context: &Context) -> Result<Value, Unavailable> {
    let mut listening = Vec::new();
    let mut states: Map<String, Value> = Map::new();
    let mut any = false;
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let path = context.roots.proc.join("net").join(protocol);
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        let there = read::every_row(&path, context.bounds.list_bytes, |row| {
            let Some(socket) = socket(row, protocol.starts_with("udp"))? else { return Ok(()) };
            *counts.entry(socket.state).or_default() += 1;
            if socket.state == "listening" {
                listening.push(json!({
                    "proto": protocol,
                    "address": socket.address.to_string(),
                    "port": socket.port,
                    "uid": socket.uid,
                }));
            }
            if listening.len() > context.bounds.rows {
                let what = "the list of sockets that listen".to_owned();
                let limit = context.bounds.rows;
                return Err(Unavailable::TooLarge { what, limit, unit: "sockets" });
            }
            Ok(())
        })?;
        any |= there;
        if there {
            let counts: Map<String, Value> =
                counts.into_iter().map(|(state, count)| (state.to_owned(), count.into())).collect();
            states.insert(protocol.to_owned(), counts.into());
        }
    }
    if !any {
        return Err(Unavailable::Missing { path: context.roots.proc.join("net/tcp") });
    }
    Ok(json!({"listening": listening, "states": states, "summary": summary(context)?}))
}

/// `0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1234 …`; the
/// line of headings is none.
fn socket(row: Row<'_>, is_udp: bool) -> Result<Option<Socket>, Unavailable> {
    if row.text.trim_start().starts_with("sl") {
        return Ok(None);
    }
    let mut words = row.words();
    words.pass_over(1);
    let local = words.text("the local address")?;
    words.pass_over(1);
    let state = words.text("the state")?;
    words.pass_over(3);
    let uid = words.number("the user")?;
    let wrong = || row.malformed(format!("the local address is {local:?}"));
    let (address, port) = local.split_once(':').ok_or_else(wrong)?;
    let port = u16::from_str_radix(port, 16).map_err(|_unparsable| wrong())?;
    let address = address_of(address).ok_or_else(wrong)?;
    let number = usize::from_str_radix(state, 16).ok().and_then(|number| number.checked_sub(1));
    let state = number
        .and_then(|index| STATES.get(index).copied())
        .ok_or_else(|| row.malformed(format!("the state is {state:?}")))?;
    // A socket of UDP that is bound and not connected takes from everybody.
    let state = if is_udp && state == "closed" { "listening" } else { state };
    Ok(Some(Socket { address, port, state, uid }))
}

/// Words of 32 bits in hexadecimal, as they lie in memory.
fn address_of(text: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = text.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0_u8; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(index)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _other => None,
    }
}

/// `/proc/net/sockstat`: lines `TCP: inuse 3 orphan 0`.
fn summary(context: &Context) -> Result<Value, Unavailable> {
    let path = context.roots.proc.join("net/sockstat");
    let Some(text) = Text::read_if_there(path, context.bounds.file_bytes)? else {
        return Ok(Value::Null);
    };
    let mut families = Map::new();
    for row in text.rows() {
        let mut words = row.words();
        let Some(family) = words.next().and_then(|word| word.strip_suffix(':')) else {
            return Err(row.malformed("no \":\" behind the first word"));
        };
        let mut counts = Map::new();
        while let Some(name) = words.next() {
            counts.insert(name.to_owned(), words.number::<u64>(name)?.into());
        }
        families.insert(family.to_lowercase(), counts.into());
    }
    Ok(families.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn line(address: &str, port: u16, state: &str, uid: u32) -> String {
        format!(
            "  0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 \
             00000000  {uid} 0 1 1\n"
        )
    }

    fn word(bytes: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(bytes))
    }

    #[test]
    fn listeners_are_rows_and_the_others_are_counted() {
        let loopback = word([127, 0, 0, 1]);
        let tcp = format!(
            "  sl  local_address rem_address   st\n{}{}{}",
            line(&loopback, 22, "0A", 0),
            line(&loopback, 22, "01", 0),
            line(&loopback, 22, "01", 0),
        );
        let any6 = word([0; 4]).repeat(3) + &word([0, 0, 0, 1]);
        let udp6 = format!("  sl\n{}", line(&any6, 53, "07", 101));
        let machine = Machine::with(&[
            ("proc/net/tcp", &tcp),
            ("proc/net/udp6", &udp6),
            ("proc/net/sockstat", "sockets: used 25\nTCP: inuse 3 orphan 0\n"),
        ]);
        let expected = json!({
            "listening": [
                {"proto": "tcp", "address": "127.0.0.1", "port": 22, "uid": 0},
                {"proto": "udp6", "address": "::1", "port": 53, "uid": 101},
            ],
            "states": {"tcp": {"established": 2, "listening": 1}, "udp6": {"listening": 1}},
            "summary": {"sockets": {"used": 25}, "tcp": {"inuse": 3, "orphan": 0}},
        });
        assert_eq!(sockets(&machine.context()).unwrap(), expected);
    }

    #[test]
    fn wrong_text_has_a_place() {
        let rows = [
            (line("0100007F", 1, "FF", 0), "tcp:1: the state is \"FF\""),
            (line("01x", 1, "0A", 0), "tcp:1: the local address is \"01x:0001\""),
            ("0: 0100007F:0016\n".to_owned(), "tcp:1: the state is missing"),
        ];
        for (text, expected) in rows {
            let machine = Machine::with(&[("proc/net/tcp", &text)]);
            let error = sockets(&machine.context()).unwrap_err().reason();
            assert!(error.ends_with(expected), "{error}");
        }
        assert_eq!(sockets(&Machine::with(&[]).context()).unwrap_err().code(), "missing");
    }
}

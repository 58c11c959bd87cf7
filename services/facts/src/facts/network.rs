//! The network interfaces, their addresses and counters, and where packets go from here.
//!
//! Counters come from `/proc/net/dev` and names from `/sys/class/net`. Addresses come from sysinfo,
//! for IPv4 has no file of its own; so they are only told about the machine that this runs on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use crate::read::{Row, Text};
use crate::{Context, Unavailable};

/// Columns of `/proc/net/dev` and the names they have here.
const COUNTERS: [(usize, &str); 8] = [
    (0, "rx_bytes"),
    (1, "rx_packets"),
    (2, "rx_errors"),
    (3, "rx_dropped"),
    (8, "tx_bytes"),
    (9, "tx_packets"),
    (10, "tx_errors"),
    (11, "tx_dropped"),
];

/// Interfaces, default routes and name servers.
pub(crate) fn network(context: &Context) -> Result<Value, Unavailable> {
    let resolver = resolver(context)?;
    Ok(json!({
        "interfaces": interfaces(context)?,
        "gateways": gateways(context)?,
        "nameservers": resolver.servers,
        "search": resolver.search,
    }))
}

/// What `/etc/resolv.conf` says.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    pub(crate) servers: Vec<String>,
    pub(crate) search: Vec<String>,
}

pub(crate) fn resolver(context: &Context) -> Result<Resolver, Unavailable> {
    let path = context.roots.etc.join("resolv.conf");
    let mut resolver = Resolver::default();
    let Some(text) = Text::read_if_there(path, context.bounds.file_bytes)? else {
        return Ok(resolver);
    };
    for row in text.rows() {
        let mut words = row.words();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
            // The last of these lines counts.
            Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
            Some(_) | None => {}
        }
    }
    Ok(resolver)
}

fn interfaces(context: &Context) -> Result<Vec<Value>, Unavailable> {
    let limit = context.bounds.file_bytes;
    let text = Text::read(context.roots.proc.join("net/dev"), limit)?;
    let mut addresses = addresses(context);
    let mut rows = Vec::new();
    // Two lines of headings.
    for row in text.rows().skip(2) {
        let Some((name, counters)) = row.text.split_once(':') else {
            return Err(row.malformed("no \":\" behind the name"));
        };
        let name = name.trim();
        let folder = context.roots.sys.join("class/net").join(name);
        // What the interface is not able to tell, such as the speed of one that is down, is null.
        let told = |file: &str| {
            let text = Text::read(folder.join(file), limit).ok()?;
            Some(text.trimmed().to_owned()).filter(|text| !text.is_empty())
        };
        let number = |file: &str| told(file).and_then(|text| text.parse::<u64>().ok());
        let mut interface = Map::new();
        interface.insert("name".to_owned(), name.into());
        interface.insert("mac".to_owned(), told("address").into());
        interface.insert("mtu".to_owned(), number("mtu").into());
        interface.insert("state".to_owned(), told("operstate").into());
        interface.insert("speed_mbit".to_owned(), number("speed").into());
        let of_name = addresses.as_mut().map(|all| all.remove(name).unwrap_or_default());
        interface.insert("addresses".to_owned(), of_name.into());
        let counters: Vec<&str> = counters.split_ascii_whitespace().collect();
        for (column, name) in COUNTERS {
            let Some(counter) = counters.get(column) else {
                return Err(row.malformed(format!("{name} is missing")));
            };
            interface.insert(name.to_owned(), row.parse::<u64>(name, counter)?.into());
        }
        rows.push(Value::Object(interface));
        if rows.len() > context.bounds.rows {
            let what = "the list of interfaces".to_owned();
            let limit = context.bounds.rows;
            return Err(Unavailable::TooLarge { what, limit, unit: "interfaces" });
        }
    }
    Ok(rows)
}

/// The addresses of each interface as `ADDRESS/PREFIX`; `None` for a recorded machine.
fn addresses(context: &Context) -> Option<BTreeMap<String, Vec<String>>> {
    if !context.roots.are_here() {
        return None;
    }
    let networks = sysinfo::Networks::new_with_refreshed_list();
    let of_one = |(name, data): (&String, &sysinfo::NetworkData)| {
        let mut addresses: Vec<String> =
            data.ip_networks().iter().map(ToString::to_string).collect();
        addresses.sort_unstable();
        addresses.dedup();
        (name.clone(), addresses)
    };
    Some(networks.iter().map(of_one).collect())
}

fn gateways(context: &Context) -> Result<Vec<Value>, Unavailable> {
    let mut rows = Vec::new();
    let (proc, limit) = (&context.roots.proc, context.bounds.list_bytes);
    if let Some(text) = Text::read_if_there(proc.join("net/route"), limit)? {
        for row in text.rows().skip(1) {
            rows.extend(gateway(row)?);
        }
    }
    if let Some(text) = Text::read_if_there(proc.join("net/ipv6_route"), limit)? {
        for row in text.rows() {
            rows.extend(gateway6(row)?);
        }
    }
    Ok(rows)
}

/// `eth0 00000000 0100000A 0003 0 0 100 00000000 …`: hexadecimal, as it lies in memory.
fn gateway(row: Row<'_>) -> Result<Option<Value>, Unavailable> {
    let words: Vec<&str> = row.words().collect();
    let [interface, destination, gateway, _flags, _references, _use, metric, mask, ..] =
        words.as_slice()
    else {
        return Err(row.malformed("less than 8 words"));
    };
    if *destination != "00000000" || *mask != "00000000" || *gateway == "00000000" {
        return Ok(None);
    }
    let address = u32::from_str_radix(gateway, 16)
        .map_err(|_unparsable| row.malformed(format!("the gateway is {gateway:?}")))?;
    let address = Ipv4Addr::from(address.to_ne_bytes());
    let metric: u32 = row.parse("the metric", metric)?;
    Ok(Some(json!({"interface": interface, "address": address.to_string(), "metric": metric})))
}

/// Ten words, all hexadecimal but the last: destination and its length, source and its length, the
/// next hop, the metric, three more, the interface.
fn gateway6(row: Row<'_>) -> Result<Option<Value>, Unavailable> {
    let words: Vec<&str> = row.words().collect();
    let [destination, length, _source, _length, hop, metric, .., interface] = words.as_slice()
    else {
        return Err(row.malformed("less than 7 words"));
    };
    let is_default = *length == "00" && destination.bytes().all(|digit| digit == b'0');
    if !is_default || hop.bytes().all(|digit| digit == b'0') {
        return Ok(None);
    }
    let wrong = |what: &str| row.malformed(format!("the next hop or its metric is {what:?}"));
    let address = u128::from_str_radix(hop, 16).map_err(|_unparsable| wrong(hop))?;
    let metric = u32::from_str_radix(metric, 16).map_err(|_unparsable| wrong(metric))?;
    let address = Ipv6Addr::from(address).to_string();
    Ok(Some(json!({"interface": interface, "address": address, "metric": metric})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    const DEV: &str = "Inter-|   Receive   |  Transmit\n face |bytes packets|bytes packets\n\
        \x20 eth0: 100 2 3 4 0 0 0 0 500 6 7 8 0 0 0 0\n";

    #[test]
    fn interfaces_routes_and_servers_are_told() {
        let machine = Machine::with(&[
            ("proc/net/dev", DEV),
            ("sys/class/net/eth0/address", "52:54:00:12:34:56\n"),
            ("sys/class/net/eth0/mtu", "1500\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("proc/net/route", "Iface\nlo 0000007F 00000000 1 0 0 0 000000FF 0 0 0\n"),
            (
                "proc/net/ipv6_route",
                "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n",
            ),
            ("etc/resolv.conf", "# x\nnameserver 10.0.0.2\nsearch a.example b.example\n"),
        ]);
        let expected = json!({
            "interfaces": [{
                "name": "eth0", "mac": "52:54:00:12:34:56", "mtu": 1500, "state": "up",
                "speed_mbit": null, "addresses": null,
                "rx_bytes": 100, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4,
                "tx_bytes": 500, "tx_packets": 6, "tx_errors": 7, "tx_dropped": 8,
            }],
            "gateways": [{"interface": "eth0", "address": "fe80::1", "metric": 1024}],
            "nameservers": ["10.0.0.2"],
            "search": ["a.example", "b.example"],
        });
        assert_eq!(network(&machine.context()).unwrap(), expected);
    }

    #[test]
    fn a_gateway_is_read_as_it_lies_in_memory() {
        let hexadecimal = format!("{:08X}", u32::from_ne_bytes([10, 0, 0, 1]));
        let line = format!("Iface\neth0 00000000 {hexadecimal} 0003 0 0 100 00000000 0 0 0\n");
        let text = Text::of("/proc/net/route", &line);
        let told = gateway(text.rows().nth(1).unwrap()).unwrap().unwrap();
        assert_eq!(told, json!({"interface": "eth0", "address": "10.0.0.1", "metric": 100}));
    }

    #[test]
    fn wrong_text_has_a_place() {
        let machine =
            Machine::with(&[("proc/net/dev", "a\nb\neth0: 1 2 x 4 5 6 7 8 9 10 11 12\n")]);
        let error = network(&machine.context()).unwrap_err().reason();
        assert!(error.ends_with("proc/net/dev:3: rx_errors is \"x\""), "{error}");
    }
}

//! The full name of this machine: the kernel's, that of `/etc/hosts`, or that of the name servers.
//!
//! The name servers are asked by us and not through `getaddrinfo`: that cannot be ended when a
//! server is silent, and Rust's standard library does not pass on the name that it finds.

mod dns;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::network;
use crate::read::Text;
use crate::sources::names;
use crate::{Context, Unavailable};

/// Name servers that are asked, as many as the C library asks.
const SERVERS_MAX: usize = 3;
/// Domains that are tried, as many as old C libraries try.
const DOMAINS_MAX: usize = 6;
/// The longest that all of them together are waited for.
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// The full name, or the short one where nothing knows a longer.
pub(crate) fn fqdn(context: &Context) -> Result<Value, Unavailable> {
    let host = names::host(context)?;
    if host.contains('.') {
        return Ok(host.into());
    }
    if let Some(name) = in_hosts(context, &host)? {
        return Ok(name.into());
    }
    if !context.roots.are_here() {
        // The name servers of a recorded machine are not ours to ask.
        return Ok(host.into());
    }
    let resolver = network::resolver(context)?;
    let servers: Vec<SocketAddr> = resolver
        .servers
        .iter()
        .filter_map(|server| server.parse::<IpAddr>().ok())
        .take(SERVERS_MAX)
        .map(|server| (server, dns::PORT).into())
        .collect();
    let patience = context.patience(context.bounds.name_time).min(PATIENCE_MAX);
    Ok(ask(&servers, &resolver.search, &host, patience)?.unwrap_or(host).into())
}

/// The first name with a domain in a line that names this host.
fn in_hosts(context: &Context, host: &str) -> Result<Option<String>, Unavailable> {
    let path = context.roots.etc.join("hosts");
    let Some(text) = Text::read_if_there(path, context.bounds.file_bytes)? else {
        return Ok(None);
    };
    let lines = text.rows().map(|row| row.text.split('#').next().unwrap_or_default());
    let names = lines.map(|line| line.split_ascii_whitespace().skip(1).collect::<Vec<_>>());
    let ours = |name: &&str| *name == host || name.split('.').next() == Some(host);
    let found = names
        .filter(|names| names.contains(&host))
        .find_map(|names| names.into_iter().filter(|name| name.contains('.')).find(ours));
    Ok(found.map(str::to_owned))
}

/// Asks for the host in each domain, one server after another. `None` when they say that there is
/// no such name; an error when none of them said anything in time.
fn ask(
    servers: &[SocketAddr],
    domains: &[String],
    host: &str,
    patience: Duration,
) -> Result<Option<String>, Unavailable> {
    let until = Instant::now() + patience;
    let domains = domains.iter().take(DOMAINS_MAX).map(|domain| format!("{host}.{domain}"));
    let names: Vec<String> = domains.chain([host.to_owned()]).collect();
    let mut silent = !servers.is_empty();
    for server in servers {
        for name in &names {
            let left = until.saturating_duration_since(Instant::now());
            // Each server gets its share, so that a dead one leaves time for the next.
            let share = left.min(patience / u32::try_from(servers.len()).unwrap_or(1));
            match dns::canonical_name(*server, name, share) {
                dns::Answer::Name(name) if name.contains('.') => return Ok(Some(name)),
                dns::Answer::Name(_) | dns::Answer::Unknown => silent = false,
                dns::Answer::Silence => break,
            }
        }
        if !silent {
            return Ok(None);
        }
    }
    if silent { Err(Unavailable::TimedOut { after: patience }) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use std::net::UdpSocket;

    fn full_name(hosts: &str) -> Value {
        let machine = Machine::with(&[("proc/sys/kernel/hostname", "h1\n"), ("etc/hosts", hosts)]);
        fqdn(&machine.context()).unwrap()
    }

    #[test]
    fn hosts_name_this_machine_whatever_the_order() {
        assert_eq!(
            full_name("127.0.0.1 localhost\n10.0.0.1 h1.example.org h1 # x\n"),
            "h1.example.org"
        );
        assert_eq!(full_name("127.0.1.1 h1 h1.example.org\n"), "h1.example.org");
        assert_eq!(full_name("127.0.0.1 localhost.localdomain localhost h1\n"), "h1");
        assert_eq!(full_name("# 10.0.0.1 h1.example.org h1\n"), "h1");
        let machine = Machine::with(&[("proc/sys/kernel/hostname", "h1.b.org\n")]);
        assert_eq!(fqdn(&machine.context()).unwrap(), "h1.b.org");
    }

    #[test]
    fn silent_servers_are_a_timeout_and_none_is_an_answer() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let servers = [silent.local_addr().unwrap()];
        let patience = Duration::from_millis(50);
        let error = ask(&servers, &["example.org".to_owned()], "h1", patience).unwrap_err();
        assert_eq!(error.code(), "timeout");
        assert_eq!(ask(&[], &[], "h1", patience).unwrap(), None);
    }
}

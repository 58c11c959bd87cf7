//! The hosts of a remote action: a comma list of names, each with a port where it has its own.

use std::collections::HashMap;

/// The most hosts of one action: each is a process or two for a while.
pub(super) const HOSTS_MAX: usize = 500;
/// The most that are worked on at a time, as in StackStorm.
const AT_A_TIME_MAX: usize = 50;

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// What its result is called: the name, and the port where two hosts share a name.
    pub label: String,
    /// Name or address, without brackets.
    pub name: String,
    /// Its port, when it is not the one of the action.
    pub port: Option<u16>,
}

/// Reads the list; a host that is named twice is one.
pub(super) fn parse(text: &str) -> Result<Vec<Host>, String> {
    let mut hosts: Vec<Host> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, port) = split(item)?;
        check(name)?;
        let host = Host { label: item.to_owned(), name: name.to_owned(), port };
        if !hosts.iter().any(|known| known.name == host.name && known.port == host.port) {
            hosts.push(host);
        }
    }
    match hosts.len() {
        0 => return Err("the parameter \"hosts\" names no host".to_owned()),
        1..=HOSTS_MAX => {}
        more => {
            return Err(format!("{more} hosts are too many for one action: {HOSTS_MAX} may be"));
        }
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    for host in &hosts {
        *names.entry(host.name.clone()).or_default() += 1;
    }
    for host in &mut hosts {
        if names.get(&host.name) == Some(&1) {
            host.label.clone_from(&host.name);
        }
    }
    Ok(hosts)
}

/// How many of so many hosts are worked on at a time.
pub(super) fn at_a_time(hosts: usize) -> usize {
    (hosts / 3 + 1).min(AT_A_TIME_MAX)
}

/// The name and the port of `name:port`, `[address]:port`, or a bare name or address.
fn split(item: &str) -> Result<(&str, Option<u16>), String> {
    let port = |text: &str| {
        let port = text.parse::<u16>().ok().filter(|port| *port > 0);
        port.map(Some).ok_or_else(|| format!("{text:?} in the host {item:?} is not a port"))
    };
    if let Some(rest) = item.strip_prefix('[') {
        let (address, after) =
            rest.split_once(']').ok_or_else(|| format!("{item:?} is no host"))?;
        return match after.strip_prefix(':') {
            Some(text) => Ok((address, port(text)?)),
            None if after.is_empty() => Ok((address, None)),
            None => Err(format!("{item:?} is no host")),
        };
    }
    match item.split_once(':') {
        Some((name, text)) if !text.contains(':') => Ok((name, port(text)?)),
        // An IPv6 address without brackets has no port.
        Some(_) | None => Ok((item, None)),
    }
}

/// What would be an option of `ssh`, or another user, is no name of a host.
fn check(name: &str) -> Result<(), String> {
    let may = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(may) {
        return Err(format!("{name:?} is not the name of a host"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_their_ports() {
        let check = |text: &str, expected: &[(&str, &str, Option<u16>)]| {
            let found = parse(text).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|host| (host.label.as_str(), host.name.as_str(), host.port))
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check("web", &[("web", "web", None)]);
        check(" web , db:2222,", &[("web", "web", None), ("db", "db", Some(2222))]);
        check("::1,[fe80::1]:22", &[("::1", "::1", None), ("fe80::1", "fe80::1", Some(22))]);
        check("a:1,a:2,a:1", &[("a:1", "a", Some(1)), ("a:2", "a", Some(2))]);
        for bad in
            ["", ",", "a:x", "a:0", "a:70000", "-oProxyCommand=x", "u@h", "a b", "[::1", "$(x)"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..=HOSTS_MAX).map(|number| format!("h{number}")).collect();
        assert!(parse(&many.join(",")).is_err());
    }

    #[test]
    fn a_third_of_the_hosts_and_one_are_worked_on_at_a_time() {
        for (hosts, expected) in [(1, 1), (2, 1), (3, 2), (10, 4), (500, 50)] {
            assert_eq!(at_a_time(hosts), expected);
        }
    }
}

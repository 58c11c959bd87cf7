//! Reads a probe from its section, whose forms were examined before.

use std::time::Duration;

use hearken_proto::check::CheckStatus;
use serde_json::{Map, Value};

use super::{
    Composite, Dns, Family, Heartbeat, Http, Icmp, Plugin, Probe, Process, Smtp, Tcp, Udp, Xmpp,
    Zone,
};
use crate::definition::check::values::Values;

/// The most bytes of an answer that are read when nothing is said.
const BYTES_DEFAULT: u64 = 1024 * 1024;
/// Redirections that are followed when nothing is said.
const REDIRECTS_DEFAULT: u32 = 5;

impl Probe {
    /// Reads the probe `kind` from its examined section; or what is missing.
    pub(in crate::definition::check) fn read(
        kind: &str,
        section: &Map<String, Value>,
    ) -> Result<Self, String> {
        let values = Values(section);
        let need = |name: &str| values.text(name).ok_or_else(|| format!("{name} is missing"));
        let host = || values.text("host").unwrap_or_default();
        Ok(match kind {
            "plugin" => Self::Plugin(plugin(values)?),
            "http" => Self::Http(Box::new(http(values, need("url")?)?)),
            "tcp" => Self::Tcp(tcp(values, host())?),
            "udp" => Self::Udp(udp(values, host())?),
            "icmp" => Self::Icmp(Icmp {
                host: host(),
                count: values.small("count").unwrap_or(1),
                interval: values.span("interval").unwrap_or(Duration::from_secs(1)),
                size: values.small("size").unwrap_or(56),
                family: family(values),
            }),
            "dns" => Self::Dns(Dns {
                name: need("name")?,
                kind: values.text("type").unwrap_or_else(|| "A".to_owned()).to_uppercase(),
                server: values.text("server").unwrap_or_default(),
                port: port(values).unwrap_or(53),
                expect: values.texts("expect"),
                rcode: values.text("rcode").unwrap_or_else(|| "NOERROR".to_owned()).to_uppercase(),
                tcp: values.flag("tcp", false),
                family: family(values),
            }),
            "dns_zone" => Self::DnsZone(Zone {
                zone: need("zone")?,
                servers: values.texts("servers"),
                lag_max: values.small("lag_max").unwrap_or(0),
                family: family(values),
            }),
            "smtp" => Self::Smtp(smtp(values, host())),
            "xmpp" => Self::Xmpp(Xmpp {
                host: host(),
                port: port(values).unwrap_or(5222),
                domain: values.text("domain"),
                starttls: values.flag("starttls", false),
                insecure: values.flag("insecure", false),
                family: family(values),
            }),
            "disk" => Self::Disk(values.text("path").unwrap_or_else(|| "/".to_owned())),
            "load" => Self::Load(values.flag("per_cpu", false)),
            "memory" => Self::Memory,
            "swap" => Self::Swap,
            "uptime" => Self::Uptime,
            "process" => process(values)?,
            "systemd" => match values.texts("units") {
                units if units.is_empty() => return Err("units is missing".to_owned()),
                units => Self::Systemd(units),
            },
            "heartbeat" => Self::Heartbeat(Heartbeat {
                period: values.span("period").ok_or("period is missing")?,
                grace: values.span("grace").unwrap_or_default(),
            }),
            "composite" => composite(values)?,
            other => return Err(format!("{other:?} is no probe")),
        })
    }
}

fn plugin(values: Values<'_>) -> Result<Plugin, String> {
    let shell = values.flag("shell", false);
    let command = match (values.get("command"), shell) {
        (Some(Value::String(text)), false) => words(text)?,
        (Some(_), true) => vec![values.texts("command").join(" ")],
        (Some(_), false) => values.texts("command"),
        (None, _) => Vec::new(),
    };
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err("command is missing".to_owned());
    }
    Ok(Plugin {
        command,
        shell,
        environment: values.labels("environment"),
        timeout_status: values.text("timeout_status").and_then(|word| CheckStatus::parse(&word)),
    })
}

/// The words of a command: split at blanks, but not within quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("the command has a {quote} that does not end: write it as a list"));
    }
    words.extend(word);
    Ok(words)
}

fn http(values: Values<'_>, url: String) -> Result<Http, String> {
    let mut status = Vec::new();
    for text in values.texts("status") {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let code = |text: &str| text.trim().parse::<u16>().ok();
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => status.push((first, last)),
            _ => return Err(format!("status {text:?} is no code: write 200, or 200-299")),
        }
    }
    let password = values.text("password").unwrap_or_default();
    Ok(Http {
        url,
        method: values.text("method").unwrap_or_else(|| "GET".to_owned()),
        headers: values.labels("headers"),
        body: values.text("body"),
        status,
        contains: values.text("contains"),
        matches: values.text("matches"),
        vhost: values.text("vhost"),
        family: family(values),
        redirects: values.small("redirects").unwrap_or(REDIRECTS_DEFAULT),
        insecure: values.flag("insecure", false),
        credentials: values.text("user").map(|user| (user, password)),
        bytes_max: values.whole("bytes_max").unwrap_or(BYTES_DEFAULT),
    })
}

fn tcp(values: Values<'_>, host: String) -> Result<Tcp, String> {
    Ok(Tcp {
        host,
        port: port(values).ok_or("port is missing")?,
        send: values.text("send"),
        expect: values.text("expect"),
        matches: values.text("matches"),
        tls: values.flag("tls", false),
        insecure: values.flag("insecure", false),
        family: family(values),
    })
}

fn udp(values: Values<'_>, host: String) -> Result<Udp, String> {
    let bytes = |text: &str, digits: &str| match (values.text(text), values.text(digits)) {
        (Some(_), Some(_)) => Err(format!("{text} and {digits} are two ways to say one thing")),
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(text)) => {
            hex(&text).ok_or_else(|| format!("{digits} {text:?} is not in hexadecimal digits"))
        }
        (None, None) => Ok(Vec::new()),
    };
    Ok(Udp {
        host,
        port: port(values).ok_or("port is missing")?,
        send: bytes("send", "send_hex")?,
        expect: bytes("expect", "expect_hex")?,
        begins: values.get("expect_hex").is_some(),
        family: family(values),
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let byte = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit));
    digits.chunks(2).map(|pair| byte(pair).ok()).collect()
}

fn smtp(values: Values<'_>, host: String) -> Smtp {
    Smtp {
        host,
        port: port(values).unwrap_or(25),
        hello: values.text("hello"),
        from: values.text("from"),
        to: values.text("to"),
        commands: values.texts("commands"),
        responses: values.texts("responses"),
        starttls: values.flag("starttls", false),
        insecure: values.flag("insecure", false),
        family: family(values),
    }
}

fn process(values: Values<'_>) -> Result<Probe, String> {
    let process = Process {
        name: values.text("name"),
        command: values.text("command"),
        user: values.text("user"),
    };
    if process == Process::default() {
        return Err("name is missing: which processes are counted?".to_owned());
    }
    Ok(Probe::Process(process))
}

fn composite(values: Values<'_>) -> Result<Probe, String> {
    let of = values.texts("of");
    if of.is_empty() {
        return Err("of is missing: which checks does it follow from?".to_owned());
    }
    let all = u32::try_from(of.len()).unwrap_or(u32::MAX);
    let at_least = match values.small("at_least") {
        Some(wanted) if wanted > all => {
            return Err(format!("at_least {wanted} of {all} checks can never be good"));
        }
        Some(wanted) => wanted,
        None if values.flag("all", true) => all,
        None => 1,
    };
    Ok(Probe::Composite(Composite { of, at_least }))
}

fn port(values: Values<'_>) -> Option<u16> {
    values.whole("port").and_then(|port| u16::try_from(port).ok())
}

fn family(values: Values<'_>) -> Family {
    match values.text("family").as_deref() {
        Some("ipv4") => Family::Ipv4,
        Some("ipv6") => Family::Ipv6,
        Some(_) | None => Family::Any,
    }
}

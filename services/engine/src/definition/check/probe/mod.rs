//! What a check does: its probe, typed, with every option.
//!
//! Texts of a probe may name its host: `{{ host.ipv4 }}`, `{{ host.name }}`, `{{ labels.site }}`.
//! They are filled in when the file is read, so that a probe says the same wherever it runs.

mod read;

use std::collections::BTreeMap;
use std::time::Duration;

use hearken_proto::check::CheckStatus;

/// Which address of a host is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Whichever there is.
    #[default]
    Any,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// Runs a monitoring plugin.
    Plugin(Plugin),
    /// Asks a web server.
    Http(Box<Http>),
    /// Connects, sends, expects.
    Tcp(Tcp),
    /// Sends a datagram, expects one.
    Udp(Udp),
    /// Sends echo requests.
    Icmp(Icmp),
    /// Asks a name server.
    Dns(Dns),
    /// Asks all name servers of a zone.
    DnsZone(Zone),
    /// Talks to a mail server.
    Smtp(Smtp),
    /// Opens a stream to a Jabber server.
    Xmpp(Xmpp),
    /// Looks at the file system of this folder.
    Disk(String),
    /// Looks at the load, divided by the processors or not.
    Load(bool),
    /// Looks at the memory.
    Memory,
    /// Looks at the swap space.
    Swap,
    /// Looks at how long the machine runs.
    Uptime,
    /// Counts processes.
    Process(Process),
    /// Looks at these units.
    Systemd(Vec<String>),
    /// Waits to be told that something went well.
    Heartbeat(Heartbeat),
    /// Follows from other checks.
    Composite(Composite),
}

/// A plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plugin {
    /// The program and its arguments; one text with `shell`.
    pub command: Vec<String>,
    /// Whether a shell runs it.
    pub shell: bool,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// What the time limit means for the target; nothing: it is our failure.
    pub timeout_status: Option<CheckStatus>,
}

/// A request to a web server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// The address; a path alone is one of the check's host.
    pub url: String,
    /// The method.
    pub method: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Option<String>,
    /// Codes that are good, first to last; none: all below 400.
    pub status: Vec<(u16, u16)>,
    /// What the answer must contain.
    pub contains: Option<String>,
    /// What the answer must match.
    pub matches: Option<String>,
    /// Name of the server.
    pub vhost: Option<String>,
    /// Which address is used.
    pub family: Family,
    /// Redirections that are followed.
    pub redirects: u32,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// How much of the answer is read.
    pub bytes_max: u64,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tcp {
    /// Where; the check's host if empty.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What is sent.
    pub send: Option<String>,
    /// What the answer must contain.
    pub expect: Option<String>,
    /// What the answer must match.
    pub matches: Option<String>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Which address is used.
    pub family: Family,
}

/// A datagram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Udp {
    /// Where; the check's host if empty.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What is sent.
    pub send: Vec<u8>,
    /// What the answer must contain; with `begins`, what it must begin with.
    pub expect: Vec<u8>,
    /// Whether the answer must begin with it.
    pub begins: bool,
    /// Which address is used.
    pub family: Family,
}

/// Echo requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Icmp {
    /// Where; the check's host if empty.
    pub host: String,
    /// How many.
    pub count: u32,
    /// The pause between them.
    pub interval: Duration,
    /// Bytes in each.
    pub size: u32,
    /// Which address is used.
    pub family: Family,
}

/// A question to a name server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dns {
    /// The name.
    pub name: String,
    /// The type of record, in capitals.
    pub kind: String,
    /// The server; the check's host if empty.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// The answers, in any order; empty: any.
    pub expect: Vec<String>,
    /// The code of the answer.
    pub rcode: String,
    /// Whether TCP is used.
    pub tcp: bool,
    /// Which address is used.
    pub family: Family,
}

/// A zone on all of its servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Zone {
    /// The zone.
    pub zone: String,
    /// Its servers; empty: those it names.
    pub servers: Vec<String>,
    /// How far serials may be apart.
    pub lag_max: u32,
    /// Which addresses are asked.
    pub family: Family,
}

/// A talk with a mail server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Smtp {
    /// Where; the check's host if empty.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name that is said in the greeting.
    pub hello: Option<String>,
    /// Sender of a mail that is not sent.
    pub from: Option<String>,
    /// Its recipient.
    pub to: Option<String>,
    /// Commands after the greeting.
    pub commands: Vec<String>,
    /// What their answers must contain.
    pub responses: Vec<String>,
    /// Whether it becomes encrypted.
    pub starttls: bool,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Which address is used.
    pub family: Family,
}

/// A stream to a Jabber server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Xmpp {
    /// Where; the check's host if empty.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The domain that is asked for; the host's name if none.
    pub domain: Option<String>,
    /// Whether it becomes encrypted.
    pub starttls: bool,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Which address is used.
    pub family: Family,
}

/// Which processes are counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Name of the program.
    pub name: Option<String>,
    /// What the command line must match.
    pub command: Option<String>,
    /// Whose.
    pub user: Option<String>,
}

/// Something that is told from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heartbeat {
    /// How often at least.
    pub period: Duration,
    /// How much later it may come.
    pub grace: Duration,
}

/// Something that follows from other checks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Composite {
    /// The other checks.
    pub of: Vec<String>,
    /// How many of them must be good.
    pub at_least: u32,
}

/// How each kind is written, the field that a lone value stands for, and what it measures; nothing
/// where that depends on what it runs.
pub(in crate::definition::check) const KINDS: &[(&str, &str, &[&str])] = &[
    ("plugin", "command", &[]),
    (
        "http",
        "url",
        &["status", "seconds", "bytes", "body", "headers", "certificate_days", "redirects"],
    ),
    ("tcp", "port", &["seconds", "answer", "certificate_days"]),
    ("udp", "port", &["seconds", "answer"]),
    ("icmp", "host", &["loss", "seconds", "seconds_min", "seconds_max", "received"]),
    ("dns", "name", &["seconds", "answers", "rcode", "ttl"]),
    ("dns_zone", "zone", &["seconds", "serials", "servers", "lag"]),
    ("smtp", "host", &["seconds", "greeting", "certificate_days"]),
    ("xmpp", "host", &["seconds", "certificate_days"]),
    (
        "disk",
        "path",
        &["used_percent", "free_percent", "free_bytes", "total_bytes", "inodes_used_percent"],
    ),
    ("load", "per_cpu", &["load1", "load5", "load15"]),
    ("memory", "", &["used_percent", "available_percent", "available_bytes", "total_bytes"]),
    ("swap", "", &["used_percent", "free_bytes", "total_bytes"]),
    ("uptime", "", &["seconds"]),
    ("process", "name", &["count", "seconds_oldest", "memory_bytes"]),
    ("systemd", "units", &["failed", "active"]),
    ("heartbeat", "period", &["status"]),
    ("composite", "of", &["good", "bad"]),
];

impl Probe {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Plugin(_) => "plugin",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Icmp(_) => "icmp",
            Self::Dns(_) => "dns",
            Self::DnsZone(_) => "dns_zone",
            Self::Smtp(_) => "smtp",
            Self::Xmpp(_) => "xmpp",
            Self::Disk(_) => "disk",
            Self::Load(_) => "load",
            Self::Memory => "memory",
            Self::Swap => "swap",
            Self::Uptime => "uptime",
            Self::Process(_) => "process",
            Self::Systemd(_) => "systemd",
            Self::Heartbeat(_) => "heartbeat",
            Self::Composite(_) => "composite",
        }
    }

    /// What it measures, for thresholds and conditions; empty where that depends on what it runs.
    #[must_use]
    pub fn measures(&self) -> &'static [&'static str] {
        let found = KINDS.iter().find(|(kind, ..)| *kind == self.kind());
        found.map(|(.., measures)| *measures).unwrap_or_default()
    }

    /// Whether results of it come from outside and no schedule asks for them.
    #[must_use]
    pub const fn is_passive(&self) -> bool {
        matches!(self, Self::Heartbeat(_))
    }
}

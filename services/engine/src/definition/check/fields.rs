//! Every field of a file of checks, with its form: the one place that names them.

use super::form::Form::{
    Flag, Free, Limit, List, Names, Number, Parents, Pattern, Section, Short, Span, Spans, Text,
    Texts, Whole, Word,
};
use super::form::{Field, field};

/// The largest port.
const PORT: u64 = 65_535;
/// The most runs that an attempt may take: more is a check that is never heard.
const ATTEMPTS: u64 = 1_000;
/// The most ticks between two runs.
const TICKS: u64 = 100_000_000;

const FAMILIES: &[&str] = &["any", "ipv4", "ipv6"];
const LEVELS: &[&str] = &["warning", "critical", "unknown"];

/// The whole file.
pub(super) const FILE: &[Field] = &[
    field("description", Text, "What these checks are for."),
    field("base_tick", Span, "The length of a tick, for checks that count in ticks."),
    field("hosts", Names(&Section(HOST)), "Hosts by name."),
    field("templates", Names(&Section(CHECK)), "Fields that checks take over with `use`."),
    field("defaults", Section(CHECK), "Fields of all checks of this file."),
    field("checks", List(&Section(CHECK)), "The checks; one with several hosts is one for each."),
];

/// A host.
pub(super) const HOST: &[Field] = &[
    field("ipv4", Text, "Its IPv4 address."),
    field("ipv6", Text, "Its IPv6 address."),
    field("labels", Names(&Text), "What it is selected by."),
    field("parents", Parents, "Hosts or checks without which it cannot be reached."),
];

/// A check.
pub(super) const CHECK: &[Field] = &[
    field("name", Text, "Its name; with a host it is called host/name."),
    field("description", Text, "What it is for."),
    field("use", Texts, "Templates whose fields it takes over; later ones win, its own most."),
    field("enabled", Flag, "Whether it runs."),
    field("hosts", Texts, "Hosts it is for: one check for each."),
    field("labels", Names(&Text), "What it is selected by; those of its host are added."),
    field("parents", Parents, "Checks without which it cannot be reached; of a list one suffices."),
    field("alive", Flag, "Whether it says if its host can be reached at all."),
    field("every", Span, "How often it runs."),
    field("error_every", Span, "How often it runs while it is failed."),
    field("retry_every", Span, "How often it runs until a failure is certain."),
    field("cron", Section(CRON), "When it runs, exactly."),
    field("ticks", Section(TICK), "How often it runs, in ticks."),
    field("timeout", Span, "How long a run may take."),
    field("attempts", Section(ATTEMPT), "How many runs make a change certain."),
    field("warning", Names(&Limit), "Ranges of measured values outside of which it is a warning."),
    field("critical", Names(&Limit), "Ranges of measured values outside of which it is critical."),
    field("conditions", List(&Section(CONDITION)), "What must hold of the measured values."),
    field("plugin", Short("command", PLUGIN), "Runs a monitoring plugin."),
    field("http", Short("url", HTTP), "Asks a web server."),
    field("tcp", Short("port", TCP), "Connects, sends, expects."),
    field("udp", Section(UDP), "Sends a datagram, expects one."),
    field("icmp", Section(ICMP), "Sends echo requests."),
    field("dns", Short("name", DNS), "Asks a name server."),
    field("dns_zone", Short("zone", ZONE), "Asks all name servers of a zone for its serial."),
    field("smtp", Section(SMTP), "Talks to a mail server."),
    field("xmpp", Section(XMPP), "Opens a stream to a Jabber server."),
    field("disk", Short("path", DISK), "Looks at a file system."),
    field("load", Section(LOAD), "Looks at the load of this machine."),
    field("memory", Section(NONE), "Looks at the memory of this machine."),
    field("swap", Section(NONE), "Looks at the swap space of this machine."),
    field("uptime", Section(NONE), "Looks at how long this machine runs."),
    field("process", Short("name", PROCESS), "Counts processes."),
    field("systemd", Short("units", SYSTEMD), "Looks at units of systemd."),
    field("heartbeat", Short("period", HEARTBEAT), "Waits to be told that something went well."),
    field("composite", Section(COMPOSITE), "Follows from other checks."),
    field("flapping", Section(FLAPPING), "When changes are too many to tell of each."),
    field("freshness", Section(FRESHNESS), "When results are missed."),
    field("notify", Texts, "Contacts that are told."),
    field("notify_after", Span, "How long a problem lasts before anybody is told."),
    field("reminders", Spans, "Pauses between reminders; the last one repeats."),
    field("updates_every", Span, "The shortest pause between two updates of one incident."),
    field("escalation", List(&Section(ESCALATION)), "Who else is told, and when."),
    field("group", Section(GROUP), "What is told together."),
    field("maintenance", List(&Section(WINDOW)), "When problems are expected, again and again."),
    field("runbook", Text, "What to do about a problem, or where that stands."),
    field("compat", Word(&["picomon"]), "Whose habits it keeps."),
    field("picomon", Section(PICOMON), "What picomon's mails say of it."),
];

/// When something is due exactly.
pub(super) const CRON: &[Field] = &[
    field("year", Free, "Years."),
    field("month", Free, "Months."),
    field("day", Free, "Days of the month."),
    field("week", Free, "Weeks of the year."),
    field("day_of_week", Free, "Days of the week: mon-fri, or 0 for Monday."),
    field("hour", Free, "Hours."),
    field("minute", Free, "Minutes."),
    field("second", Free, "Seconds."),
    field("timezone", Text, "Time zone, such as Europe/Berlin; UTC when nothing is said."),
];

const TICK: &[Field] = &[
    field("every", Whole(1, TICKS), "Ticks between runs."),
    field("error_every", Whole(1, TICKS), "Ticks between runs while it is failed."),
    field("base_tick", Span, "The length of a tick."),
];

const ATTEMPT: &[Field] = &[
    field("failures", Whole(1, ATTEMPTS), "Bad runs in a row that make a failure."),
    field("recoveries", Whole(1, ATTEMPTS), "Good runs in a row that make a recovery."),
    field("tool", Whole(1, ATTEMPTS), "Runs in a row that cannot check at all and make a problem."),
];

const CONDITION: &[Field] = &[
    field("path", Text, "The measured value: status, or body.items[0]."),
    field("operator", Text, "How it is compared, as in criteria of rules; equals if left out."),
    field("pattern", Free, "With what."),
    field(
        "level",
        Word(LEVELS),
        "What it is if the condition does not hold; critical if left out.",
    ),
];

const NONE: &[Field] = &[];

const PLUGIN: &[Field] = &[
    field("command", Texts, "The program and its arguments; a single text is split at blanks."),
    field("shell", Flag, "Whether the command is one text for a shell."),
    field("environment", Names(&Text), "Environment variables."),
    field(
        "timeout_status",
        Word(LEVELS),
        "What the time limit means for what is checked, if it does.",
    ),
];

const HTTP: &[Field] = &[
    field("url", Text, "The address; a path alone is one of the check's host."),
    field(
        "method",
        Word(&["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]),
        "The method.",
    ),
    field("headers", Names(&Text), "Headers of the request."),
    field("body", Text, "Body of the request."),
    field("status", Texts, "Codes that are good: 200, or 200-299."),
    field("contains", Text, "What the answer must contain."),
    field("matches", Pattern, "What the answer must match."),
    field("vhost", Text, "Name of the server, where the address is a number."),
    field("family", Word(FAMILIES), "Which address is used."),
    field("redirects", Whole(0, 20), "How many redirections are followed."),
    field("insecure", Flag, "Whether a certificate that cannot be trusted is accepted."),
    field("user", Text, "Name for basic authentication."),
    field("password", Text, "Password for it."),
    field("bytes_max", Whole(1, 16 * 1024 * 1024), "How much of the answer is read."),
];

const TCP: &[Field] = &[
    field("host", Text, "Where; the check's host if left out."),
    field("port", Whole(1, PORT), "The port."),
    field("send", Text, "What is sent."),
    field("expect", Text, "What the answer must contain."),
    field("matches", Pattern, "What the answer must match."),
    field("tls", Flag, "Whether the connection is encrypted from the start."),
    field("insecure", Flag, "Whether a certificate that cannot be trusted is accepted."),
    field("family", Word(FAMILIES), "Which address is used."),
];

const UDP: &[Field] = &[
    field("host", Text, "Where; the check's host if left out."),
    field("port", Whole(1, PORT), "The port."),
    field("send", Text, "What is sent."),
    field("send_hex", Text, "What is sent, in hexadecimal digits."),
    field("expect", Text, "What the answer must contain; any answer is good if left out."),
    field("expect_hex", Text, "What the answer must begin with, in hexadecimal digits."),
    field("family", Word(FAMILIES), "Which address is used."),
];

const ICMP: &[Field] = &[
    field("host", Text, "Where; the check's host if left out."),
    field("count", Whole(1, 100), "How many requests are sent."),
    field("interval", Span, "The pause between them."),
    field("size", Whole(0, 65_000), "Bytes in each."),
    field("family", Word(FAMILIES), "Which address is used."),
];

const DNS: &[Field] = &[
    field("name", Text, "The name that is asked for."),
    field("type", Text, "The type of record: A, AAAA, MX …"),
    field("server", Text, "The name server; the check's host if left out."),
    field("port", Whole(1, PORT), "Its port."),
    field("expect", Texts, "The answers, in any order; any answer is good if left out."),
    field("rcode", Text, "The code of the answer; NOERROR if left out."),
    field("tcp", Flag, "Whether TCP is used."),
    field("family", Word(FAMILIES), "Which address is used."),
];

const ZONE: &[Field] = &[
    field("zone", Text, "The zone."),
    field("servers", Texts, "Its name servers; those that it names itself if left out."),
    field("lag_max", Whole(0, 1_000_000), "How far serials may be apart."),
    field("family", Word(FAMILIES), "Which addresses are asked."),
];

const SMTP: &[Field] = &[
    field("host", Text, "Where; the check's host if left out."),
    field("port", Whole(1, PORT), "The port."),
    field("hello", Text, "The name that is said in the greeting."),
    field("from", Text, "Sender of a mail that is not sent."),
    field("to", Text, "Its recipient."),
    field("commands", Texts, "Commands that are sent after the greeting."),
    field("responses", Texts, "What their answers must contain."),
    field("starttls", Flag, "Whether the connection is to be encrypted on the way."),
    field("insecure", Flag, "Whether a certificate that cannot be trusted is accepted."),
    field("family", Word(FAMILIES), "Which address is used."),
];

const XMPP: &[Field] = &[
    field("host", Text, "Where; the check's host if left out."),
    field("port", Whole(1, PORT), "The port."),
    field("domain", Text, "The domain that is asked for."),
    field("starttls", Flag, "Whether the connection is to be encrypted on the way."),
    field("insecure", Flag, "Whether a certificate that cannot be trusted is accepted."),
    field("family", Word(FAMILIES), "Which address is used."),
];

const DISK: &[Field] = &[field("path", Text, "A folder of the file system.")];
const LOAD: &[Field] = &[field("per_cpu", Flag, "Whether the load is divided by the processors.")];

const PROCESS: &[Field] = &[
    field("name", Text, "Name of the program."),
    field("command", Pattern, "What its command line must match."),
    field("user", Text, "Whose processes."),
];

const SYSTEMD: &[Field] = &[field("units", Texts, "Units that must run.")];

const HEARTBEAT: &[Field] = &[
    field("period", Span, "How often it is told at least."),
    field("grace", Span, "How much later it may come."),
];

const COMPOSITE: &[Field] = &[
    field("of", Texts, "The other checks."),
    field("all", Flag, "Whether all must be good."),
    field("at_least", Whole(1, 10_000), "How many must be good."),
];

const FLAPPING: &[Field] = &[
    field("high", Number(1.0, 100.0), "Percent of changes from which on it flaps."),
    field("low", Number(0.0, 100.0), "Percent of changes below which it does no more."),
];

const FRESHNESS: &[Field] = &[
    field("within", Span, "How long after a result the next must have come."),
    field("status", Word(LEVELS), "What it means for what is checked if none comes."),
];

const ESCALATION: &[Field] = &[
    field("after", Span, "How long a problem lasts before they are told."),
    field("notify", Texts, "Contacts that are told."),
];

const GROUP: &[Field] = &[
    field("by", Texts, "Labels that checks of one group share."),
    field("wait", Span, "How long others may join before anybody is told."),
];

/// A window of maintenance.
pub(super) const WINDOW: &[Field] = &[
    field("opens", Section(CRON), "When it opens."),
    field("lasts", Span, "How long it stays open."),
];

const PICOMON: &[Field] = &[
    field("class", Text, "Name of its class."),
    field("target", Text, "Name of what it checks."),
    field("shown", Text, "The check as picomon prints it."),
];

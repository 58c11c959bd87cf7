//! Subjects: the addresses of entries, as values.
//!
//! `hearken.event.<pack>.<trigger…>`, `hearken.transition.<kind>.<id>` and so on: the table in
//! `proto/README.md`. Ids percent-encode what is structure on the wire (`. * > %` and blanks), so
//! that one id is one token; triggers keep their dots.

use std::fmt;

use crate::Stream;

/// The longest subject a bus accepts, in bytes.
pub const LENGTH_MAX: usize = 512;

/// Why a text is not a subject of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Empty, too long, blank characters, or an empty token.
    #[error("{0:?} is not a subject: tokens are printable, not empty, and joined by dots")]
    Malformed(String),
    /// A well-formed subject that has no place in the table.
    #[error("{0:?} is no subject of this installation")]
    Foreign(String),
}

/// The part of a subject after the prefix, as a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A fact. The trigger is `<pack>.<name>`, its name may hold dots.
    Event {
        /// Trigger reference, pack included.
        trigger: String,
    },
    /// Work for runners.
    ActionRequest {
        /// Runners that may take it; `any` unless the action names a pool.
        pool: String,
        /// Pack of the action.
        pack: String,
        /// Name of the action within its pack; may hold dots.
        action: String,
    },
    /// Something a contact is to be told.
    NoticeRequest {
        /// How it is sent: `mail`, `webhook` …
        channel: String,
    },
    /// What one run of a check found.
    CheckResult {
        /// The check.
        check: String,
    },
    /// A state change of one entity.
    Transition {
        /// What kind of entity: execution, rule, schedule, runner, pack …
        kind: Kind,
        /// The entity.
        id: String,
    },
    /// The last value of an entity that must outlive retention.
    State {
        /// What kind of entity.
        kind: Kind,
        /// The entity.
        id: String,
    },
    /// Something that could not be decoded or kept failing.
    Deadletter {
        /// Why, one word.
        reason: String,
    },
    /// A chunk of what a running action prints.
    Output {
        /// The execution that printed it.
        execution: String,
    },
    /// A hint or a question to a service; never stored.
    Control {
        /// The service asked.
        service: String,
        /// The host asked, or `any`.
        host: String,
    },
}

/// The kinds of entities whose states are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One run of an action.
    Execution,
    /// What became of one rule for one event, when it was not a request.
    Enforcement,
    /// Whether a rule is switched on.
    Rule,
    /// One timer.
    Schedule,
    /// One process that runs actions.
    Runner,
    /// One sensor of a pack: how it does, and where it runs.
    Sensor,
    /// One pack.
    Pack,
    /// The set of definitions in force.
    Definitions,
    /// The right of one replica to do something alone.
    Lease,
    /// Who may start and who waits, because of a policy.
    Gate,
    /// What a fold remembers.
    Fold,
    /// One check: how it stands.
    Check,
    /// One spell of failure.
    Incident,
    /// One silence.
    Silence,
    /// One notice: what became of it.
    Notice,
    /// One key of the datastore; its id is `<scope>.<name>`, and its scope is a token of its own.
    Kv,
}

impl Kind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 16] = [
        Self::Execution,
        Self::Enforcement,
        Self::Rule,
        Self::Schedule,
        Self::Runner,
        Self::Sensor,
        Self::Pack,
        Self::Definitions,
        Self::Lease,
        Self::Gate,
        Self::Fold,
        Self::Check,
        Self::Incident,
        Self::Silence,
        Self::Notice,
        Self::Kv,
    ];

    /// The token on the wire.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Execution => "execution",
            Self::Enforcement => "enforcement",
            Self::Rule => "rule",
            Self::Schedule => "schedule",
            Self::Runner => "runner",
            Self::Sensor => "sensor",
            Self::Pack => "pack",
            Self::Definitions => "definitions",
            Self::Lease => "lease",
            Self::Gate => "gate",
            Self::Fold => "fold",
            Self::Check => "check",
            Self::Incident => "incident",
            Self::Silence => "silence",
            Self::Notice => "notice",
            Self::Kv => "kv",
        }
    }

    fn parse(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.token() == token)
    }
}

impl Subject {
    /// The subject of an event of `trigger` (`pack.name`).
    #[must_use]
    pub fn event(trigger: &str) -> Self {
        Self::Event { trigger: trigger.to_owned() }
    }

    /// The subject of the transitions of one entity.
    #[must_use]
    pub fn transition(kind: Kind, id: &str) -> Self {
        Self::Transition { kind, id: id.to_owned() }
    }

    /// The subject of the last value of one entity.
    #[must_use]
    pub fn state(kind: Kind, id: &str) -> Self {
        Self::State { kind, id: id.to_owned() }
    }

    /// Reads a full subject that starts with `prefix`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what no bus would carry, [`Error::Foreign`] for other subjects.
    pub fn parse(prefix: &str, text: &str) -> Result<Self, Error> {
        if !is_literal(text) {
            return Err(Error::Malformed(text.to_owned()));
        }
        let foreign = || Error::Foreign(text.to_owned());
        let rest = text
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .ok_or_else(foreign)?;
        let (family, rest) = rest.split_once('.').ok_or_else(foreign)?;
        parse_family(family, rest).ok_or_else(foreign)
    }

    /// The stream that keeps this subject; `None` for what is not stored.
    #[must_use]
    pub const fn stream(&self) -> Option<Stream> {
        match self {
            Self::Event { .. } => Some(Stream::Events),
            Self::ActionRequest { .. }
            | Self::NoticeRequest { .. }
            | Self::CheckResult { .. }
            | Self::Transition { .. }
            | Self::Deadletter { .. } => Some(Stream::Log),
            Self::State { .. } => Some(Stream::State),
            Self::Output { .. } => Some(Stream::Samples),
            Self::Control { .. } => None,
        }
    }

    /// The full subject under `prefix`.
    #[must_use]
    pub fn under(&self, prefix: &str) -> String {
        format!("{prefix}.{self}")
    }
}

fn parse_family(family: &str, rest: &str) -> Option<Subject> {
    let two = || rest.split_once('.');
    Some(match family {
        "event" => {
            two()?;
            Subject::event(rest)
        }
        "request" => match two()? {
            ("action", rest) => {
                let (pool, rest) = rest.split_once('.')?;
                let (pack, action) = rest.split_once('.')?;
                Subject::ActionRequest {
                    pool: decode(pool)?,
                    pack: decode(pack)?,
                    action: action.to_owned(),
                }
            }
            ("notice", channel) => Subject::NoticeRequest { channel: decode(channel)? },
            _ => return None,
        },
        "result" => Subject::CheckResult { check: decode(rest.strip_prefix("check.")?)? },
        "transition" => {
            let (kind, id) = two()?;
            Subject::Transition { kind: Kind::parse(kind)?, id: decode(id)? }
        }
        "state" => {
            let (kind, id) = two()?;
            Subject::State { kind: Kind::parse(kind)?, id: decode(id)? }
        }
        "deadletter" => Subject::Deadletter { reason: decode(rest)? },
        "sample" => Subject::Output { execution: decode(rest.strip_prefix("output.")?)? },
        "control" => {
            let (service, host) = two()?;
            Subject::Control { service: decode(service)?, host: decode(host)? }
        }
        _ => return None,
    })
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { trigger } => write!(f, "event.{trigger}"),
            Self::ActionRequest { pool, pack, action } => {
                write!(f, "request.action.{}.{}.{action}", encode(pool), encode(pack))
            }
            Self::NoticeRequest { channel } => write!(f, "request.notice.{}", encode(channel)),
            Self::CheckResult { check } => write!(f, "result.check.{}", encode(check)),
            Self::Transition { kind, id } => {
                write!(f, "transition.{}.{}", kind.token(), encode(id))
            }
            Self::State { kind: Kind::Kv, id } => {
                let (scope, name) = id.split_once('.').unwrap_or(("system", id));
                write!(f, "state.kv.{}.{}", encode(scope), encode(name))
            }
            Self::State { kind, id } => write!(f, "state.{}.{}", kind.token(), encode(id)),
            Self::Deadletter { reason } => write!(f, "deadletter.{}", encode(reason)),
            Self::Output { execution } => write!(f, "sample.output.{}", encode(execution)),
            Self::Control { service, host } => {
                write!(f, "control.{}.{}", encode(service), encode(host))
            }
        }
    }
}

/// Whether `text` can be published to: printable tokens, none empty, no wildcard.
#[must_use]
pub fn is_literal(text: &str) -> bool {
    is_filter(text) && !text.split('.').any(|token| token == "*" || token == ">")
}

/// Whether `text` can be subscribed to: a literal subject, `*` for one token, `>` at the end.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    if text.is_empty() || text.len() > LENGTH_MAX {
        return false;
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return false;
    }
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        if token.is_empty() || (token == ">" && tokens.peek().is_some()) {
            return false;
        }
    }
    true
}

/// Whether the literal `subject` is one that `filter` selects.
#[must_use]
pub fn matches(filter: &str, subject: &str) -> bool {
    let mut subject_tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, subject_tokens.next()) {
            (">", Some(_)) => return true,
            (_, None) => return false,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    subject_tokens.next().is_none()
}

/// Writes an id as one token: structure characters become `%XX`.
#[must_use]
pub fn encode(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for c in id.chars() {
        let structure = matches!(c, '.' | '*' | '>' | '%') || c.is_whitespace() || c.is_control();
        if structure {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                token.push('%');
                token.push(hex_digit(byte >> 4));
                token.push(hex_digit(byte & 15));
            }
        } else {
            token.push(c);
        }
    }
    token
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).map_or('0', |c| c.to_ascii_uppercase())
}

/// Reads a token back into the id it stands for; `None` when an escape is broken.
#[must_use]
pub fn decode(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_reads_back_as_written() {
        let subjects = [
            Subject::event("core.st2.webhook"),
            Subject::ActionRequest {
                pool: "any".into(),
                pack: "web".into(),
                action: "vault.encrypt".into(),
            },
            Subject::NoticeRequest { channel: "mail".into() },
            Subject::CheckResult { check: "db.example/disk /var".into() },
            Subject::transition(Kind::Execution, "a.b *%>ü"),
            Subject::transition(Kind::Notice, "6957353500112233445566aa-2"),
            Subject::state(Kind::Check, "db.example/disk /var"),
            Subject::state(Kind::Incident, "6957353500112233445566aa"),
            Subject::state(Kind::Silence, "17"),
            Subject::state(Kind::Schedule, "x y"),
            Subject::state(Kind::Kv, "system.a.b: c"),
            Subject::Deadletter { reason: "undecodable".into() },
            Subject::Output { execution: "6".into() },
            Subject::Control { service: "actions".into(), host: "db.example".into() },
        ];
        for subject in subjects {
            let text = subject.under("hearken");
            assert_eq!(Subject::parse("hearken", &text), Ok(subject), "{text}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let texts = [
            "",
            "hearken",
            "hearken.event",
            "hearken.event.shop",
            "hearken.request.notice",
            "hearken.result.web1",
            "other.event.a.b",
        ];
        for text in texts {
            assert!(Subject::parse("hearken", text).is_err(), "{text}");
        }
        assert_eq!(
            Subject::parse("hearken", "hearken.event.a b"),
            Err(Error::Malformed("hearken.event.a b".into()))
        );
    }

    #[test]
    fn filters_select_as_nats_does() {
        let rows = [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("*.b", "a.b", true),
            ("a.b.c", "a.b", false),
        ];
        for (filter, subject, expected) in rows {
            assert_eq!(matches(filter, subject), expected, "{filter} {subject}");
        }
        assert!(!is_filter("a.>.b"));
        assert!(!is_filter("a..b"));
        assert!(!is_literal("a.*"));
    }
}

//! The streams, what they are called, and what each does when it is full.

/// One of the ordered, durable streams of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Facts, kept by age. Full: the publisher gets an error.
    Events,
    /// Requests, transitions, results and dead letters. Full: refused, with an alarm before.
    Log,
    /// The last value of each entity, without age.
    State,
    /// Measurements and output chunks. Full: the oldest go.
    Samples,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 4] = [Self::Events, Self::Log, Self::State, Self::Samples];

    /// The name without prefix, upper case as NATS streams are.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "EVENTS",
            Self::Log => "LOG",
            Self::State => "STATE",
            Self::Samples => "SAMPLES",
        }
    }

    /// The stream called `name`, case ignored.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name().eq_ignore_ascii_case(name))
    }

    /// The name on a NATS server that may serve several installations: `<prefix>-<name>`.
    #[must_use]
    pub fn under(self, prefix: &str) -> String {
        format!("{}-{}", prefix.replace('.', "_"), self.name())
    }

    /// The subject families it keeps, without prefix.
    #[must_use]
    pub const fn families(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["event.>"],
            Self::Log => &["request.>", "transition.>", "result.>", "deadletter.>"],
            Self::State => &["state.>"],
            Self::Samples => &["sample.>"],
        }
    }

    /// The stream that keeps `subject` (prefix included) in an installation called `prefix`.
    #[must_use]
    pub fn of(prefix: &str, subject: &str) -> Option<Self> {
        let rest = subject.strip_prefix(prefix)?.strip_prefix('.')?;
        let (family, rest) = rest.split_once('.')?;
        if rest.is_empty() {
            return None;
        }
        match family {
            "event" => Some(Self::Events),
            "request" | "transition" | "result" | "deadletter" => Some(Self::Log),
            "state" => Some(Self::State),
            "sample" => Some(Self::Samples),
            _ => None,
        }
    }
}

//! Failures as a user meets them, and the exit codes they end in.
//!
//! The codes are a contract: scripts branch on them. `tests/cli.rs` holds them.

pub(crate) use hearken_kit::chain;

/// Done, or the answer is yes.
pub(crate) const EXIT_OK: u8 = 0;
/// The answer is no, or what was run has failed.
pub(crate) const EXIT_NO: u8 = 1;
/// The command line or the configuration is wrong.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The server or the bus cannot be reached.
pub(crate) const EXIT_UNREACHABLE: u8 = 3;
/// A bug of ours.
pub(crate) const EXIT_BUG: u8 = 70;

/// What went wrong, where, why, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// What was attempted, and why it did not work.
    pub what: String,
    /// A file with its line, an address, or another place to look at.
    pub place: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    fn new(code: u8, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), place: None, hint: None }
    }

    /// Ends in a code of its verb's own.
    pub(crate) fn coded(code: u8, what: impl Into<String>) -> Self {
        Self::new(code, what)
    }

    /// The answer is no.
    pub(crate) fn no(what: impl Into<String>) -> Self {
        Self::new(EXIT_NO, what)
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(EXIT_USAGE, what)
    }

    /// The server or the bus cannot be reached.
    pub(crate) fn unreachable(what: impl Into<String>) -> Self {
        Self::new(EXIT_UNREACHABLE, what)
    }

    /// Says where to look.
    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The code to end with.
    pub(crate) const fn exit_code(&self) -> u8 {
        self.code
    }
}

impl From<hearken_kit::bus::Error> for Failure {
    fn from(error: hearken_kit::bus::Error) -> Self {
        use hearken_kit::bus::Error;
        let text = chain(&error);
        if matches!(error, Error::Denied(_)) {
            return Self::usage(text)
                .hint("give --creds, --nkey, --nats-token or user:password@ in the address");
        }
        if matches!(error, Error::Configuration(_)) {
            return Self::usage(text);
        }
        if error.is_transient() { Self::unreachable(text) } else { Self::no(text) }
    }
}

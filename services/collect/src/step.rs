//! What a run tells while it goes on, and how CaLink wrote it.

use hearken_proto::Timestamp;
use jiff::tz::TimeZone;
pub use jiff::tz::TimeZone as Zone;

/// The zone of this machine.
#[must_use]
pub fn local_zone() -> Zone {
    Zone::system()
}

/// One thing that was done, or was missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part of the run begins.
    Phase(String),
    /// Something within it was done.
    Done(String),
    /// Something within it is missing.
    Missing(String),
}

impl Step {
    /// The line that CaLink wrote of it, in local time.
    #[must_use]
    pub fn line(&self, now: Timestamp, zone: &TimeZone) -> String {
        let now = jiff::Timestamp::from_nanosecond(i128::from(now.nanos()));
        let now = now.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
        let millis = now.subsec_nanosecond() / 1_000_000;
        let (indent, bullet, text) = match self {
            Self::Phase(text) => (3, '+', text),
            Self::Done(text) => (10, '+', text),
            Self::Missing(text) => (10, '-', text),
        };
        let text: String =
            text.chars().flat_map(|letter| letter.escape_default_if_control()).collect();
        format!(
            "{},{millis:03} [MainThread  ] [INFO ]{:indent$}{bullet} {text}",
            now.strftime("%Y-%m-%d %H:%M:%S"),
            "",
        )
    }
}

/// Control characters in words: a name in a log must not be able to write lines of its own.
trait EscapeControl {
    fn escape_default_if_control(self) -> Vec<char>;
}

impl EscapeControl for char {
    fn escape_default_if_control(self) -> Vec<char> {
        if self.is_control() { self.escape_default().collect() } else { vec![self] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_calink() {
        let now = Timestamp::from_nanos(1_414_531_750_123_456_789);
        for (step, expected) in [
            (Step::Phase("Getting filepaths".into()), "   + Getting filepaths"),
            (Step::Done("Getting CPU informations".into()), "          + Getting CPU informations"),
            (Step::Missing("get\nfiles".into()), "          - get\\nfiles"),
        ] {
            let expected = format!("2014-10-28 21:29:10,123 [MainThread  ] [INFO ]{expected}");
            assert_eq!(step.line(now, &TimeZone::UTC), expected);
        }
    }
}

//! Moments as people and machines write them.
//!
//! Two readers, one after the other, as StackStorm has them: strict ISO 8601 (`ciso8601`), then a
//! port of what `dateutil` makes of free text. The second fills in what is missing from today and
//! ignores names of zones that it does not know, which then count as UTC.

mod iso;
mod people;
mod tokens;

use hearken_proto::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A moment that was read: what the clock on the wall shows, and where that wall stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Date and time as written.
    pub civil: DateTime,
    /// Distance from UTC in seconds; none when the text names no zone that is known.
    pub offset_seconds: Option<i32>,
}

impl Moment {
    /// Nanoseconds since the Unix epoch; what names no zone is in UTC.
    #[must_use]
    pub fn utc_nanos(&self) -> i128 {
        let Ok(zoned) = self.civil.to_zoned(TimeZone::UTC) else {
            return 0;
        };
        let offset = i128::from(self.offset_seconds.unwrap_or(0));
        zoned.timestamp().as_nanosecond() - offset * 1_000_000_000
    }
}

/// Reads a moment; what the text leaves out is taken from the day of `now`.
#[must_use]
pub fn parse(text: &str, now: Timestamp) -> Option<Moment> {
    iso::parse(text).or_else(|| people::parse(text, day_of(now)?))
}

fn day_of(now: Timestamp) -> Option<Date> {
    let instant = jiff::Timestamp::from_second(now.seconds()).ok()?;
    Some(instant.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked against ciso8601 2.4 and dateutil, with 2026-01-02 for today (a Friday).
    #[test]
    fn moments_are_read_as_python_reads_them() {
        let rows = [
            ("2026-01-02T03:04:05Z", Some(("2026-01-02T03:04:05", Some(0)))),
            ("2026-01-02 03:04:05.123456789", Some(("2026-01-02T03:04:05.123456", None))),
            ("20260102T030405+0130", Some(("2026-01-02T03:04:05", Some(5_400)))),
            ("2026-01-02T03:04:05-05", Some(("2026-01-02T03:04:05", Some(-18_000)))),
            ("2026-01-02T24:00", Some(("2026-01-03T00:00:00", None))),
            ("2014", Some(("2014-01-02T00:00:00", None))),
            ("2014-03", Some(("2014-03-01T00:00:00", None))),
            ("20140304", Some(("2014-03-04T00:00:00", None))),
            ("2014-063", Some(("2014-03-04T00:00:00", None))),
            ("2014-W10-1", Some(("2014-03-03T00:00:00", None))),
            ("14", Some(("2026-01-14T00:00:00", None))),
            ("Fri", Some(("2026-01-02T00:00:00", None))),
            ("Thu", Some(("2026-01-08T00:00:00", None))),
            ("January 5, 2014 10:00 PM", Some(("2014-01-05T22:00:00", None))),
            ("5 Jan 2014", Some(("2014-01-05T00:00:00", None))),
            ("03/04/2014", Some(("2014-03-04T00:00:00", None))),
            ("13/04/2014", Some(("2014-04-13T00:00:00", None))),
            ("04.03.14", Some(("2014-04-03T00:00:00", None))),
            ("10:30:15.5", Some(("2026-01-02T10:30:15.5", None))),
            ("10h 30m", Some(("2026-01-02T10:30:00", None))),
            ("13pm", Some(("2026-01-02T13:00:00", None))),
            ("99-01-01", Some(("1999-01-01T00:00:00", None))),
            ("140304", Some(("2004-03-14T00:00:00", None))),
            ("1st of May 2014", Some(("2014-05-01T00:00:00", None))),
            ("Tue Mar  4 10:00:00 CET 2014", Some(("2014-03-04T10:00:00", None))),
            ("Feb", Some(("2026-02-02T00:00:00", None))),
            ("12am", Some(("2026-01-02T00:00:00", None))),
            ("Fri, 02 Jan 2026 04:04:00 +0100", Some(("2026-01-02T04:04:00", Some(3_600)))),
            ("2026-01-02 03:04:00 EST", Some(("2026-01-02T03:04:00", None))),
            ("2026-01-02 03:04:00 GMT+3", Some(("2026-01-02T03:04:00", Some(-10_800)))),
            ("Sep 2014", Some(("2014-09-02T00:00:00", None))),
            ("2014-02-30", None),
            ("2014-13-01", None),
            ("1394000000", None),
            ("True", None),
            ("None", None),
            ("", None),
            ("not a date", None),
            ("25:00", None),
        ];
        let now = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
        let mut wrong = Vec::new();
        for (text, expected) in rows {
            let expected = expected.map(|(civil, offset_seconds)| Moment {
                civil: civil.parse().unwrap(),
                offset_seconds,
            });
            let actual = parse(text, now);
            if actual != expected {
                wrong.push(format!("{text:?}: {actual:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

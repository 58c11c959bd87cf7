//! The search for the next moment that all fields of a cron timer accept.
//!
//! This is APScheduler 3.11's algorithm: fields are checked from the year down, the first that does
//! not fit is moved on and everything below starts at its minimum. Steps of an hour and less go
//! through UTC, so that an hour that comes twice is seen twice; a time that a change of clocks
//! leaves out happens at the same distance from midnight as on other days.
//!
//! One difference, on purpose: moving on by a day or more starts at midnight on the wall. There it
//! starts an hour late after clocks went forward, and a timer at 00:30 misses that night.

use hearken_proto::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde_json::Value;

use super::field::{Field, Name};
use crate::definition::Problem;

/// Most steps of one search: a date that never comes takes a few per year until 9999.
const STEPS_MAX: usize = 100_000;

/// A cron timer.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    fields: Vec<Field>,
    zone: TimeZone,
}

/// What the clock on the wall shows, and which time round when an hour comes twice.
#[derive(Clone, Copy, Debug)]
struct Local {
    civil: DateTime,
    again: bool,
}

impl Cron {
    /// Reads the fields of a timer.
    pub(super) fn parse(parameters: &Value, zone: TimeZone) -> Result<Self, Problem> {
        let given = |name: Name| parameters.get(name.word()).filter(|value| !value.is_null());
        let count = Name::ALL.into_iter().filter(|name| given(*name).is_some()).count();
        let mut seen = 0;
        let mut fields = Vec::with_capacity(Name::ALL.len());
        for name in Name::ALL {
            let at = format!("/{}", name.word());
            let text = match given(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => {
                    return Err(Problem::fatal(at, "a field is a number or an expression"));
                }
                // Below the least significant field that is given, the minimum; elsewhere any.
                None if count > 0 && seen == count => minimum_text(name).to_owned(),
                None => "*".to_owned(),
            };
            seen += usize::from(given(name).is_some());
            let field = Field::parse(name, &text).map_err(|reason| Problem::fatal(at, reason))?;
            fields.push(field);
        }
        Ok(Self { fields, zone })
    }

    /// The first moment after `after`.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let whole = after.seconds().checked_add(1)?;
        let mut date = self.local(jiff::Timestamp::from_second(whole).ok()?);
        let mut place = 0;
        for _ in 0..STEPS_MAX {
            let Some(field) = self.fields.get(place) else {
                let instant = self.instant(date)?;
                return i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_nanos);
            };
            let current = field.name.value(date.civil);
            match field.next_value(date.civil) {
                None => (date, place) = self.increment(date, place.checked_sub(1)?)?,
                Some(next) if next > current => {
                    if field.name.is_real() {
                        date = self.set(date, place, next)?;
                        place += 1;
                    } else {
                        (date, place) = self.increment(date, place)?;
                    }
                }
                Some(_) => place += 1,
            }
        }
        None
    }

    /// Moves the field at `place` on by one, or the next more significant one that can move, and
    /// starts everything below anew.
    fn increment(&self, date: Local, mut place: usize) -> Option<(Local, usize)> {
        loop {
            let name = self.fields.get(place)?.name;
            let value = name.value(date.civil);
            if name.is_real() && value < name.maximum_at(date.civil) {
                break;
            }
            place = place.checked_sub(1)?;
        }
        let name = self.fields.get(place)?.name;
        let target = self.with(date.civil, place, name.value(date.civil) + 1)?;
        if matches!(name, Name::Year | Name::Month | Name::Day) {
            return Some((Local { civil: target, again: false }, place));
        }
        let distance = target.duration_since(date.civil);
        let instant = self.instant(date)?.checked_add(distance).ok()?;
        Some((self.local(instant), place))
    }

    fn set(&self, date: Local, place: usize, value: i16) -> Option<Local> {
        Some(Local { civil: self.with(date.civil, place, value)?, again: date.again })
    }

    /// `date` with the field at `place` set and everything below it at its minimum.
    fn with(&self, date: DateTime, place: usize, value: i16) -> Option<DateTime> {
        let of = |at: usize| -> Option<i16> {
            let name = self.fields.get(at)?.name;
            Some(match at.cmp(&place) {
                std::cmp::Ordering::Less => name.value(date),
                std::cmp::Ordering::Equal => value,
                std::cmp::Ordering::Greater => name.minimum(),
            })
        };
        let small = |at: usize| of(at).and_then(|value| i8::try_from(value).ok());
        DateTime::new(of(0)?, small(1)?, small(2)?, small(5)?, small(6)?, small(7)?, 0).ok()
    }

    fn local(&self, instant: jiff::Timestamp) -> Local {
        let offset = self.zone.to_offset(instant);
        let civil = offset.to_datetime(instant);
        let again = match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Fold { after, .. } => after == offset,
            AmbiguousOffset::Gap { .. } | AmbiguousOffset::Unambiguous { .. } => false,
        };
        Local { civil, again }
    }

    fn instant(&self, local: Local) -> Option<jiff::Timestamp> {
        let offset: Offset = match self.zone.to_ambiguous_timestamp(local.civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, after } | AmbiguousOffset::Gap { before, after } => {
                if local.again {
                    after
                } else {
                    before
                }
            }
        };
        offset.to_timestamp(local.civil).ok()
    }
}

const fn minimum_text(name: Name) -> &'static str {
    match name {
        Name::Month | Name::Day => "1",
        Name::Hour | Name::Minute | Name::Second => "0",
        Name::Year | Name::Week | Name::DayOfWeek => "*",
    }
}

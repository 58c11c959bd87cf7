//! Timers: when is the next tick?
//!
//! Pure arithmetic on log time. An interval counts from the moment its timer came into force; a
//! cron timer has the meaning of APScheduler 3, its defaults and daylight saving included.

mod cron;
mod field;

use hearken_proto::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use crate::definition::Problem;
use crate::definition::problem::{pointer_token, suggestion};
use crate::value::moment;

use cron::Cron;
use field::Name;

const INTERVAL: &str = "core.st2.IntervalTimer";
const DATE: &str = "core.st2.DateTimer";
const CRON: &str = "core.st2.CronTimer";

/// Seconds of each unit an interval may have.
const UNITS: &[(&str, i64)] =
    &[("weeks", 604_800), ("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)];

/// When a timer ticks.
#[derive(Clone, Debug)]
pub struct Schedule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Nanoseconds between two ticks.
    Interval(i64),
    /// Once, at this moment.
    Date(Timestamp),
    Cron(Box<Cron>),
}

impl Schedule {
    /// Reads the parameters of a timer. Without a zone of its own it is in `zone_default`, an IANA
    /// name.
    ///
    /// # Errors
    /// A fatal problem with the pointer of the parameter.
    pub fn parse(trigger: &str, parameters: &Value, zone_default: &str) -> Result<Self, Problem> {
        check_names(trigger, parameters)?;
        let zone = match parameters.get("timezone").filter(|zone| !zone.is_null()) {
            Some(zone) => zone.as_str().ok_or_else(|| {
                Problem::fatal("/timezone", "timezone is the name of a time zone")
            })?,
            None => zone_default,
        };
        let zone = TimeZone::get(zone).map_err(|_| {
            Problem::fatal("/timezone", format!("{zone:?} is no time zone"))
                .hint("write an IANA name such as Europe/Berlin, or UTC")
        })?;
        let kind = match trigger {
            INTERVAL => interval(parameters)?,
            DATE => date(parameters, &zone)?,
            CRON => Kind::Cron(Box::new(Cron::parse(parameters, zone)?)),
            other => return Err(Problem::fatal("", format!("{other:?} is no timer"))),
        };
        Ok(Self(kind))
    }

    /// The first tick after `after` of a timer that is in force since `anchor`; none when there
    /// will be no more.
    #[must_use]
    pub fn next(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Interval(nanos) => {
                let elapsed = after.nanos().saturating_sub(anchor.nanos());
                // The first tick is one interval after the anchor.
                let ticks = elapsed.div_euclid(*nanos).checked_add(1)?.max(1);
                let since_anchor = ticks.checked_mul(*nanos)?;
                anchor.nanos().checked_add(since_anchor).map(Timestamp::from_nanos)
            }
            // One that had passed when the timer came into force never ticks.
            Kind::Date(moment) => (*moment > after && *moment > anchor).then_some(*moment),
            Kind::Cron(cron) => cron.next(after.max(anchor)),
        }
    }
}

/// A misspelt parameter is refused: a cron timer without the field that was meant ticks too often.
fn check_names(trigger: &str, parameters: &Value) -> Result<(), Problem> {
    let mut known = vec!["timezone"];
    match trigger {
        INTERVAL => known.extend(["unit", "delta"]),
        DATE => known.push("date"),
        CRON => known.extend(Name::ALL.map(Name::word)),
        _ => {}
    }
    let given = parameters.as_object().into_iter().flat_map(serde_json::Map::keys);
    let Some(other) = given.into_iter().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let at = format!("/{}", pointer_token(other));
    let problem = Problem::fatal(at, format!("{trigger} takes no parameter {other:?}"));
    Err(match suggestion(other, &known) {
        Some(meant) => problem.hint(format!("did you mean {meant:?}?")),
        None => problem.hint(format!("it takes {}", known.join(", "))),
    })
}

fn interval(parameters: &Value) -> Result<Kind, Problem> {
    let unit = parameters.get("unit").and_then(Value::as_str).unwrap_or_default();
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(Problem::fatal("/unit", format!("{unit:?} is no unit of an interval"))
            .hint("one of weeks, days, hours, minutes, seconds"));
    };
    let delta = parameters
        .get("delta")
        .and_then(Value::as_i64)
        .filter(|delta| *delta > 0)
        .ok_or_else(|| Problem::fatal("/delta", "delta is a whole number of at least 1"))?;
    let nanos = delta
        .checked_mul(*seconds)
        .and_then(|seconds| seconds.checked_mul(1_000_000_000))
        .ok_or_else(|| Problem::fatal("/delta", "the interval is too long"))?;
    Ok(Kind::Interval(nanos))
}

fn date(parameters: &Value, zone: &TimeZone) -> Result<Kind, Problem> {
    let text = parameters.get("date").and_then(Value::as_str).unwrap_or_default();
    let refused = || {
        Problem::fatal("/date", format!("{text:?} is no date")).hint("write 2030-12-31 23:59:59")
    };
    // A date that leaves out its day would mean another one each time it is read.
    let moment = moment::parse(text, Timestamp::EPOCH).ok_or_else(refused)?;
    let zone = match moment.offset_seconds {
        Some(seconds) => Offset::from_seconds(seconds).map_err(|_| refused())?.to_time_zone(),
        None => zone.clone(),
    };
    let zoned = moment.civil.to_zoned(zone).map_err(|_| refused())?;
    let nanos = i64::try_from(zoned.timestamp().as_nanosecond()).map_err(|_| refused())?;
    Ok(Kind::Date(Timestamp::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ticks(trigger: &str, parameters: &Value, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(trigger, parameters, "UTC").unwrap();
        let anchor = Timestamp::parse(after).unwrap();
        let mut at = anchor;
        let mut ticks = Vec::new();
        while let Some(next) = schedule.next(at, anchor).filter(|_| ticks.len() < count) {
            ticks.push(next.to_string().replace(".000000Z", "Z"));
            at = next;
        }
        ticks
    }

    #[test]
    fn an_interval_counts_from_its_anchor() {
        let schedule =
            Schedule::parse(INTERVAL, &json!({"unit": "minutes", "delta": 5}), "UTC").unwrap();
        let anchor = Timestamp::parse("2026-01-01T00:00:07Z").unwrap();
        for (after, expected) in [
            ("2025-01-01T00:00:00Z", "2026-01-01T00:05:07Z"),
            ("2026-01-01T00:00:07Z", "2026-01-01T00:05:07Z"),
            ("2026-01-01T00:05:07Z", "2026-01-01T00:10:07Z"),
            ("2026-01-01T02:12:00Z", "2026-01-01T02:15:07Z"),
        ] {
            let next = schedule.next(Timestamp::parse(after).unwrap(), anchor);
            assert_eq!(next, Timestamp::parse(expected), "{after}");
        }
    }

    #[test]
    fn a_date_ticks_once_and_never_when_it_has_passed() {
        let date = json!({"date": "2026-07-01 12:00:00", "timezone": "Europe/Berlin"});
        assert_eq!(ticks(DATE, &date, "2026-01-01T00:00:00Z", 3), ["2026-07-01T10:00:00Z"]);
        assert!(ticks(DATE, &date, "2026-08-01T00:00:00Z", 3).is_empty());
    }

    #[test]
    fn fields_below_the_smallest_given_are_at_their_minimum() {
        let rows = [
            (json!({"hour": 3}), ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]),
            (json!({"minute": "*/20"}), ["2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z"]),
            (json!({"day": "last"}), ["2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"]),
            (json!({"day": "2nd tue"}), ["2026-01-13T00:00:00Z", "2026-02-10T00:00:00Z"]),
            (
                json!({"day_of_week": "mon-fri", "hour": 6}),
                ["2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"],
            ),
            (json!({"month": 2}), ["2026-02-01T00:00:00Z", "2027-02-01T00:00:00Z"]),
        ];
        for (parameters, expected) in rows {
            let actual = ticks(CRON, &parameters, "2026-01-01T00:00:00Z", 2);
            assert_eq!(actual, expected, "{parameters}");
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (trigger, parameters) in [
            (INTERVAL, json!({"unit": "years", "delta": 1})),
            (INTERVAL, json!({"unit": "days", "delta": 0})),
            (INTERVAL, json!({"unit": "weeks", "delta": i64::MAX})),
            (DATE, json!({"date": "soon"})),
            (CRON, json!({"hour": 25})),
            (CRON, json!({"hour": "x"})),
            (CRON, json!({"hour": 1, "timezone": "Mars/Base"})),
            (CRON, json!({"minutes": 5})),
            (INTERVAL, json!({"unit": "days", "delta": -1})),
            ("core.st2.webhook", json!({})),
        ] {
            assert!(Schedule::parse(trigger, &parameters, "UTC").is_err(), "{parameters}");
        }
        let never = Schedule::parse(CRON, &json!({"month": 2, "day": 30}), "UTC").unwrap();
        assert_eq!(never.next(Timestamp::EPOCH, Timestamp::EPOCH), None);
    }
}

//! `to_human_time_from_seconds`: a span in words, with StackStorm's own arithmetic.
//!
//! The quirks are contract (correction 25): below one second the number itself with `μs`, and days
//! are days of the month. That months are lost is a fault of st2 that policy says to do right, but
//! no text of theirs has a place for months, so the days go on counting here.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value as Native};

use super::super::arguments::invalid;
use super::super::convert::native_text;

/// Days of the years before `year`, by the calendar that begins with year 1.
const DAYS_OF_YEAR: u64 = 365;
/// A span beyond any calendar of Python's.
const SECONDS_MAX: f64 = 3.0e11;

/// Adds the filter.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("to_human_time_from_seconds", human);
}

fn human(value: &Native) -> Result<String, Error> {
    if value.kind() == ValueKind::Bool {
        return Ok(if value.is_true() { "1s" } else { "0s" }.to_owned());
    }
    if value.kind() != ValueKind::Number {
        return Err(invalid("a number of seconds is needed"));
    }
    let seconds = f64::try_from(value.clone())?;
    if seconds == 0.0 {
        return Ok("0s".to_owned());
    }
    if seconds < 1.0 {
        return Ok(format!("{}\u{3bc}s", native_text(value)));
    }
    if !seconds.is_finite() || seconds > SECONDS_MAX {
        return Err(invalid("the span is too long"));
    }
    // Half to even, as Python rounds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and SECONDS_MAX"
    )]
    let total = seconds.round_ties_even() as u64;
    Ok(words(total))
}

fn words(total: u64) -> String {
    let (seconds, minutes, hours) = (total % 60, total / 60 % 60, total / 3600 % 24);
    let (years, days) = years_and_days(total / 86_400);
    let parts = [(years, 'y'), (days, 'd'), (hours, 'h'), (minutes, 'm'), (seconds, 's')];
    let shown: String = parts
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

/// Years of the calendar that begins with year 1, and the days over.
fn years_and_days(mut days: u64) -> (u64, u64) {
    let mut years = days / (DAYS_OF_YEAR * 4 + 1) * 4;
    years -= years % 400;
    let before = |years: u64| years * DAYS_OF_YEAR + years / 4 - years / 100 + years / 400;
    while before(years + 1) <= days {
        years += 1;
    }
    days -= before(years);
    (years, days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_stackstorm_writes_them() {
        let rows = [
            (Native::from(0.4), "0.4μs"),
            (Native::from(-5), "-5μs"),
            (Native::from(0), "0s"),
            (Native::from(59.5), "1m0s"),
            (Native::from(2.5), "2s"),
            (Native::from(185), "3m5s"),
            (Native::from(86_400), "1d0h0m0s"),
            (Native::from(31_536_000), "1y0d0h0m0s"),
            // st2 loses the month: it says 9d0h0m0s.
            (Native::from(3_456_000), "40d0h0m0s"),
        ];
        for (value, expected) in rows {
            assert_eq!(human(&value).unwrap(), expected, "{value}");
        }
        assert!(human(&Native::from("5")).is_err());
        assert!(human(&Native::from(())).is_err());
    }
}

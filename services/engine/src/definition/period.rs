//! Spans of time as rules and policies write them: `500ms`, `90s`, `5m`, `1h30m`, `2d`, or a number
//! of seconds.

use std::time::Duration;

use serde_json::Value;

/// Units from long to short, in milliseconds.
const UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The longest span that is remembered: a leap year. What is kept longer belongs in a database.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Reads a span; or what is wrong with it, and a hint.
pub(super) fn read(value: &Value) -> Result<Duration, (String, String)> {
    let example = || "for example 90s, 5m, 1h30m or 2d".to_owned();
    let duration = match value {
        Value::String(text) => {
            parse(text).ok_or_else(|| (format!("{text:?} is no span of time"), example()))?
        }
        Value::Number(number) => {
            let seconds = number.as_f64().unwrap_or_default();
            if seconds <= 0.0 {
                return Err(too_short());
            }
            Duration::try_from_secs_f64(seconds).map_err(|_| too_long())?
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err((format!("{value} is no span of time"), example()));
        }
    };
    if duration.is_zero() {
        return Err(too_short());
    }
    if duration > LONGEST {
        return Err(too_long());
    }
    Ok(duration)
}

fn too_short() -> (String, String) {
    ("a period must be longer than nothing".to_owned(), "for example 90s or 5m".to_owned())
}

fn too_long() -> (String, String) {
    let message = "a period must not be longer than 366 days";
    (message.to_owned(), "for what is rarer use a timer and the datastore".to_owned())
}

/// Numbers with units, each unit at most once and the longer first; `None` when it is not that.
/// A span beyond all bounds is as long as can be.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut units = UNITS.iter();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        if number.is_empty() {
            return None;
        }
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (wanted, tail) = tail.split_at(end);
        let (_, factor) = units.find(|(unit, _)| *unit == wanted)?;
        let number = number.parse().unwrap_or(u64::MAX);
        millis = millis.saturating_add(number.saturating_mul(*factor));
        rest = tail;
    }
    Some(Duration::from_millis(millis))
}

/// The span as a rule would write it.
#[must_use]
pub fn show(period: Duration) -> String {
    if period.subsec_nanos() != 0 {
        return format!("{}s", period.as_secs_f64());
    }
    let mut rest = period.as_secs();
    let mut text = String::new();
    for (unit, millis) in UNITS {
        let seconds = millis / 1_000;
        if seconds > 0 && rest >= seconds {
            text.push_str(&(rest / seconds).to_string());
            text.push_str(unit);
            rest %= seconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_read_and_print() {
        let rows = [
            (json!("90s"), Ok("1m30s")),
            (json!("5m"), Ok("5m")),
            (json!("1h30m"), Ok("1h30m")),
            (json!("2d"), Ok("2d")),
            (json!(" 366d "), Ok("366d")),
            (json!(90), Ok("1m30s")),
            (json!(0.5), Ok("0.5s")),
            (json!("500ms"), Ok("0.5s")),
            (json!("1m500ms"), Ok("60.5s")),
            (json!("366d1s"), Err("a period must not be longer than 366 days")),
            (json!("99999999999999999999d"), Err("a period must not be longer than 366 days")),
            (json!(1e300), Err("a period must not be longer than 366 days")),
            (json!("0s"), Err("a period must be longer than nothing")),
            (json!(0), Err("a period must be longer than nothing")),
            (json!(-5), Err("a period must be longer than nothing")),
            (json!(1e-12), Err("a period must be longer than nothing")),
            (json!("-5m"), Err("\"-5m\" is no span of time")),
            (json!("5"), Err("\"5\" is no span of time")),
            (json!("m"), Err("\"m\" is no span of time")),
            (json!(""), Err("\"\" is no span of time")),
            (json!("30m1h"), Err("\"30m1h\" is no span of time")),
            (json!("5 m"), Err("\"5 m\" is no span of time")),
            (json!("1.5h"), Err("\"1.5h\" is no span of time")),
            (json!(true), Err("true is no span of time")),
        ];
        for (value, expected) in rows {
            let actual = read(&value).map(show).map_err(|(message, hint)| {
                assert!(hint.contains("for"), "{value}: {hint}");
                message
            });
            assert_eq!(actual.as_deref().map_err(String::as_str), expected, "{value}");
        }
    }
}

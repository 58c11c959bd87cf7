//! Silences and windows of maintenance: what they select, and when they last.
//!
//! A silence mutes new problems and what follows of them. It never mutes the end of what somebody
//! was told, and when it is over whatever still stands is told.

use std::time::Duration;

use hearken_proto::Timestamp;
use hearken_proto::check::Labels;
use hearken_proto::incident::{Comparison, LabelMatcher, SilenceRecord, Window};
use serde_json::Value;

use crate::definition::Problem;
use crate::pattern::regex::{Flags, Regex};
use crate::schedule::Schedule;

/// Most conditions of one silence.
pub const MATCHERS_MAX: usize = 50;
/// Most windows of one silence.
pub const WINDOWS_MAX: usize = 50;

/// Reads `host=~web.*` and the like.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn read_matcher(text: &str) -> Result<LabelMatcher, String> {
    let at = text.find(['=', '!']).unwrap_or(text.len());
    let (label, rest) = text.split_at(at);
    let found = Comparison::ALL
        .into_iter()
        .find_map(|(comparison, word)| Some((comparison, rest.strip_prefix(word)?)));
    let Some((comparison, value)) = found.filter(|_| !label.trim().is_empty()) else {
        return Err(format!(
            "{text:?} selects nothing: write host=web1, site!=test or host=~web.*"
        ));
    };
    let matcher = LabelMatcher {
        label: label.trim().to_owned(),
        comparison,
        value: value.trim().trim_matches('"').to_owned(),
    };
    regex_of(&matcher).transpose().map_err(|error| error.to_string())?;
    Ok(matcher)
}

/// Whether a silence can be kept: what it selects can be asked, and it selects something.
///
/// # Errors
/// What is wrong with it.
pub fn check(silence: &SilenceRecord) -> Result<(), String> {
    if silence.matchers.is_empty() {
        return Err("a silence of everything is none: say what it selects".to_owned());
    }
    if silence.matchers.len() > MATCHERS_MAX || silence.windows.len() > WINDOWS_MAX {
        return Err(format!(
            "a silence has at most {MATCHERS_MAX} conditions and {WINDOWS_MAX} windows"
        ));
    }
    if silence.until.is_some_and(|until| until <= silence.from) {
        return Err("a silence must end after it begins".to_owned());
    }
    for matcher in &silence.matchers {
        regex_of(matcher).transpose().map_err(|error| error.to_string())?;
    }
    for window in &silence.windows {
        read_window(window).map_err(|problem| problem.to_string())?;
    }
    Ok(())
}

fn regex_of(matcher: &LabelMatcher) -> Option<Result<Regex, crate::pattern::regex::Error>> {
    match matcher.comparison {
        Comparison::Equal | Comparison::NotEqual => None,
        Comparison::Matches | Comparison::MatchesNot => {
            let flags = Flags { anchored: true, ..Flags::default() };
            Some(Regex::new(&format!("(?:{})\\Z", matcher.value), flags))
        }
    }
}

/// Whether labels meet a condition; one that cannot be asked is met by nothing.
#[must_use]
pub fn meets(matcher: &LabelMatcher, labels: &Labels) -> bool {
    let value = labels.get(&matcher.label).map_or("", String::as_str);
    let matched = || match regex_of(matcher) {
        Some(Ok(regex)) => regex.is_match(value).ok(),
        Some(Err(_)) | None => None,
    };
    match matcher.comparison {
        Comparison::Equal => value == matcher.value,
        Comparison::NotEqual => value != matcher.value,
        Comparison::Matches => matched() == Some(true),
        Comparison::MatchesNot => matched() == Some(false),
    }
}

/// Whether labels meet all conditions; none at all select nothing.
#[must_use]
pub fn selects(matchers: &[LabelMatcher], labels: &Labels) -> bool {
    !matchers.is_empty() && matchers.iter().all(|matcher| meets(matcher, labels))
}

/// When a window opens, and how long it stays open.
///
/// # Errors
/// What is wrong with the moments at which it opens.
pub fn read_window(window: &Window) -> Result<(Schedule, Duration), Problem> {
    let opens = Value::Object(window.opens.clone());
    if window.opens.keys().all(|field| field == "timezone") {
        return Err(Problem::fatal("", "a window that opens always is none"));
    }
    let schedule = Schedule::parse("core.st2.CronTimer", &opens, "UTC")?;
    Ok((schedule, Duration::from_secs(window.seconds)))
}

/// Until when the window is open at `now`, if it is.
#[must_use]
pub fn open_until(window: &Window, now: Timestamp) -> Option<Timestamp> {
    let (schedule, lasts) = read_window(window).ok()?;
    let mut until = None;
    let mut after = now.minus(lasts);
    // The last of the openings that are not over yet; they may lie close together.
    for _ in 0..OPENINGS_MAX {
        let Some(opened) = schedule.next(after, Timestamp::EPOCH).filter(|at| *at <= now) else {
            break;
        };
        until = Some(opened.plus(lasts));
        after = opened;
    }
    until.filter(|until| *until > now)
}

/// Openings of one window that are looked at: more within its own length make one long window.
const OPENINGS_MAX: usize = 100;

/// Until when a silence lasts at `now`, if it does; the end of time for one that somebody has to
/// end.
#[must_use]
pub fn lasts_until(silence: &SilenceRecord, now: Timestamp) -> Option<Option<Timestamp>> {
    let over = silence.ended.is_some() || silence.until.is_some_and(|until| until <= now);
    if over || now < silence.from {
        return None;
    }
    if silence.windows.is_empty() {
        return Some(silence.until);
    }
    let open = silence.windows.iter().filter_map(|window| open_until(window, now)).max()?;
    Some(Some(silence.until.map_or(open, |until| until.min(open))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels() -> Labels {
        [("host", "web1"), ("site", "berlin")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn labels_meet_conditions() {
        let rows = [
            ("host=web1", true),
            ("host=web", false),
            ("host!=web1", false),
            ("host!=web2", true),
            ("host=~web.*", true),
            ("host=~eb1", false),
            ("host=~web|db", false),
            ("host=~web1|db", true),
            ("host!~web.*", false),
            ("host!~db.*", true),
            ("rack=", true),
            ("rack!=1", true),
            ("rack=~.+", false),
            (" site = \"berlin\" ", true),
        ];
        for (text, expected) in rows {
            let matcher = read_matcher(text).unwrap();
            assert_eq!(meets(&matcher, &labels()), expected, "{text}");
        }
        for text in ["", "host", "=web1", "host~web", "host=~(", "host!web"] {
            assert!(read_matcher(text).is_err(), "{text}");
        }
        assert!(!selects(&[], &labels()));
    }

    #[test]
    fn windows_open_by_the_clock_on_the_wall() {
        let opens = json!({"hour": 3, "minute": 30, "timezone": "Europe/Berlin"});
        let opens = opens.as_object().unwrap().clone();
        let window = Window { opens, seconds: 5_400 };
        let rows = [
            ("2026-07-01T01:29:59Z", None),
            ("2026-07-01T01:30:00Z", Some("2026-07-01T03:00:00Z")),
            ("2026-07-01T02:59:59Z", Some("2026-07-01T03:00:00Z")),
            ("2026-07-01T03:00:00Z", None),
            // In winter the same time is an hour later in UTC.
            ("2026-01-01T01:30:00Z", None),
            ("2026-01-01T02:30:00Z", Some("2026-01-01T04:00:00Z")),
        ];
        for (now, until) in rows {
            assert_eq!(open_until(&window, time(now)), until.map(time), "{now}");
        }
    }

    #[test]
    fn a_silence_lasts_within_its_bounds_and_its_windows() {
        let opens = json!({"hour": 3}).as_object().unwrap().clone();
        let silence = SilenceRecord {
            matchers: vec![read_matcher("host=web1").unwrap()],
            from: time("2026-01-01T00:00:00Z"),
            until: Some(time("2026-01-03T03:10:00Z")),
            windows: vec![Window { opens, seconds: 1_800 }],
            ..SilenceRecord::default()
        };
        assert_eq!(check(&silence), Ok(()));
        let rows = [
            ("2025-12-31T03:10:00Z", None),
            ("2026-01-01T02:10:00Z", None),
            ("2026-01-01T03:10:00Z", Some("2026-01-01T03:30:00Z")),
            ("2026-01-03T03:05:00Z", Some("2026-01-03T03:10:00Z")),
            ("2026-01-03T03:10:00Z", None),
        ];
        for (now, until) in rows {
            let expected = until.map(|until| Some(time(until)));
            assert_eq!(lasts_until(&silence, time(now)), expected, "{now}");
        }
        let ended = SilenceRecord { ended: Some(time("2026-01-01T00:01:00Z")), ..silence };
        assert_eq!(lasts_until(&ended, time("2026-01-01T03:10:00Z")), None);
        assert!(check(&SilenceRecord { matchers: Vec::new(), ..ended }).is_err());
    }
}

//! Times, spans and levels in words.

use std::time::Duration;

use hearken_proto::Timestamp;
use hearken_proto::check::{CheckStatus, Metric};
use hearken_proto::incident::IncidentRecord;
use hearken_proto::notice::{NoticeKind, NoticeRequest};
use jiff::tz::TimeZone;

/// A span as people say it: `44 min`, `2 h 3 min`, `3 d 4 h`.
#[must_use]
pub fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, minutes) if rest == 0 || minutes >= 10 => format!("{minutes} min"),
        (0, 0, minutes) => format!("{minutes} min {rest} s"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A span as picomon prints it, which is as Python does: `0:44:00`, `1 day, 2:03:04`.
#[must_use]
pub fn picomon_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let days = match seconds / 86_400 {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    format!("{days}{}:{:02}:{:02}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// A moment on the clock of the zone; in UTC where there is no such zone.
pub(super) fn moment(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    match jiff::Timestamp::from_second(at.seconds()) {
        Ok(moment) => moment.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
        Err(_) => at.to_string(),
    }
}

/// What a notice says, in one word for the first line and for headers.
pub(super) const fn headline(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Problem => "PROBLEM",
        NoticeKind::Update => "UPDATE",
        NoticeKind::Reminder => "STILL FAILING",
        NoticeKind::Escalation => "ESCALATION",
        NoticeKind::Acknowledged => "ACKNOWLEDGED",
        NoticeKind::Recovery => "RECOVERED",
        NoticeKind::FlappingStart => "FLAPPING",
        NoticeKind::FlappingEnd => "NO LONGER FLAPPING",
        NoticeKind::Unreachable => "UNREACHABLE",
        NoticeKind::Report => "REPORT",
        NoticeKind::Death => "HEARKEN STOPPED",
    }
}

/// The first line: what, of what, and how it is now.
pub(super) fn first_line(request: &NoticeRequest) -> String {
    let title = one_line(&request.title);
    let word = headline(request.kind);
    let before = request.previous.filter(|before| *before != request.level);
    match before {
        _ if request.incident.is_none() => format!("{word}: {title}"),
        Some(before) => {
            format!("{word}: {title} is {}, was {}", request.level.word(), before.word())
        }
        None => format!("{word}: {title} is {}", request.level.word()),
    }
}

/// Since when, how long, and how many runs failed.
pub(super) fn span_line(incident: &IncidentRecord, now: Timestamp, zone: &str) -> String {
    let runs: u32 = incident.members.iter().map(|member| member.runs).fold(0, u32::saturating_add);
    let runs = if runs == 1 { "1 failed run".to_owned() } else { format!("{runs} failed runs") };
    let since = moment(incident.opened, zone);
    match incident.closed {
        Some(closed) => {
            let span = spoken(closed.since(incident.opened));
            format!("from {since} to {}, {span}, {runs}", moment(closed, zone))
        }
        None => format!("since {since}, {}, {runs}", spoken(now.since(incident.opened))),
    }
}

/// A measured value with its thresholds.
pub(super) fn metric(metric: &Metric) -> String {
    let value = metric.value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    let mut parts =
        vec![format!("{} = {value}{}", one_line(&metric.label), one_line(&metric.unit))];
    for (word, range) in [("warning", &metric.warning), ("critical", &metric.critical)] {
        if let Some(range) = range {
            parts.push(format!("{word} {}", one_line(range)));
        }
    }
    parts.join(", ")
}

/// The colour of a level, as mail programs know colours.
pub(super) const fn colour(level: CheckStatus) -> &'static str {
    match level {
        CheckStatus::Ok => "#2e8540",
        CheckStatus::Warning => "#e8a317",
        CheckStatus::Unknown => "#7a6a9b",
        CheckStatus::Critical => "#c9302c",
    }
}

/// The text in one line, as a header can carry it.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_say_them() {
        let rows = [
            (0, "0 s", "0:00:00"),
            (59, "59 s", "0:00:59"),
            (61, "1 min 1 s", "0:01:01"),
            (600, "10 min", "0:10:00"),
            (661, "11 min", "0:11:01"),
            (3_600, "1 h", "1:00:00"),
            (3_660, "1 h 1 min", "1:01:00"),
            (86_400, "1 d", "1 day, 0:00:00"),
            (93_784, "1 d 2 h", "1 day, 2:03:04"),
            (900_000, "10 d 10 h", "10 days, 10:00:00"),
        ];
        for (seconds, ours, picomon) in rows {
            let span = Duration::from_secs(seconds);
            assert_eq!((spoken(span).as_str(), picomon_duration(span).as_str()), (ours, picomon));
        }
    }

    #[test]
    fn a_moment_is_told_in_its_zone() {
        let at = Timestamp::parse("2026-07-01T10:00:00Z").unwrap();
        assert_eq!(moment(at, "Europe/Berlin"), "2026-07-01 12:00:00 CEST");
        assert_eq!(moment(at, "Mars/Base"), "2026-07-01 10:00:00 UTC");
    }
}

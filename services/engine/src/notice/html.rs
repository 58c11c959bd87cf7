//! The same in HTML, with a picture of what happened that is nothing but a table.
//!
//! Mail programs show neither drawings nor style sheets, but every one shows the background of a
//! cell. Everything that comes from elsewhere is escaped.

use std::time::Duration;

use hearken_proto::Timestamp;
use hearken_proto::check::CheckStatus;
use hearken_proto::incident::{IncidentRecord, Member};
use hearken_proto::notice::NoticeRequest;

use super::Style;
use super::text::{MEMBERS_MAX, member_line, names};
use super::words::{colour, first_line, metric, moment, one_line, span_line};
use crate::check::plugin::cut;

/// Cells of the picture.
const CELLS: u32 = 48;
/// Steps that are listed below it.
const STEPS_MAX: usize = 20;
/// Longest text of one member's further lines, in bytes.
const LONG_TEXT_MAX: usize = 2 * 1024;

/// The body; none for what is about no incident.
pub(super) fn body(request: &NoticeRequest, style: &Style) -> Option<String> {
    let incident = request.incident.as_ref()?;
    let zone = &style.timezone;
    let head = first_line(request);
    let mut out =
        vec!["<!DOCTYPE html>\n<html><body style=\"font-family:sans-serif\">\n".to_owned()];
    // What lists of mails show beside the subject.
    let preview = format!("{head}. {}", incident.members.first().map_or("", |m| m.text.as_str()));
    out.push(format!(
        "<div style=\"display:none;max-height:0;overflow:hidden\">{}</div>\n",
        escape(&cut(&one_line(&preview), 200))
    ));
    out.push(format!(
        "<table width=\"100%\" cellpadding=\"8\" cellspacing=\"0\"><tr><td bgcolor=\"{}\" style=\"color:#ffffff\"><b>{}</b></td></tr></table>\n",
        colour(request.level),
        escape(&head)
    ));
    out.push(format!("<p>{}</p>\n", escape(&span_line(incident, request.at, zone))));
    for line in remarks(incident) {
        out.push(format!("<p>{}</p>\n", escape(&line)));
    }
    out.push(picture(incident, request.at, zone));
    out.push("<table cellpadding=\"4\" cellspacing=\"0\">\n".to_owned());
    for member in incident.members.iter().take(MEMBERS_MAX) {
        out.push(row(member, request));
    }
    out.push("</table>\n".to_owned());
    let more = incident.members.len().saturating_sub(MEMBERS_MAX);
    if more > 0 {
        out.push(format!("<p>… and {more} more</p>\n"));
    }
    out.push(steps(incident, zone));
    out.push(links(incident, style));
    out.push("</body></html>\n".to_owned());
    Some(out.concat())
}

fn remarks(incident: &IncidentRecord) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(by) = &incident.acknowledged {
        lines.push(format!("acknowledged by {}: {}", one_line(&by.author), one_line(&by.comment)));
    }
    if let Some(cause) = &incident.cause {
        lines.push(format!("probable cause: {cause} failed"));
    }
    if !incident.affected.is_empty() {
        lines.push(format!("not reached because of it: {}", names(&incident.affected)));
    }
    lines
}

/// How it stood from its beginning to now, in cells of one length.
fn picture(incident: &IncidentRecord, now: Timestamp, zone: &str) -> String {
    let end = incident.closed.unwrap_or(now);
    let span = end.since(incident.opened);
    let mut out = vec!["<table cellpadding=\"0\" cellspacing=\"0\" height=\"16\"><tr>".to_owned()];
    for cell in 0..CELLS {
        let from = incident.opened.plus(part(span, cell));
        let to = incident.opened.plus(part(span, cell + 1));
        let level = worst(incident, from, to);
        out.push(format!(
            "<td width=\"10\" bgcolor=\"{}\" title=\"{} {}\">&nbsp;</td>",
            colour(level),
            escape(&moment(from, zone)),
            level.word()
        ));
    }
    if incident.closed.is_some() {
        out.push(format!(
            "<td width=\"10\" bgcolor=\"{}\" title=\"ok\">&nbsp;</td>",
            colour(CheckStatus::Ok)
        ));
    }
    out.push("</tr></table>\n".to_owned());
    out.concat()
}

fn part(span: Duration, cell: u32) -> Duration {
    let nanos = span.as_nanos() / u128::from(CELLS) * u128::from(cell);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The worst level between two moments, the second left out.
fn worst(incident: &IncidentRecord, from: Timestamp, to: Timestamp) -> CheckStatus {
    let before = incident.timeline.iter().rev().find(|step| step.at <= from);
    let within = incident.timeline.iter().filter(|step| from < step.at && step.at < to);
    let levels = before.into_iter().chain(within).map(|step| step.level);
    levels.max().unwrap_or(incident.level)
}

fn row(member: &Member, request: &NoticeRequest) -> String {
    let level = if member.ended.is_some() { CheckStatus::Ok } else { member.level };
    let mut text = vec![escape(&one_line(&member.text))];
    if !member.long_text.is_empty() {
        text.push(format!("<pre>{}</pre>", escape(&cut(&member.long_text, LONG_TEXT_MAX))));
    }
    for value in &member.perfdata {
        text.push(format!("<br><small>{}</small>", escape(&metric(value))));
    }
    if let Some(good) = member.last_good.as_ref().filter(|_| member.ended.is_none()) {
        let good = escape(&one_line(good));
        text.push(format!("<br><small>when it was well: {good}</small>"));
    }
    format!(
        "<tr><td width=\"6\" bgcolor=\"{}\">&nbsp;</td><td><b>{}</b><br>{}</td></tr>\n",
        colour(level),
        escape(&member_line(member, request)),
        text.concat()
    )
}

fn steps(incident: &IncidentRecord, zone: &str) -> String {
    if incident.timeline.len() < 2 {
        return String::new();
    }
    let skipped = incident.timeline.len().saturating_sub(STEPS_MAX);
    let mut out = vec!["<table cellpadding=\"2\" cellspacing=\"0\">\n".to_owned()];
    for step in incident.timeline.iter().skip(skipped) {
        out.push(format!(
            "<tr><td><small>{}</small></td><td bgcolor=\"{}\">&nbsp;</td><td><small>{}</small></td></tr>\n",
            escape(&moment(step.at, zone)),
            colour(step.level),
            escape(&one_line(&step.text))
        ));
    }
    out.push("</table>\n".to_owned());
    out.concat()
}

fn links(incident: &IncidentRecord, style: &Style) -> String {
    let mut out = Vec::new();
    if let Some(runbook) = &incident.runbook {
        let shown = escape(&one_line(runbook));
        // Only what is an address becomes a link: a text may be anything.
        let is_address = runbook.starts_with("https://") || runbook.starts_with("http://");
        out.push(if is_address {
            format!("<p>what to do: <a href=\"{shown}\">{shown}</a></p>\n")
        } else {
            format!("<p>what to do: {shown}</p>\n")
        });
    }
    if let Some(link) = &style.link {
        let address = escape(&format!("{link}{}", incident.id));
        out.push(format!("<p><a href=\"{address}\">look at it</a></p>\n"));
    }
    out.concat()
}

/// The text as HTML shows it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

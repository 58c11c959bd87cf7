//! The text of a mail: what changed first, then what is known, then what can be done.

use hearken_proto::incident::{IncidentRecord, Member};
use hearken_proto::notice::{NoticeKind, NoticeRequest};

use super::Style;
use super::words::{first_line, metric, moment, one_line, span_line, spoken};
use crate::check::plugin::cut;

/// Members that are told with all they printed.
pub(super) const MEMBERS_MAX: usize = 30;
/// Names that are listed in one line.
const NAMES_MAX: usize = 20;
/// Longest text of a mail, in bytes.
const TEXT_MAX: usize = 64 * 1024;
/// Longest text of one member's further lines in a mail, in bytes.
const LONG_TEXT_MAX: usize = 2 * 1024;

pub(super) fn body(request: &NoticeRequest, style: &Style) -> String {
    let mut lines = vec![first_line(request)];
    let Some(incident) = &request.incident else {
        lines.push(String::new());
        lines.push(request.text.trim_end().to_owned());
        return finish(&lines);
    };
    let zone = &style.timezone;
    lines.push(span_line(incident, request.at, zone));
    acknowledged(incident, &mut lines);
    causes(incident, &mut lines);
    for member in incident.members.iter().take(MEMBERS_MAX) {
        lines.push(String::new());
        lines.extend(member_lines(member, request, zone));
    }
    let more = incident.members.len().saturating_sub(MEMBERS_MAX);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    if incident.timeline.len() > 1 {
        lines.push(String::new());
        let step = |step: &hearken_proto::incident::Moment| {
            format!("{}  {:8}  {}", moment(step.at, zone), step.level.word(), one_line(&step.text))
        };
        lines.extend(incident.timeline.iter().map(step));
    }
    lines.push(String::new());
    lines.extend(footer(request, incident, style));
    finish(&lines)
}

fn finish(lines: &[String]) -> String {
    let mut text = cut(lines.join("\n").trim_end(), TEXT_MAX);
    text.push('\n');
    text
}

fn acknowledged(incident: &IncidentRecord, lines: &mut Vec<String>) {
    if let Some(by) = &incident.acknowledged {
        let comment = one_line(&by.comment);
        let comment = if comment.is_empty() { comment } else { format!(": {comment}") };
        lines.push(format!("acknowledged by {}{comment}", one_line(&by.author)));
    }
}

fn causes(incident: &IncidentRecord, lines: &mut Vec<String>) {
    if let Some(cause) = &incident.cause {
        lines.push(format!("probable cause: {} failed", one_line(cause)));
    }
    if !incident.affected.is_empty() {
        lines.push(format!("not reached because of it: {}", names(&incident.affected)));
    }
}

/// Names in one line, and how many more there are.
pub(super) fn names(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| one_line(name)).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How a member stands, in one line.
pub(super) fn member_line(member: &Member, request: &NoticeRequest) -> String {
    let check = one_line(&member.check);
    match member.ended {
        Some(ended) => {
            let span = spoken(ended.since(member.since));
            format!("{check}: ok again after {span}, {} failed runs", member.runs)
        }
        None => {
            let span = spoken(request.at.since(member.since));
            let flaps = if member.flapping { ", flapping" } else { "" };
            format!("{check}: {}{flaps} for {span}", member.level.word())
        }
    }
}

fn member_lines(member: &Member, request: &NoticeRequest, zone: &str) -> Vec<String> {
    let mut lines = vec![member_line(member, request)];
    lines.push(format!("    {}", one_line(&member.text)));
    for line in cut(&member.long_text, LONG_TEXT_MAX).lines() {
        lines.push(format!("    {line}"));
    }
    lines.extend(member.perfdata.iter().map(|value| format!("    {}", metric(value))));
    if let Some(good) = member.last_good.as_ref().filter(|_| member.ended.is_none()) {
        lines.push(format!("    when it was well: {}", one_line(good)));
    }
    if request.incident.as_ref().is_some_and(|incident| incident.members.len() > 1) {
        lines.push(format!("    since {}", moment(member.since, zone)));
    }
    lines
}

fn footer(request: &NoticeRequest, incident: &IncidentRecord, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(runbook) = &incident.runbook {
        lines.push(format!("what to do: {}", one_line(runbook)));
    }
    if let Some(link) = &style.link {
        lines.push(format!("look at it: {link}{}", incident.id));
    }
    let over = matches!(request.kind, NoticeKind::Recovery) || incident.closed.is_some();
    if !over {
        lines.push(format!("take care of it: hearken ack {}", incident.id));
        if let Some(member) = incident.failing().next() {
            let (host, check) = member.check.rsplit_once('/').unwrap_or(("", &member.check));
            let selector =
                if host.is_empty() { format!("check={check}") } else { format!("host={host}") };
            lines.push(format!("silence it: hearken silence add {selector} 2h"));
        }
    }
    lines.push(format!("why you, and why now: hearken log explain {}", request.id));
    lines
}

//! The place of a mail in its thread, and its headers.
//!
//! The first notice of an incident has the id of the thread; whoever hears of it later refers to
//! that id all the same, so that all mails of an incident are one thread wherever they meet. Of a
//! long thread the first and the last ten are named.

use hearken_proto::notice::NoticeRequest;

use super::Style;
use super::words::one_line;

/// Earlier mails that are named beside the first.
const EARLIER_MAX: usize = 10;
/// Checks that are named in a header.
const CHECKS_MAX: usize = 10;
/// Longest value of a header, in characters: a line of a mail ends at 998 bytes.
const VALUE_MAX: usize = 200;

/// Where a mail stands.
pub(super) struct Place {
    pub(super) message_id: String,
    pub(super) in_reply_to: Option<String>,
    pub(super) references: Vec<String>,
}

pub(super) fn place(request: &NoticeRequest, style: &Style) -> Place {
    let root = message_id(request, style, 1);
    let id = message_id(request, style, request.number);
    if id == root {
        return Place { message_id: id, in_reply_to: None, references: Vec::new() };
    }
    let skipped = request.earlier.len().saturating_sub(EARLIER_MAX);
    let earlier = request.earlier.iter().skip(skipped).filter(|number| **number != request.number);
    let mut references = vec![root];
    for number in earlier {
        let earlier = message_id(request, style, *number);
        if !references.contains(&earlier) {
            references.push(earlier);
        }
    }
    Place { message_id: id, in_reply_to: references.last().cloned(), references }
}

/// The id of a notice of this thread: the first one is called like the thread.
fn message_id(request: &NoticeRequest, style: &Style, number: u32) -> String {
    let family = if request.incident.is_some() { "inc" } else { request.kind.word() };
    let (thread, instance) = (atom(&request.thread), atom(&style.instance));
    let number = if number == 1 { String::new() } else { format!("{number}.") };
    format!("<{family}.{thread}.{number}{instance}@{}>", domain(&style.domain))
}

/// A part of an id: letters, digits and dashes.
fn atom(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(VALUE_MAX / 4)
        .collect();
    if clean.is_empty() { "x".to_owned() } else { clean }
}

fn domain(text: &str) -> String {
    let parts: Vec<String> = text.split('.').filter(|part| !part.is_empty()).map(atom).collect();
    if parts.is_empty() { "localhost".to_owned() } else { parts.join(".") }
}

/// Headers for programs that answer by themselves, and for filters.
pub(super) fn headers(request: &NoticeRequest, style: &Style) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut add = |name: &str, value: &str| {
        let value: String = one_line(value).chars().take(VALUE_MAX).collect();
        headers.push((name.to_owned(), value));
    };
    let instance = atom(&style.instance);
    add("Auto-Submitted", "auto-generated");
    add("X-Auto-Response-Suppress", "All");
    add("List-Id", &format!("<{instance}.{}>", domain(&style.domain)));
    add("X-Hearken-Notice", &request.id);
    add("X-Hearken-Kind", request.kind.word());
    add("X-Hearken-Number", &request.number.to_string());
    add("X-Hearken-State", request.level.word());
    if let Some(previous) = request.previous {
        add("X-Hearken-Previous-State", previous.word());
    }
    if let Some(incident) = &request.incident {
        add("X-Hearken-Incident", &incident.id);
        add("X-Hearken-Incident-Kind", incident.kind.word());
        add("X-Hearken-Severity", incident.worst.word());
        for member in incident.members.iter().take(CHECKS_MAX) {
            add("X-Hearken-Check", &member.check);
        }
        if let Some(host) = incident.labels.get("host") {
            add("X-Hearken-Host", host);
        }
    }
    headers
}

//! The text of picomon's two mails, for those whose filters read them.

use hearken_proto::notice::{NoticeKind, NoticeRequest, PicomonNotice};

use super::words::{one_line, picomon_duration};

/// The text, where the check keeps picomon's habits and picomon has a mail for this.
pub(super) fn text(request: &NoticeRequest) -> Option<String> {
    let PicomonNotice { shown, .. } = request.picomon.as_ref()?;
    let shown = one_line(shown);
    let incident = request.incident.as_ref()?;
    let member = incident.members.first()?;
    match request.kind {
        NoticeKind::Problem | NoticeKind::Escalation | NoticeKind::Reminder => {
            let mut error = member.text.clone();
            if !member.long_text.is_empty() {
                error.push('\n');
                error.push_str(&member.long_text);
            }
            Some(format!("Check {shown}:\nfailure:\n{error}\n"))
        }
        NoticeKind::Recovery => {
            let closed = incident.closed.unwrap_or(request.at);
            let span = picomon_duration(closed.since(incident.opened));
            let retries = if member.runs == 1 { "retry" } else { "retries" };
            Some(format!("Check {shown}:\nrecovered after {span} ({} {retries}).\n", member.runs))
        }
        NoticeKind::Update
        | NoticeKind::Acknowledged
        | NoticeKind::FlappingStart
        | NoticeKind::FlappingEnd
        | NoticeKind::Unreachable
        | NoticeKind::Report
        | NoticeKind::Death => None,
    }
}

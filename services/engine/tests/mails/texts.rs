//! What mails say.

use hearken_engine::notice::{Style, SubjectStyle, mail};
use hearken_proto::check::CheckStatus;
use serde_json::json;

use crate::Desk;

#[test]
fn a_problem_says_what_is_known_and_what_can_be_done() {
    let mut desk = Desk::new(&["https"], &json!({"runbook": "https://wiki/https"}));
    desk.result("https", CheckStatus::Ok, "200 OK");
    desk.after(1);
    desk.result("https", CheckStatus::Critical, "refused");
    let style = Style { timezone: "Europe/Berlin".to_owned(), ..Style::default() };
    let text = mail(&desk.requests[0], &style).text;
    let id = &desk.requests[0].thread;
    let expected = format!(
        "PROBLEM: web1/https is critical
since 2026-01-05 03:14:00 CET, 0 s, 1 failed run

web1/https: critical for 0 s
    refused
    GET / HTTP/1.1
    <html>
    time = 2.5s, warning 1
    when it was well: 200 OK

what to do: https://wiki/https
take care of it: hearken ack {id}
silence it: hearken silence add host=web1 2h
why you, and why now: hearken log explain {id}-1
"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_recovery_says_how_long_it_was_and_what_happened() {
    let desk = Desk::night(&["https"], &json!({}));
    let last = desk.requests.last().expect("a recovery");
    let text = mail(last, &Style::default()).text;
    let expected = format!(
        "RECOVERED: web1/https is ok, was critical
from 2026-01-05 02:14:00 UTC to 2026-01-05 02:58:00 UTC, 44 min, 2 failed runs
acknowledged by ann: on it

web1/https: ok again after 44 min, 2 failed runs
    200 OK
    GET / HTTP/1.1
    <html>
    time = 2.5s, warning 1

2026-01-05 02:14:00 UTC  warning   web1/https: slow
2026-01-05 02:44:00 UTC  critical  web1/https: refused
2026-01-05 02:51:00 UTC  critical  acknowledged by ann
2026-01-05 02:58:00 UTC  ok        web1/https recovered

why you, and why now: hearken log explain {}-5
",
        last.thread
    );
    assert_eq!(text, expected);
}

#[test]
fn colours_tell_the_same_and_nothing_gets_through() {
    let desk = Desk::night(&["https"], &json!({"runbook": "javascript:alert(1)"}));
    for request in &desk.requests {
        let html = mail(request, &Style::default()).html.expect("it has colours");
        assert!(html.contains("&lt;html&gt;") && !html.contains("HTTP/1.1\n<html>"), "{html}");
        assert!(!html.contains("href=\"javascript"), "{html}");
        assert!(html.contains("bgcolor"));
    }
    let html = |at: usize| mail(&desk.requests[at], &Style::default()).html.unwrap_or_default();
    // The picture: 30 of 44 minutes were a warning, the rest was critical, and then it was well.
    let count = |html: &str, level: &str| html.matches(&format!(" {level}\">&nbsp;</td>")).count();
    let last = html(4);
    assert_eq!((count(&last, "warning"), count(&last, "critical")), (32, 16));
    assert_eq!(count(&html(0), "warning"), 48);
    let mut odd = desk.requests[0].clone();
    odd.title = "<script>alert('1')</script>\"&".to_owned();
    if let Some(incident) = &mut odd.incident {
        incident.members[0].text = "<img src=x>".to_owned();
        incident.members[0].check = "<b>".to_owned();
        incident.timeline[0].text = "<i>".to_owned();
        incident.affected = vec!["<u>".to_owned()];
        incident.cause = Some("<s>".to_owned());
    }
    let html = mail(&odd, &Style::default()).html.unwrap_or_default();
    for raw in ["<script", "<img", "<b>&lt;b", "<i>", "<u>", "<s>"] {
        let is_ours = raw == "<b>&lt;b";
        assert_eq!(html.contains(raw), is_ours, "{raw}: {html}");
    }
}

#[test]
fn headers_say_for_programs_what_the_text_says_for_people() {
    let desk = Desk::night(&["https"], &json!({}));
    let mail =
        mail(&desk.requests[4], &Style { instance: "berlin".to_owned(), ..Style::default() });
    let header = |name: &str| {
        let found = mail.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header("List-Id"), Some("<berlin.localhost>"));
    assert_eq!(header("X-Auto-Response-Suppress"), Some("All"));
    assert_eq!(header("X-Hearken-Kind"), Some("recovery"));
    assert_eq!(header("X-Hearken-State"), Some("ok"));
    assert_eq!(header("X-Hearken-Previous-State"), Some("critical"));
    assert_eq!(header("X-Hearken-Check"), Some("web1/https"));
    assert_eq!(header("X-Hearken-Host"), Some("web1"));
    assert_eq!(header("X-Hearken-Number"), Some("5"));
    assert_eq!(mail.date, desk.requests[4].at);
}

#[test]
fn picomon_speaks_as_it_always_did() {
    let fields = json!({
        "compat": "picomon", "attempts": {"failures": 2},
        "picomon": {"class": "CheckHTTP4", "target": "web1", "shown": "<CheckHTTP4 on 192.0.2.1>"},
    });
    let mut desk = Desk::new(&["https"], &fields);
    for status in [CheckStatus::Critical; 4] {
        desk.result("https", status, "Operation timed out");
        desk.after(1);
    }
    desk.result("https", CheckStatus::Ok, "");
    assert_eq!(desk.requests.len(), 2);
    let template = "[DOMAIN] {state}: {check} on {dest}, {why}".to_owned();
    let style = Style { subject: SubjectStyle::Picomon(template), ..Style::default() };
    let mails: Vec<_> = desk.requests.iter().map(|request| mail(request, &style)).collect();
    assert_eq!(mails[0].subject, "[DOMAIN] Problem: CheckHTTP4 on web1, <no substitution>");
    assert_eq!(mails[1].subject, "[DOMAIN] OK: CheckHTTP4 on web1, <no substitution>");
    let error = "Operation timed out\nGET / HTTP/1.1\n<html>";
    assert_eq!(mails[0].text, format!("Check <CheckHTTP4 on 192.0.2.1>:\nfailure:\n{error}\n"));
    let recovered = "recovered after 0:03:00 (3 retries).";
    assert_eq!(mails[1].text, format!("Check <CheckHTTP4 on 192.0.2.1>:\n{recovered}\n"));
    assert!(mails.iter().all(|mail| mail.html.is_none()));
    assert_eq!(mails[1].references, [mails[0].message_id.clone()]);
}

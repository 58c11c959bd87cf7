//! One incident is one thread, whatever becomes of its mails.

use std::collections::BTreeSet;

use hearken_engine::notice::{Mail, Style, SubjectStyle, mail};
use hearken_proto::check::CheckStatus;
use hearken_proto::notice::{NoticeKind, NoticeRequest};
use proptest::prelude::*;
use serde_json::json;

use crate::Desk;
use crate::jwz::{base_subject, conversations, threads};

fn style(subject: SubjectStyle) -> Style {
    Style {
        domain: "mon.example.net".to_owned(),
        instance: "berlin".to_owned(),
        tag: "[mon]".to_owned(),
        subject,
        timezone: "Europe/Berlin".to_owned(),
        link: Some("https://mon.example.net/incident/".to_owned()),
    }
}

fn mails(requests: &[NoticeRequest], style: &Style) -> Vec<Mail> {
    requests.iter().map(|request| mail(request, style)).collect()
}

#[test]
fn five_mails_are_one_thread() {
    let desk = Desk::night(&["https"], &json!({}));
    let kinds: Vec<&str> = desk.requests.iter().map(|request| request.kind.word()).collect();
    assert_eq!(kinds, ["problem", "reminder", "update", "acknowledged", "recovery"]);
    let mails = mails(&desk.requests, &style(SubjectStyle::Stable));
    let all: Vec<&Mail> = mails.iter().collect();
    assert_eq!(threads(&all).len(), 1);
    assert_eq!(conversations(&all), 1);
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(subjects[0], "[mon] web1/https");
    assert!(subjects[1..].iter().all(|subject| *subject == "Re: [mon] web1/https"));
    // The first refers to nothing, each other one to the one before.
    assert!(mails[0].in_reply_to.is_none() && mails[0].references.is_empty());
    for pair in mails.windows(2) {
        assert_eq!(pair[1].in_reply_to.as_ref(), Some(&pair[0].message_id));
        assert_eq!(pair[1].references.first(), Some(&mails[0].message_id));
    }
    let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
    assert_eq!(ids.len(), 5);
    let id = &desk.requests[0].thread;
    assert_eq!(mails[0].message_id, format!("<inc.{id}.berlin@mon.example.net>"));
    assert_eq!(mails[3].message_id, format!("<inc.{id}.4.berlin@mon.example.net>"));
}

#[test]
fn two_incidents_are_two_threads_of_one_check_or_of_two() {
    let mut desk = Desk::new(&["https", "ssh"], &json!({}));
    for name in ["https", "https", "ssh"] {
        desk.after(1);
        desk.result(name, CheckStatus::Critical, "refused");
        desk.after(1);
        desk.result(name, CheckStatus::Ok, "well");
    }
    let mails = mails(&desk.requests, &style(SubjectStyle::Stable));
    let all: Vec<&Mail> = mails.iter().collect();
    assert_eq!(all.len(), 6);
    assert_eq!(threads(&all).len(), 3);
    let subjects: BTreeSet<&str> = mails.iter().map(|mail| base_subject(&mail.subject)).collect();
    assert_eq!(subjects.len(), 2);
}

#[test]
fn whoever_joins_later_is_in_the_same_thread() {
    let fields = json!({"escalation": [{"after": "20m", "notify": "boss"}]});
    let desk = Desk::night(&["https"], &fields);
    let mails = mails(&desk.requests, &style(SubjectStyle::Stable));
    let of = |contact: &str| -> Vec<&Mail> {
        let pairs = desk.requests.iter().zip(&mails);
        pairs.filter(|(request, _)| request.contact == contact).map(|(_, mail)| mail).collect()
    };
    let (ops, boss) = (of("ops"), of("boss"));
    assert!(ops.len() >= 5 && boss.len() >= 3);
    // Alone, and where both read the same mailbox.
    assert_eq!(threads(&boss).len(), 1);
    assert_eq!(conversations(&boss), 1);
    let all: Vec<&Mail> = mails.iter().collect();
    assert_eq!(threads(&all).len(), 1);
    // The first mail to the boss refers to one that the boss never got.
    assert_eq!(boss[0].references, [ops[0].message_id.clone()]);
    assert_eq!(boss[0].in_reply_to.as_ref(), Some(&ops[0].message_id));
}

#[test]
fn a_long_thread_names_its_first_mail_and_the_last_ten() {
    let mut desk = Desk::new(&["https"], &json!({"reminders": "10m"}));
    desk.result("https", CheckStatus::Critical, "refused");
    for _ in 0..40 {
        desk.after(10);
    }
    let mails = mails(&desk.requests, &style(SubjectStyle::Stable));
    assert_eq!(mails.len(), 41);
    let last = &mails[40];
    assert_eq!(last.references.len(), 11);
    assert_eq!(last.references[0], mails[0].message_id);
    assert_eq!(last.references[10], mails[39].message_id);
    let all: Vec<&Mail> = mails.iter().collect();
    assert_eq!(threads(&all).len(), 1);
}

#[test]
fn a_state_in_the_subject_is_for_those_who_look_at_headers() {
    let desk = Desk::night(&["https"], &json!({}));
    let mails = mails(&desk.requests, &style(SubjectStyle::Stateful));
    let all: Vec<&Mail> = mails.iter().collect();
    assert_eq!(threads(&all).len(), 1);
    assert_eq!(conversations(&all), 5);
    assert_eq!(mails[4].subject, "[mon] RECOVERED: web1/https");
}

#[test]
fn the_same_request_is_the_same_mail() {
    let desk = Desk::night(&["https"], &json!({}));
    let again = Desk::night(&["https"], &json!({}));
    let style = style(SubjectStyle::Stable);
    assert_eq!(mails(&desk.requests, &style), mails(&again.requests, &style));
    // Another installation at the same domain has ids of its own.
    let other = Style { instance: "paris".to_owned(), ..style.clone() };
    let ids = |style: &Style| -> BTreeSet<String> {
        mails(&desk.requests, style).into_iter().map(|mail| mail.message_id).collect()
    };
    assert!(ids(&style).is_disjoint(&ids(&other)));
}

#[test]
fn reports_have_threads_of_their_own() {
    let report = |number, earlier: &[u32]| NoticeRequest {
        id: format!("weekly-2026-{number}"),
        thread: "weekly-2026".to_owned(),
        number,
        kind: NoticeKind::Report,
        earlier: earlier.to_vec(),
        title: "weekly report".to_owned(),
        text: "all is well".to_owned(),
        ..NoticeRequest::default()
    };
    let style = style(SubjectStyle::Stable);
    let mails = mails(&[report(1, &[]), report(2, &[1])], &style);
    let all: Vec<&Mail> = mails.iter().collect();
    assert_eq!(threads(&all).len(), 1);
    assert_eq!(mails[0].message_id, "<report.weekly-2026.berlin@mon.example.net>");
    assert_eq!(mails[1].text, "REPORT: weekly report\n\nall is well\n");
    assert!(mails[1].html.is_none());
}

/// Whether a text is a message id that every program accepts.
fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let Some((left, right)) = inner.and_then(|inner| inner.split_once('@')) else { return false };
    let atom = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() < 250 && left.split('.').all(atom) && right.split('.').all(atom)
}

proptest! {
    #[test]
    fn any_mail_may_be_lost_and_any_may_come_first(
        order in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        lost in prop::option::of(0_usize..5),
        twice in prop::option::of(0_usize..5),
    ) {
        let desk = Desk::night(&["https"], &json!({}));
        let mails = mails(&desk.requests, &style(SubjectStyle::Stable));
        let mut arrived: Vec<&Mail> =
            order.iter().filter(|at| Some(**at) != lost).map(|at| &mails[*at]).collect();
        arrived.extend(twice.map(|at| &mails[at]));
        prop_assert_eq!(threads(&arrived).len(), 1);
    }

    #[test]
    fn nothing_from_outside_gets_into_a_header(
        title in "\\PC{0,40}(\r\nBcc: x@y\r\n)?\\PC{0,300}",
        tag in "\\PC{0,10}\n?",
        instance in "\\PC{0,20}",
        domain in "[a-z. \n@>]{0,20}",
        thread in "\\PC{0,20}",
        number in 1_u32..100,
        earlier in prop::collection::vec(1_u32..100, 0..30),
        template in prop::option::of("[{}a-z!:\n ]{0,30}"),
    ) {
        let mut request = Desk::night(&["https"], &json!({})).requests.remove(0);
        request.title = title;
        request.thread = thread;
        request.number = number;
        request.earlier = earlier;
        let subject = template.map_or(SubjectStyle::Stable, SubjectStyle::Picomon);
        let style = Style { domain, instance, tag, subject, ..Style::default() };
        let mail = mail(&request, &style);
        let ids = mail.references.iter().chain(&mail.in_reply_to);
        for id in ids.chain([&mail.message_id]) {
            prop_assert!(is_message_id(id), "{}", id);
        }
        prop_assert!(mail.references.len() <= 11);
        let values = mail.headers.iter().map(|(_, value)| value);
        for value in values.chain([&mail.subject]) {
            prop_assert!(!value.contains(char::is_control), "{:?}", value);
            prop_assert!(value.chars().count() <= 200);
        }
    }
}

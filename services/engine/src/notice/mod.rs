//! Notices as mails: threads, subjects, headers, text and HTML.
//!
//! Everything follows from the request: the same request is the same mail, byte for byte, whoever
//! sends it and however often. Ids of messages are made of the incident and the numbers of its
//! notices, so that a thread holds together when a mail is lost, sent twice or overtaken.
//!
//! A mail program builds threads from `References`, some of them from subjects too: a subject that
//! stays the same is the default. The state is in the first line of the text and in headers.
//!
//! Sending is the work of a service; other channels take the request as it is.

mod html;
mod picomon;
mod subject;
mod text;
mod thread;
mod words;

use hearken_proto::Timestamp;
use hearken_proto::notice::NoticeRequest;

pub use subject::SubjectStyle;
pub use words::{picomon_duration, spoken};

/// How mails of an installation look.
#[derive(Clone, Debug)]
pub struct Style {
    /// The domain of message ids: one that is ours.
    pub domain: String,
    /// Name of the installation: two of them at one domain do not mix.
    pub instance: String,
    /// What stands before each subject, as `[mon]`; may be empty.
    pub tag: String,
    /// How subjects are made.
    pub subject: SubjectStyle,
    /// Time zone of times in texts, an IANA name.
    pub timezone: String,
    /// Where incidents can be looked at: the id is put behind it.
    pub link: Option<String>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            instance: "hearken".to_owned(),
            tag: String::new(),
            subject: SubjectStyle::Stable,
            timezone: "UTC".to_owned(),
            link: None,
        }
    }
}

/// A mail, but for its sender and its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its id, in angle brackets.
    pub message_id: String,
    /// The mail before it in the thread; none for the first.
    pub in_reply_to: Option<String>,
    /// The first mail of the thread and the last ones before this, in order; empty for the first.
    pub references: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// When it was decided, however late it is sent.
    pub date: Timestamp,
    /// Other headers, each in one line.
    pub headers: Vec<(String, String)>,
    /// Its text.
    pub text: String,
    /// The same for those who like colours; none where it would say nothing more.
    pub html: Option<String>,
}

/// The mail of a notice.
#[must_use]
pub fn mail(request: &NoticeRequest, style: &Style) -> Mail {
    let thread::Place { message_id, in_reply_to, references } = thread::place(request, style);
    let plain = picomon::text(request);
    let html = if plain.is_some() { None } else { html::body(request, style) };
    Mail {
        message_id,
        in_reply_to,
        references,
        subject: subject::subject(request, style),
        date: request.at,
        headers: thread::headers(request, style),
        text: plain.unwrap_or_else(|| text::body(request, style)),
        html,
    }
}

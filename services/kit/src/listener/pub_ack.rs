//! What a publisher is told: the publish acknowledgement of JetStream, and the refusals.
//!
//! Clients read these by code, so codes and texts are those of nats-server.

use bytes::Bytes;
use hearken_proto::Headers;
use serde::Serialize;

use super::counters::Metric;
use super::serve::{Refused, Stored};

/// Conditions of a publish, as JetStream names them.
const EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// Conditions and commands of JetStream that a store here cannot honour: a publish that relies
/// on one must not be stored as if it had been met.
const NOT_HERE: [&str; 4] = [
    "Nats-Expected-Last-Sequence",
    "Nats-Expected-Last-Msg-Id",
    "Nats-Expected-Last-Subject-Sequence-Subject",
    "Nats-Rollup",
];

/// A refusal in JetStream's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The class, as HTTP counts.
    code: u16,
    /// JetStream's own number.
    err_code: u16,
    /// What is wrong.
    pub(super) description: String,
    /// Where it is counted.
    pub(super) metric: Metric,
}

impl Refusal {
    fn new(metric: Metric, code: u16, err_code: u16, description: impl Into<String>) -> Self {
        Self { code, err_code, description: description.into(), metric }
    }

    /// A header block that is none.
    pub(super) fn bad_headers() -> Self {
        Self::new(Metric::RefusedMalformed, 400, 10003, "bad message header detected")
    }

    /// A header block that is too long.
    pub(super) fn headers_too_long() -> Self {
        Self::new(Metric::Oversized, 400, 10097, "header size exceeds maximum allowed of 64k")
    }

    /// An id of the kind that Hearken gives to its own events.
    pub(super) fn reserved_id(id: &str) -> Self {
        let text = format!("the message id {id:?} begins as Hearken's own do, choose another");
        Self::new(Metric::RefusedPermission, 403, 10000, text)
    }

    /// What JetStream would have been asked.
    pub(super) fn no_api() -> Self {
        Self::new(
            Metric::RefusedPermission,
            503,
            10076,
            "this is Hearken's own listener: of JetStream it has the publish acknowledgement and \
             nothing else; run Hearken on a nats-server to use the JetStream API",
        )
    }
}

impl From<&Refused> for Refusal {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Conflict { last } => Self::new(
                Metric::RefusedConflict,
                400,
                10071,
                format!("wrong last sequence: {last}"),
            ),
            Refused::Full => Self::new(Metric::RefusedFull, 503, 10077, "maximum bytes exceeded"),
            Refused::TooLarge => {
                Self::new(Metric::Oversized, 400, 10054, "message size exceeds maximum allowed")
            }
            Refused::Unavailable(why) => {
                Self::new(Metric::RefusedUnavailable, 503, 10008, why.as_str())
            }
        }
    }
}

#[derive(Serialize)]
struct Ack<'a> {
    stream: &'a str,
    seq: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

#[derive(Serialize)]
struct Nack<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    error: ApiError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

#[derive(Serialize)]
struct ApiError<'a> {
    code: u16,
    err_code: u16,
    description: &'a str,
}

/// The acknowledgement of a stored publish.
pub(super) fn stored(stream: &str, stored: Stored) -> Bytes {
    json(&Ack { stream, seq: stored.sequence, duplicate: stored.duplicate })
}

/// The answer to a publish that was not stored.
pub(super) fn refused(stream: &str, refusal: &Refusal) -> Bytes {
    json(&Nack { kind: None, error: refusal.error(), stream: Some(stream), seq: Some(0) })
}

/// The answer to a request of the JetStream API.
pub(super) fn no_api() -> Bytes {
    let kind = Some("io.nats.jetstream.api.v1.error_response");
    json(&Nack { kind, error: Refusal::no_api().error(), stream: None, seq: None })
}

impl Refusal {
    fn error(&self) -> ApiError<'_> {
        ApiError { code: self.code, err_code: self.err_code, description: &self.description }
    }
}

/// Takes the conditions out of `headers`: the last sequence expected on the subject.
pub(super) fn take_condition(
    headers: &mut Headers,
    stream: &str,
) -> Result<Option<u64>, Box<Refusal>> {
    let bad = |text: String| Box::new(Refusal::new(Metric::RefusedMalformed, 400, 10003, text));
    if headers.is_empty() {
        return Ok(None);
    }
    if let Some(name) = NOT_HERE.into_iter().find(|name| headers.get(name).is_some()) {
        return Err(bad(format!("{name} is not supported by this listener")));
    }
    if headers.get(EXPECTED_STREAM).is_some_and(|expected| expected != stream) {
        let text = "expected stream does not match";
        return Err(Box::new(Refusal::new(Metric::RefusedConflict, 400, 10060, text)));
    }
    headers.remove(EXPECTED_STREAM);
    let Some(text) = headers.get(EXPECTED_SEQUENCE) else { return Ok(None) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let expected = text.parse().ok().filter(|_| is_number);
    let Some(expected) = expected else {
        return Err(bad(format!("{EXPECTED_SEQUENCE} is not a number")));
    };
    headers.remove(EXPECTED_SEQUENCE);
    Ok(Some(expected))
}

fn json(value: &impl Serialize) -> Bytes {
    // Text and numbers only: there is nothing in them that JSON cannot say.
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_read_as_jetstream_writes_them() {
        let ack = |sequence, duplicate| stored("hearken-EVENTS", Stored { sequence, duplicate });
        assert_eq!(ack(7, false), r#"{"stream":"hearken-EVENTS","seq":7}"#);
        assert_eq!(ack(7, true), r#"{"stream":"hearken-EVENTS","seq":7,"duplicate":true}"#);
        assert_eq!(
            refused("hearken-LOG", &Refusal::from(&Refused::Conflict { last: 5 })),
            concat!(
                r#"{"error":{"code":400,"err_code":10071,"#,
                r#""description":"wrong last sequence: 5"},"stream":"hearken-LOG","seq":0}"#
            )
        );
    }

    #[test]
    fn codes_are_those_of_jetstream() {
        let rows = [
            (Refused::Conflict { last: 0 }, (400, 10071)),
            (Refused::Full, (503, 10077)),
            (Refused::TooLarge, (400, 10054)),
            (Refused::Unavailable("stopping".into()), (503, 10008)),
        ];
        for (refused, codes) in rows {
            let refusal = Refusal::from(&refused);
            assert_eq!((refusal.code, refusal.err_code), codes, "{refused:?}");
        }
    }

    fn condition(name: &str, value: &str) -> Result<Option<u64>, u16> {
        let mut headers = Headers::new();
        headers.append(name, value);
        headers.append("Other", "kept");
        let taken = take_condition(&mut headers, "hearken-LOG");
        if taken.is_ok() {
            assert_eq!(headers.iter().collect::<Vec<_>>(), [("Other", "kept")]);
        }
        taken.map_err(|refusal| refusal.err_code)
    }

    #[test]
    fn conditions_are_taken_or_refused_and_never_ignored() {
        assert_eq!(condition("nats-expected-last-subject-sequence", "9"), Ok(Some(9)));
        assert_eq!(condition("Nats-Expected-Last-Subject-Sequence", "0"), Ok(Some(0)));
        assert_eq!(condition("Nats-Expected-Stream", "hearken-LOG"), Ok(None));
        assert_eq!(condition("Nats-Expected-Stream", "hearken-EVENTS"), Err(10060));
        for bad in ["", "x", "-1", "+1", "99999999999999999999"] {
            assert_eq!(condition("Nats-Expected-Last-Subject-Sequence", bad), Err(10003), "{bad}");
        }
        for name in NOT_HERE {
            assert_eq!(condition(name, "1"), Err(10003), "{name}");
        }
    }
}

//! From a server's answer to a result.

use hearken_proto::Status;
use serde_json::{Map, Value, json};
use ureq::http::{HeaderMap, header};

use super::super::Outcome;

/// What is kept of a body: what an action looks at is rarely larger, and a result is carried along
/// with every later state of its execution.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

/// The outcome of a run that got an answer.
pub(super) fn outcome(answer: Answer) -> Outcome {
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let is_json = kind.split(';').next().unwrap_or_default().trim() == "application/json";
    let parsed = (is_json && !answer.truncated)
        .then(|| serde_json::from_slice::<Value>(&answer.bytes).ok())
        .flatten();
    let mut result = Map::new();
    result.insert("status_code".to_owned(), json!(answer.status));
    result.insert("parsed".to_owned(), json!(parsed.is_some()));
    let body = parsed.unwrap_or_else(|| Value::from(text(answer.bytes, &kind)));
    result.insert("body".to_owned(), body);
    result.insert("headers".to_owned(), headers(&answer.headers));
    if answer.truncated {
        result.insert("body_truncated".to_owned(), json!(true));
        result.insert("body_bytes_max".to_owned(), json!(BODY_BYTES_MAX));
    }
    let succeeded = matches!(answer.status, 200..=206);
    let status = if succeeded { Status::Succeeded } else { Status::Failed };
    Outcome { status, result: Value::Object(result) }
}

/// Text in the character set that the server names. What is text by its own word and no UTF-8 is
/// Latin-1, which is what the standard says of text without a character set.
fn text(bytes: Vec<u8>, kind: &str) -> String {
    let latin = ["iso-8859-1", "latin-1", "latin1", "windows-1252"];
    let named = kind.split_once("charset=").map(|(_, name)| name.trim_matches(['"', ' ']));
    if named.is_some_and(|name| latin.contains(&name)) {
        return bytes.into_iter().map(char::from).collect();
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if named.is_none() && kind.starts_with("text/") => {
            error.into_bytes().into_iter().map(char::from).collect()
        }
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Headers by their usual names: `Content-Type`, however the server wrote it. Repeated ones are
/// joined by a comma.
fn headers(all: &HeaderMap) -> Value {
    let mut headers = Map::new();
    for name in all.keys() {
        let values: Vec<String> = all
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        headers.insert(usual(name.as_str()), json!(values.join(", ")));
    }
    Value::Object(headers)
}

fn usual(name: &str) -> String {
    match name {
        "etag" => return "ETag".to_owned(),
        "www-authenticate" => return "WWW-Authenticate".to_owned(),
        _ => {}
    }
    let mut upper = true;
    let letter = |letter: char| {
        let usual = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = letter == '-';
        usual
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn outcome_of(status: u16, kind: &'static str, bytes: &[u8], truncated: bool) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        outcome(Answer { status, headers, bytes: bytes.to_vec(), truncated })
    }

    #[test]
    fn a_body_is_what_its_content_type_says() {
        let rows: [(&'static str, &[u8], Value, bool); 8] = [
            ("application/json", b"{\"a\": [1]}", json!({"a": [1]}), true),
            ("Application/JSON; charset=utf-8", b"5", json!(5), true),
            ("application/json", b"{broken", json!("{broken"), false),
            ("text/plain", b"{\"a\": 1}", json!("{\"a\": 1}"), false),
            ("text/plain; charset=utf-8", "é".as_bytes(), json!("é"), false),
            ("text/plain", b"caf\xe9", json!("café"), false),
            ("text/html; charset=ISO-8859-1", b"\xc3\xa9", json!("Ã©"), false),
            ("application/octet-stream", b"a\xffb", json!("a\u{fffd}b"), false),
        ];
        for (kind, bytes, expected, parsed) in rows {
            let result = outcome_of(200, kind, bytes, false).result;
            assert_eq!(result["body"], expected, "{kind}");
            assert_eq!(result["parsed"], parsed, "{kind}");
            assert_eq!(result["headers"], json!({"Content-Type": kind, "X-A": "1, 2"}));
        }
    }

    #[test]
    fn two_hundred_to_two_hundred_and_six_is_success() {
        for (status, expected) in [
            (199, Status::Failed),
            (200, Status::Succeeded),
            (206, Status::Succeeded),
            (207, Status::Failed),
            (302, Status::Failed),
            (500, Status::Failed),
        ] {
            let outcome = outcome_of(status, "text/plain", b"", false);
            assert_eq!(outcome.status, expected);
            assert_eq!(outcome.result["status_code"], status);
        }
    }

    #[test]
    fn a_body_that_was_cut_says_so_and_is_not_parsed() {
        let result = outcome_of(200, "application/json", b"[1, 2", true).result;
        assert_eq!(result["body_truncated"], true);
        assert_eq!(result["body_bytes_max"], BODY_BYTES_MAX);
        assert_eq!((&result["parsed"], &result["body"]), (&json!(false), &json!("[1, 2")));
    }
}

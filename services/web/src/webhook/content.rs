//! What a posted body says, what its event carries, and which name its delivery has.

use axum::http::{HeaderMap, StatusCode, header};
use hearken_proto::id;
use serde_json::{Map, Value, json};

use super::Sender;
use crate::fault::Fault;
use crate::form;

/// Headers that open doors: they never become part of an event.
const SECRET_HEADERS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-auth-token",
    "st2-api-key",
    "x-webhook-token",
    "x-gitlab-token",
];

/// Reads a body: a JSON object or list, or a form.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Value, Fault> {
    let declared = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let media = declared.unwrap_or("application/json").split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::bad("the body is empty, a JSON object or list was expected")
            .hint("send at least {}"));
    }
    match media.as_str() {
        "application/x-www-form-urlencoded" => from_form(body),
        "application/json" | "text/json" => from_json(body),
        media if media.ends_with("+json") => from_json(body),
        _ => {
            let reason = format!("bodies of type {media:?} are not read here");
            Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
                .hint("send application/json, or application/x-www-form-urlencoded"))
        }
    }
}

fn from_json(body: &[u8]) -> Result<Value, Fault> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Fault::bad(format!("the body is not JSON: {error}")))?;
    let kind = match &value {
        Value::Object(_) | Value::Array(_) => return Ok(value),
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
    };
    Err(Fault::bad(format!("the body is {kind}, a JSON object or list was expected"))
        .hint("put it into an object, such as {\"value\": …}"))
}

/// A form as StackStorm reads it: each name has the list of its values, empty ones left out.
fn from_form(body: &[u8]) -> Result<Value, Fault> {
    if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Err(Fault::bad("the body is JSON, and its Content-Type says that it is a form")
            .hint("send it with the header Content-Type: application/json"));
    }
    let mut map = Map::new();
    for (name, value) in form::pairs(body).into_iter().filter(|(_, value)| !value.is_empty()) {
        let values = map.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    if map.is_empty() {
        return Err(Fault::bad("the form has no values"));
    }
    Ok(Value::Object(map))
}

/// What the event carries. Names of headers have no case on the wire: they are told in the form
/// `X-Github-Event`, and in lower case.
pub(crate) fn payload(headers: &HeaderMap, body: &Value) -> Value {
    let (mut title, mut lower) = (Map::new(), Map::new());
    for name in headers.keys().filter(|name| !SECRET_HEADERS.contains(&name.as_str())) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| lossy(value.as_bytes())).collect();
        let value = values.join(", ");
        title.insert(title_case(name.as_str()), value.clone().into());
        lower.insert(name.as_str().to_owned(), value.into());
    }
    json!({ "headers": title, "headers_lower": lower, "body": body })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

/// The name of the event that a delivery to `url` is: the same delivery twice has it twice. None
/// when the sender names none.
pub(crate) fn delivery(
    url: &str,
    sender: Option<Sender>,
    headers: &HeaderMap,
    raw: &[u8],
    body: &Value,
) -> Option<String> {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let field = |name: &str| body.get(name)?.as_str().map(ToOwned::to_owned);
    // Events that follow from one another have one of these in common, so the body is looked at.
    let gitlab = || Some(format!("{}-{}", header("X-Gitlab-Event-UUID")?, id::digest(raw)));
    let key = || header("Idempotency-Key");
    let named = match sender {
        Some(Sender::Github) => header("X-GitHub-Delivery"),
        Some(Sender::Gitlab) => key().or_else(gitlab),
        Some(Sender::Slack) => field("event_id"),
        Some(Sender::Stripe) => field("id"),
        Some(Sender::Standard) => header("webhook-id"),
        Some(Sender::Token) | None => key().or_else(|| header("X-GitHub-Delivery")).or_else(gitlab),
    }?;
    // A hash, so that no url and name are another url and name, however they are spelt.
    Some(format!("webhook-{}", id::derived(&["webhook", url, &named])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&str, &str)| {
            (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap())
        };
        given.iter().map(parsed).collect()
    }

    #[test]
    fn bodies_are_objects_lists_or_forms() {
        let check = |media: &str, body: &str, expected: Result<Value, &str>| {
            let given = if media.is_empty() { vec![] } else { vec![("content-type", media)] };
            match (read(&headers(&given), body.as_bytes()), expected) {
                (Ok(found), expected) => assert_eq!(Ok(found), expected, "{body}"),
                (Err(fault), Err(expected)) => {
                    assert!(fault.reason.contains(expected), "{body}: {}", fault.reason);
                }
                (Err(fault), Ok(_)) => panic!("{body}: {}", fault.reason),
            }
        };
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        check("", "{\"a\": 1}", Ok(json!({"a": 1})));
        check("application/json; charset=utf-8", " [1]", Ok(json!([1])));
        check("application/cloudevents+json", "{}", Ok(json!({})));
        check(form, "a=1&a=2&b=&c=%7B", Ok(json!({"a": ["1", "2"], "c": ["{"]})));
        check("", "7", Err("the body is a number"));
        check("", "\"x\"", Err("the body is a text"));
        check("", "null", Err("the body is null"));
        check("", "{\"a\":", Err("the body is not JSON"));
        check("", " \n", Err("the body is empty"));
        check("", &"[".repeat(200), Err("the body is not JSON"));
        check(form, "{\"a\": \"b=c\"}", Err("the body is JSON"));
        check(form, "=&a", Err("the form has no values"));
        check("text/xml", "<a/>", Err("bodies of type \"text/xml\""));
    }

    #[test]
    fn headers_are_told_in_one_form_and_secrets_are_not() {
        let given = headers(&[
            ("x-GITHUB-event", "push"),
            ("Authorization", "Bearer x"),
            ("cookie", "x"),
            ("X-Gitlab-Token", "x"),
            ("accept", "a"),
            ("accept", "b"),
        ]);
        let expected = json!({
            "headers": {"X-Github-Event": "push", "Accept": "a, b"},
            "headers_lower": {"x-github-event": "push", "accept": "a, b"},
            "body": [],
        });
        assert_eq!(payload(&given, &json!([])), expected);
    }

    #[test]
    fn a_delivery_is_named_as_its_sender_names_it() {
        let check = |sender, given: &[(&str, &str)], body: Value, expected: Option<&str>| {
            let found = delivery("git", sender, &headers(given), b"raw", &body);
            let expected = expected.map(|name| id::derived(&["webhook", "git", name]));
            assert_eq!(found, expected.map(|hash| format!("webhook-{hash}")));
        };
        let both = [("X-GitHub-Delivery", "d"), ("Idempotency-Key", "k")];
        check(Some(Sender::Github), &both, json!({}), Some("d"));
        check(None, &both, json!({}), Some("k"));
        check(None, &[], json!({"id": "x"}), None);
        check(Some(Sender::Stripe), &both, json!({"id": "evt_1"}), Some("evt_1"));
        check(Some(Sender::Slack), &[], json!({"event_id": "Ev1"}), Some("Ev1"));
        check(Some(Sender::Standard), &[("webhook-id", "m")], json!({}), Some("m"));
        // No url and name are another url and name, however they are spelt.
        let of = |url: &str, name: &str| {
            delivery(url, None, &headers(&[("Idempotency-Key", name)]), b"", &json!({}))
        };
        assert_ne!(of("gh", "x-k1"), of("gh-x", "k1"));
        let uuid = headers(&[("X-Gitlab-Event-UUID", "u")]);
        let name = |raw: &[u8]| delivery("git", Some(Sender::Gitlab), &uuid, raw, &json!({}));
        assert_eq!(name(b"1"), name(b"1"));
        assert_ne!(name(b"1"), name(b"2"));
    }
}

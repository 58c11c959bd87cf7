//! Messages of ours: a subject, a payload in MessagePack, and the header that says so. Values that
//! are too large for one are kept out of line.

use hearken_proto::{Message, codec, entry};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::bus::{Bus, Error};

/// A value whose JSON is longer is kept out of line: every transition is read many times, and what
/// it carries besides the outcome should be small.
pub const INLINE_BYTES_MAX: usize = 64 << 10;
/// Member that names the digest of a value that is kept out of line.
const BLOB: &str = "$blob";
/// The longest text that stays beside a digest.
const BESIDE_TEXT_BYTES_MAX: usize = 1 << 10;
/// The most members that stay beside a digest.
const BESIDE_MEMBERS_MAX: usize = 32;

/// A message to `subject` with `payload`.
///
/// # Errors
/// [`Error::Configuration`] when the payload has no MessagePack form.
pub fn message<T: Serialize>(subject: String, payload: &T) -> Result<Message, Error> {
    let body = codec::encode(payload)
        .map_err(|error| Error::Configuration(format!("{subject}: {error}")))?;
    let mut message = Message { subject, body: body.into(), ..Message::default() };
    message.headers.append(entry::CONTENT_TYPE, entry::MESSAGEPACK);
    Ok(message)
}

/// `value` as an entry carries it: itself, or the digest of its JSON with the members that are
/// short, once the JSON is where every host finds it. A value that itself looks like this form is
/// kept out of line whatever its size, so that reading gives back what was written.
///
/// # Errors
/// As [`Bus::blob_put`].
pub async fn outlined(bus: &Bus, value: &Value) -> Result<Value, Error> {
    let text = value.to_string();
    if text.len() <= INLINE_BYTES_MAX && !is_outlined(value) {
        return Ok(value.clone());
    }
    let bytes = text.len();
    let digest = bus.blob_put(text.into()).await?;
    let mut outlined = Map::new();
    outlined.insert(BLOB.to_owned(), json!(digest));
    outlined.insert("bytes".to_owned(), json!(bytes));
    if let Value::Object(members) = value {
        let short = members.iter().filter(|(name, value)| is_short(name, value));
        for (name, value) in short.take(BESIDE_MEMBERS_MAX) {
            outlined.entry(name.as_str()).or_insert_with(|| value.clone());
        }
    }
    Ok(Value::Object(outlined))
}

/// The value that [`outlined`] was given.
///
/// # Errors
/// As [`Bus::blob_get`]; [`Error::Configuration`] when what was kept is gone or no JSON.
pub async fn inlined(bus: &Bus, value: Value) -> Result<Value, Error> {
    let digest = value.get(BLOB).and_then(Value::as_str);
    let Some(digest) = digest else { return Ok(value) };
    let missing = || Error::Configuration(format!("the value {digest} is not kept any more"));
    let content = bus.blob_get(digest).await?.ok_or_else(missing)?;
    serde_json::from_slice(&content)
        .map_err(|error| Error::Configuration(format!("the value {digest} is no JSON: {error}")))
}

/// Whether `value` is a form that [`inlined`] looks up.
#[must_use]
pub fn is_outlined(value: &Value) -> bool {
    value.get(BLOB).is_some_and(Value::is_string)
}

fn is_short(name: &str, value: &Value) -> bool {
    let short = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() <= BESIDE_TEXT_BYTES_MAX,
        Value::Array(_) | Value::Object(_) => false,
    };
    short && name.len() <= BESIDE_TEXT_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearken_log::{Log, Options, StreamOptions};
    use hearken_proto::Stream;

    use super::*;
    use crate::Clock;
    use crate::bus::{Embedded, EmbeddedOptions};
    use crate::router::Router;

    fn bus(folder: &tempfile::TempDir) -> Bus {
        let streams = Stream::ALL.map(|stream| StreamOptions::new(stream.name()));
        let options = Options::new(Arc::new(move || Clock::System.now()), streams.to_vec());
        let log = Log::open(&folder.path().join("log"), options).unwrap();
        let data = folder.path().to_owned();
        let options = EmbeddedOptions { prefix: "hearken".into(), data, payload_max: 1 << 20 };
        Bus::Embedded(Embedded::new(log, Router::default(), options).unwrap())
    }

    #[tokio::test]
    async fn a_large_value_is_kept_out_of_line_and_comes_back_whole() {
        let folder = tempfile::TempDir::new().unwrap();
        let bus = bus(&folder);
        let small = json!({"stdout": "x", "return_code": 0});
        assert_eq!(outlined(&bus, &small).await.unwrap(), small);
        let text = "y".repeat(INLINE_BYTES_MAX);
        let large = json!({"stdout": text, "return_code": 3, "failed": true, "error": "no"});
        let kept = outlined(&bus, &large).await.unwrap();
        assert!(is_outlined(&kept) && kept.to_string().len() < 300, "{kept}");
        assert_eq!(kept["return_code"], json!(3));
        assert_eq!((&kept["failed"], &kept["error"]), (&json!(true), &json!("no")));
        assert_eq!(kept["bytes"], json!(large.to_string().len()));
        assert_eq!(inlined(&bus, kept).await.unwrap(), large);
    }

    #[tokio::test]
    async fn what_only_looks_like_a_digest_is_not_looked_up() {
        let folder = tempfile::TempDir::new().unwrap();
        let bus = bus(&folder);
        for forged in [json!({"$blob": "a".repeat(64)}), json!({"$blob": "../token"})] {
            let kept = outlined(&bus, &forged).await.unwrap();
            assert_ne!(kept, forged);
            assert_eq!(inlined(&bus, kept).await.unwrap(), forged);
            assert!(inlined(&bus, forged).await.is_err());
        }
    }
}

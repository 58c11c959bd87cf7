//! How bodies are written and read: JSON or MessagePack, told by header or by first byte.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::entry::{CONTENT_TYPE, Headers, JSON, MESSAGEPACK};

/// The deepest nesting that a body may have. JSON's reader has the same bound built in.
pub const DEPTH_MAX: usize = 100;

/// Why a body could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON.
    #[error("the body is not JSON")]
    Json(#[source] serde_json::Error),
    /// The body is not MessagePack.
    #[error("the body is not MessagePack")]
    MessagePack(#[source] rmp_serde::decode::Error),
    /// The body is empty.
    #[error("the body is empty, an object was expected")]
    Empty,
    /// The body is readable but no object.
    #[error("the body is {0}, an object was expected")]
    NotAnObject(&'static str),
    /// The header names a format that is not read here.
    #[error("bodies of type {0:?} are not read here: use {JSON} or {MESSAGEPACK}")]
    ContentType(String),
    /// The value cannot be written.
    #[error("the payload cannot be written as MessagePack")]
    Encode(#[source] rmp_serde::encode::Error),
}

/// Writes a payload of ours: MessagePack with named fields, so that readers may be older or newer.
///
/// # Errors
/// [`Error::Encode`] when a value has no MessagePack form, such as a map with keys that are not
/// text inside a type of ours.
pub fn encode<T: Serialize>(payload: &T) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec_named(payload).map_err(Error::Encode)
}

/// Reads a payload in either format.
///
/// # Errors
/// Any [`Error`] but [`Error::Encode`].
pub fn decode<T: DeserializeOwned>(headers: &Headers, body: &[u8]) -> Result<T, Error> {
    match format(headers, body)? {
        Format::Json => serde_json::from_slice(body).map_err(Error::Json),
        Format::MessagePack => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(body);
            reader.set_max_depth(DEPTH_MAX);
            T::deserialize(&mut reader).map_err(Error::MessagePack)
        }
    }
}

/// Reads the body of a fact: an object in either format.
///
/// # Errors
/// As [`decode`], and [`Error::NotAnObject`].
pub fn decode_object(headers: &Headers, body: &[u8]) -> Result<Value, Error> {
    let value: Value = decode(headers, body)?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Err(Error::NotAnObject("null")),
        Value::Bool(_) => Err(Error::NotAnObject("a boolean")),
        Value::Number(_) => Err(Error::NotAnObject("a number")),
        Value::String(_) => Err(Error::NotAnObject("a text")),
        Value::Array(_) => Err(Error::NotAnObject("a list")),
    }
}

enum Format {
    Json,
    MessagePack,
}

fn format(headers: &Headers, body: &[u8]) -> Result<Format, Error> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace()).ok_or(Error::Empty)?;
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        // A MessagePack map or list starts above 0x7f, so JSON's first byte cannot be mistaken.
        return Ok(if *first < 0x80 { Format::Json } else { Format::MessagePack });
    };
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        JSON | "text/json" | "text/plain" => Ok(Format::Json),
        media if media.ends_with("+json") => Ok(Format::Json),
        MESSAGEPACK | "application/msgpack" | "application/x-msgpack" => Ok(Format::MessagePack),
        _ => Err(Error::ContentType(content_type.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_type(content_type: &str) -> Headers {
        [(CONTENT_TYPE.to_owned(), content_type.to_owned())].into_iter().collect()
    }

    #[test]
    fn the_first_byte_decides_without_a_header() {
        let value = json!({"order": 7, "price": 1.5, "tags": ["a", null, true]});
        let none = Headers::new();
        assert_eq!(decode_object(&none, value.to_string().as_bytes()).unwrap(), value);
        assert_eq!(decode_object(&none, &encode(&value).unwrap()).unwrap(), value);
        assert!(decode_object(&with_type("application/json; charset=utf-8"), b" {}").is_ok());
    }

    #[test]
    fn what_is_no_object_is_an_error_that_says_so() {
        let none = Headers::new();
        for (body, text) in [
            (&b""[..], "the body is empty, an object was expected"),
            (b"  ", "the body is empty, an object was expected"),
            (b"[1]", "the body is a list, an object was expected"),
            (b"7", "the body is a number, an object was expected"),
            (b"{\"a\":", "the body is not JSON"),
            (b"\x81\xa1", "the body is not MessagePack"),
        ] {
            assert_eq!(decode_object(&none, body).unwrap_err().to_string(), text);
        }
        let error = decode_object(&with_type("text/xml"), b"<a/>").unwrap_err();
        assert!(error.to_string().starts_with("bodies of type \"text/xml\""), "{error}");
    }

    #[test]
    fn depth_is_bounded_in_both_formats() {
        let none = Headers::new();
        let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(decode_object(&none, json.as_bytes()).is_err());
        assert!(decode_object(&none, &vec![0x91; 100_000]).is_err());
    }
}

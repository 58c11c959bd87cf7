//! Answers that are not success: a status, `{"faultstring": …}` as StackStorm has it, and a hint.
//!
//! [`in_words`] gives this form to what the framework refuses by itself: bodies and queries that
//! cannot be read, methods that a path does not have.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The longest reason that the framework gives.
const REASON_BYTES_MAX: usize = 64 << 10;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
    hint: Option<String>,
}

impl Fault {
    /// A fault with its reason: lower case, no full stop.
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), hint: None }
    }

    /// The request cannot be understood or allowed as it is.
    pub(crate) fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// What was asked for does not exist.
    pub(crate) fn missing(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = match self.hint {
            Some(hint) => json!({ "faultstring": self.reason, "hint": hint }),
            None => json!({ "faultstring": self.reason }),
        };
        (self.status, Json(body)).into_response()
    }
}

/// Puts a refusal that is not ours into our words.
pub(crate) async fn in_words(response: Response) -> Response {
    let status = response.status();
    let is_fault = status.is_client_error() || status.is_server_error();
    let content = response.headers().get(header::CONTENT_TYPE);
    let is_json =
        content.is_some_and(|content| content.as_bytes().starts_with(b"application/json"));
    if !is_fault || is_json {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, REASON_BYTES_MAX).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&bytes);
    let fault = match said.trim() {
        "" if status == StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = parts.headers.get(header::ALLOW).and_then(|allow| allow.to_str().ok());
            Fault::new(status, "this path does not have that method")
                .hint(format!("it has {}", allowed.unwrap_or("none")))
        }
        "" => Fault::new(status, status.canonical_reason().unwrap_or("refused").to_lowercase()),
        said => Fault::new(status, format!("the request cannot be read: {said}")),
    };
    let mut response = fault.into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

impl From<hearken_kit::bus::Error> for Fault {
    fn from(error: hearken_kit::bus::Error) -> Self {
        use hearken_kit::bus::Error;
        let status = if matches!(error, Error::TooLarge { .. }) {
            StatusCode::PAYLOAD_TOO_LARGE
        } else if matches!(error, Error::NotStored(_)) {
            StatusCode::BAD_REQUEST
        } else if matches!(error, Error::Conflict) {
            StatusCode::CONFLICT
        } else if matches!(error, Error::Full(_)) {
            StatusCode::INSUFFICIENT_STORAGE
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let cause = std::error::Error::source(&error);
        let text = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        Self::new(status, text)
    }
}

impl From<hearken_packs::Error> for Fault {
    fn from(error: hearken_packs::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

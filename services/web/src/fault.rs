//! Answers that are not success: a status, `{"faultstring": …}` as StackStorm has it, and a hint.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    reason: String,
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

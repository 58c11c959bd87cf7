//! Who may ask: whoever shows the installation's token.
//!
//! The token is accepted as `Authorization: Bearer`, and under the two names that StackStorm's
//! clients use. Whether the process is there at all is nobody's secret.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::App;
use crate::fault::Fault;

/// Headers of StackStorm's clients that carry a bare token.
const BARE: [&str; 2] = ["St2-Api-Key", "X-Auth-Token"];
/// Paths that need none.
const OPEN: [&str; 1] = ["/healthz"];

/// Lets a request through when it shows the token.
pub(crate) async fn require_token(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Fault> {
    if OPEN.contains(&request.uri().path()) || shows(request.headers(), &app.0.token) {
        return Ok(next.run(request).await);
    }
    Err(Fault::new(StatusCode::UNAUTHORIZED, "this needs the installation's token")
        .hint("send it as \"Authorization: Bearer …\"; it is in the file token of the data folder"))
}

fn shows(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let bare = BARE.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    bearer.into_iter().chain(bare).any(|shown| same(shown.as_bytes(), token.as_bytes()))
}

/// Compares in a time that does not tell how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_under_three_names_and_nothing_else_is() {
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            headers
        };
        for headers in [
            with("authorization", "Bearer secret"),
            with("st2-api-key", "secret"),
            with("x-auth-token", "secret"),
        ] {
            assert!(shows(&headers, "secret"), "{headers:?}");
        }
        for headers in [
            HeaderMap::new(),
            with("authorization", "secret"),
            with("authorization", "Bearer secret2"),
            with("x-auth-token", ""),
        ] {
            assert!(!shows(&headers, "secret"), "{headers:?}");
        }
    }
}

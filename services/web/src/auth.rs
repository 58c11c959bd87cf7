//! Who may ask: whoever shows the installation's token.
//!
//! The token is accepted as `Authorization: Bearer`, and under the two names that StackStorm's
//! clients use; webhooks, whose senders often can set nothing but a url, take it in the query too.
//! Whether the process is there at all is nobody's secret.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::App;
use crate::fault::Fault;
use crate::webhook::same;

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
    Err(refused())
}

/// Nobody showed the token.
pub(crate) fn refused() -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, "this needs the installation's token")
        .hint("send it as \"Authorization: Bearer …\"; it is in the file token of the data folder")
}

/// Whether the token is among the headers, or in the query.
pub(crate) fn shows_somewhere(
    headers: &HeaderMap,
    query: &[(String, String)],
    token: &str,
) -> bool {
    let mut shown =
        query.iter().filter(|(name, _)| BARE.iter().any(|bare| bare.eq_ignore_ascii_case(name)));
    shows(headers, token) || shown.any(|(_, shown)| same(shown.as_bytes(), token.as_bytes()))
}

fn shows(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let bare = BARE.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    bearer.into_iter().chain(bare).any(|shown| same(shown.as_bytes(), token.as_bytes()))
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
        for (name, value, expected) in [
            ("st2-api-key", "secret", true),
            ("x-auth-token", "secret", true),
            ("x-auth-token", "Secret", false),
            ("token", "secret", false),
        ] {
            let query = [(name.to_owned(), value.to_owned())];
            assert_eq!(shows_somewhere(&HeaderMap::new(), &query, "secret"), expected, "{name}");
        }
    }
}

//! What a ticket permits: the rows of the table in `proto/README.md`, as a function.
//!
//! An action may do with the API what packs do with it: keys, executions, inquiries, webhooks and
//! events, and reading what is in force. It may not change what is in force (rules, packs), nor
//! read the log itself. The actions of the pack `packs`, which install packs for a living, may
//! change packs. Pure: whose ticket it is has been found out before.

use axum::http::Method;

/// The pack whose actions manage packs.
const PACKS: &str = "packs";

/// Whether an action of `pack` may do `method` at `path`.
pub(crate) fn permits(pack: &str, method: &Method, path: &str) -> bool {
    let path = path.strip_prefix("/api/").map_or(path, |rest| path_after(path, rest));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next(), parts.next()) {
        (Some("v1"), Some("packs"), _) | (Some("hearken"), Some("v1"), Some("packs")) => {
            reads || pack == PACKS
        }
        (Some("v1"), Some("keys" | "executions" | "inquiries" | "webhooks"), _)
        | (Some("v1"), Some("actionexecutions" | "liveactions" | "triggerinstances"), _)
        | (Some("hearken"), Some("v1"), Some("keys" | "run" | "events" | "executions")) => true,
        (Some("auth"), ..) => false,
        (Some("v1"), ..) | (Some("hearken"), Some("v1"), Some("status" | "rules")) => reads,
        (Some("stream"), ..) => reads,
        (_, _, _) => false,
    }
}

/// The path from the slash before `rest` on.
fn path_after<'a>(path: &'a str, rest: &str) -> &'a str {
    path.get(path.len() - rest.len() - 1..).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_does_what_packs_do_and_changes_nothing_that_is_in_force() {
        for (pack, method, path, expected) in [
            ("shop", Method::GET, "/v1/keys/a", true),
            ("shop", Method::DELETE, "/v1/keys/a/", true),
            ("shop", Method::POST, "/hearken/v1/keys/a/increment", true),
            ("shop", Method::POST, "/v1/executions", true),
            ("shop", Method::POST, "/api/v1/executions/", true),
            ("shop", Method::DELETE, "/v1/executions/5", true),
            ("shop", Method::POST, "/v1/webhooks/st2", true),
            ("shop", Method::PUT, "/v1/inquiries/5", true),
            ("shop", Method::POST, "/v1/triggerinstances/5/re_emit", true),
            ("shop", Method::POST, "/hearken/v1/events", true),
            ("shop", Method::GET, "/v1/rules", true),
            ("shop", Method::GET, "/v1/actions/core.local", true),
            ("shop", Method::PUT, "/v1/rules/shop.late", false),
            ("shop", Method::DELETE, "/v1/rules/shop.late", false),
            ("shop", Method::PUT, "/hearken/v1/rules/shop.late/enabled", false),
            ("shop", Method::POST, "/hearken/v1/rules/shop.late/test", false),
            ("shop", Method::GET, "/v1/packs", true),
            ("shop", Method::POST, "/v1/packs/install", false),
            ("packs", Method::POST, "/v1/packs/install", true),
            ("packs", Method::POST, "/api/v1/packs/install", true),
            ("packs", Method::POST, "/hearken/v1/packs", true),
            ("packs", Method::PUT, "/v1/rules/shop.late", false),
            ("shop", Method::POST, "/hearken/v1/log", false),
            ("shop", Method::GET, "/hearken/v1/explain/5", false),
            ("shop", Method::GET, "/hearken/v1/events/tail", true),
            ("shop", Method::POST, "/auth/v1/tokens", false),
            ("shop", Method::GET, "/metrics", false),
            ("shop", Method::GET, "/", false),
            ("shop", Method::POST, "/v1/apikeys", false),
        ] {
            assert_eq!(permits(pack, &method, path), expected, "{pack} {method} {path}");
        }
    }
}

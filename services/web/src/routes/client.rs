//! What StackStorm's clients ask for beside executions and keys: who they are, what there is.
//!
//! What is in force comes from the files of packs. So definitions are read here, and the one thing
//! that can be changed of them is whether a rule is on; everything else is refused with the way
//! out. A token that is given for a password is the installation's own: Hearken has no accounts,
//! and whoever knows the password knows it anyway.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearken_engine::definition::RunnerKind;
use hearken_packs::publish;
use serde::Deserialize;
use serde_json::{Value, json};

use super::definitions::{absent, named, rule, rule_view, trigger_view};
use crate::App;
use crate::auth::{self, Caller};
use crate::fault::Fault;
use crate::listing::Listing;
use crate::webhook::same;

/// How long a token is said to be good unless the client says otherwise; then clients ask again.
const TTL: Duration = Duration::from_secs(24 * 3600);
/// The longest that a client may say: a year.
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Members of a rule that are not compared when it is switched.
const SWITCHED: &str = "enabled";

/// What is here.
pub(crate) async fn root() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION"), "docs_url": "", "name": "hearken" }))
}

/// Who asks.
pub(crate) async fn user(Extension(caller): Extension<Caller>) -> Json<Value> {
    let method = if caller.is_action { "authentication token" } else { "api key" };
    Json(json!({
        "username": caller.user(),
        "authentication": { "method": method, "location": "header" },
        "rbac": { "enabled": false, "roles": [], "is_admin": !caller.is_action },
    }))
}

/// What a client says of the token that it wants.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WantedToken {
    /// Seconds.
    ttl: Option<u64>,
}

/// A token for a password: any user's is the installation's token.
pub(crate) async fn token(
    State(app): State<App>,
    headers: HeaderMap,
    body: Option<Json<WantedToken>>,
) -> Result<Response, Fault> {
    let Some((user, password)) = basic(&headers) else { return Err(auth::refused()) };
    if !same(password.as_bytes(), app.0.token.as_bytes()) {
        return Err(Fault::new(StatusCode::UNAUTHORIZED, "this password is not good")
            .hint("the password of every user is what is in the file token of the data folder"));
    }
    let ttl = body.unwrap_or_default().0.ttl.map_or(TTL, Duration::from_secs);
    if ttl > TTL_MAX {
        return Err(Fault::bad(format!("a ttl is at most {} s", TTL_MAX.as_secs())));
    }
    let token = json!({
        "id": "installation",
        "user": user,
        "token": app.0.token,
        "expiry": app.0.clock.now().plus(ttl),
        "metadata": {},
        "service": false,
    });
    Ok((StatusCode::CREATED, Json(token)).into_response())
}

/// The user and the password of basic authentication.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(said.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Runners, and the parameters that every action of theirs has.
pub(crate) async fn runners(listing: Listing) -> Response {
    listing.of_all(RunnerKind::KNOWN.iter().map(runner_view).collect())
}

/// One runner.
pub(crate) async fn runner(Path(name): Path<String>) -> Result<Json<Value>, Fault> {
    let known = RunnerKind::KNOWN.iter().find(|known| known.name() == name);
    known.map(|known| Json(runner_view(known))).ok_or_else(|| absent("runner", &name))
}

fn runner_view(runner: &RunnerKind) -> Value {
    json!({
        "id": runner.name(),
        "name": runner.name(),
        "uid": format!("runner_type:{}", runner.name()),
        "enabled": true,
        "runner_parameters": runner.parameters().to_value(),
    })
}

/// Triggers: those that rules gave parameters, and one for each type that has none.
pub(crate) async fn triggers(State(app): State<App>, listing: Listing) -> Response {
    listing.of_all(all_triggers(&app))
}

/// One trigger.
pub(crate) async fn trigger(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Fault> {
    let found = all_triggers(&app)
        .into_iter()
        .find(|trigger| trigger.get("ref").and_then(Value::as_str) == Some(reference.as_str()));
    found.map(Json).ok_or_else(|| absent("trigger", &reference))
}

fn all_triggers(app: &App) -> Vec<Value> {
    let definitions = app.0.definitions.current();
    let registry = &definitions.registry;
    let pack_of = |reference: &str| reference.split('.').next().unwrap_or_default().to_owned();
    let needed = registry.needed_triggers().into_iter().map(|needed| {
        let pack = pack_of(&needed.trigger);
        named(
            "trigger",
            json!({
                "ref": format!("{pack}.{}", needed.digest),
                "name": needed.digest,
                "pack": pack,
                "type": needed.trigger,
                "parameters": needed.parameters,
                "description": null,
            }),
        )
    });
    let plain = registry.triggers().filter(|known| !takes_parameters(&trigger_view(known)));
    let plain = plain.map(|known| {
        named(
            "trigger",
            json!({
                "ref": known.reference,
                "name": known.name,
                "pack": known.pack,
                "type": known.reference,
                "parameters": {},
                "description": known.description,
            }),
        )
    });
    needed.chain(plain).collect()
}

/// Whether a trigger type has a trigger only where a rule gives parameters.
fn takes_parameters(view: &Value) -> bool {
    let schema = view.get("parameters_schema").and_then(Value::as_object);
    schema.is_some_and(|schema| !schema.is_empty())
}

/// Takes a rule back that a client has changed: it may have been switched on or off.
pub(crate) async fn put_rule(
    State(app): State<App>,
    Path(reference): Path<String>,
    Json(wanted): Json<serde_json::Map<String, Value>>,
) -> Result<Json<Value>, Fault> {
    let definitions = app.0.definitions.current();
    let live = definitions.registry.rule(&reference).ok_or_else(|| absent("rule", &reference))?;
    let current = rule_view(live);
    let changed = wanted.iter().find(|(name, value)| {
        *name != SWITCHED && current.get(name).is_some_and(|known| known != *value)
    });
    if let Some((name, _)) = changed {
        let what = format!("the {name} of a rule cannot be changed here");
        return Err(Fault::new(StatusCode::NOT_IMPLEMENTED, what)
            .hint("rules are files of packs: edit the file, and it is in force at once"));
    }
    let enabled = match wanted.get(SWITCHED) {
        Some(Value::Bool(enabled)) => Some(*enabled),
        Some(other) => return Err(Fault::bad(format!("enabled is true or false, not {other}"))),
        None => None,
    };
    if let Some(enabled) = enabled.filter(|enabled| *enabled != live.enabled) {
        let published = publish::switch_rule(&app.0.bus, &reference, Some(enabled)).await?;
        app.0.definitions.reach(published.mark).await;
    }
    rule(State(app), Path(reference)).await
}

/// Refuses to make, change or remove a definition.
pub(crate) async fn in_files() -> Fault {
    let what = "what is in force comes from the files of packs and is not changed here";
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, what)
        .hint("add, edit or remove the file in the pack's folder: it is in force at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_as_basic_authentication_has_it() {
        for (said, expected) in [
            ("Basic c3QyOnNlY3JldA==", Some(("st2", "secret"))),
            ("Basic OmE6Yg==", Some(("", "a:b"))),
            ("Basic c3Qy", None),
            ("Basic ???", None),
            ("Bearer c3QyOnNlY3JldA==", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, said.parse().unwrap());
            let read = basic(&headers);
            let read = read.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            assert_eq!(read, expected, "{said}");
        }
        assert_eq!(basic(&HeaderMap::new()), None);
    }
}

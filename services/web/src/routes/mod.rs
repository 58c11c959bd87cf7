//! Every path, in one list.

mod client;
mod definitions;
mod enforcements;
mod events;
mod executions;
mod inquiries;
mod instances;
mod keys;
mod log;
mod sensors;
mod status;
mod webhooks;

use axum::Router;
use axum::http::Uri;
use axum::routing::{MethodRouter, get, post, put};

use crate::App;
use crate::fault::Fault;

/// Items in a list unless the client says otherwise, as in StackStorm.
pub(crate) const LIMIT_DEFAULT: usize = 100;
/// The most items in a list.
pub(crate) const LIMIT_MAX: usize = 1000;
/// How far into a list one may ask: everything before has to be walked through each time.
const OFFSET_MAX: usize = 10_000;

/// How many items of a list to skip.
pub(crate) fn offset(wanted: Option<usize>) -> Result<usize, Fault> {
    let wanted = wanted.unwrap_or(0);
    if wanted <= OFFSET_MAX {
        return Ok(wanted);
    }
    Err(Fault::bad(format!("the offset {wanted} is beyond {OFFSET_MAX}"))
        .hint("narrow the list by its filters instead"))
}

/// Webhooks, which look at their senders themselves.
pub(crate) fn webhooks() -> Router<App> {
    below_api(Router::new().route("/v1/webhooks/{*url}", post(webhooks::post)))
}

/// The paths that need the token, without authentication.
pub(crate) fn all() -> Router<App> {
    Router::new()
        .route("/healthz", get(status::health))
        .route("/metrics", get(status::metrics))
        .route("/hearken/v1/status", get(status::status))
        .route("/hearken/v1/run", post(executions::run))
        .route("/hearken/v1/executions/{id}/follow", get(executions::follow))
        .route("/hearken/v1/events", post(events::publish))
        .route("/hearken/v1/events/tail", get(events::tail))
        .route("/hearken/v1/rules/{reference}/enabled", put(definitions::switch))
        .route("/hearken/v1/rules/{reference}/test", post(definitions::test))
        .route("/hearken/v1/explain/{id}", get(log::explain))
        .route("/hearken/v1/log", post(log::ask))
        .route("/hearken/v1/keys/{name}", get(keys::look).put(keys::put_if))
        .route("/hearken/v1/keys/{name}/increment", post(keys::increment))
        .merge(below_api(st2()))
        // With the version, without it, and as the server that had a port for this alone.
        .route("/auth/v1/tokens", post(client::token))
        .route("/auth/tokens", post(client::token))
        .route("/tokens", post(client::token))
        .fallback(nowhere)
}

/// StackStorm's paths. Its clients end some by a slash, which is taken off before they get here
/// ([`plain`]).
fn st2() -> Router<App> {
    // What comes from files is read, and refused to be written with a hint.
    let listed = |all: MethodRouter<App>| all.post(client::in_files);
    let single = |one: MethodRouter<App>| one.put(client::in_files).delete(client::in_files);
    Router::new()
        .route("/v1", get(client::root))
        .route("/v1/user", get(client::user))
        .route("/v1/keys", get(keys::list))
        .route("/v1/keys/{name}", get(keys::get).put(keys::put).delete(keys::delete))
        .merge(executions_at("/v1/executions"))
        // What StackStorm has called them in the past.
        .merge(executions_at("/v1/actionexecutions"))
        .merge(executions_at("/v1/liveactions"))
        .route("/v1/actions", listed(get(definitions::actions)))
        .route("/v1/actions/{reference}", single(get(definitions::action)))
        .route("/v1/rules", listed(get(definitions::rules)))
        .route(
            "/v1/rules/{reference}",
            get(definitions::rule).put(client::put_rule).delete(client::in_files),
        )
        .route("/v1/ruleenforcements", get(enforcements::list))
        .route("/v1/triggertypes", listed(get(definitions::triggers)))
        .route("/v1/triggertypes/{reference}", single(get(definitions::trigger)))
        .route("/v1/triggers", listed(get(client::triggers)))
        .route("/v1/triggers/{reference}", single(get(client::trigger)))
        .route("/v1/triggerinstances", get(instances::list))
        .route("/v1/triggerinstances/{id}", get(instances::get))
        .route("/v1/triggerinstances/{id}/re_emit", post(instances::re_emit))
        .route("/v1/sensortypes", listed(get(definitions::sensors)))
        .route("/v1/sensortypes/{reference}", single(get(definitions::sensor)))
        .route("/v1/inquiries", get(inquiries::list))
        .route("/v1/inquiries/{id}", get(inquiries::get).put(inquiries::put))
        .route("/v1/runnertypes", get(client::runners))
        .route("/v1/runnertypes/{name}", get(client::runner))
        .route("/v1/packs", get(definitions::packs))
        .route("/v1/packs/{name}", get(definitions::pack))
        .route("/v1/webhooks", get(webhooks::list))
}

fn executions_at(path: &str) -> Router<App> {
    let one = get(executions::get).put(executions::change).delete(executions::cancel);
    Router::new()
        .route(path, get(executions::list).post(executions::create))
        .route(&format!("{path}/{{id}}"), one)
        .route(&format!("{path}/{{id}}/re_run"), post(executions::rerun))
        .route(&format!("{path}/{{id}}/output"), get(executions::output))
        .route(&format!("{path}/{{id}}/result"), get(executions::result))
        .route(&format!("{path}/{{id}}/children"), get(executions::children))
        .route(&format!("{path}/{{id}}/attribute/{{name}}"), get(executions::attribute))
}

/// `uri` without the slash that some clients end a path with.
pub(crate) fn plain(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let shorter = path.strip_suffix('/').filter(|shorter| !shorter.is_empty())?;
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{shorter}{query}").parse().ok()
}

/// The paths of StackStorm are also below `/api`, where its own proxy has them.
fn below_api(paths: Router<App>) -> Router<App> {
    paths.clone().nest("/api", paths)
}

async fn nowhere(uri: Uri) -> Fault {
    Fault::missing(format!("there is nothing at {}", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_of_a_path_is_taken_off() {
        for (uri, expected) in [
            ("/v1/keys/", Some("/v1/keys")),
            ("/v1/keys/?prefix=a/", Some("/v1/keys?prefix=a/")),
            ("/v1/keys/a%2F/", Some("/v1/keys/a%2F")),
            ("/v1/keys", None),
            ("/", None),
        ] {
            let plain = plain(&uri.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(plain.as_deref(), expected, "{uri}");
        }
    }
}

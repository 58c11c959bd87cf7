//! Every path, in one list.

mod definitions;
mod enforcements;
mod events;
mod executions;
mod instances;
mod keys;
mod log;
mod status;
mod webhooks;

use axum::Router;
use axum::routing::{get, post, put};

use crate::App;
use crate::fault::Fault;

/// Items in a list unless the client says otherwise, as in StackStorm.
const LIMIT_DEFAULT: usize = 100;
/// The most items in a list.
const LIMIT_MAX: usize = 1000;
/// How far into a list one may ask: everything before has to be walked through each time.
const OFFSET_MAX: usize = 10_000;

/// How many items of a list to skip.
fn offset(wanted: Option<usize>) -> Result<usize, Fault> {
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
        .fallback(nowhere)
}

/// StackStorm's paths.
fn st2() -> Router<App> {
    // Its client ends some paths by a slash.
    let key = || get(keys::get).put(keys::put).delete(keys::delete);
    Router::new()
        .route("/v1/keys", get(keys::list))
        .route("/v1/keys/", get(keys::list))
        .route("/v1/keys/{name}", key())
        .route("/v1/keys/{name}/", key())
        .route("/v1/executions", get(executions::list).post(executions::create))
        .route("/v1/executions/{id}", get(executions::get).delete(executions::cancel))
        .route("/v1/executions/{id}/re_run", post(executions::rerun))
        .route("/v1/actions", get(definitions::actions))
        .route("/v1/actions/{reference}", get(definitions::action))
        .route("/v1/rules", get(definitions::rules))
        .route("/v1/rules/{reference}", get(definitions::rule))
        .route("/v1/ruleenforcements", get(enforcements::list))
        .route("/v1/triggertypes", get(definitions::triggers))
        .route("/v1/triggertypes/{reference}", get(definitions::trigger))
        .route("/v1/triggerinstances", get(instances::list))
        .route("/v1/triggerinstances/{id}", get(instances::get))
        .route("/v1/triggerinstances/{id}/re_emit", post(instances::re_emit))
        .route("/v1/sensortypes", get(definitions::sensors))
        .route("/v1/sensortypes/{reference}", get(definitions::sensor))
        .route("/v1/packs", get(definitions::packs))
        .route("/v1/packs/{name}", get(definitions::pack))
        .route("/v1/webhooks", get(webhooks::list))
}

/// The paths of StackStorm are also below `/api`, where its own proxy has them.
fn below_api(paths: Router<App>) -> Router<App> {
    paths.clone().nest("/api", paths)
}

async fn nowhere(uri: axum::http::Uri) -> Fault {
    Fault::missing(format!("there is nothing at {}", uri.path()))
}

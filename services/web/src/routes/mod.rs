//! Every path, in one list.

mod definitions;
mod events;
mod executions;
mod log;
mod status;

use axum::Router;
use axum::routing::{get, post, put};

use crate::App;
use crate::fault::Fault;

/// Items in a list unless the client says otherwise, as in StackStorm.
const LIMIT_DEFAULT: usize = 100;

/// The paths, without authentication.
pub(crate) fn all() -> Router<App> {
    Router::new()
        .route("/healthz", get(status::health))
        .route("/metrics", get(status::metrics))
        .route("/hearken/v1/status", get(status::status))
        .route("/v1/executions", get(executions::list).post(executions::create))
        .route("/v1/executions/{id}", get(executions::get).delete(executions::cancel))
        .route("/v1/executions/{id}/re_run", post(executions::rerun))
        .route("/hearken/v1/run", post(executions::run))
        .route("/hearken/v1/executions/{id}/follow", get(executions::follow))
        .route("/hearken/v1/events", post(events::publish))
        .route("/hearken/v1/events/tail", get(events::tail))
        .route("/v1/actions", get(definitions::actions))
        .route("/v1/actions/{reference}", get(definitions::action))
        .route("/v1/rules", get(definitions::rules))
        .route("/v1/rules/{reference}", get(definitions::rule))
        .route("/hearken/v1/rules/{reference}/enabled", put(definitions::switch))
        .route("/hearken/v1/rules/{reference}/test", post(definitions::test))
        .route("/v1/triggertypes", get(definitions::triggers))
        .route("/v1/triggertypes/{reference}", get(definitions::trigger))
        .route("/v1/sensortypes", get(definitions::sensors))
        .route("/v1/sensortypes/{reference}", get(definitions::sensor))
        .route("/v1/packs", get(definitions::packs))
        .route("/v1/packs/{name}", get(definitions::pack))
        .route("/hearken/v1/explain/{id}", get(log::explain))
        .route("/hearken/v1/log", post(log::ask))
        .fallback(nowhere)
}

async fn nowhere(uri: axum::http::Uri) -> Fault {
    Fault::missing(format!("there is nothing at {}", uri.path()))
}

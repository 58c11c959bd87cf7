//! The HTTP side: what the command line and StackStorm's clients talk to.
//!
//! Our own API lives under `/hearken/v1`; `/v1` is StackStorm's, as far as it is there. Nothing is
//! decided here: requests become entries, questions go to the ledger over the bus, and verdicts of
//! rules are the engine's.
//!
//! Invariant: every answer that is not one of success is `{"faultstring": …}`, with a hint where
//! there is one.

mod auth;
mod chain;
mod fault;
mod follow;
mod ledger;
mod routes;
mod run;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use hearken_kit::bus::Bus;
use hearken_kit::{Clock, Shutdown};
use hearken_packs::Follower;
use tokio::net::TcpListener;

/// The largest request body: a message of the bus takes 1 MiB, JSON may be a little longer.
const BODY_BYTES_MAX: usize = 2 << 20;

/// What the HTTP side is started with.
#[derive(Debug)]
pub struct Config {
    /// Where it listens, bound already.
    pub listener: TcpListener,
    /// The secret that a client must show.
    pub token: String,
    /// The definitions.
    pub definitions: Follower,
    /// Where the time comes from.
    pub clock: Clock,
    /// What `/hearken/v1/status` tells beside what this service knows.
    pub about: serde_json::Value,
    /// Lines for `/metrics`, made at each request.
    pub metrics: Metrics,
}

/// A source of metrics in Prometheus' text form.
#[derive(Clone)]
pub struct Metrics(pub Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Why the HTTP side ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener failed.
    #[error("the HTTP listener failed")]
    Listener(#[source] std::io::Error),
}

/// What every handler is given.
#[derive(Clone)]
struct App(Arc<Inner>);

struct Inner {
    bus: Bus,
    definitions: Follower,
    clock: Clock,
    token: String,
    about: serde_json::Value,
    metrics: Metrics,
    shutdown: Shutdown,
}

/// Serves until `shutdown` is requested.
///
/// # Errors
/// [`Error::Listener`].
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) -> Result<(), Error> {
    let app = App(Arc::new(Inner {
        bus,
        definitions: config.definitions,
        clock: config.clock,
        token: config.token,
        about: config.about,
        metrics: config.metrics,
        shutdown: shutdown.clone(),
    }));
    let router: Router = routes::all()
        .layer(middleware::from_fn_with_state(app.clone(), auth::require_token))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app);
    axum::serve(config.listener, router)
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await
        .map_err(Error::Listener)
}

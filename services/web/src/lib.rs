//! The HTTP side: what the command line and StackStorm's clients talk to.
//!
//! Our own API lives under `/hearken/v1`; `/v1` is StackStorm's, as far as it is there. Nothing is
//! decided here: requests become entries, questions go to the ledger over the bus, and verdicts of
//! rules are the engine's.
//!
//! Invariant: every answer that is not one of success is `{"faultstring": …}`, with a hint where
//! there is one.

mod absence;
mod auth;
mod body;
mod chain;
mod fact;
mod fault;
mod follow;
mod form;
mod ledger;
mod listing;
mod permit;
mod routes;
mod run;
mod schema;
mod seat;
mod serve;
mod view;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use hearken_kit::bus::Bus;
use hearken_kit::{Clock, Sealer, Shutdown};
use hearken_packs::Follower;
use hearken_packs::kv::Datastore;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use webhook::{Hook, Sender};

/// What the HTTP side is started with.
#[derive(Debug)]
pub struct Config {
    /// Where it listens, bound already.
    pub listener: TcpListener,
    /// The secret that a client must show.
    pub token: String,
    /// The definitions.
    pub definitions: Follower,
    /// The datastore.
    pub datastore: Datastore,
    /// Seals secret parameters, and opens them when a request is repeated.
    pub sealer: Sealer,
    /// Where the time comes from.
    pub clock: Clock,
    /// What `/hearken/v1/status` tells beside what this service knows.
    pub about: serde_json::Value,
    /// Lines for `/metrics`, made at each request.
    pub metrics: Metrics,
    /// Webhooks whose senders sign. Of two with one url the last is taken.
    pub webhooks: Vec<Hook>,
}

/// A source of metrics in Prometheus' text form.
#[derive(Clone)]
pub struct Metrics(pub Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// What every handler is given.
#[derive(Clone)]
struct App(Arc<Inner>);

struct Inner {
    bus: Bus,
    definitions: Follower,
    datastore: Datastore,
    sealer: Sealer,
    clock: Clock,
    token: String,
    /// What was found out about executions that show tickets.
    looked: auth::Looked,
    about: serde_json::Value,
    metrics: Metrics,
    /// By url.
    webhooks: BTreeMap<String, Hook>,
    /// One permit for each watcher.
    watchers: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// Serves until `shutdown` is requested.
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) {
    let app = App(Arc::new(Inner {
        bus,
        definitions: config.definitions,
        datastore: config.datastore,
        sealer: config.sealer,
        clock: config.clock,
        token: config.token,
        looked: auth::Looked::default(),
        about: config.about,
        metrics: config.metrics,
        webhooks: config.webhooks.into_iter().map(|hook| (hook.url().to_owned(), hook)).collect(),
        watchers: Arc::new(Semaphore::new(follow::WATCHERS_MAX)),
        shutdown: shutdown.clone(),
    }));
    serve::serve(config.listener, router(app), shutdown).await;
}

/// All paths. The body of a webhook is read after its sender has been looked at as far as that
/// goes; all others show the token first.
fn router(app: App) -> Router {
    routes::all()
        .layer(middleware::from_fn(body::first))
        .layer(middleware::from_fn_with_state(app.clone(), auth::require_token))
        .merge(routes::webhooks())
        .layer(axum::extract::DefaultBodyLimit::max(body::API_BYTES_MAX))
        .with_state(app)
}

//! The action service: takes requests, runs them within limits, and writes what became of them.
//!
//! A request is claimed by comparing and setting the execution's subject, and acknowledged to the
//! bus as soon as the claim is stored: from then the claim and the runner's lease are the truth,
//! so a long action holds nothing up.
//!
//! Invariants: an execution starts only after its claim is stored, and a claim that may have been
//! lost is looked up before anything starts; the outcome is stored by compare and set, and whoever
//! loses that adopts what is there.

mod admit;
mod cancel;
mod claim;
mod gate;
mod heartbeat;
mod hidden;
mod inquiry;
mod look;
mod notice;
mod outcome;
mod output;
mod recover;
mod run;
mod runner;
mod sequel;
mod service;
mod ssh;
mod transition;

use std::path::PathBuf;
use std::time::Duration;

use hearken_kit::bus::Bus;
use hearken_kit::process::Runs;
use hearken_kit::{Clock, Sealer, Shutdown};
use hearken_packs::Follower;
use hearken_packs::kv::Datastore;

pub use ssh::{HostKeys, Ssh};

/// What the action service is started with.
#[derive(Debug)]
pub struct Config {
    /// The definitions: what the actions are.
    pub definitions: Follower,
    /// The datastore, for defaults that look keys up.
    pub datastore: Datastore,
    /// Where interrupted runs are found again, and what marks their processes.
    pub runs: Runs,
    /// Name of the data folder's installation.
    pub installation: String,
    /// Host name, for the record.
    pub host: String,
    /// Pools whose requests are taken: `any`, and those of this host.
    pub pools: Vec<String>,
    /// Actions running at a time.
    pub concurrency: usize,
    /// Take requests and put them on record, but run nothing.
    pub shadow: bool,
    /// A request older than this is expired instead of run: half of LOG's age.
    pub expire_after: Duration,
    /// Where the HTTP API answers, told to actions as `ST2_ACTION_API_URL`.
    pub api_url: String,
    /// Opens the secrets of requests.
    pub sealer: Sealer,
    /// How remote actions reach their hosts.
    pub ssh: Ssh,
    /// Where actions start when they do not say; scripts find it as their working folder.
    pub folder: PathBuf,
    /// Where the time comes from.
    pub clock: Clock,
}

/// Why the action service ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus failed for good.
    #[error("the action service lost the bus")]
    Bus(#[from] hearken_kit::bus::Error),
    /// A run broke.
    #[error("a part of the action service broke")]
    Task(#[from] hearken_kit::tasks::Panicked),
    /// Interrupted runs cannot be looked after.
    #[error("the action service cannot look after interrupted runs")]
    Runs(#[from] hearken_kit::process::RunsError),
    /// No random name for this start of the service.
    #[error("the action service cannot name itself")]
    Name(#[source] std::io::Error),
}

/// Looks after what an earlier start left behind; afterwards the service can run.
///
/// The two are apart so that a server opens its doors between them: when it accepts, recovery is
/// done.
///
/// # Errors
/// [`Error`].
pub async fn start(config: Config, bus: Bus) -> Result<Actions, Error> {
    service::Service::start(config, bus).await.map(Actions)
}

/// A service that is ready to run.
pub struct Actions(service::Service);

impl std::fmt::Debug for Actions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Actions")
    }
}

impl Actions {
    /// Runs until `shutdown` is requested; then waits for what is running, as long as its owner
    /// lets it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        self.0.run(shutdown).await
    }
}

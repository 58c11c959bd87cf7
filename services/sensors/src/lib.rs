//! The sensor service: hosts the sensors of packs, and timers.
//!
//! A sensor is a process, one for each enabled sensor of a pack in force (`host`): a Python class
//! run by a small host of ours, or any program that writes lines of JSON. Its events go to the bus,
//! its state to STATE, where every host sees it.
//!
//! A timer exists because an enabled rule names it: its type and parameters. One replica ticks at a
//! time; that is a lease, which saves work. A tick's id is made of the timer and the moment it was
//! due, so a tick that is told twice is one fact.
//!
//! Invariant: a tick is published before its state is kept, so a crash repeats a tick (same id)
//! and never loses one. Ticks that were missed while nobody was there coalesce into the last.

mod child;
mod host;
mod keeper;
mod lines;
mod means;
mod pass;
mod payload;
mod reporter;
mod said;
mod settings;
mod talk;
mod timers;
mod triggers;

use std::path::PathBuf;
use std::time::Duration;

use hearken_kit::bus::Bus;
use hearken_kit::lease::{Lease, RENEW_EVERY};
use hearken_kit::process::{Runs, RunsError};
use hearken_kit::tasks::Panicked;
use hearken_kit::{Clock, Sealer, Shutdown};
use hearken_packs::Follower;
use hearken_packs::kv::Datastore;
use tracing::{info, warn};

use timers::Timers;

/// The longest sleep: a clock that was set is noticed after so long.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Folder under the data folder, and what the name of our installation of processes ends with:
/// sensors are noted apart from actions, which have other owners.
const FOLDER: &str = "sensors";

/// What the sensor service is started with.
#[derive(Debug)]
pub struct Config {
    /// The definitions: which sensors and timers are wanted.
    pub definitions: Follower,
    /// The datastore, which configurations of packs refer to.
    pub datastore: Datastore,
    /// The data folder.
    pub data: PathBuf,
    /// Name of the installation, which marks its processes.
    pub installation: String,
    /// Name of this host, for people.
    pub host: String,
    /// Where the HTTP API answers; empty when not in this process.
    pub api_url: String,
    /// Makes the tickets that sensors show to the API.
    pub sealer: Sealer,
    /// Name of this replica, unlike any other.
    pub replica: String,
    /// Where the time comes from.
    pub clock: Clock,
}

/// Why the sensor service ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus failed for good.
    #[error("the sensor service lost the bus")]
    Bus(#[from] hearken_kit::bus::Error),
    /// The processes of sensors cannot be looked after.
    #[error("the processes of sensors cannot be looked after")]
    Runs(#[source] RunsError),
    /// A task broke.
    #[error("the task of a sensor broke")]
    Broken(#[source] Panicked),
}

/// Runs until `shutdown` is requested.
///
/// # Errors
/// [`Error`].
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) -> Result<(), Error> {
    let Config { definitions, replica, clock, .. } = config;
    let ticking = tick(&definitions, &replica, &clock, bus.clone(), shutdown.clone());
    let runs = Runs::open(&config.data.join(FOLDER), &format!("{}-{FOLDER}", config.installation));
    let shared = host::Shared {
        bus,
        clock: clock.clone(),
        definitions: definitions.clone(),
        datastore: config.datastore,
        data: config.data,
        runs: runs.map_err(Error::Runs)?,
        replica: replica.clone(),
        host: config.host,
        api_url: config.api_url,
        sealer: config.sealer,
        found: means::Found::default(),
        beginning: tokio::sync::Semaphore::new(child::beginning_max()),
    };
    tokio::try_join!(ticking, Box::pin(host::run(shared, shutdown)))?;
    Ok(())
}

/// Ticks the timers.
async fn tick(
    definitions: &Follower,
    replica: &str,
    clock: &Clock,
    bus: Bus,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let mut lease = Lease::new(bus.clone(), clock.clone(), "timers", replica);
    let mut renewal = tokio::time::interval(RENEW_EVERY);
    let mut changes = definitions.changes();
    let mut timers = Timers::new(bus, clock.clone());
    timers.want(&definitions.current().registry);
    loop {
        let sleep = if lease.is_held() { timers.sleep().min(SLEEP_MAX) } else { Duration::MAX };
        let input = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            _ = renewal.tick() => Input::Renew,
            () = changes.next() => Input::Changed,
            () = tokio::time::sleep(sleep) => Input::Due,
        };
        match input {
            Input::Renew => renew(&mut lease, &mut timers).await,
            Input::Changed => timers.want(&definitions.current().registry),
            Input::Due => timers.tick().await,
        }
    }
    if let Err(error) = lease.release().await {
        info!(%error, "the lease on timers was not given back, it runs out by itself");
    }
    Ok(())
}

enum Input {
    Renew,
    Changed,
    Due,
}

async fn renew(lease: &mut Lease, timers: &mut Timers) {
    let held = lease.is_held();
    match lease.renew().await {
        Ok(true) if !held => {
            info!("this replica ticks the timers");
            // Another replica may have ticked since we last looked.
            timers.forget();
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "the lease on timers could not be renewed"),
    }
}

//! The sensor service: hosts timers, and later the sensors of packs.
//!
//! A timer exists because an enabled rule names it: its type and parameters. One replica ticks at a
//! time; that is a lease, which saves work. A tick's id is made of the timer and the moment it was
//! due, so a tick that is told twice is one fact.
//!
//! Invariant: a tick is published before its state is kept, so a crash repeats a tick (same id)
//! and never loses one. Ticks that were missed while nobody was there coalesce into the last.

mod timers;

use std::time::Duration;

use hearken_kit::bus::Bus;
use hearken_kit::lease::{Lease, RENEW_EVERY};
use hearken_kit::{Clock, Shutdown};
use hearken_packs::Follower;
use tracing::{info, warn};

use timers::Timers;

/// The longest sleep: a clock that was set is noticed after so long.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What the sensor service is started with.
#[derive(Debug)]
pub struct Config {
    /// The definitions: which timers are wanted.
    pub definitions: Follower,
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
}

/// Runs until `shutdown` is requested.
///
/// # Errors
/// [`Error`].
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) -> Result<(), Error> {
    let Config { definitions, replica, clock } = config;
    let mut lease = Lease::new(bus.clone(), clock.clone(), "timers", &replica);
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

//! The sensors that are wanted: a keeper for each that is enabled in a pack in force.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hearken_engine::definition::Sensor;
use hearken_kit::bus::Bus;
use hearken_kit::process::Runs;
use hearken_kit::{Clock, Sealer, Shutdown, Tasks};
use hearken_packs::kv::Datastore;
use hearken_packs::{Definitions, Follower};
use tokio::sync::{Semaphore, watch};
use tracing::warn;

use crate::means::Found;
use crate::{Error, keeper};

/// What all sensors share.
pub(crate) struct Shared {
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) definitions: Follower,
    pub(crate) datastore: Datastore,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Processes that a crash would leave behind.
    pub(crate) runs: Runs,
    /// Name of this replica, unlike any other.
    pub(crate) replica: String,
    /// Name of this host, for people.
    pub(crate) host: String,
    /// Where the HTTP API answers; empty when not in this process.
    pub(crate) api_url: String,
    /// Makes the tickets that sensors show to the API.
    pub(crate) sealer: Sealer,
    pub(crate) found: Found,
    /// Places for processes that begin: what they import at once takes all of a small machine.
    pub(crate) beginning: Semaphore,
}

/// A sensor as it is wanted.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    /// What its file says.
    pub(crate) sensor: Sensor,
    /// Digest of its pack's content.
    pub(crate) digest: String,
    /// The folder of that content.
    pub(crate) folder: PathBuf,
}

/// Runs the sensors until `shutdown` is requested.
pub(crate) async fn run(shared: Shared, shutdown: Shutdown) -> Result<(), Error> {
    let shared = Arc::new(shared);
    sweep(&shared.runs).await?;
    let mut changes = shared.definitions.changes();
    let mut keepers: BTreeMap<String, watch::Sender<Arc<Wanted>>> = BTreeMap::new();
    let mut tasks = Tasks::new();
    let mut begun = 0_u64;
    while !shutdown.is_requested() {
        let mut wanted = wanted(&shared.definitions.current());
        // A keeper whose sender is gone stops its sensor and ends.
        keepers.retain(|reference, _| wanted.contains_key(reference));
        for (reference, keeper) in &keepers {
            let Some(new) = wanted.remove(reference) else { continue };
            keeper.send_if_modified(|old| {
                let is_other = **old != new;
                if is_other {
                    *old = Arc::new(new);
                }
                is_other
            });
        }
        for (reference, new) in wanted {
            begun += 1;
            // A keeper that is still stopping the sensor of this name is another holder.
            let holder = format!("{}-{begun}", shared.replica);
            let (tx, rx) = watch::channel(Arc::new(new));
            tasks.spawn("sensor", keeper::keep(Arc::clone(&shared), rx, holder, shutdown.clone()));
            keepers.insert(reference, tx);
        }
        tasks.sweep().map_err(Error::Broken)?;
        tokio::select! {
            () = shutdown.requested() => {}
            () = changes.next() => {}
        }
    }
    while let Some(ended) = tasks.next().await {
        ended.map_err(Error::Broken)?;
    }
    Ok(())
}

/// The sensors of the packs in force that are enabled and have something to do, by reference.
fn wanted(definitions: &Definitions) -> BTreeMap<String, Wanted> {
    let registry = &definitions.registry;
    let enabled = registry.sensors().filter(|sensor| sensor.enabled && registry.needs(sensor));
    let wanted = enabled.filter_map(|sensor| {
        let content = definitions.packs.get(&sensor.pack)?;
        let (digest, folder) = (content.digest.clone(), content.folder.clone());
        Some((sensor.reference.clone(), Wanted { sensor: sensor.clone(), digest, folder }))
    });
    wanted.collect()
}

/// Ends what a crash of ours has left running.
async fn sweep(runs: &Runs) -> Result<(), Error> {
    let runs = runs.clone();
    let swept = tokio::task::spawn_blocking(move || {
        let found = runs.leftovers();
        for leftover in found.runs {
            let process = &leftover.claim.execution;
            if leftover.was_running {
                warn!(process, "a sensor was left behind, and is ended");
            }
            runs.forget(process)?;
        }
        Ok(())
    });
    match swept.await {
        Ok(swept) => swept.map_err(Error::Runs),
        // Not swept is swept at the next start; sensors are run all the same.
        Err(error) => {
            warn!(%error, "what a crash left could not be looked for");
            Ok(())
        }
    }
}

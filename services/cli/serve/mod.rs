//! `hearken up` and `hearken serve`: the services, put together and kept together.
//!
//! Order of a start: the data folder, the bus, packs in force, services with their recovery, and
//! only then the doors: when a socket accepts, everything behind it is ready. Order of a stop: no
//! new work, what runs finishes within the grace, cursors are saved, the log is closed.

mod banner;
mod door;
mod source;
mod start;

use hearken_kit::Shutdown;

use crate::args::{Serve, Service, Up};
use crate::commands::Context;
use crate::compose;
use crate::error::{EXIT_OK, Failure};

/// What is to be served.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The services.
    pub services: Vec<Service>,
    /// Whether folders of packs are watched and put in force from here.
    pub pack_source: bool,
    /// Pools beside `any`.
    pub pools: Vec<String>,
    /// Run and send nothing.
    pub shadow: bool,
    /// Whether NATS clients are served when the bus is in the process.
    pub gateway: bool,
}

/// Everything in one process.
pub(crate) fn up(context: &Context, up: Up) -> Result<u8, Failure> {
    let mut loader = context.loader()?;
    loader.flag("bus", "nats", up.nats.nats.clone());
    loader.flag("bus", "gateway", up.gateway);
    loader.flag("bus", "durability", up.durability);
    loader.flag("http", "listen", up.listen);
    loader.flag("packs", "folders", folders(&up.packs));
    let loaded = loader.finish()?;
    let plan = Plan {
        services: vec![
            Service::Rules,
            Service::Actions,
            Service::Sensors,
            Service::Ledger,
            Service::Web,
        ],
        pack_source: true,
        pools: Vec::new(),
        shadow: up.shadow,
        gateway: true,
    };
    run(context, &loaded.settings, &up.nats, &plan)
}

/// Chosen services.
pub(crate) fn serve(context: &Context, serve: Serve) -> Result<u8, Failure> {
    let mut loader = context.loader()?;
    loader.flag("bus", "nats", serve.nats.nats.clone());
    loader.flag("http", "listen", serve.listen);
    loader.flag("packs", "folders", folders(&serve.packs));
    let loaded = loader.finish()?;
    if loaded.settings.bus.nats.is_empty() {
        return Err(Failure::usage("services in several processes meet on a NATS server")
            .hint("give --nats nats://host:4222, or run everything in one process: hearken up"));
    }
    let plan = Plan {
        services: serve.services,
        pack_source: serve.pack_source,
        pools: serve.pools,
        shadow: serve.shadow,
        gateway: false,
    };
    run(context, &loaded.settings, &serve.nats, &plan)
}

fn folders(given: &[std::path::PathBuf]) -> Option<Vec<String>> {
    let text = |folder: &std::path::PathBuf| folder.display().to_string();
    (!given.is_empty()).then(|| given.iter().map(text).collect())
}

fn run(
    context: &Context,
    settings: &crate::config::Settings,
    nats: &crate::args::Nats,
    plan: &Plan,
) -> Result<u8, Failure> {
    compose::log_lines();
    let runtime = compose::runtime()?;
    let shutdown = Shutdown::new();
    let ended = runtime.block_on(async {
        let started = start::start(context, settings, nats, plan, shutdown.clone()).await?;
        started.until_ended(settings.actions.grace).await
    });
    // Threads that wait for a disk or a process are not waited for beyond the grace.
    runtime.shutdown_background();
    ended.map(|()| EXIT_OK)
}

//! A bus with nothing on it, of either kind, and the rule service on it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hearken_kit::bus::{
    Bus, Credentials, Embedded, EmbeddedOptions, Nats, NatsOptions, StreamPlan,
};
use hearken_kit::router::Router;
use hearken_kit::seal::{KEY_BYTES, Sealer};
use hearken_kit::{Clock, Shutdown, Tasks};
use hearken_log::{Durability, Log, Options, StreamOptions};
use hearken_packs::Follower;
use hearken_packs::kv::Datastore;
use hearken_proto::{Message, Stream};
use tempfile::TempDir;

use crate::packs::{self, Shape};
use crate::server::NatsServer;

/// Publishes that may wait for their acknowledgement while a stream is filled.
const WINDOW: usize = 512;
/// Bodies no larger than a nats-server takes by default.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// In this process.
    Embedded,
    /// On a nats-server of our own.
    Nats,
}

/// An installation of its own: used once, so that no candidate finds what another left.
pub(crate) struct Place {
    /// Tasks that end with it.
    pub tasks: Tasks,
    /// The bus.
    pub bus: Bus,
    /// The server, when the bus is on one.
    pub nats: Option<NatsServer>,
    folder: TempDir,
}

impl Place {
    /// Makes one. The embedded bus is set up as `hearken up` does, with durability `flush`.
    pub(crate) async fn new(on: On) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (bus, nats) = match on {
            On::Embedded => (Bus::Embedded(embedded(folder.path())?), None),
            On::Nats => {
                let server = NatsServer::start()?;
                let options = NatsOptions {
                    prefix: "hearken".to_owned(),
                    servers: server.url.clone(),
                    credentials: Credentials::default(),
                    plan: StreamPlan::default(),
                };
                (Bus::Nats(Nats::connect(options).await?), Some(server))
            }
        };
        Ok(Self { tasks: Tasks::new(), bus, nats, folder })
    }

    /// Stores events.
    pub(crate) async fn fill(&self, events: impl Iterator<Item = Message>) -> anyhow::Result<()> {
        let mut pending = VecDeque::with_capacity(WINDOW);
        for event in events {
            if pending.len() == WINDOW
                && let Some(oldest) = pending.pop_front()
            {
                stored(oldest).await?;
            }
            pending.push_back(self.bus.send(event, None).await?);
        }
        for rest in pending {
            stored(rest).await?;
        }
        Ok(())
    }

    /// Puts a pack of so many rules in force, and follows it.
    pub(crate) async fn definitions(
        &mut self,
        shape: Shape,
        rules: u64,
    ) -> anyhow::Result<Follower> {
        let offers = [packs::offer(shape, rules)?];
        hearken_packs::publish::publish(&self.bus, &offers).await?;
        let (follower, following) = Follower::start(self.bus.clone(), self.folder.path()).await?;
        let found = follower.current();
        let content = found.packs.get("bench").context("the pack")?;
        anyhow::ensure!(
            content.loaded.definitions.rules.len() as u64 == rules,
            "{:?}",
            content.loaded.problems
        );
        // What ends the following ends the rule service too, which is waited for.
        let ends = Shutdown::new();
        self.tasks.spawn("definitions", async move { following.run(ends).await.unwrap_or(()) });
        Ok(follower)
    }

    /// Starts the rule service; it ends with `shutdown`.
    pub(crate) async fn rules(
        &mut self,
        definitions: Follower,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Service> {
        let sealer = Sealer::from_hex(&"5a".repeat(KEY_BYTES))?;
        let (bus, clock) = (self.bus.clone(), Clock::System);
        let (datastore, following) =
            Datastore::start(bus.clone(), sealer.clone(), clock.clone(), definitions.clone())
                .await?;
        let ends = shutdown.clone();
        self.tasks.spawn("datastore", async move { following.run(ends).await.unwrap_or(()) });
        let replica = "bench".to_owned();
        let config = hearken_rules::Config { definitions, datastore, sealer, replica, clock };
        let (tx, rx) = tokio::sync::oneshot::channel();
        let run = hearken_rules::run(config, bus, shutdown.clone());
        self.tasks.spawn("rules", async move { tx.send(run.await).unwrap_or(()) });
        Ok(Service(rx))
    }

    /// The place of the newest entry of a stream.
    pub(crate) async fn head(&self, stream: Stream) -> anyhow::Result<u64> {
        Ok(self.bus.head(stream).await?.last)
    }
}

/// How the rule service ended, when it does.
pub(crate) struct Service(tokio::sync::oneshot::Receiver<Result<(), hearken_rules::Error>>);

impl Service {
    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        Ok((&mut self.0).await.context("the rule service broke")??)
    }
}

async fn stored(pending: hearken_kit::bus::Pending) -> anyhow::Result<()> {
    pending.stored().await?;
    Ok(())
}

fn embedded(data: &Path) -> anyhow::Result<Embedded> {
    let streams = Stream::ALL.map(|stream| {
        let mut options = StreamOptions::new(stream.name());
        options.one_per_subject = stream == Stream::State;
        options
    });
    let clock = Clock::System;
    let mut options = Options::new(Arc::new(move || clock.now()), streams.to_vec());
    options.durability = Durability::Flush;
    let log = Log::open(&data.join("log"), options)?;
    let options = EmbeddedOptions {
        prefix: "hearken".to_owned(),
        data: data.to_owned(),
        payload_max: PAYLOAD_BYTES_MAX,
    };
    Ok(Embedded::new(log, Router::default(), options)?)
}

//! Starting services in order, and ending them together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearken_kit::bus::{Bus, Embedded};
use hearken_kit::process::Runs;
use hearken_kit::{Clock, Sealer, Shutdown, listener};
use hearken_log::Log;
use hearken_packs::Follower;
use hearken_packs::kv::Datastore;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info};

use super::Plan;
use super::banner::{self, Doors};
use super::door::Door;
use super::source::{self, Source};
use crate::args::{self, Service};
use crate::commands::Context;
use crate::compose;
use crate::config::{Settings, webhook};
use crate::data::{self, Server};
use crate::error::{Failure, chain};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The HTTP API's port, as StackStorm's.
const HTTP_DEFAULT: SocketAddr = SocketAddr::new(LOOPBACK, 9101);
/// NATS' own port.
const GATEWAY_DEFAULT: SocketAddr = SocketAddr::new(LOOPBACK, 4222);
/// How often the log is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often old blocks are moved and dropped.
const RETAIN_EVERY: Duration = Duration::from_secs(600);
/// How long the end of tasks is waited for after the grace, for cursors and the log.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How a task ended.
type Ended = (&'static str, Result<(), String>);

/// A running installation.
pub(super) struct Started {
    tasks: JoinSet<Ended>,
    shutdown: Shutdown,
    bus: Bus,
    log: Option<Log>,
    server: Option<Server>,
    /// What runs here, where actions do.
    runs: Option<Runs>,
}

/// What services are made of.
struct Parts<'a> {
    settings: &'a Settings,
    plan: &'a Plan,
    data: PathBuf,
    bus: Bus,
    /// The log to answer from, and whether it is a copy.
    log: Option<(Log, bool)>,
    definitions: Follower,
    datastore: Datastore,
    token: String,
    sealer: Sealer,
    about: Value,
    shutdown: Shutdown,
    tasks: JoinSet<Ended>,
    runs: Option<Runs>,
}

/// Starts what `plan` names.
pub(super) async fn start(
    context: &Context<'_>,
    settings: &Settings,
    nats: &args::Nats,
    plan: &Plan,
    shutdown: Shutdown,
) -> Result<Started, Failure> {
    let data = data::prepare(&context.data)?;
    let token = data::token(&data)?;
    let sealer = data::sealer(&data, settings.secrets.key_file.as_deref())?;
    let serves = |service| plan.services.contains(&service);
    let is_embedded = settings.bus.nats.is_empty();
    let http = serves(Service::Web)
        .then(|| Door::bind("http", settings.http.listen.as_deref(), HTTP_DEFAULT))
        .transpose()?;
    let gateway = match settings.bus.gateway.as_deref() {
        Some("off") => None,
        _ if !is_embedded || !plan.gateway => None,
        given => Some(Door::bind("NATS clients", given, GATEWAY_DEFAULT)?),
    };
    let (bus, embedded, log) = open_bus(settings, nats, plan, &data).await?;
    let mut tasks = JoinSet::new();
    let mut source =
        plan.pack_source.then(|| Source::new(bus.clone(), &settings.packs, &data)).transpose()?;
    if let Some(source) = &mut source {
        let (_published, problems) = source.publish().await.map_err(packs)?;
        source::say(&problems);
    }
    let (definitions, following) = Follower::start(bus.clone(), &data).await.map_err(packs)?;
    // Who has the files has told the rest with file and line.
    let mut notices = definitions.current().notices.clone();
    notices.retain(|notice| source.is_none() || source::is_common(notice));
    source::say(&source::summed_up(&notices));
    spawn(&mut tasks, "definitions", {
        let run = following.run(shutdown.clone());
        async { run.await.map_err(text) }
    });
    let (datastore, following) =
        Datastore::start(bus.clone(), sealer.clone(), Clock::System, definitions.clone())
            .await
            .map_err(|error| Failure::unreachable(chain(&error)))?;
    spawn(&mut tasks, "datastore", {
        let run = following.run(shutdown.clone());
        async { run.await.map_err(text) }
    });
    if let Some(source) = source {
        tasks.spawn(named("packs", source.run(shutdown.clone())));
    }
    let about = about(settings, plan, &data);
    let mut parts = Parts {
        settings,
        plan,
        data,
        bus,
        log,
        definitions,
        datastore,
        token,
        sealer,
        about,
        shutdown,
        tasks,
        runs: None,
    };
    let doors =
        Doors { http: http.as_ref().map(Into::into), gateway: gateway.as_ref().map(Into::into) };
    let server = parts.services(http, gateway, embedded).await?;
    if let Some(server) = &server {
        data::announce(server)?;
    }
    banner::print(context.output, &parts.definitions.current(), &doors, &parts.about);
    let log = parts.log.map(|(log, _copies)| log);
    let Parts { tasks, shutdown, bus, runs, .. } = parts;
    Ok(Started { tasks, shutdown, bus, log, server, runs })
}

async fn open_bus(
    settings: &Settings,
    nats: &args::Nats,
    plan: &Plan,
    data: &Path,
) -> Result<(Bus, Option<Embedded>, Option<(Log, bool)>), Failure> {
    if settings.bus.nats.is_empty() {
        let log = compose::open_log(settings, data, false)?;
        let embedded = compose::embedded(settings, log.clone(), data)?;
        return Ok((Bus::Embedded(embedded.clone()), Some(embedded), Some((log, false))));
    }
    let bus = compose::nats(settings, nats).await?;
    let log = if plan.services.contains(&Service::Ledger) {
        Some((compose::open_log(settings, data, true)?, true))
    } else {
        None
    };
    Ok((bus, None, log))
}

impl Parts<'_> {
    /// Starts the services and opens the doors, in this order.
    async fn services(
        &mut self,
        http: Option<Door>,
        gateway: Option<Door>,
        embedded: Option<Embedded>,
    ) -> Result<Option<Server>, Failure> {
        let url = http.as_ref().map(|door| format!("http://{}", door.address));
        let serves = |service| self.plan.services.contains(&service);
        if serves(Service::Actions) {
            self.actions(url.clone().unwrap_or_default()).await?;
        }
        if serves(Service::Ledger)
            && let Some((log, copies)) = self.log.clone()
        {
            let config = hearken_ledger::Config { log, copies };
            let run = hearken_ledger::run(config, self.bus.clone(), self.shutdown.clone());
            spawn(&mut self.tasks, "ledger", async { run.await.map_err(text) });
        }
        if serves(Service::Rules) {
            let config = hearken_rules::Config {
                definitions: self.definitions.clone(),
                datastore: self.datastore.clone(),
                sealer: self.sealer.clone(),
                replica: self.replica()?,
                clock: Clock::System,
            };
            let run = hearken_rules::run(config, self.bus.clone(), self.shutdown.clone());
            spawn(&mut self.tasks, "rules", async { run.await.map_err(text) });
        }
        let nats = gateway.as_ref().map(|door| format!("nats://{}", door.address));
        if let Some((log, _copies)) = &self.log {
            spawn(&mut self.tasks, "retention", retain(log.clone(), self.shutdown.clone()));
            spawn(&mut self.tasks, "log", watch(log.clone(), self.shutdown.clone()));
        }
        let counters = self.gateway(gateway, embedded)?;
        let server = match http.zip(url.clone()) {
            None => None,
            Some((door, url)) => {
                self.web(door, counters)?;
                let (data, pid) = (self.data.clone(), std::process::id());
                Some(Server { url, gateway: nats, data, pid })
            }
        };
        // Last: sensors ask the API for what they kept when they start.
        if self.plan.services.contains(&Service::Sensors) {
            self.sensors(url.unwrap_or_default())?;
        }
        Ok(server)
    }

    fn sensors(&mut self, api_url: String) -> Result<(), Failure> {
        let config = hearken_sensors::Config {
            definitions: self.definitions.clone(),
            datastore: self.datastore.clone(),
            installation: data::installation(&self.data)?,
            data: self.data.clone(),
            host: compose::host(),
            api_url,
            sealer: self.sealer.clone(),
            replica: self.replica()?,
            clock: Clock::System,
        };
        let run = hearken_sensors::run(config, self.bus.clone(), self.shutdown.clone());
        spawn(&mut self.tasks, "sensors", async { run.await.map_err(text) });
        Ok(())
    }

    /// Name of this process among its replicas. Alone on its bus it has one name for ever, and
    /// takes up at once what it held before a crash.
    fn replica(&self) -> Result<String, Failure> {
        match &self.bus {
            Bus::Embedded(_) => data::installation(&self.data),
            Bus::Nats(_) => Ok(format!("{}-{}", compose::host(), std::process::id())),
        }
    }

    async fn actions(&mut self, api_url: String) -> Result<(), Failure> {
        let installation = data::installation(&self.data)?;
        let runs = Runs::open(&self.data, &installation).map_err(|error| {
            Failure::usage(format!("cannot look after runs: {}", chain(&error)))
        })?;
        self.runs = Some(runs.clone());
        let mut pools = vec!["any".to_owned()];
        pools.extend(self.plan.pools.iter().cloned());
        let config = hearken_actions::Config {
            definitions: self.definitions.clone(),
            datastore: self.datastore.clone(),
            runs,
            installation,
            host: compose::host(),
            pools,
            concurrency: self.settings.actions.concurrency,
            shadow: self.plan.shadow,
            expire_after: self.settings.bus.log_age / 2,
            api_url,
            sealer: self.sealer.clone(),
            ssh: self.settings.ssh.for_actions(),
            folder: std::env::current_dir().unwrap_or_else(|_gone| PathBuf::from("/")),
            clock: Clock::System,
        };
        let service = hearken_actions::start(config, self.bus.clone())
            .await
            .map_err(|error| Failure::unreachable(chain(&error)))?;
        let run = service.run(self.shutdown.clone());
        spawn(&mut self.tasks, "actions", async { run.await.map_err(text) });
        Ok(())
    }

    fn gateway(
        &mut self,
        door: Option<Door>,
        embedded: Option<Embedded>,
    ) -> Result<Option<listener::Counters>, Failure> {
        let Some((door, embedded)) = door.zip(embedded) else { return Ok(None) };
        let mut config = listener::Config::new(&self.settings.bus.prefix, &self.token);
        config.payload_max_bytes = compose::PAYLOAD_BYTES_MAX;
        let counters = config.counters.clone();
        let router = embedded.router().clone();
        let run = listener::serve(door.open()?, config, router, embedded, self.shutdown.clone());
        spawn(&mut self.tasks, "gateway", async { run.await.map_err(text) });
        Ok(Some(counters))
    }

    fn web(&mut self, door: Door, counters: Option<listener::Counters>) -> Result<(), Failure> {
        let config = hearken_web::Config {
            listener: door.open()?,
            token: self.token.clone(),
            definitions: self.definitions.clone(),
            datastore: self.datastore.clone(),
            sealer: self.sealer.clone(),
            clock: Clock::System,
            about: self.about.clone(),
            metrics: hearken_web::Metrics(Arc::new(move || metrics(counters.as_ref()))),
            webhooks: webhook::hooks(&self.settings.webhook)?,
        };
        let run = hearken_web::run(config, self.bus.clone(), self.shutdown.clone());
        spawn(&mut self.tasks, "web", async {
            run.await;
            Ok(())
        });
        Ok(())
    }
}

impl Started {
    /// Waits for a signal or for the first service to end, then ends all within `grace`.
    pub(super) async fn until_ended(mut self, grace: Duration) -> Result<(), Failure> {
        let failed = self.first_end().await?;
        self.shutdown.request();
        let running = self.runs.as_ref().map_or(0, Runs::count);
        if running > 0 {
            source::say(&[ending(running, grace)]);
        }
        let drained = tokio::time::timeout(grace, self.drain());
        let again = compose::asked_to_end();
        let in_time = tokio::select! {
            drained = drained => drained.is_ok(),
            () = again => false,
        };
        if let Some(server) = &self.server {
            data::withdraw(server);
        }
        self.tasks.shutdown().await;
        tokio::time::timeout(LAST_WAIT, self.close()).await.unwrap_or(());
        match failed {
            Some(failure) => Err(failure),
            None if in_time => Ok(()),
            None => Err(Failure::no("not everything ended in time: what ran was ended")
                .hint("a longer grace: [actions] grace in hearken.toml")),
        }
    }

    /// Nothing when a signal came; otherwise why a service has ended.
    async fn first_end(&mut self) -> Result<Option<Failure>, Failure> {
        let mut terminate = signals(SignalKind::terminate())?;
        let mut interrupt = signals(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => Ok(None),
            _ = interrupt.recv() => Ok(None),
            ended = self.tasks.join_next() => Ok(Some(match ended {
                Some(Ok((name, Err(why)))) => {
                    Failure::unreachable(format!("the service {name} has ended: {why}"))
                }
                Some(Ok((name, Ok(())))) => {
                    Failure::unreachable(format!("the service {name} has ended"))
                }
                Some(Err(error)) => Failure::no(format!("a service broke: {error}")),
                None => Failure::no("there is nothing to serve"),
            })),
        }
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok((name, Ok(()))) => info!(service = name, "ended"),
                Ok((name, Err(why))) => error!(service = name, error = why, "ended badly"),
                Err(error) if error.is_cancelled() => {}
                Err(error) => error!(%error, "a service broke"),
            }
        }
    }

    async fn close(&mut self) {
        match &self.bus {
            Bus::Embedded(embedded) => {
                if let Err(error) = embedded.save_cursors() {
                    error!(%error, "cursors could not be saved: some work is repeated");
                }
            }
            Bus::Nats(nats) => nats.drain().await,
        }
        if let Some(log) = self.log.take() {
            let closed = tokio::task::spawn_blocking(move || log.close()).await;
            if let Ok(Err(error)) = closed {
                error!(%error, "the log could not be closed in good order");
            }
        }
    }
}

/// Ends everything when the log takes no more entries: nothing can be promised then.
async fn watch(log: Log, shutdown: Shutdown) -> Result<(), String> {
    let mut every = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            _ = every.tick() => log.check().map_err(text)?,
        }
    }
}

/// Moves old blocks to segment files and drops what is past its age, now and then.
async fn retain(log: Log, shutdown: Shutdown) -> Result<(), String> {
    let mut every = tokio::time::interval(RETAIN_EVERY);
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            _ = every.tick() => {}
        }
        let log = log.clone();
        let now = Clock::System.now();
        match tokio::task::spawn_blocking(move || log.retain(now)).await {
            Ok(Ok(retained)) => info!(?retained, "the log was tidied"),
            // Nothing is lost by it: the next time tries again.
            Ok(Err(error)) => error!(%error, "the log could not be tidied"),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn signals(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| Failure::no(format!("cannot listen to signals: {error}")))
}

/// What is waited for at the end.
fn ending(running: usize, grace: Duration) -> String {
    let (grace, them) = (grace.as_secs_f64(), if running == 1 { "it" } else { "them" });
    let runs = if running == 1 { "action still runs" } else { "actions still run" };
    format!("ending: {running} {runs}; waiting {grace} s for {them}, a second signal ends {them}")
}

fn spawn(
    tasks: &mut JoinSet<Ended>,
    name: &'static str,
    run: impl Future<Output = Result<(), String>> + Send + 'static,
) {
    tasks.spawn(named(name, run));
}

async fn named(
    name: &'static str,
    run: impl Future<Output = Result<(), String>> + Send + 'static,
) -> Ended {
    (name, run.await)
}

fn text(error: impl std::error::Error) -> String {
    chain(&error)
}

fn packs(error: hearken_packs::Error) -> Failure {
    if let hearken_packs::Error::Bus(error) = error {
        return error.into();
    }
    Failure::usage(chain(&error))
}

fn about(settings: &Settings, plan: &Plan, data: &Path) -> Value {
    let bus = match settings.bus.nats.as_str() {
        "" => format!("in this process, durability {}", settings.bus.durability),
        url => url.split('@').next_back().unwrap_or(url).to_owned(),
    };
    let mut about = json!({ "data": data.display().to_string(), "bus": bus });
    if plan.shadow
        && let Some(about) = about.as_object_mut()
    {
        about.insert("shadow".to_owned(), "runs and sends nothing".into());
    }
    about
}

fn metrics(counters: Option<&listener::Counters>) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (name, value) in counters.into_iter().flat_map(listener::Counters::iter) {
        // Writing to a text cannot fail.
        let _ok = writeln!(text, "hearken_gateway_{name} {value}");
    }
    text
}

//! The loop: requests, cancellations, and runs that end. Heartbeats and looking after others are
//! tasks beside it, so that none of them waits for another.

use std::time::Duration;

use hearken_kit::bus::{Bus, Consumer, ConsumerOptions, Delivery, Heard, Tail};
use hearken_kit::{Shutdown, Tasks, random};
use hearken_proto::record::{CancelHint, RunnerState};
use hearken_proto::{Stream, Subject, codec};
use tracing::{info, warn};

use crate::cancel::Running;
use crate::recover::patiently;
use crate::run::Runner;
use crate::{Config, Error, heartbeat};

/// A request that is not claimed for so long goes to another runner. Claiming takes milliseconds.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Requests out at a time over all runners of a pool.
const IN_FLIGHT_MAX: usize = 1000;

/// The action service.
pub(crate) struct Service {
    runner: Runner,
    requests: Vec<Consumer>,
    hints: Tail,
    /// Whether hints still come.
    hears: bool,
    running: Running,
    tasks: Tasks,
    /// What is done beside the runs, until the last one has ended.
    keepers: Tasks,
    /// Ends the keepers.
    ended: Shutdown,
    concurrency: usize,
}

enum Input {
    Requests(Vec<Delivery>),
    Hint(Option<Heard>),
    Ended,
}

impl Service {
    /// Looks after what an earlier start left behind, then joins the work.
    pub(crate) async fn start(config: Config, bus: Bus) -> Result<Self, Error> {
        let incarnation = random::hex(8).map_err(Error::Name)?;
        let state = RunnerState {
            incarnation: format!("{}-{incarnation}", config.host),
            installation: config.installation.clone(),
            host: config.host.clone(),
            holds: Vec::new(),
            seen: bus.head(Stream::Log).await?.last,
            ended: false,
        };
        let hints = Subject::Control { service: "actions".to_owned(), host: "any".to_owned() };
        let hints = bus.tail(&bus.subject(&hints), None).await?;
        let mut requests = Vec::new();
        for pool in &config.pools {
            requests.push(join(&bus, pool).await?);
        }
        let running = Running::default();
        let concurrency = config.concurrency.max(1);
        let installation = config.installation.clone();
        let runner = Runner::new(bus.clone(), config, state.incarnation.clone(), running.clone());
        heartbeat::beat(&bus, &state).await?;
        let (mut keepers, ended) = (Tasks::new(), Shutdown::new());
        let keep = heartbeat::keep(bus, state, running.clone(), ended.clone());
        keepers.spawn("heartbeat", keep);
        let tasks = Tasks::new();
        let mut service = Self {
            runner,
            requests,
            hints,
            hears: true,
            running,
            tasks,
            keepers,
            ended,
            concurrency,
        };
        Box::pin(service.recover_own(&installation)).await?;
        let (runner, ended) = (&service.runner, &service.ended);
        service.keepers.spawn("watch", runner.clone().keep_watch(ended.clone()));
        service.keepers.spawn("gates", runner.clone().keep_gates(ended.clone()));
        Ok(service)
    }

    /// Runs until the end is asked for, then until the last run has ended.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        loop {
            let free = self.concurrency.saturating_sub(self.tasks.len());
            let input = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = self.tasks.next() => { ended?; Input::Ended }
                Some(ended) = self.keepers.next() => { ended?; Input::Ended }
                hint = self.hints.next(), if self.hears => Input::Hint(hint),
                requests = next(&mut self.requests, free), if free > 0 => {
                    Input::Requests(requests?)
                }
            };
            self.handle(input);
        }
        self.drain().await
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Requests(requests) => {
                for delivery in requests {
                    let runner = self.runner.clone();
                    self.tasks.spawn("run", async move { runner.handle(delivery).await });
                }
            }
            Input::Hint(Some(heard)) => self.heed(&heard),
            // The live side is gone; looking now and then still finds cancellations.
            Input::Hint(None) => self.hears = false,
            Input::Ended => {}
        }
    }

    fn heed(&self, heard: &Heard) {
        let message = &heard.message;
        if let Ok(hint) = codec::decode::<CancelHint>(&message.headers, &message.body) {
            self.running.cancel(&hint.execution);
        }
    }

    /// Waits for the last run. Until then the lease is renewed, and hints are heeded.
    async fn drain(mut self) -> Result<(), Error> {
        info!(running = self.tasks.len(), "no more requests are taken");
        while !self.tasks.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.next() => { ended?; }
                hint = self.hints.next(), if self.hears => match hint {
                    Some(heard) => self.heed(&heard),
                    None => self.hears = false,
                },
            }
        }
        self.ended.request();
        while let Some(ended) = self.keepers.next().await {
            ended?;
        }
        Ok(())
    }

    /// Looks after runs of an earlier start in this data folder.
    async fn recover_own(&self, installation: &str) -> Result<(), Error> {
        let runs = self.runner.runs().clone();
        let leftovers = tokio::task::spawn_blocking(move || runs.leftovers());
        let found = patiently("ending interrupted runs", leftovers).await;
        let found = found.map_err(|_panicked| {
            Error::Name(std::io::Error::other("looking for interrupted runs broke"))
        })?;
        for skipped in &found.skipped {
            warn!(?skipped, "not the note of a run");
        }
        if !found.runs.is_empty() {
            info!(runs = found.runs.len(), "runs of an earlier start are looked after");
        }
        for leftover in &found.runs {
            let claim = &leftover.claim;
            let release = Box::pin(self.runner.release(&claim.execution, &claim.incarnation));
            patiently("releasing an interrupted run", release).await?;
            self.runner.runs().forget(&claim.execution)?;
        }
        let runners = heartbeat::runners(&self.runner.bus);
        for (_, other) in patiently("looking for other runners", runners).await? {
            let ours = other.installation == installation;
            if ours && other.incarnation != self.runner.incarnation() {
                info!(runner = %other.incarnation, "an earlier start of this runner is released");
                patiently("releasing an earlier start", Box::pin(self.runner.bury(other))).await?;
            }
        }
        Ok(())
    }
}

async fn join(bus: &Bus, pool: &str) -> Result<Consumer, hearken_kit::bus::Error> {
    // Durable names are few and live as long as the process: one a pool.
    let durable: &'static str =
        if pool == "any" { "actions" } else { Box::leak(format!("actions-{pool}").into()) };
    bus.consume(ConsumerOptions {
        durable,
        stream: Stream::Log,
        filter: format!("{}.request.action.{pool}.>", bus.prefix()),
        ack_wait: ACK_WAIT,
        in_flight_max: IN_FLIGHT_MAX,
        read_ahead: false,
    })
    .await
}

/// The next requests of whichever pool has some.
///
/// # Cancel safety
/// Each consumer keeps what it pulled.
async fn next(
    consumers: &mut [Consumer],
    max: usize,
) -> Result<Vec<Delivery>, hearken_kit::bus::Error> {
    use futures_util::future::select_all;
    if consumers.is_empty() {
        std::future::pending::<()>().await;
    }
    let pulls = consumers.iter_mut().map(|consumer| Box::pin(consumer.next(max)));
    let (requests, _, _) = select_all(pulls).await;
    // The next pull looks at another pool first.
    consumers.rotate_left(1);
    requests
}

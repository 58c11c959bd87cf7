//! The loop: requests, cancellations, heartbeats, and runs that end.

use std::time::Duration;

use hearken_kit::bus::{Bus, Consumer, ConsumerOptions, Delivery, Heard, Tail};
use hearken_kit::{Shutdown, Tasks, random};
use hearken_proto::record::{CancelHint, RunnerState};
use hearken_proto::{Execution, Status, Stream, Subject, codec};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::cancel::Running;
use crate::recover::{self, Retry};
use crate::run::Runner;
use crate::{Config, Error, heartbeat, transition};

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
    concurrency: usize,
    state: RunnerState,
    watch: heartbeat::Watch,
    /// When a heartbeat was last stored.
    beaten: Instant,
}

enum Input {
    Requests(Vec<Delivery>),
    Hint(Option<Heard>),
    Ended,
    Beat,
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
        let runner = Runner::new(bus, config, state.incarnation.clone(), running.clone());
        let service = Self {
            runner,
            requests,
            hints,
            hears: true,
            running,
            tasks: Tasks::new(),
            concurrency,
            state,
            watch: heartbeat::Watch::default(),
            beaten: Instant::now(),
        };
        heartbeat::beat(&service.runner.bus, &service.state).await?;
        service.recover_own().await?;
        Ok(service)
    }

    /// Runs until the end is asked for, then until the last run has ended.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        let mut beat = tokio::time::interval(heartbeat::EVERY);
        loop {
            let free = self.concurrency.saturating_sub(self.tasks.len());
            let input = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = self.tasks.next() => { ended?; Input::Ended }
                hint = self.hints.next(), if self.hears => Input::Hint(hint),
                _ = beat.tick() => Input::Beat,
                requests = next(&mut self.requests, free), if free > 0 => {
                    Input::Requests(requests?)
                }
            };
            self.handle(input).await;
        }
        self.drain().await
    }

    async fn handle(&mut self, input: Input) {
        match input {
            Input::Requests(requests) => {
                for delivery in requests {
                    let runner = self.runner.clone();
                    self.tasks.spawn("run", async move { runner.handle(delivery).await });
                }
            }
            Input::Hint(Some(heard)) => {
                let message = heard.message;
                if let Ok(hint) = codec::decode::<CancelHint>(&message.headers, &message.body) {
                    self.running.cancel(&hint.execution);
                }
            }
            // The live side is gone; heartbeats still look for cancellations.
            Input::Hint(None) => self.hears = false,
            Input::Ended => {}
            Input::Beat => self.beat().await,
        }
    }

    async fn drain(mut self) -> Result<(), Error> {
        info!(running = self.tasks.len(), "no more requests are taken");
        while let Some(ended) = self.tasks.next().await {
            ended?;
        }
        self.state.holds.clear();
        self.state.ended = true;
        heartbeat::beat(&self.runner.bus, &self.state).await?;
        Ok(())
    }

    /// Says that we are alive, and looks whether others are.
    async fn beat(&mut self) {
        self.state.holds = self.running.keys();
        let beaten = self.beat_and_look().await;
        match beaten {
            Ok(()) => {}
            Err(error) => {
                warn!(%error, "beating, or looking after others, failed");
                if self.beaten.elapsed() >= heartbeat::SELF_FENCE {
                    error!("the lease cannot be renewed: everything that runs here is ended");
                    self.running.cancel_all();
                }
            }
        }
    }

    async fn beat_and_look(&mut self) -> Result<(), hearken_kit::bus::Error> {
        let bus = &self.runner.bus;
        self.state.seen = bus.head(Stream::Log).await?.last;
        heartbeat::beat(bus, &self.state).await?;
        self.beaten = Instant::now();
        self.cancel_what_was_asked_for().await?;
        let bus = &self.runner.bus;
        let runners = heartbeat::runners(bus).await?;
        for gone in self.watch.look(Instant::now(), &runners) {
            if gone.incarnation != self.state.incarnation {
                warn!(runner = %gone.incarnation, "a runner's heartbeat has stopped");
                self.bury(gone).await?;
            }
        }
        Ok(())
    }

    /// Ends what somebody asked to end while the hint was lost.
    async fn cancel_what_was_asked_for(&self) -> Result<(), hearken_kit::bus::Error> {
        for key in self.running.keys() {
            let last = transition::last(&self.runner.bus, &key).await?;
            if last.is_some_and(|(_, state)| state.status == Status::Canceling) {
                self.running.cancel(&key);
            }
        }
        Ok(())
    }

    /// Releases everything that a runner held which is gone, and says that it has ended.
    async fn bury(&self, mut gone: RunnerState) -> Result<(), hearken_kit::bus::Error> {
        let bus = &self.runner.bus;
        for execution in heartbeat::held_by(bus, &gone).await? {
            self.release(&execution, &gone.incarnation).await?;
        }
        gone.holds.clear();
        gone.ended = true;
        heartbeat::beat(bus, &gone).await
    }

    /// Looks after runs of an earlier start in this data folder.
    async fn recover_own(&self) -> Result<(), Error> {
        let runs = self.runner.runs().clone();
        let found = tokio::task::spawn_blocking(move || runs.leftovers()).await;
        let found = found.map_err(|_panicked| {
            Error::Name(std::io::Error::other("looking for interrupted runs broke"))
        })?;
        for skipped in &found.skipped {
            warn!(?skipped, "not the note of a run");
        }
        for leftover in &found.runs {
            let claim = &leftover.claim;
            self.release(&claim.execution, &claim.incarnation).await?;
            self.runner.runs().forget(&claim.execution)?;
        }
        for (_, other) in heartbeat::runners(&self.runner.bus).await? {
            let ours = other.installation == self.state.installation;
            if ours && other.incarnation != self.state.incarnation {
                self.bury(other).await?;
            }
        }
        Ok(())
    }

    async fn release(&self, execution: &str, gone: &str) -> Result<(), hearken_kit::bus::Error> {
        let runner = &self.runner;
        let retry = async |state: &Execution| -> Retry { runner.retry(state).await };
        recover::release(&runner.bus, runner.clock(), execution, gone, retry).await
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

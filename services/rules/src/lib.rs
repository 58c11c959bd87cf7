//! The rule service: turns events into action requests.
//!
//! Feeds each event to the engine, with the definitions in force at its place, and publishes what
//! it decides. This crate only moves messages: it holds no rule. Rules without a memory are judged
//! by all replicas, which share the events; those that remember are decided by one, in order.
//!
//! Invariant: an event is acknowledged only after every request that it caused is stored, so a
//! crash repeats work and never loses it; what is repeated has the same ids.

mod fold;
mod judge;
mod marks;
mod outgoing;
mod settle;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hearken_kit::bus::{Bus, Consumer, ConsumerOptions, Delivery};
use hearken_kit::seal::Sealer;
use hearken_kit::{Clock, Shutdown};
use hearken_packs::Follower;
use hearken_packs::kv::{Datastore, Opened};
use hearken_proto::Stream;

use fold::Fold;
use marks::Marks;
use outgoing::Desk;
use settle::{Counters, Settlement};

/// Durable name: all replicas share the events.
const DURABLE: &str = "rules";
/// An event that is not settled for so long is judged again.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Events out at a time over all replicas. JetStream's default, enough to hide the round trip.
const IN_FLIGHT_MAX: usize = 4000;
/// Events judged before the next look at acknowledgements.
const BATCH: usize = 256;
/// Batches, and parts of batches that lead to many messages, that are settled beside the judging.
const SETTLING_MAX: usize = 8;

/// Messages that settle together: what a batch leads to when each event matches one rule. With
/// [`SETTLING_MAX`] times as many settling, as many for one event that matches many rules, and as
/// many of the rules that remember, it stays below what any bus takes at a time (4096): otherwise
/// sending would wait for what only settling can free.
const UNSETTLED_MAX: usize = BATCH;

/// What the rule service is started with.
#[derive(Debug)]
pub struct Config {
    /// The definitions.
    pub definitions: Follower,
    /// The datastore, as rules look keys up: with the values at the moment of judging.
    pub datastore: Datastore,
    /// Seals secret parameters.
    pub sealer: Sealer,
    /// Name of this replica, unlike any other.
    pub replica: String,
    /// Where the time comes from: only for when to look again, never for a decision.
    pub clock: Clock,
}

/// Why the rule service ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus failed for good.
    #[error("the rule service lost the bus")]
    Bus(#[from] hearken_kit::bus::Error),
    /// The definitions of some place cannot be had.
    #[error("the rule service cannot read the definitions")]
    Definitions(#[from] hearken_packs::Error),
    /// What rules remember cannot be taken up or kept.
    #[error("the rule service cannot use what rules remember: {0}")]
    Memory(String),
}

/// Runs until `shutdown` is requested or the service cannot go on.
///
/// # Errors
/// [`Error`].
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) -> Result<(), Error> {
    let incarnation = bus.head(Stream::Events).await?.incarnation;
    let datastore = config.datastore;
    let desk = Desk::new(bus, config.sealer, incarnation, Opened::of(&datastore));
    let fold = Fold {
        // What one side opens is not taken for what the other has opened.
        desk: Desk::new(
            desk.bus.clone(),
            desk.sealer.clone(),
            desk.incarnation.clone(),
            Opened::of(&datastore),
        ),
        definitions: config.definitions.clone(),
        clock: config.clock,
        replica: config.replica,
    };
    let service = Service::start(desk, config.definitions).await?;
    let folding = Box::pin(fold.run(shutdown.clone()));
    tokio::try_join!(service.run(shutdown), folding).map(|((), ())| ())
}

enum Input {
    Events(Vec<Delivery>),
    Settled(Counters),
}

type Settling = std::pin::Pin<Box<dyn Future<Output = Counters> + Send>>;

struct Service {
    desk: Desk,
    definitions: Follower,
    events: Consumer,
    marks: Marks,
    settling: FuturesUnordered<Settling>,
    counters: Counters,
}

impl Service {
    async fn start(desk: Desk, definitions: Follower) -> Result<Self, Error> {
        let bus = &desk.bus;
        let events = bus
            .consume(ConsumerOptions {
                durable: DURABLE,
                stream: Stream::Events,
                filter: format!("{}.event.>", bus.prefix()),
                ack_wait: ACK_WAIT,
                in_flight_max: IN_FLIGHT_MAX,
                read_ahead: true,
            })
            .await?;
        Ok(Self {
            desk,
            definitions,
            events,
            marks: Marks::default(),
            settling: FuturesUnordered::new(),
            counters: Counters::default(),
        })
    }

    /// Judges events until the end is asked for; what was judged is settled then.
    async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        loop {
            let input = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(settled) = self.settling.next() => Input::Settled(settled),
                batch = self.events.next(BATCH), if self.settling.len() < SETTLING_MAX => {
                    Input::Events(batch?)
                }
            };
            match input {
                Input::Events(batch) => self.judge(batch).await?,
                Input::Settled(counters) => self.counters.add(&counters),
            }
        }
        while let Some(counters) = self.settling.next().await {
            self.counters.add(&counters);
        }
        tracing::info!(?self.counters, "the rule service has ended");
        Ok(())
    }

    /// Judges a batch and sends what it asks for; settling goes on beside the next batch.
    async fn judge(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        self.marks.cover(&self.desk.bus, &self.definitions, &batch).await?;
        let mut settlements = Vec::with_capacity(batch.len());
        let mut unsettled = 0;
        for delivery in batch {
            let definitions = self.definitions.at(delivery.entry.sequence).await?;
            let judged = judge::event(&self.desk, &definitions, &delivery.entry);
            match judged {
                Ok(outgoing) => {
                    let settlement = Settlement::send(&self.desk.bus, delivery, outgoing).await;
                    unsettled += settlement.waiting();
                    settlements.push(settlement);
                    // The bus takes a bounded number of messages that nobody waits for.
                    if unsettled >= UNSETTLED_MAX {
                        self.settle(std::mem::take(&mut settlements)).await;
                        unsettled = 0;
                    }
                }
                Err(why) => {
                    self.counters.undecodable += 1;
                    self.events.reject(delivery, "undecodable", &why).await?;
                }
            }
        }
        self.settle(settlements).await;
        Ok(())
    }

    /// Settles beside what comes next, as soon as there is room for it.
    async fn settle(&mut self, settlements: Vec<Settlement>) {
        while self.settling.len() >= SETTLING_MAX
            && let Some(counters) = self.settling.next().await
        {
            self.counters.add(&counters);
        }
        if !settlements.is_empty() {
            self.settling.push(Box::pin(settle::all(settlements)));
        }
    }
}

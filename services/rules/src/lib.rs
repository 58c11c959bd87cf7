//! The rule service: turns events into action requests.
//!
//! Feeds each event to the engine, with the definitions in force at its place, and publishes what
//! it decides. This crate only moves messages: it holds no rule and reads no clock.
//!
//! Invariant: an event is acknowledged only after every request that it caused is stored, so a
//! crash repeats work and never loses it; what is repeated has the same ids.

mod judge;
mod marks;
mod settle;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hearken_kit::Shutdown;
use hearken_kit::bus::{Bus, Consumer, ConsumerOptions, Delivery};
use hearken_packs::Follower;
use hearken_proto::Stream;

use marks::Marks;
use settle::{Counters, Settlement};

/// Durable name: all replicas share the events.
const DURABLE: &str = "rules";
/// An event that is not settled for so long is judged again.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Events out at a time over all replicas. JetStream's default, enough to hide the round trip.
const IN_FLIGHT_MAX: usize = 4000;
/// Events judged before the next look at acknowledgements.
const BATCH: usize = 256;
/// Batches whose requests are not yet acknowledged.
const SETTLING_MAX: usize = 8;

/// Messages of one batch that may wait for their acknowledgement before the next is sent. With
/// [`SETTLING_MAX`] batches settling, and as many for one event that matches many rules, it stays
/// below what any bus takes at a time (4096): otherwise sending would wait for what only settling
/// can free.
const UNSETTLED_MAX: usize = 200;

/// What the rule service is started with.
#[derive(Debug)]
pub struct Config {
    /// The definitions.
    pub definitions: Follower,
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
}

/// Runs until `shutdown` is requested or the service cannot go on.
///
/// # Errors
/// [`Error`].
pub async fn run(config: Config, bus: Bus, shutdown: Shutdown) -> Result<(), Error> {
    let mut service = Service::start(config, bus).await?;
    loop {
        let input = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            Some(settled) = service.settling.next() => Input::Settled(settled),
            batch = service.events.next(BATCH), if service.settling.len() < SETTLING_MAX => {
                Input::Events(batch?)
            }
        };
        match input {
            Input::Events(batch) => service.judge(batch).await?,
            Input::Settled(counters) => service.counters.add(&counters),
        }
    }
    // What was judged is settled; its requests are on their way already.
    while let Some(counters) = service.settling.next().await {
        service.counters.add(&counters);
    }
    tracing::info!(?service.counters, "the rule service has ended");
    Ok(())
}

enum Input {
    Events(Vec<Delivery>),
    Settled(Counters),
}

type Settling = std::pin::Pin<Box<dyn Future<Output = Counters> + Send>>;

struct Service {
    bus: Bus,
    definitions: Follower,
    events: Consumer,
    marks: Marks,
    /// Name of the event stream's life: part of the names of events without id.
    incarnation: String,
    settling: FuturesUnordered<Settling>,
    counters: Counters,
}

impl Service {
    async fn start(config: Config, bus: Bus) -> Result<Self, Error> {
        let incarnation = bus.head(Stream::Events).await?.incarnation;
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
            bus,
            definitions: config.definitions,
            events,
            marks: Marks::default(),
            incarnation,
            settling: FuturesUnordered::new(),
            counters: Counters::default(),
        })
    }

    /// Judges a batch and sends what it asks for; settling goes on beside the next batch.
    async fn judge(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        self.marks.cover(&self.bus, &self.definitions, &batch).await?;
        let mut settlements = Vec::with_capacity(batch.len());
        let mut unsettled = 0;
        for delivery in batch {
            let definitions = self.definitions.at(delivery.entry.sequence).await?;
            let judged = judge::event(&self.bus, &definitions, &self.incarnation, &delivery.entry);
            match judged {
                Ok(messages) => {
                    let settlement = Settlement::send(&self.bus, delivery, messages).await;
                    unsettled += settlement.waiting();
                    settlements.push(settlement);
                    // The bus takes a bounded number of messages that nobody waits for.
                    if unsettled >= UNSETTLED_MAX {
                        let settled = settle::all(std::mem::take(&mut settlements)).await;
                        self.counters.add(&settled);
                        unsettled = 0;
                    }
                }
                Err(why) => {
                    self.counters.undecodable += 1;
                    self.events.reject(delivery, "undecodable", &why).await?;
                }
            }
        }
        self.settling.push(Box::pin(settle::all(settlements)));
        Ok(())
    }
}

//! The baselines: consume, publish what was consumed, acknowledge when it is stored.
//!
//! Once through the bus, with the batches and the window of the rule service; once on the bare
//! NATS client, so that the bus's own share shows.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::ContextBuilder;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use hearken_kit::bus::{Bus, ConsumerOptions};
use hearken_proto::{Message, Stream};

use crate::packs;

/// Entries taken at a time, as the rule service does.
const BATCH: usize = 256;
/// Batches whose copies are not yet stored, as the rule service has.
const SETTLING_MAX: usize = 8;
/// Entries out at a time, as the rule service has.
const IN_FLIGHT_MAX: usize = 4000;
/// No entry comes again within a measurement.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// Entries asked of the server at a time, as the bus does.
const PULL: usize = 500;

type Settling = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<u64>> + Send>>;

/// Passes `count` entries on through the bus.
pub(crate) async fn through_bus(bus: &Bus, count: u64) -> anyhow::Result<()> {
    let options = ConsumerOptions {
        durable: "raw",
        stream: Stream::Events,
        filter: format!("{}.event.>", bus.prefix()),
        ack_wait: ACK_WAIT,
        in_flight_max: IN_FLIGHT_MAX,
        read_ahead: true,
    };
    let mut consumer = bus.consume(options).await?;
    let subject = packs::request_subject(bus.prefix());
    let mut settling: FuturesUnordered<Settling> = FuturesUnordered::new();
    let mut done = 0;
    while done < count {
        tokio::select! {
            biased;
            Some(settled) = settling.next() => done += settled?,
            batch = consumer.next(BATCH), if settling.len() < SETTLING_MAX => {
                let mut sent = Vec::with_capacity(BATCH);
                for delivery in batch? {
                    let message = Message {
                        subject: subject.clone(),
                        cause: Some(delivery.entry.id.clone()).filter(|id| !id.is_empty()),
                        body: delivery.entry.body.clone(),
                        ..Message::default()
                    };
                    // A full window must not keep those that would empty it from being heard.
                    let mut send = std::pin::pin!(bus.send(message, None));
                    let pending = loop {
                        tokio::select! {
                            biased;
                            pending = &mut send => break pending?,
                            Some(settled) = settling.next() => done += settled?,
                        }
                    };
                    sent.push((delivery, pending));
                }
                settling.push(Box::pin(async move {
                    let mut settled = 0;
                    for (delivery, pending) in sent {
                        pending.stored().await?;
                        delivery.acker.ack().await?;
                        settled += 1;
                    }
                    Ok(settled)
                }));
            }
        }
    }
    Ok(())
}

/// Passes `count` entries on with the NATS client alone.
pub(crate) async fn bare(url: &str, prefix: &str, count: u64) -> anyhow::Result<()> {
    let client = async_nats::connect(url).await?;
    // Its own window would have to be emptied by us: ours is bounded by the batches.
    let context = ContextBuilder::new().max_ack_inflight(BATCH * (SETTLING_MAX + 1)).build(client);
    let stream = context.get_stream_no_info(Stream::Events.under(prefix)).await?;
    let config = pull::Config {
        durable_name: Some("bare".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: i64::try_from(IN_FLIGHT_MAX)?,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut messages = consumer.stream().max_messages_per_batch(PULL).messages().await?;
    let subject = packs::request_subject(prefix);
    let mut settling: FuturesUnordered<Settling> = FuturesUnordered::new();
    let mut done = 0;
    while done < count {
        tokio::select! {
            biased;
            Some(settled) = settling.next() => done += settled?,
            first = messages.next(), if settling.len() < SETTLING_MAX => {
                let mut next = Some(first.context("a message")?);
                let mut sent = Vec::with_capacity(BATCH);
                while let Some(message) = next {
                    let message = message?;
                    let stored = context.publish(subject.clone(), message.payload.clone()).await?;
                    sent.push((message, stored));
                    next = if sent.len() < BATCH {
                        messages.next().now_or_never().flatten()
                    } else {
                        None
                    };
                }
                settling.push(Box::pin(async move {
                    let mut settled = 0;
                    for (message, stored) in sent {
                        stored.await?;
                        message.ack().await.map_err(|error| anyhow::anyhow!(error))?;
                        settled += 1;
                    }
                    Ok(settled)
                }));
            }
        }
    }
    Ok(())
}

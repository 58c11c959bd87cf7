//! The timers that rules want: when each is due, and its ticks.

use std::collections::BTreeMap;
use std::time::Duration;

use hearken_engine::registry::Registry;
use hearken_engine::schedule::Schedule;
use hearken_kit::bus::{Bus, Error};
use hearken_kit::{Clock, payload, random};
use hearken_proto::record::ScheduleState;
use hearken_proto::subject::Kind;
use hearken_proto::{Message, Stream, Subject, Timestamp, codec, entry};
use serde_json::{Value, json};
use tracing::{debug, warn};

/// A timer that cannot be ticked now is tried again after this pause.
const RETRY: Duration = Duration::from_secs(1);
/// Time zone of timers that name none.
const ZONE_DEFAULT: &str = "UTC";

/// All timers that are wanted.
#[derive(Debug)]
pub(crate) struct Timers {
    bus: Bus,
    clock: Clock,
    /// By the name of the timer: its type and the digest of its parameters.
    wanted: BTreeMap<String, Timer>,
}

#[derive(Debug)]
struct Timer {
    trigger: String,
    parameters: Value,
    digest: String,
    schedule: Schedule,
    /// What is kept of it, once that was read.
    kept: Option<Kept>,
    /// When it is due next; none when never again, or not yet known.
    due: Option<Timestamp>,
}

#[derive(Debug)]
struct Kept {
    sequence: u64,
    state: ScheduleState,
}

impl Timers {
    pub(crate) const fn new(bus: Bus, clock: Clock) -> Self {
        Self { bus, clock, wanted: BTreeMap::new() }
    }

    /// Takes over the timers that `registry` wants.
    pub(crate) fn want(&mut self, registry: &Registry) {
        let mut wanted = BTreeMap::new();
        for timer in registry.timers() {
            let name = format!("{}:{}", timer.trigger, timer.digest);
            if let Some(known) = self.wanted.remove(&name) {
                wanted.insert(name, known);
                continue;
            }
            let schedule = match Schedule::parse(&timer.trigger, &timer.parameters, ZONE_DEFAULT) {
                Ok(schedule) => schedule,
                Err(problem) => {
                    warn!(timer = %name, error = %problem.message, "this timer never ticks");
                    continue;
                }
            };
            let timer = Timer {
                trigger: timer.trigger,
                parameters: timer.parameters,
                digest: timer.digest,
                schedule,
                kept: None,
                // Due now: the first look reads what is kept of it.
                due: Some(Timestamp::EPOCH),
            };
            wanted.insert(name, timer);
        }
        self.wanted = wanted;
    }

    /// Reads everything again before the next tick.
    pub(crate) fn forget(&mut self) {
        for timer in self.wanted.values_mut() {
            timer.kept = None;
            timer.due = Some(Timestamp::EPOCH);
        }
    }

    /// How long until the next timer is due.
    pub(crate) fn sleep(&self) -> Duration {
        let now = self.clock.now();
        let due = self.wanted.values().filter_map(|timer| timer.due).min();
        due.map_or(Duration::MAX, |due| due.since(now))
    }

    /// Ticks every timer that is due.
    pub(crate) async fn tick(&mut self) {
        let now = self.clock.now();
        for (name, timer) in &mut self.wanted {
            if timer.due.is_none_or(|due| due > now) {
                continue;
            }
            if let Err(error) = timer.look(&self.bus, name, now).await {
                warn!(timer = %name, %error, "a timer could not be ticked");
                timer.kept = None;
                timer.due = Some(now.plus(RETRY));
            }
        }
    }
}

impl Timer {
    /// Ticks if it is due at `now`, and finds out when it is due next.
    async fn look(&mut self, bus: &Bus, name: &str, now: Timestamp) -> Result<(), Error> {
        if self.kept.is_none() {
            self.kept = Some(self.read(bus, name, now).await?);
        }
        let Some(Kept { sequence, state }) = &mut self.kept else { return Ok(()) };
        let after = state.ticked.unwrap_or(state.anchor);
        if let Some(due) = last_due(&self.schedule, after, state.anchor, now) {
            let name_of_tick = format!("{name}-{}", state.nonce);
            let tick = tick(bus, &name_of_tick, &self.trigger, &self.digest, due);
            bus.publish(tick).await?;
            debug!(timer = %name, %due, "tick");
            let next = ScheduleState { ticked: Some(due), ..state.clone() };
            *sequence = keep(bus, name, &next, *sequence).await?;
            *state = next;
        }
        self.due = self.schedule.next(state.ticked.unwrap_or(state.anchor), state.anchor);
        Ok(())
    }

    async fn read(&self, bus: &Bus, name: &str, now: Timestamp) -> Result<Kept, Error> {
        let subject = bus.subject(&Subject::state(Kind::Schedule, name));
        if let Some(entry) = bus.last(Stream::State, &subject).await?
            && let Ok(state) = codec::decode::<ScheduleState>(&entry.headers, &entry.body)
        {
            return Ok(Kept { sequence: entry.sequence, state });
        }
        let state = ScheduleState {
            trigger: self.trigger.clone(),
            parameters: self.parameters.clone(),
            anchor: now,
            ticked: None,
            nonce: random::hex(8)
                .map_err(|source| Error::Storage { action: "name a timer".to_owned(), source })?,
        };
        let sequence = keep(bus, name, &state, 0).await?;
        Ok(Kept { sequence, state })
    }
}

/// The last moment after `after` at which `schedule` was due and that is not after `now`.
///
/// Bounded: a timer of one second that slept for a year takes no more than [`STEPS_MAX`] steps,
/// after which the tick is the moment reached, and the next look goes on from there.
fn last_due(
    schedule: &Schedule,
    after: Timestamp,
    anchor: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut last = None;
    let mut from = after;
    for _step in 0..STEPS_MAX {
        match schedule.next(from, anchor) {
            Some(due) if due <= now => {
                last = Some(due);
                from = due;
            }
            Some(_) | None => break,
        }
    }
    last
}

/// Steps of one look through missed ticks: three hours of a timer of one second.
const STEPS_MAX: usize = 10_000;

fn tick(bus: &Bus, name: &str, trigger: &str, digest: &str, due: Timestamp) -> Message {
    let body = json!({ "executed_at": due.to_string(), "schedule": null });
    let mut message = Message {
        subject: bus.subject(&Subject::event(trigger)),
        id: Some(format!("tick-{name}-{}", due.nanos())),
        body: body.to_string().into(),
        ..Message::default()
    };
    message.headers.append(entry::CONTENT_TYPE, entry::JSON);
    message.headers.append(entry::TRIGGER_PARAMETERS, digest);
    message
}

async fn keep(bus: &Bus, name: &str, state: &ScheduleState, last: u64) -> Result<u64, Error> {
    let subject = bus.subject(&Subject::state(Kind::Schedule, name));
    let mut message = payload::message(subject, state)?;
    let ticked = state.ticked.map_or(0, Timestamp::nanos);
    message.id = Some(format!("schedule-{name}-{ticked}"));
    bus.publish_if(message, last).await.map(|ack| ack.sequence)
}

//! What others see of a sensor: its state in STATE, and events when its process starts and ends.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hearken_kit::bus::Bus;
use hearken_kit::seal::Secrets;
use hearken_kit::{Clock, payload};
use hearken_packs::Follower;
use hearken_proto::record::{SensorState, SensorStatus};
use hearken_proto::subject::Kind;
use hearken_proto::{Stream, Subject, codec};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::host::Wanted;
use crate::said::shortened;

/// The trigger of a process that has started.
const SPAWN: &str = "core.st2.sensor.process_spawn";
/// The trigger of a process that has ended.
const EXIT: &str = "core.st2.sensor.process_exit";
/// Errors of a running sensor that are logged between two writings of its state, which are seconds
/// apart; the last one is always kept.
const LOGGED_MAX: u64 = 10;

/// Tells of one sensor.
#[derive(Debug)]
pub(crate) struct Reporter {
    bus: Bus,
    clock: Clock,
    definitions: Follower,
    host: String,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    state: SensorState,
    /// Whether it has changed since it was written.
    is_stale: bool,
    /// Errors since then.
    faults: u64,
    /// What its configuration holds that nobody else may see.
    secrets: Secrets,
}

impl Reporter {
    /// Tells of the sensor called `reference`, which runs on `host`.
    pub(crate) fn new(
        bus: Bus,
        clock: Clock,
        definitions: Follower,
        host: &str,
        reference: &str,
    ) -> Self {
        let state = SensorState { sensor: reference.to_owned(), ..SensorState::default() };
        let secrets = Secrets::default();
        let told = Mutex::new(Told { state, is_stale: false, faults: 0, secrets });
        Self { bus, clock, definitions, host: host.to_owned(), told }
    }

    /// A content of the sensor's pack is about to run here. What was counted goes on when it ran
    /// before, perhaps elsewhere.
    pub(crate) async fn begin(&self, wanted: &Wanted) {
        let before = match self.bus.last(Stream::State, &self.subject()).await {
            Ok(Some(entry)) => codec::decode::<SensorState>(&entry.headers, &entry.body).ok(),
            Ok(None) => None,
            Err(error) => {
                warn!(sensor = wanted.sensor.reference, %error, "its state cannot be read");
                None
            }
        };
        let before = before.filter(|before| before.digest == wanted.digest).unwrap_or_default();
        self.change(|state| {
            *state = SensorState {
                sensor: wanted.sensor.reference.clone(),
                digest: wanted.digest.clone(),
                restarts: before.restarts,
                error: before.error,
                trigger_types: before.trigger_types,
                ..SensorState::default()
            };
        });
        self.flush().await;
    }

    /// From now on these are kept out of what is told of it.
    pub(crate) fn conceal(&self, secrets: Secrets) {
        self.told().secrets = secrets;
    }

    /// Its process was started, and is set up already or not.
    pub(crate) async fn started(
        &self,
        class_name: &str,
        status: SensorStatus,
        pid: Option<u32>,
        command: &str,
    ) {
        self.change(|state| {
            state.pid = pid;
            state.status = status;
        });
        info!(sensor = self.sensor(), pid, "sensor started");
        self.flush().await;
        let now = self.clock.now().seconds();
        let object = json!({"id": class_name, "timestamp": now, "pid": pid, "cmd": command});
        self.tell(SPAWN, object).await;
    }

    /// It is set up, and works.
    pub(crate) async fn ready(&self) {
        self.change(|state| state.status = SensorStatus::Running);
        self.flush().await;
    }

    /// Its process has ended.
    pub(crate) async fn ended(&self, class_name: &str, exit_code: Option<i32>) {
        self.change(|state| state.pid = None);
        let now = self.clock.now().seconds();
        let object = json!({"id": class_name, "timestamp": now, "exit_code": exit_code});
        self.tell(EXIT, object).await;
    }

    /// It is started again after a pause.
    pub(crate) async fn waiting(&self, error: &str) {
        let error = &self.told().secrets.hide(error);
        warn!(sensor = self.sensor(), error, "sensor ended, it is started again");
        self.change(|state| {
            state.status = SensorStatus::Waiting;
            state.error = Some(shortened(error));
            state.restarts = state.restarts.saturating_add(1);
        });
        self.flush().await;
    }

    /// It does not run any more, on purpose.
    pub(crate) async fn stopped(&self) {
        self.change(|state| state.status = SensorStatus::Stopped);
        self.flush().await;
    }

    /// Something went wrong while it runs; written with the next [`Reporter::flush`].
    pub(crate) fn fault(&self, error: &str) {
        let (error, count) = {
            let mut told = self.told();
            told.faults = told.faults.saturating_add(1);
            (told.secrets.hide(error), told.faults)
        };
        if count <= LOGGED_MAX {
            warn!(sensor = self.sensor(), error, "a sensor reports an error");
        }
        self.change(|state| state.error = Some(shortened(&error)));
    }

    /// A text that it said, without what nobody may see.
    pub(crate) fn concealed(&self, text: &str) -> String {
        self.told().secrets.hide(text)
    }

    /// It publishes these trigger types.
    pub(crate) async fn types(&self, types: Vec<String>) {
        self.change(|state| state.trigger_types = types);
        self.flush().await;
    }

    /// Writes the state when it has changed. What cannot be written now is written later.
    pub(crate) async fn flush(&self) {
        let (state, faults) = {
            let mut told = self.told();
            let state = std::mem::take(&mut told.is_stale).then(|| told.state.clone());
            (state, std::mem::take(&mut told.faults))
        };
        if let Some(more) = faults.checked_sub(LOGGED_MAX).filter(|more| *more > 0) {
            warn!(sensor = self.sensor(), more, "a sensor reports more errors than are logged");
        }
        let Some(state) = state else { return };
        let written = async {
            let message = payload::message(self.subject(), &state)?;
            self.bus.publish(message).await
        };
        if let Err(error) = written.await {
            warn!(sensor = state.sensor, %error, "the state of a sensor cannot be written now");
            self.told().is_stale = true;
        }
    }

    /// The sensor.
    pub(crate) fn sensor(&self) -> String {
        self.told().state.sensor.clone()
    }

    fn change(&self, change: impl FnOnce(&mut SensorState)) {
        let mut told = self.told();
        let before = told.state.clone();
        change(&mut told.state);
        told.state.host.clone_from(&self.host);
        if told.state.status != before.status || told.state.since.is_none() {
            told.state.since = Some(self.clock.now());
        }
        told.is_stale |= told.state != before;
    }

    /// Publishes an event about the sensor, if a rule listens.
    async fn tell(&self, trigger: &str, object: Value) {
        if !self.definitions.current().registry.hears(trigger) {
            return;
        }
        let published = async {
            let subject = self.bus.subject(&Subject::event(trigger));
            let message = payload::message(subject, &json!({ "object": object }))?;
            self.bus.publish(message).await
        };
        if let Err(error) = published.await {
            warn!(sensor = self.sensor(), trigger, %error, "an event is lost");
        }
    }

    fn subject(&self) -> String {
        self.bus.subject(&Subject::state(Kind::Sensor, &self.sensor()))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

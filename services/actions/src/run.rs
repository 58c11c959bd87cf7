//! One request, from delivery to outcome.

use std::sync::Arc;

use hearken_kit::Clock;
use hearken_kit::backoff::pause_after;
use hearken_kit::bus::{Bus, Delivery, Error as BusError};
use hearken_kit::process::{self, Claim as RunClaim, Runs};
use hearken_kit::work::Claim;
use hearken_packs::Runnable;
use hearken_proto::{ActionRequest, Execution, Status, codec};
use serde_json::{Value, json};
use tracing::{debug, error, warn};

use crate::cancel::{Guard, Running};
use crate::recover::Retry;
use crate::runner::{self, Outcome};
use crate::{Config, output, transition};

/// How often, and with which pauses, an outcome waits for room on a full disk or stream: an hour.
const ROOM_WAITS_MAX: u32 = 1800;
const ROOM_PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// Everything that a run needs. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) bus: Bus,
    config: Arc<Config>,
    incarnation: String,
    running: Running,
}

/// Why a request was not started.
enum NotStarted {
    /// Somebody else has it, or it has ended: settle the delivery.
    Settled,
    /// The bus or the disk did not allow it now.
    Later(String),
}

impl Runner {
    pub(crate) fn new(bus: Bus, config: Config, incarnation: String, running: Running) -> Self {
        Self { bus, config: Arc::new(config), incarnation, running }
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.config.runs
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.config.clock
    }

    /// How often the action of `state` may start.
    pub(crate) async fn retry(&self, state: &Execution) -> Retry {
        let request = &state.request;
        let found = self.config.definitions.runnable(&request.action, &request.digest).await;
        match found {
            Ok(runnable) if runnable.action.idempotent => Retry {
                attempts_max: runnable.action.attempts_max,
                pool: runnable.action.pool.clone(),
            },
            Ok(_) | Err(_) => Retry { attempts_max: 1, pool: "any".to_owned() },
        }
    }

    /// Handles one delivery to its end.
    pub(crate) async fn handle(&self, delivery: Delivery) {
        let entry = &delivery.entry;
        let request: ActionRequest = match codec::decode(&entry.headers, &entry.body) {
            Ok(request) => request,
            Err(error) => {
                // Only our own services may write requests, so this is a fault of ours.
                error!(sequence = entry.sequence, %error, "a request cannot be read");
                settle(delivery.acker.terminate().await);
                return;
            }
        };
        match self.claim(&request).await {
            Ok((guard, file, sequence, execution)) => {
                // From here the claim is the truth; the queue need not wait for the action.
                settle(delivery.acker.ack().await);
                self.run(&guard, file, sequence, execution).await;
            }
            Err(NotStarted::Settled) => settle(delivery.acker.ack().await),
            Err(NotStarted::Later(why)) => {
                warn!(execution = %request.execution, why, "a request is put off");
                settle(delivery.acker.nak(pause_after(delivery.deliveries)).await);
            }
        }
    }

    async fn claim(
        &self,
        request: &ActionRequest,
    ) -> Result<(Guard, process::Run, u64, Execution), NotStarted> {
        let later = |error: BusError| NotStarted::Later(error.to_string());
        let guard = self.running.enter(&request.execution);
        let now = self.config.clock.now();
        let (last, before) = match transition::last(&self.bus, &request.execution).await {
            Ok(Some((sequence, state))) if state.status == Status::Requested => (sequence, state),
            Ok(Some(_)) => return Err(NotStarted::Settled),
            Ok(None) => (0, Execution::requested(request.clone())),
            Err(error) => return Err(later(error)),
        };
        // A copy of a request that is being claimed here right now; when it comes again, the claim
        // tells what became of it.
        let Some(guard) = guard else {
            return Err(NotStarted::Later("it is being claimed".to_owned()));
        };
        if now.since(request.requested_at) > self.config.expire_after {
            let mut expired = before.entering(Status::Expired, now);
            expired.result = json!({ "error": "no runner took the request in time" });
            transition::write(&self.bus, &expired, last).await.map_err(later)?;
            return Err(NotStarted::Settled);
        }
        let attempt = before.attempt + 1;
        // The file first: whatever happens after it, a restart finds the run again.
        let file = self
            .config
            .runs
            .begin(RunClaim {
                execution: before.request.execution.clone(),
                incarnation: self.incarnation.clone(),
                attempt,
            })
            .map_err(|error| NotStarted::Later(error.to_string()))?;
        let mut held = before.entering(Status::Running, now);
        held.attempt = attempt;
        held.runner = Some(self.incarnation.clone());
        held.start = Some(now);
        match transition::write(&self.bus, &held, last).await {
            Ok(Claim::Held(sequence)) => Ok((guard, file, sequence, held)),
            Ok(Claim::Lost(_)) => {
                forget(file);
                Err(NotStarted::Settled)
            }
            Err(error) => {
                // The file stays: a restart looks after what may have been claimed.
                warn!(execution = %held.request.execution, %error, "a claim is in doubt");
                Err(NotStarted::Later(error.to_string()))
            }
        }
    }

    async fn run(
        &self,
        guard: &Guard,
        mut file: process::Run,
        sequence: u64,
        execution: Execution,
    ) {
        let outcome = if self.config.shadow {
            Outcome::shadow()
        } else {
            self.perform(&mut file, &execution.request, &guard.cancel).await
        };
        debug!(execution = %execution.request.execution, status = %outcome.status, "ended");
        if self.store(sequence, execution, outcome).await {
            forget(file);
        }
    }

    async fn perform(
        &self,
        file: &mut process::Run,
        request: &ActionRequest,
        cancel: &hearken_kit::Shutdown,
    ) -> Outcome {
        let found = self.config.definitions.runnable(&request.action, &request.digest).await;
        let Runnable { action, folder } = match found {
            Ok(runnable) => runnable,
            Err(error) => return Outcome::failed(&error.to_string()),
        };
        let (listener, forwarder) = output::channel(&self.bus, &request.execution);
        let job = runner::Job {
            action: &action,
            folder: &folder,
            request,
            config: &self.config,
            file,
            cancel,
            listener,
        };
        let ran = runner::run(job);
        tokio::pin!(ran);
        let mut forwarding = Box::pin(forwarder.run());
        // Both at once; the outcome does not wait for the last chunk.
        tokio::select! {
            outcome = &mut ran => outcome,
            () = &mut forwarding => ran.await,
        }
    }

    /// Stores the outcome; false when nobody could be told, so that a restart looks again.
    async fn store(&self, sequence: u64, execution: Execution, outcome: Outcome) -> bool {
        let now = self.config.clock.now();
        let key = execution.request.execution.clone();
        let mut last = sequence;
        let mut state = execution;
        let mut outcome = outcome;
        let mut waits = 0;
        // Whoever wrote in between asked for the end, or took the execution away.
        for _attempt in 0..ROOM_WAITS_MAX + 3 {
            let status = match (state.status, outcome.status) {
                (Status::Canceling, Status::Failed | Status::Timeout) => Status::Canceled,
                (_, status) => status,
            };
            let mut next = state.clone().entering(status, now);
            next.result = outcome.result.clone();
            match transition::write(&self.bus, &next, last).await {
                Ok(Claim::Held(_)) => return true,
                Ok(Claim::Lost(entry)) => match transition::read(&entry) {
                    Some(stored) if stored.status == Status::Canceling => {
                        last = entry.sequence;
                        state = stored;
                    }
                    _ => {
                        warn!(execution = %key, "somebody else has ended this execution");
                        return true;
                    }
                },
                Err(BusError::Full(why)) if waits < ROOM_WAITS_MAX => {
                    warn!(execution = %key, why, "an outcome waits for room");
                    waits += 1;
                    tokio::time::sleep(ROOM_PAUSE).await;
                }
                Err(BusError::TooLarge { bytes, max }) => {
                    let why = format!("the result has {bytes} bytes, the bus takes {max}");
                    outcome.result = error_result(&why);
                }
                Err(error) => {
                    error!(execution = %key, %error, "an outcome could not be stored");
                    return false;
                }
            }
        }
        false
    }
}

fn settle(settled: Result<(), BusError>) {
    if let Err(error) = settled {
        // It comes again, and the claim tells that it is done.
        debug!(%error, "a delivery could not be settled");
    }
}

fn forget(file: process::Run) {
    if let Err(error) = file.told() {
        warn!(%error, "the file of a run could not be removed");
    }
}

/// The error part of a result.
pub(crate) fn error_result(why: &str) -> Value {
    json!({ "error": why, "failed": true, "succeeded": false })
}

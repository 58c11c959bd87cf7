//! One request, from delivery to outcome.

use std::sync::Arc;
use std::time::Duration;

use hearken_kit::Clock;
use hearken_kit::backoff::pause_after;
use hearken_kit::bus::{Bus, Delivery, Error as BusError};
use hearken_kit::process::{self, Runs};
use hearken_packs::kv::Datastore;
use hearken_packs::{Definitions, Runnable};
use hearken_proto::{ActionRequest, Execution, codec};
use serde_json::{Value, json};
use tracing::{debug, error, warn};

use crate::cancel::Running;
use crate::claim::{Claimed, NotStarted};
use crate::gate::Gates;
use crate::hidden::Hidden;
use crate::outcome::Cut;
use crate::runner::{self, Outcome};
use crate::{Config, output};

/// Everything that a run needs. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) bus: Bus,
    pub(crate) gates: Gates,
    config: Arc<Config>,
    incarnation: String,
    running: Running,
}

impl Runner {
    pub(crate) fn new(bus: Bus, config: Config, incarnation: String, running: Running) -> Self {
        let gates = Gates::new(bus.clone(), config.clock.clone(), &incarnation);
        Self { bus, gates, config: Arc::new(config), incarnation, running }
    }

    pub(crate) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    pub(crate) fn definitions(&self) -> Arc<Definitions> {
        self.config.definitions.current()
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.config.shadow
    }

    pub(crate) fn expire_after(&self) -> Duration {
        self.config.expire_after
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.config.runs
    }

    pub(crate) fn datastore(&self) -> &Datastore {
        &self.config.datastore
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.config.clock
    }

    /// How often the action of `state` may start in all: once, unless it is idempotent.
    pub(crate) async fn attempts_max(&self, state: &Execution) -> u32 {
        let request = &state.request;
        let found = self.config.definitions.runnable(&request.action, &request.digest).await;
        match found {
            Ok(runnable) if runnable.action.idempotent => runnable.action.attempts_max,
            Ok(_) | Err(_) => 1,
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
            Ok(claimed) => {
                // From here the claim is the truth; the queue need not wait for the action.
                settle(delivery.acker.ack().await);
                self.run(claimed).await;
            }
            Err(NotStarted::Settled) => settle(delivery.acker.ack().await),
            Err(NotStarted::Later(why)) => {
                warn!(execution = %request.execution, why, "a request is put off");
                settle(delivery.acker.nak(pause_after(delivery.deliveries)).await);
            }
        }
    }

    async fn run(&self, claimed: Claimed) {
        let Claimed { guard, mut file, sequence, execution } = claimed;
        let outcome = if self.config.shadow {
            Outcome::shadow()
        } else {
            self.perform(&mut file, &execution.request, &guard.cancel).await
        };
        debug!(execution = %execution.request.execution, status = %outcome.status, "ended");
        let cut = if guard.is_fenced() { Cut::Fenced } else { Cut::Asked };
        // On the heap, so that a run does not carry the room of what comes after it.
        if Box::pin(self.conclude(sequence, execution, outcome, cut)).await {
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
        let hidden = Hidden::default();
        let (listener, forwarder) = output::channel(&self.bus, &request.execution, &hidden);
        let job = runner::Job {
            action: &action,
            folder: &folder,
            request,
            config: &self.config,
            bus: &self.bus,
            file,
            cancel,
            listener,
            hidden,
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
}

fn settle(settled: Result<(), BusError>) {
    if let Err(error) = settled {
        // It comes again, and the claim tells that it is done.
        debug!(%error, "a delivery could not be settled");
    }
}

pub(crate) fn forget(file: process::Run) {
    if let Err(error) = file.told() {
        warn!(%error, "the file of a run could not be removed");
    }
}

/// The error part of a result.
pub(crate) fn error_result(why: &str) -> Value {
    json!({ "error": why, "failed": true, "succeeded": false })
}

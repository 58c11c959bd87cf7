//! What a judgement writes down: a request, or an enforcement that says why there is none.
//!
//! Ids come from the event and the rule alone, so whoever judges the event again writes the same
//! thing. A record that has a subject of its own is written only where nothing is yet; a request
//! shares its subject with others, and its second copy finds the execution claimed.

use std::sync::Arc;

use hearken_engine::judge::{Context, HeldBy, Outcome, USER_DEFAULT};
use hearken_engine::parameters::mask::masked;
use hearken_engine::registry::Registry;
use hearken_kit::bus::{Bus, Error};
use hearken_kit::seal::Sealer;
use hearken_kit::{chain, payload, request};
use hearken_packs::kv::Opened;
use hearken_proto::record::Enforcement;
use hearken_proto::request::{POOL_ANY, TriggerInstance};
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Execution, Message, Status, Subject, Timestamp, id};
use serde_json::{Map, Value, json};

/// Who asks when a rule does.
const USER: &str = "hearken";

/// The largest request: half of what a bus takes in one message by default, because each transition
/// of its execution carries it too.
const REQUEST_BYTES_MAX: usize = 512 << 10;

/// A message, and what its subject must hold for it to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub message: Message,
    /// Sequence of the subject's last entry; none when that does not matter.
    pub last: Option<u64>,
}

/// What is needed to write down what was decided.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub bus: Bus,
    pub sealer: Sealer,
    /// Name of the event stream's life: part of the names of events without id.
    pub incarnation: String,
    /// What templates see beside the event.
    pub context: Arc<Context>,
    /// Which secrets of the datastore they have opened.
    pub opened: Opened,
}

impl Desk {
    pub(crate) fn new(bus: Bus, sealer: Sealer, incarnation: String, opened: Opened) -> Self {
        let context = Arc::new(opened.context(USER_DEFAULT));
        Self { bus, sealer, incarnation, context, opened }
    }
}

/// What became of one rule for one event.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    pub rule: &'a str,
    /// The event.
    pub instance: &'a TriggerInstance,
    /// Log time of the event.
    pub time: Timestamp,
    /// Log time at which it was decided: later, when the rule waited for something.
    pub decided_at: Timestamp,
}

impl Decided<'_> {
    /// The messages that tell it; or why it cannot be told.
    pub(crate) fn outgoing(
        &self,
        desk: &Desk,
        registry: &Registry,
        outcome: Outcome,
    ) -> Result<Vec<Outgoing>, String> {
        let text = |error: Error| error.to_string();
        match outcome {
            Outcome::Request(draft) => {
                let mut request = ActionRequest {
                    action: draft.action,
                    digest: draft.digest,
                    parameters: draft.parameters,
                    secret: draft.secret,
                    pool: draft.pool,
                    ..self.request()
                };
                desk.sealer.seal_request(&mut request).map_err(|error| chain(&error))?;
                let message = request::message(&desk.bus, &request).map_err(text)?;
                let bytes = message.body.len();
                if bytes > REQUEST_BYTES_MAX {
                    let reason = format!(
                        "the parameters take {bytes} bytes, and {REQUEST_BYTES_MAX} are the most"
                    );
                    let record = self.enforcement(reason, Map::new(), None);
                    return Ok(vec![self.record(&desk.bus, &record, 0).map_err(text)?]);
                }
                Ok(vec![self.caused(message, None)])
            }
            Outcome::Held { by, reason } => {
                let record = self.enforcement(reason, Map::new(), Some(by.word().to_owned()));
                // That an event waits is one thing, what comes of it later is another.
                let index = u32::from(by == HeldBy::Absence);
                Ok(vec![self.record(&desk.bus, &record, index).map_err(text)?])
            }
            Outcome::Failed { reason, parameters, leaves_execution } => {
                let action = registry.rule(self.rule).map(|live| &live.rule.action.reference);
                let action = action.and_then(|action| registry.action(action));
                // A rule may have a secret written in it.
                let shown = action.map_or_else(
                    || parameters.clone(),
                    |action| masked(&action.effective, &parameters),
                );
                let record = self.enforcement(reason.clone(), shown, None);
                let mut outgoing = vec![self.record(&desk.bus, &record, 0).map_err(text)?];
                if let Some(action) = action
                    && leaves_execution
                {
                    let secret = action.secret_parameters().into_iter().map(str::to_owned);
                    let mut request = ActionRequest {
                        action: action.reference.clone(),
                        digest: registry.pack_digest(&action.pack).unwrap_or_default().to_owned(),
                        parameters,
                        secret: secret.collect(),
                        ..self.request()
                    };
                    desk.sealer.seal_request(&mut request).map_err(|error| chain(&error))?;
                    outgoing.push(self.failed(&desk.bus, request, &reason).map_err(text)?);
                }
                Ok(outgoing)
            }
        }
    }

    fn key(&self) -> String {
        id::work_key(&self.instance.id, self.rule, 0)
    }

    /// The request, as far as it does not depend on the action.
    fn request(&self) -> ActionRequest {
        ActionRequest {
            execution: id::execution(self.time, &self.key()),
            action: String::new(),
            digest: String::new(),
            parameters: Map::new(),
            secret: Vec::new(),
            rule: Some(self.rule.to_owned()),
            trigger_instance: Some(self.instance.clone()),
            pool: POOL_ANY.to_owned(),
            requested_at: self.decided_at,
            user: USER.to_owned(),
            rerun_of: None,
            context: Map::new(),
            not_before: None,
        }
    }

    fn enforcement(
        &self,
        reason: String,
        parameters: Map<String, Value>,
        held_by: Option<String>,
    ) -> Enforcement {
        Enforcement {
            rule: self.rule.to_owned(),
            trigger_instance: self.instance.clone(),
            reason,
            parameters,
            enforced_at: self.decided_at,
            held_by,
        }
    }

    fn record(&self, bus: &Bus, record: &Enforcement, index: u32) -> Result<Outgoing, Error> {
        let key = id::work_key(&self.instance.id, self.rule, index);
        let subject = bus.subject(&Subject::transition(Kind::Enforcement, &key));
        let mut message = payload::message(subject, record)?;
        message.id = Some(format!("enforcement-{key}"));
        Ok(self.caused(message, Some(0)))
    }

    /// The execution that ends before it begins, as StackStorm shows one whose parameters cannot be
    /// rendered.
    fn failed(&self, bus: &Bus, request: ActionRequest, why: &str) -> Result<Outgoing, Error> {
        let key = self.key();
        let subject = bus.subject(&Subject::transition(Kind::Execution, &key));
        let execution = Execution::requested(request).entering(Status::Failed, self.decided_at);
        let result = json!({ "error": why, "traceback": "" });
        let mut message = payload::message(subject, &Execution { result, ..execution })?;
        message.id = Some(format!("unrendered-{key}"));
        Ok(self.caused(message, Some(0)))
    }

    fn caused(&self, mut message: Message, last: Option<u64>) -> Outgoing {
        message.cause = Some(self.instance.id.clone());
        Outgoing { message, last }
    }
}

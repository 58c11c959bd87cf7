//! One event: which remembering rules it concerns, and what they make of it.

use hearken_proto::request::TriggerInstance;

use super::gates::{GateKeys, Gates, for_key};
use super::kept::{Kept, Pending, Until};
use super::keyed::KEYS_MAX;
use super::moment::Moment;
use super::state::{Decision, Memory};
use crate::definition::period::show;
use crate::definition::remember::{Absence, Key, Quota, Spell};
use crate::definition::{Remember, RuleKind};
use crate::judge::{
    Context, Event, HeldBy, Outcome, RequestDraft, enforce, event_scope, failed, matches,
    standard_matches,
};
use crate::registry::{LiveRule, Registry};
use crate::template::Scope;
use crate::value::json::depth;

/// The largest request that may wait, in bytes of JSON: a memory holds many.
const REQUEST_MAX: usize = 64 * 1024;
/// All requests that wait for one rule, in bytes of JSON: they are written down every few seconds.
const WAITING_MAX: usize = 4 * 1024 * 1024;
/// The deepest request that may wait: a memory around it must stay within what can be read.
const DEPTH_MAX: usize = 64;

/// One event and where it stands.
#[derive(Clone, Copy)]
struct Case<'a> {
    event: &'a Event<'a>,
    instance: &'a TriggerInstance,
    scope: &'a Scope<'a>,
    context: &'a Context,
    now: Moment,
}

/// What goes on, or the outcome that ends the way of a match.
type Passed<T> = Result<T, Box<Outcome>>;

impl Memory {
    /// One event in stream order. Only rules that remember are decided; others are
    /// [`crate::judge::judge`]'s. What was due before the event comes first, then standard rules in
    /// the order of their references, then backstop rules.
    pub fn event(
        &mut self,
        registry: &Registry,
        event: &Event<'_>,
        instance: &TriggerInstance,
        context: &Context,
    ) -> Vec<Decision> {
        let mut decisions = self.advance(event.time);
        // The same event once more changes nothing, however much later it comes.
        if self.recent.has(event.id) {
            return decisions;
        }
        let Some(hearers) = registry.hearers(event.trigger) else {
            return decisions;
        };
        let due = decisions.len();
        let scope = event_scope(event, context);
        let case = Case { event, instance, scope: &scope, context, now: self.now() };
        let own = |kind| {
            registry.at(hearers.own.candidates(event.parameters_digest, event.payload, kind))
        };
        let expecting = hearers.expecting.candidates(
            event.parameters_digest,
            event.payload,
            RuleKind::Standard,
        );
        // A rule that cannot tell whether this is what it waits for has its one decision.
        let mut stuck = Vec::new();
        for live in registry.at(expecting) {
            if let Some(outcome) = self.settle(live, case) {
                stuck.push(live.rule.reference.as_str());
                decisions.push(case.decision(live, outcome));
            }
        }
        let mut rules = own(RuleKind::Standard);
        let backstops = own(RuleKind::Backstop);
        if !backstops.is_empty() && !standard_matches(registry, event, &scope, context) {
            rules.extend(backstops);
        }
        for live in rules {
            if !stuck.contains(&live.rule.reference.as_str()) {
                self.decide(live, case, &mut decisions);
            }
        }
        if decisions.len() > due {
            self.recent.add(event.id, case.now);
            self.forget_names(case.now);
        }
        decisions
    }

    /// Ends the wait of a rule if this is what it waits for; says so only if it cannot tell.
    fn settle(&mut self, live: &LiveRule, case: Case<'_>) -> Option<Outcome> {
        let reference = &live.rule.reference;
        let kept = self.kept(reference)?;
        let absence = live.rule.remember.as_ref()?.absence.as_ref()?;
        if kept.absence.is_empty() {
            return None;
        }
        let Case { event, scope, context, .. } = case;
        let fault = |reason: String| {
            Some(failed(&live.rule, format!("what the absence waits for: {reason}"), false))
        };
        match matches(&absence.of.criteria, event, scope, context) {
            Ok(false) => None,
            Err(reason) => fault(reason),
            Ok(true) => match absence.of.key.render(scope) {
                Err(reason) => fault(format!("its key cannot be rendered: {reason}")),
                Ok(key) => {
                    self.change(reference, |kept| kept.absence.take(&key));
                    None
                }
            },
        }
    }

    fn decide(&mut self, live: &LiveRule, case: Case<'_>, decisions: &mut Vec<Decision>) {
        let (Some(remember), Some(fingerprint)) = (&live.rule.remember, &live.fingerprint) else {
            return;
        };
        match matches(&live.rule.criteria, case.event, case.scope, case.context) {
            Ok(false) => return,
            Ok(true) => {}
            Err(reason) => {
                decisions.push(case.decision(live, failed(&live.rule, reason, false)));
                return;
            }
        }
        let fresh = || Kept {
            fingerprint: fingerprint.clone(),
            gates: Gates::new(remember),
            ..Kept::default()
        };
        let reference = &live.rule.reference;
        let step = |kept: &mut Kept| {
            if kept.fingerprint != *fingerprint {
                *kept = fresh();
            }
            let mut turn = Turn { live, remember, case, kept, given_up: None };
            let outcome = turn.take().unwrap_or_else(|outcome| *outcome);
            (outcome, turn.given_up)
        };
        let (outcome, given_up) = if self.kept(reference).is_some() {
            self.change(reference, step).expect("the rule remembers something")
        } else {
            let mut kept = fresh();
            let outcome = step(&mut kept);
            self.put(reference.clone(), kept);
            outcome
        };
        decisions.extend(given_up);
        decisions.push(case.decision(live, outcome));
    }
}

impl Case<'_> {
    fn decision(&self, live: &LiveRule, outcome: Outcome) -> Decision {
        Decision {
            rule: live.rule.reference.clone(),
            instance: self.instance.clone(),
            time: self.event.time,
            decided_at: self.now.timestamp(),
            outcome,
        }
    }
}

/// One matching event on its way through the fields of its rule.
struct Turn<'a> {
    live: &'a LiveRule,
    remember: &'a Remember,
    case: Case<'a>,
    kept: &'a mut Kept,
    /// What was said of an event that had to make room.
    given_up: Option<Decision>,
}

impl Turn<'_> {
    fn take(&mut self) -> Passed<Outcome> {
        let remember = self.remember;
        if let Some(dedupe) = &remember.dedupe {
            self.dedupe(dedupe)?;
        }
        if let Some(window) = &remember.window {
            self.window(window)?;
        }
        if let Some(absence) = &remember.absence {
            return self.absence(absence);
        }
        let keys = self.gate_keys()?;
        let now = self.case.now;
        if let Some(held) = self.kept.gates.hold(&keys, now) {
            return Err(Box::new(held));
        }
        let outcome = self.draft();
        if matches!(outcome, Outcome::Request(_)) {
            self.kept.gates.made(keys, now);
        }
        Ok(outcome)
    }

    fn dedupe(&mut self, dedupe: &Spell) -> Passed<()> {
        let (now, key) = (self.case.now, self.key("dedupe", &dedupe.key)?);
        // One that has run out is forgotten already.
        if let Some(Until(end)) = self.kept.dedupe.get(&key) {
            let (end, of) = (end.timestamp(), for_key(&key));
            let reason = format!("a repeat within {}, until {end}{of}", show(dedupe.period));
            return Err(held(HeldBy::Dedupe, reason));
        }
        self.kept.dedupe.put(key, Until(now.plus(dedupe.period)));
        Ok(())
    }

    fn window(&mut self, window: &Quota) -> Passed<()> {
        let (now, key) = (self.case.now, self.key("window", &window.key)?);
        let mut times = self.kept.window.take(&key).unwrap_or_default();
        times.push(window.period, now);
        let seen = times.within(window.period, now);
        if seen >= window.count as usize {
            return Ok(());
        }
        let (count, of) = (window.count, for_key(&key));
        let reason = format!("{seen} of {count} within {}{of}", show(window.period));
        self.kept.window.put(key, times);
        Err(held(HeldBy::Window, reason))
    }

    fn absence(&mut self, absence: &Absence) -> Passed<Outcome> {
        let (now, key) = (self.case.now, self.key("absence", &absence.key)?);
        let (of, expected) = (for_key(&key), &absence.of.trigger.reference);
        if let Some(pending) = self.kept.absence.get(&key) {
            let due = pending.due.timestamp();
            let reason = format!("an earlier event waits until {due} for {expected}{of}");
            return Err(held(HeldBy::Absence, reason));
        }
        let GateKeys { throttle, cooldown } = self.gate_keys()?;
        let request = match self.draft() {
            Outcome::Request(request) => request,
            outcome @ (Outcome::Failed { .. } | Outcome::Held { .. }) => {
                return Err(Box::new(outcome));
            }
        };
        let bytes = self.check_size(&request)?;
        let due = now.plus(absence.period);
        let pending = Pending {
            due,
            instance: self.case.instance.clone(),
            time: Moment::of(self.case.event.time),
            throttle,
            cooldown,
            bytes,
            request,
        };
        if let Some((key, pending)) = self.kept.absence.put(key, pending) {
            self.given_up = Some(self.give_up(&key, pending));
        }
        let reason = format!("waits until {} for {expected}{of}", due.timestamp());
        Ok(Outcome::Held { by: HeldBy::Absence, reason })
    }

    /// An alarm that is lost must not be lost in silence.
    fn give_up(&self, key: &str, pending: Pending) -> Decision {
        let of = for_key(key);
        let reason = format!("more than {KEYS_MAX} keys wait: the first due is given up{of}");
        Decision {
            rule: self.live.rule.reference.clone(),
            instance: pending.instance,
            time: pending.time.timestamp(),
            decided_at: self.case.now.timestamp(),
            outcome: failed(&self.live.rule, reason, false),
        }
    }

    fn draft(&self) -> Outcome {
        let Case { event, scope, context, .. } = self.case;
        enforce(self.live, event, scope, context)
    }

    /// The size of a request that may wait.
    fn check_size(&self, request: &RequestDraft) -> Passed<usize> {
        let reason = match serde_json::to_vec(request) {
            Err(error) => format!("the request cannot be kept: {error}"),
            Ok(bytes) if bytes.len() > REQUEST_MAX => {
                let size = bytes.len();
                format!("the request is {size} bytes long, and at most {REQUEST_MAX} can wait")
            }
            Ok(bytes) if self.waiting_bytes() + bytes.len() > WAITING_MAX => {
                format!("more than {WAITING_MAX} bytes of requests wait already")
            }
            Ok(_) if request.parameters.values().any(|value| depth(value) > DEPTH_MAX) => {
                format!("the request nests deeper than {DEPTH_MAX} and cannot wait")
            }
            Ok(bytes) => return Ok(bytes.len()),
        };
        Err(Box::new(failed(&self.live.rule, reason, false)))
    }

    /// Bytes of all requests that wait for this rule.
    fn waiting_bytes(&self) -> usize {
        self.kept.absence.values().map(|pending| pending.bytes).sum()
    }

    fn gate_keys(&self) -> Passed<GateKeys> {
        let throttle = self.remember.throttle.as_ref().map(|quota| &quota.key);
        let cooldown = self.remember.cooldown.as_ref().map(|spell| &spell.key);
        let key = |field: &str, key: Option<&Key>| {
            key.map_or_else(|| Ok(String::new()), |key| self.key(field, key))
        };
        Ok(GateKeys { throttle: key("throttle", throttle)?, cooldown: key("cooldown", cooldown)? })
    }

    fn key(&self, field: &str, key: &Key) -> Passed<String> {
        key.render(self.case.scope).map_err(|reason| {
            let reason = format!("the key of {field} cannot be rendered: {reason}");
            Box::new(failed(&self.live.rule, reason, false))
        })
    }
}

fn held(by: HeldBy, reason: String) -> Box<Outcome> {
    Box::new(Outcome::Held { by, reason })
}

//! One input from beginning to end: what it touches, and what is to be stored of that.
//!
//! Records are taken out of the book by whoever changes them, and what they were before is kept
//! aside: what comes out is what differs, so that an input that changes nothing has no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearken_proto::Timestamp;
use hearken_proto::check::CheckRecord;
use hearken_proto::incident::{Acknowledgement, IncidentRecord, Moment, Outcome, SilenceRecord};
use hearken_proto::notice::NoticeRecord;
use hearken_proto::subject::Kind;

use super::effect::{
    Effect, HeldBack, INCIDENT_CHANGED, INCIDENT_CLOSED, INCIDENT_OPENED, Input, check_changed,
    incident_event,
};
use super::{Book, Key, check_timer, incident_timer, silence_timer, whole};
use crate::check::definitions::Definitions;
use crate::definition::Check;

/// Most things that a timeline lists; what lies between the first and the last ones is left out.
const TIMELINE_MAX: usize = 60;
/// So many of the first ones stay.
const TIMELINE_FIRST: usize = 10;

/// One input on its way through the book.
pub(super) struct Turn<'a> {
    pub(super) book: &'a mut Book,
    pub(super) definitions: &'a Definitions,
    pub(super) now: Timestamp,
    /// What is to be told, in order.
    pub(super) notices: Vec<Effect>,
    /// What else follows.
    pub(super) others: Vec<Effect>,
    /// Checks whose relatives are to be looked at.
    pub(super) unsettled: Vec<String>,
    /// Incidents whose contacts may have to be told something.
    pub(super) untold: BTreeSet<String>,
    checks: BTreeMap<String, Option<CheckRecord>>,
    incidents: BTreeMap<String, Option<IncidentRecord>>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(book: &'a mut Book, definitions: &'a Definitions) -> Self {
        let now = book.now;
        Self {
            book,
            definitions,
            now,
            notices: Vec::new(),
            others: Vec::new(),
            unsettled: Vec::new(),
            untold: BTreeSet::new(),
            checks: BTreeMap::new(),
            incidents: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Result { result, sequence } => self.result(*result, sequence),
            Input::Silence(silence) => self.silence(SilenceRecord {
                from: whole(silence.from),
                until: silence.until.map(whole),
                ended: silence.ended.map(whole),
                ..silence
            }),
            Input::EndSilence(id) => self.end_silence(&id, self.now),
            Input::Acknowledge { incident, by } => {
                let by = by.map(|by| Acknowledgement {
                    at: whole(by.at),
                    until: by.until.map(whole),
                    ..by
                });
                self.acknowledge(&incident, by);
            }
            Input::Outage => self.book.resumed = self.now,
            Input::Told(record) => self.outcome(&record),
            Input::Definitions => self.definitions_changed(),
        }
    }

    /// Something is due.
    pub(super) fn due(&mut self, key: &Key) {
        match key {
            Key::Check(id) => self.freshness(id),
            Key::Incident(id) => {
                self.change_incident(id, |incident| incident.next = None);
                self.untold.insert(id.clone());
            }
            Key::Silence(id) => {
                let until = self.book.silences.get(id).and_then(|silence| silence.until);
                self.end_silence(id, until.unwrap_or(self.now));
            }
        }
    }

    /// What follows, in the order in which it is to be stored.
    pub(super) fn finish(mut self) -> Vec<Effect> {
        self.settle_all();
        for id in std::mem::take(&mut self.untold) {
            self.tell(&id);
        }
        let mut effects = std::mem::take(&mut self.notices);
        let mut events = Vec::new();
        for (id, before) in std::mem::take(&mut self.checks) {
            self.store_check(&id, before, &mut effects, &mut events);
        }
        for (id, before) in std::mem::take(&mut self.incidents) {
            self.store_incident(&id, before, &mut effects, &mut events);
        }
        effects.append(&mut self.others);
        effects.append(&mut events);
        effects
    }

    fn store_check(
        &mut self,
        id: &str,
        before: Option<CheckRecord>,
        effects: &mut Vec<Effect>,
        events: &mut Vec<Effect>,
    ) {
        if let Some(timer) = before.as_ref().and_then(check_timer) {
            self.book.timers.remove(&timer);
        }
        let Some(after) = self.book.checks.get(id) else {
            if before.is_some() {
                effects.push(Effect::Gone { kind: Kind::Check, id: id.to_owned() });
            }
            return;
        };
        self.book.timers.extend(check_timer(after));
        if before.as_ref() == Some(after) {
            return;
        }
        effects.push(Effect::Check(Box::new(after.clone())));
        let word = before.as_ref().map_or("pending", CheckRecord::word);
        let flapped = before.as_ref().is_some_and(|before| before.flapping.is_some());
        if word != after.word() || flapped != after.flapping.is_some() {
            let check = self.definitions.check(id).map(Arc::as_ref);
            events.push(check_changed(word, after, check, self.now));
        }
    }

    fn store_incident(
        &mut self,
        id: &str,
        before: Option<IncidentRecord>,
        effects: &mut Vec<Effect>,
        events: &mut Vec<Effect>,
    ) {
        if let Some(timer) = before.as_ref().and_then(incident_timer) {
            self.book.timers.remove(&timer);
        }
        let Some(after) = self.book.incidents.get(id).cloned() else { return };
        if after.closed.is_some() {
            self.book.incidents.remove(id);
        } else {
            self.book.timers.extend(incident_timer(&after));
        }
        if before.as_ref() == Some(&after) {
            return;
        }
        for told in &after.told {
            let was = before.iter().flat_map(|before| &before.told);
            let was =
                was.filter(|was| was.contact == told.contact).find_map(|was| was.held.as_ref());
            if let Some(held) = told.held.as_ref().filter(|held| was != Some(*held)) {
                self.others.push(Effect::Held(HeldBack {
                    check: None,
                    incident: Some(id.to_owned()),
                    contact: Some(told.contact.clone()),
                    held: held.clone(),
                }));
            }
        }
        if before.is_none() {
            events.push(incident_event(INCIDENT_OPENED, &after, self.now));
        }
        let changed = |before: &IncidentRecord| {
            super::tell::view(before) != super::tell::view(&after)
                || before.acknowledged != after.acknowledged
                || before.cause != after.cause
                || before.is_flapping() != after.is_flapping()
        };
        if after.closed.is_some() {
            events.push(incident_event(INCIDENT_CLOSED, &after, self.now));
        } else if before.as_ref().is_some_and(changed) {
            events.push(incident_event(INCIDENT_CHANGED, &after, self.now));
        }
        effects.push(Effect::Incident(Box::new(after)));
    }

    /// Changes the record of a check, which is made if there is none.
    pub(super) fn change_check<R>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut CheckRecord) -> R,
    ) -> R {
        let before = self.book.checks.get(id).cloned();
        self.checks.entry(id.to_owned()).or_insert(before);
        let fresh = || CheckRecord { check: id.to_owned(), ..CheckRecord::default() };
        change(self.book.checks.entry(id.to_owned()).or_insert_with(fresh))
    }

    pub(super) fn remove_check(&mut self, id: &str) {
        let before = self.book.checks.remove(id);
        self.checks.entry(id.to_owned()).or_insert(before);
    }

    /// Changes an incident, if there is one.
    pub(super) fn change_incident<R>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut IncidentRecord) -> R,
    ) -> Option<R> {
        let incident = self.book.incidents.get_mut(id)?;
        self.incidents.entry(id.to_owned()).or_insert_with(|| Some(incident.clone()));
        Some(change(incident))
    }

    pub(super) fn put_incident(&mut self, incident: IncidentRecord) {
        self.incidents.entry(incident.id.clone()).or_insert(None);
        self.book.incidents.insert(incident.id.clone(), incident);
    }

    pub(super) fn check(&self, id: &str) -> Option<Arc<Check>> {
        self.definitions.check(id).cloned()
    }

    /// How a check stood before this input.
    pub(super) fn stood(&self, id: &str) -> Option<&CheckRecord> {
        match self.checks.get(id) {
            Some(before) => before.as_ref(),
            None => self.book.checks.get(id),
        }
    }

    fn silence(&mut self, silence: SilenceRecord) {
        if silence.ended.is_some() || silence.until.is_some_and(|until| until <= self.now) {
            self.end_silence(&silence.id, self.now);
            return;
        }
        if self.book.silences.get(&silence.id) == Some(&silence) {
            return;
        }
        if let Some(old) = self.book.silences.insert(silence.id.clone(), silence.clone())
            && let Some(timer) = silence_timer(&old)
        {
            self.book.timers.remove(&timer);
        }
        self.book.timers.extend(silence_timer(&silence));
        self.others.push(Effect::Silence(silence));
        self.untold.extend(self.book.incidents.keys().cloned());
    }

    fn end_silence(&mut self, id: &str, ended: Timestamp) {
        let Some(silence) = self.book.silences.remove(id) else { return };
        if let Some(timer) = silence_timer(&silence) {
            self.book.timers.remove(&timer);
        }
        self.others.push(Effect::Silence(SilenceRecord { ended: Some(ended), ..silence }));
        self.untold.extend(self.book.incidents.keys().cloned());
    }

    fn acknowledge(&mut self, id: &str, by: Option<Acknowledgement>) {
        let now = self.now;
        self.change_incident(id, |incident| {
            if incident.closed.is_some() || incident.acknowledged == by {
                return;
            }
            let text = match &by {
                Some(by) => format!("acknowledged by {}", by.author),
                None => "no longer acknowledged".to_owned(),
            };
            note(incident, now, text);
            // Another acknowledgement is news.
            for told in &mut incident.told {
                told.acknowledged = false;
            }
            incident.acknowledged = by;
        });
        self.untold.insert(id.to_owned());
    }

    /// What became of a notice. If a start reached nobody, the next step of the escalation is due.
    fn outcome(&mut self, record: &NoticeRecord) {
        let now = self.now;
        self.change_incident(&record.thread, |incident| {
            let is_last = |told: &&mut hearken_proto::incident::Told| {
                told.contact == record.contact && told.sent.last() == Some(&record.number)
            };
            let Some(told) = incident.told.iter_mut().find(is_last) else { return };
            if told.outcome == record.outcome {
                return;
            }
            told.outcome = record.outcome;
            if record.outcome == Some(Outcome::Failed) {
                for told in &mut incident.told {
                    if told.escalation && told.at.is_none() {
                        told.from = told.from.min(now);
                    }
                }
                note(incident, now, format!("{} could not be told", record.contact));
            }
        });
        self.untold.insert(record.thread.clone());
    }

    fn definitions_changed(&mut self) {
        let gone: Vec<String> = self
            .book
            .checks
            .keys()
            .filter(|id| !self.definitions.check(id).is_some_and(|check| check.enabled))
            .cloned()
            .collect();
        for id in gone {
            self.leave(&id);
            self.remove_check(&id);
            self.unsettled.extend(self.definitions.children(&id).iter().cloned());
        }
        let definitions = self.definitions;
        for check in definitions.checks().filter(|check| check.enabled) {
            if !self.book.checks.contains_key(&check.id) {
                // What never comes is missed as well.
                let within = check.freshness.map(|freshness| freshness.within);
                let fresh_until = within.map(|within| self.now.plus(within)).map(whole);
                self.change_check(&check.id, |record| record.fresh_until = fresh_until);
            }
            self.unsettled.push(check.id.clone());
        }
        self.untold.extend(self.book.incidents.keys().cloned());
    }
}

/// Writes into the timeline.
pub(super) fn note(incident: &mut IncidentRecord, at: Timestamp, text: String) {
    if incident.timeline.len() >= TIMELINE_MAX {
        incident.timeline.remove(TIMELINE_FIRST);
    }
    incident.timeline.push(Moment { at, level: incident.level, text });
}

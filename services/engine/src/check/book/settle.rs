//! Incidents: which begin, who is in them, when they are over.
//!
//! A check that fails opens an incident, or joins the one of its group; what fails behind something
//! else that failed opens none. An incident is over when all of its members are.

use std::sync::Arc;
use std::time::Duration;

use hearken_proto::check::{CheckRecord, CheckStatus};
use hearken_proto::id;
use hearken_proto::incident::{Held, IncidentKind, IncidentRecord, Member, Told};
use hearken_proto::notice::NoticeKind;

use super::effect::{Effect, HeldBack};
use super::reach::Reach;
use super::result::late_text;
use super::turn::{Turn, note};
use super::whole;
use crate::check::plugin::cut;
use crate::definition::Check;

/// Most checks of one incident: what is more opens another.
const MEMBERS_MAX: usize = 100;
/// So many of them with all they printed.
const MEMBERS_WHOLE: usize = 10;
/// Longest text of a member's further lines, in bytes.
const LONG_TEXT_MAX: usize = 2_048;
/// Most measurements of a member.
const METRICS_MAX: usize = 20;
/// Most contacts of one incident.
const CONTACTS_MAX: usize = 200;

impl Turn<'_> {
    pub(super) fn settle_all(&mut self) {
        // Whether a check failed does not depend on others, so that one round is enough.
        for id in std::mem::take(&mut self.unsettled) {
            self.settle(&id);
        }
    }

    /// Opens, changes or ends what follows from the record of a check.
    pub(super) fn settle(&mut self, id: &str) {
        let Some(check) = self.check(id) else { return };
        let Some(record) = self.book.checks.get(id).cloned() else { return };
        let failed = record.status.is_some_and(CheckStatus::is_bad);
        let trouble = failed || record.flapping.is_some();
        let blocked = match self.reach(id) {
            Reach::Blocked(parent) if trouble || record.tool > 0 => Some(parent),
            Reach::Blocked(_) | Reach::Doubt(_) | Reach::Fine => None,
        };
        self.settle_tool(&check, &record, blocked.as_deref());
        if let Some(cause) = blocked.filter(|_| trouble) {
            self.unreachable(&check, &record, &cause);
            return;
        }
        if record.unreachable.is_some() {
            self.reachable(&check, &record);
            if record.incident.is_none() {
                // It has to fail again as often as if it had not before.
                return;
            }
        }
        match &record.incident {
            Some(incident) if trouble => self.update(incident, &check, &record),
            Some(_) => self.end(&check.id, IncidentKind::Outage, "recovered"),
            None if record.flapping.is_some()
                || (failed && record.bad >= check.attempts.failures) =>
            {
                self.open(&check, &record, IncidentKind::Outage);
            }
            None => {}
        }
    }

    fn settle_tool(&mut self, check: &Check, record: &CheckRecord, blocked: Option<&str>) {
        match &record.tool_incident {
            Some(_) if record.tool == 0 => {
                self.end(&check.id, IncidentKind::Tool, "is checked again");
            }
            Some(incident) => self.update(incident, check, record),
            None if record.tool >= check.attempts.tool && blocked.is_none() => {
                self.open(check, record, IncidentKind::Tool);
            }
            None => {}
        }
    }

    fn open(&mut self, check: &Check, record: &CheckRecord, kind: IncidentKind) {
        let now = self.now;
        let group = check.group_key();
        let joined = self.book.incidents.values().find(|incident| {
            let wait = check.notices.group.as_ref().map(|group| group.wait);
            let own = incident.members.iter().any(|member| member.check == check.id);
            incident.closed.is_none()
                && incident.kind == kind
                && incident.group == group
                && (own || incident.members.len() < MEMBERS_MAX)
                && wait.is_some_and(|wait| own || now.since(incident.opened) <= wait)
        });
        let id = match joined {
            Some(incident) => incident.id.clone(),
            None => self.begin(check, record, kind, group),
        };
        let place = self.book.incidents.get(&id).map_or(0, |incident| incident.members.len());
        let member = member(check, record, kind, place, now);
        let contacts = self.contacts(check);
        let nobody = contacts.is_empty();
        self.change_incident(&id, |incident| {
            incident.labels.retain(|label, value| check.labels.get(label) == Some(value));
            let text = format!("{}: {}", check.id, member.text);
            match incident.members.iter_mut().find(|old| old.check == check.id) {
                Some(old) => *old = member,
                None => incident.members.push(member),
            }
            refresh(incident);
            note(incident, now, text);
            for told in contacts {
                let known = incident.told.iter().any(|old| old.contact == told.contact);
                if !known && incident.told.len() < CONTACTS_MAX {
                    incident.told.push(told);
                }
            }
        });
        self.change_check(&check.id, |record| match kind {
            IncidentKind::Outage => record.incident = Some(id.clone()),
            IncidentKind::Tool => record.tool_incident = Some(id.clone()),
        });
        if nobody {
            let rule = "nobody is to be told: no contact and no route".to_owned();
            let held = Held { kind: NoticeKind::Problem, rule, until: None };
            let (check, incident) = (Some(check.id.clone()), Some(id.clone()));
            self.others.push(Effect::Held(HeldBack { check, incident, contact: None, held }));
        }
        self.untold.insert(id);
    }

    fn begin(
        &mut self,
        check: &Check,
        record: &CheckRecord,
        kind: IncidentKind,
        group: String,
    ) -> String {
        let now = self.now;
        let index = self.change_check(&check.id, |record| {
            record.incidents = record.incidents.saturating_add(1);
            record.incidents
        });
        debug_assert!(index > record.incidents, "every incident has a number of its own");
        let key = id::work_key(&format!("{}@{}", check.id, now.nanos()), kind.word(), index);
        let title = match kind {
            IncidentKind::Outage => check.title(),
            IncidentKind::Tool => format!("{} (not checked)", check.title()),
        };
        let incident = IncidentRecord {
            id: id::execution(now, &key),
            kind,
            group,
            title,
            labels: check.labels.clone(),
            opened: now,
            runbook: check.runbook.clone(),
            ..IncidentRecord::default()
        };
        let id = incident.id.clone();
        self.put_incident(incident);
        id
    }

    /// Whom an incident of this check is told to, and from when on.
    fn contacts(&self, check: &Check) -> Vec<Told> {
        let notices = &check.notices;
        let wait = notices.group.as_ref().map(|group| group.wait).unwrap_or_default();
        let first = notices.after.max(wait);
        let mut contacts: Vec<Told> = Vec::new();
        let mut add = |contact: &crate::check::Contact, after: Duration, escalation: bool| {
            if contacts.iter().all(|told| told.contact != contact.name) {
                contacts.push(Told {
                    contact: contact.name.clone(),
                    channel: contact.channel.clone(),
                    recipients: contact.recipients.clone(),
                    from: whole(self.now.plus(after)),
                    escalation,
                    ..Told::default()
                });
            }
        };
        for contact in self.definitions.contacts_of(check) {
            add(contact, first, false);
        }
        for step in &notices.escalation {
            for contact in step.contacts.iter().filter_map(|name| self.definitions.contact(name)) {
                add(contact, step.after.max(first), true);
            }
        }
        contacts
    }

    /// A member stands otherwise than before.
    pub(super) fn update(&mut self, incident: &str, check: &Check, record: &CheckRecord) {
        let now = self.now;
        // Not every look at a check is a run of it.
        let before = self.stood(&check.id);
        let more = |of: fn(&CheckRecord) -> u32| before.map_or(0, of) < of(record);
        let (bad, tool) = (more(|record| record.bad), more(|record| record.tool));
        self.change_incident(incident, |incident| {
            let kind = incident.kind;
            let at = incident.members.iter().position(|member| member.check == check.id);
            let Some((at, old)) = at.and_then(|at| Some((at, incident.members.get_mut(at)?)))
            else {
                return;
            };
            let fresh = member(check, record, kind, at, old.since);
            let ran = match kind {
                IncidentKind::Outage => bad,
                IncidentKind::Tool => tool,
            };
            let level = (old.level, fresh.level);
            *old = Member {
                runs: old.runs.saturating_add(u32::from(ran)),
                cause: old.cause.clone(),
                last_good: old.last_good.clone(),
                ..fresh
            };
            let text = format!("{}: {}", check.id, old.text);
            refresh(incident);
            if level.0 != level.1 {
                note(incident, now, text);
            }
        });
        self.untold.insert(incident.to_owned());
    }

    /// A check is no longer in its incident.
    pub(super) fn end(&mut self, id: &str, kind: IncidentKind, how: &str) {
        let now = self.now;
        let incident = self.change_check(id, |record| match kind {
            IncidentKind::Outage => record.incident.take(),
            IncidentKind::Tool => record.tool_incident.take(),
        });
        let Some(incident) = incident else { return };
        let text = self.book.checks.get(id).and_then(|record| record.last.as_ref());
        let text = text.map(|last| last.text.clone()).unwrap_or_default();
        self.change_incident(&incident, |incident| {
            for member in incident.members.iter_mut().filter(|member| member.check == id) {
                member.ended = Some(now);
                member.flapping = false;
                member.cause = None;
                member.text.clone_from(&text);
            }
            refresh(incident);
            let cause = incident.failing().find_map(|member| member.cause.clone());
            incident.cause = cause;
            let over = incident.failing().next().is_none();
            note(incident, now, format!("{id} {how}"));
            if over {
                incident.closed = Some(now);
                incident.next = None;
                if let Some(last) = incident.timeline.last_mut() {
                    last.level = CheckStatus::Ok;
                }
            }
        });
        self.untold.insert(incident);
    }

    /// A check is no more, or does not run any more.
    pub(super) fn leave(&mut self, id: &str) {
        for kind in [IncidentKind::Outage, IncidentKind::Tool] {
            self.end(id, kind, "is no longer checked");
        }
    }
}

/// Whether anybody knows of an incident.
pub(super) fn is_told(incident: &IncidentRecord) -> bool {
    incident.told.iter().any(|told| told.problem || told.flapping)
}

/// Levels follow from the members. An acknowledgement was given for what was known then.
fn refresh(incident: &mut IncidentRecord) {
    let before = incident.level;
    if let Some(level) = incident.failing().map(|member| member.level).max() {
        incident.level = level;
        incident.worst = incident.worst.max(level);
    }
    let sticky = incident.acknowledged.as_ref().is_some_and(|by| by.sticky);
    if incident.level > before && before.is_bad() && !sticky {
        incident.acknowledged = None;
    }
}

fn member(
    check: &Check,
    record: &CheckRecord,
    kind: IncidentKind,
    place: usize,
    since: hearken_proto::Timestamp,
) -> Member {
    let last = record.last.clone().unwrap_or_default();
    let level = match kind {
        // What flaps is not well in its good moments either.
        IncidentKind::Outage => {
            let least =
                if record.flapping.is_some() { CheckStatus::Warning } else { CheckStatus::Ok };
            record.status.unwrap_or(last.status).max(least)
        }
        IncidentKind::Tool => CheckStatus::Unknown,
    };
    let whole = place < MEMBERS_WHOLE;
    let mut perfdata = last.perfdata;
    perfdata.truncate(if whole { METRICS_MAX } else { 0 });
    let text = if record.late.is_some() { late_text(check) } else { last.text };
    Member {
        check: check.id.clone(),
        level,
        since,
        ended: None,
        // picomon counts from the run that made it certain.
        runs: match kind {
            IncidentKind::Outage if check.picomon.is_some() => 1,
            IncidentKind::Outage => record.bad,
            IncidentKind::Tool => record.tool,
        },
        flapping: record.flapping.is_some() && kind == IncidentKind::Outage,
        cause: None,
        text,
        long_text: if whole { cut(&last.long_text, LONG_TEXT_MAX) } else { String::new() },
        perfdata,
        last_good: record.last_good.clone().filter(|_| whole),
    }
}

/// The definition of the first member that still has one.
pub(super) fn first_check(turn: &Turn<'_>, incident: &IncidentRecord) -> Option<Arc<Check>> {
    incident.members.iter().find_map(|member| turn.check(&member.check))
}

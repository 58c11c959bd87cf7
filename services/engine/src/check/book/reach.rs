//! Reachability: what stands before a check, and what stands behind it.
//!
//! What fails behind something that failed is unreachable: it has no incident of its own, or, where
//! its start was told already, it is told what is behind it. What may be about to fail is looked at
//! first, for a short while. When the way is free again a check has to fail anew.

use std::time::Duration;

use hearken_proto::check::{CheckRecord, CheckStatus};
use hearken_proto::incident::{Held, IncidentKind};
use hearken_proto::notice::NoticeKind;

use super::effect::{Effect, HeldBack};
use super::settle::is_told;
use super::turn::Turn;
use crate::definition::Check;

/// How long a problem waits for what stands before it to be looked at.
pub const PARENT_WAIT: Duration = Duration::from_secs(120);
/// Most checks that are listed as not reached.
const AFFECTED_MAX: usize = 100;
/// How far the way to the first cause is followed.
const CAUSES_MAX: usize = 32;

/// Whether a check can be reached.
pub(super) enum Reach {
    /// Nothing speaks against it.
    Fine,
    /// This parent may be about to fail.
    Doubt(String),
    /// This parent failed.
    Blocked(String),
}

impl Turn<'_> {
    /// Whether it is certain that a check failed.
    pub(super) fn is_down(&self, id: &str) -> bool {
        let record = self.book.checks.get(id);
        record.and_then(|record| record.status).is_some_and(CheckStatus::is_bad)
    }

    /// Looks at what stands behind a check, if that matters.
    pub(super) fn look_at_children(&mut self, id: &str, was_down: bool) {
        let definitions = self.definitions;
        let changed = self.is_down(id) != was_down;
        for child in definitions.children(id) {
            let Some(record) = self.book.checks.get(child) else { continue };
            // One that waits for its parent to be looked at.
            self.untold.extend(record.incident.clone());
            self.untold.extend(record.tool_incident.clone());
            if changed {
                self.unsettled.push(child.clone());
            }
        }
    }

    pub(super) fn recheck_parents(&mut self, id: &str) {
        let definitions = self.definitions;
        for parent in definitions.parents(id).iter().flatten() {
            let reason = format!("{id} failed behind it");
            self.others.push(Effect::Recheck { check: parent.clone(), reason });
        }
    }

    pub(super) fn reach(&self, id: &str) -> Reach {
        let mut reach = Reach::Fine;
        for list in self.definitions.parents(id) {
            let mut best = None;
            for parent in list {
                let one = self.reach_one(id, parent);
                best = Some(match (best, one) {
                    (Some(Reach::Fine), _) | (_, Reach::Fine) => Reach::Fine,
                    (Some(Reach::Doubt(first)), _) | (_, Reach::Doubt(first)) => {
                        Reach::Doubt(first)
                    }
                    (Some(Reach::Blocked(first)), _) | (None, Reach::Blocked(first)) => {
                        Reach::Blocked(first)
                    }
                });
            }
            match best {
                Some(Reach::Blocked(parent)) => return Reach::Blocked(parent),
                Some(Reach::Doubt(parent)) => reach = Reach::Doubt(parent),
                Some(Reach::Fine) | None => {}
            }
        }
        reach
    }

    fn reach_one(&self, child: &str, parent: &str) -> Reach {
        let Some(check) = self.definitions.check(parent).filter(|check| check.enabled) else {
            return Reach::Fine;
        };
        let Some(record) = self.book.checks.get(parent) else { return Reach::Fine };
        if self.is_down(parent) {
            return Reach::Blocked(parent.to_owned());
        }
        let since = self.book.checks.get(child).and_then(|record| record.bad_since);
        let seen = record.last.as_ref().map(|last| last.at);
        let old = !check.probe.is_passive() && seen.is_some() && seen < since;
        if record.bad > 0 || old { Reach::Doubt(parent.to_owned()) } else { Reach::Fine }
    }

    /// It fails, and so does what stands before it.
    pub(super) fn unreachable(&mut self, check: &Check, record: &CheckRecord, cause: &str) {
        if record.unreachable.as_deref() != Some(cause) {
            self.change_check(&check.id, |record| record.unreachable = Some(cause.to_owned()));
            self.affect(cause, &check.id);
            if record.incident.is_none() {
                let rule = format!("parent {cause} failed");
                let held = Held { kind: NoticeKind::Problem, rule, until: None };
                self.others.push(Effect::Held(HeldBack {
                    check: Some(check.id.clone()),
                    incident: None,
                    contact: None,
                    held,
                }));
            }
        }
        let Some(incident) = &record.incident else { return };
        let told = self.book.incidents.get(incident).is_some_and(is_told);
        if told {
            self.update(incident, check, record);
            self.change_incident(incident, |incident| {
                for member in incident.members.iter_mut().filter(|m| m.check == check.id) {
                    member.cause = Some(cause.to_owned());
                }
                incident.cause.get_or_insert_with(|| cause.to_owned());
            });
        } else {
            self.end(&check.id, IncidentKind::Outage, &format!("is behind {cause}, which failed"));
        }
    }

    /// Nothing stands in the way any more.
    pub(super) fn reachable(&mut self, check: &Check, record: &CheckRecord) {
        self.change_check(&check.id, |record| {
            record.unreachable = None;
            if record.incident.is_none() && record.status.is_some_and(CheckStatus::is_bad) {
                record.bad = 0;
                record.good = 0;
                record.bad_since = None;
            }
        });
        let reason = "what stands before it recovered".to_owned();
        self.others.push(Effect::Recheck { check: check.id.clone(), reason });
        if let Some(incident) = &record.incident {
            self.change_incident(incident, |incident| {
                for member in incident.members.iter_mut().filter(|m| m.check == check.id) {
                    member.cause = None;
                }
                let cause = incident.failing().find_map(|member| member.cause.clone());
                incident.cause = cause;
            });
        }
    }

    /// Lists a check at the incident of what keeps it from being reached.
    fn affect(&mut self, cause: &str, id: &str) {
        let mut at = cause.to_owned();
        for _ in 0..CAUSES_MAX {
            let Some(record) = self.book.checks.get(&at) else { return };
            if let Some(incident) = record.incident.clone() {
                self.change_incident(&incident, |incident| {
                    let listed = incident.affected.iter().any(|affected| affected == id);
                    if !listed && incident.affected.len() < AFFECTED_MAX {
                        incident.affected.push(id.to_owned());
                    }
                });
                return;
            }
            let Some(next) = record.unreachable.clone() else { return };
            at = next;
        }
    }
}

//! What goes into the book, and what comes of it.

use hearken_proto::Timestamp;
use hearken_proto::check::{CheckRecord, CheckResult};
use hearken_proto::incident::{Acknowledgement, Held, IncidentRecord, SilenceRecord};
use hearken_proto::notice::{NoticeRecord, NoticeRequest};
use hearken_proto::subject::Kind;
use serde_json::{Map, Value, json};

use crate::definition::Check;

/// Trigger of an event: a check stands otherwise than before.
pub(super) const CHECK_CHANGED: &str = "hearken.check.changed";
/// Trigger of an event: an incident began.
pub(super) const INCIDENT_OPENED: &str = "hearken.incident.opened";
/// Trigger of an event: an incident stands otherwise than before.
pub(super) const INCIDENT_CHANGED: &str = "hearken.incident.changed";
/// Trigger of an event: an incident is over.
pub(super) const INCIDENT_CLOSED: &str = "hearken.incident.closed";

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A check was run.
    Result {
        /// What it found.
        result: Box<CheckResult>,
        /// The place of the result in its stream; 0 where it has none.
        sequence: u64,
    },
    /// A silence was made or changed.
    Silence(SilenceRecord),
    /// A silence was ended.
    EndSilence(String),
    /// Somebody takes care of an incident; none: nobody does any more.
    Acknowledge {
        /// The incident.
        incident: String,
        /// Who, and for how long.
        by: Option<Acknowledgement>,
    },
    /// Until now nobody could hear anything, and that was our fault.
    Outage,
    /// What became of a notice.
    Told(NoticeRecord),
    /// Other definitions are in force.
    Definitions,
}

/// Something that follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A contact is to be told something.
    Notice(Box<NoticeRequest>),
    /// A check is this now.
    Check(Box<CheckRecord>),
    /// An incident is this now; with `closed` it is over and nothing comes of it any more.
    Incident(Box<IncidentRecord>),
    /// A silence is this now.
    Silence(SilenceRecord),
    /// An entity is no more.
    Gone {
        /// What kind.
        kind: Kind,
        /// Which.
        id: String,
    },
    /// An event for rules.
    Event {
        /// Its trigger.
        trigger: &'static str,
        /// Its payload.
        payload: Value,
    },
    /// A notice is not made.
    Held(HeldBack),
    /// A check should run now, because another one depends on how it stands.
    Recheck {
        /// The check.
        check: String,
        /// Why.
        reason: String,
    },
}

/// A notice that is not made.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldBack {
    /// The check, where there is no incident.
    pub check: Option<String>,
    /// The incident.
    pub incident: Option<String>,
    /// Who is not told; nobody in particular where there is no incident.
    pub contact: Option<String>,
    /// What, which rule holds it back, and until when.
    pub held: Held,
}

/// The payload of a change of a check.
pub(super) fn check_changed(
    before: &str,
    record: &CheckRecord,
    check: Option<&Check>,
    now: Timestamp,
) -> Effect {
    let last = record.last.as_ref();
    let perfdata: Map<String, Value> = last
        .into_iter()
        .flat_map(|last| &last.perfdata)
        .map(|metric| (metric.label.clone(), json!(metric.value)))
        .collect();
    let payload = json!({
        "check": record.check,
        "name": check.map(|check| check.name.as_str()),
        "host": check.and_then(|check| check.host.as_ref()).map(|host| host.name.as_str()),
        "labels": check.map(|check| &check.labels),
        "status": record.word(),
        "previous": before,
        "level": record.status.map(hearken_proto::check::CheckStatus::word),
        "flapping": record.flapping.is_some(),
        "late": record.late.is_some(),
        "unreachable_by": record.unreachable,
        "incident": record.incident,
        "text": last.map(|last| last.text.as_str()),
        "perfdata": perfdata,
        "runbook": check.and_then(|check| check.runbook.as_deref()),
        "at": now,
    });
    Effect::Event { trigger: CHECK_CHANGED, payload }
}

/// The payload of a change of an incident.
pub(super) fn incident_event(
    trigger: &'static str,
    record: &IncidentRecord,
    now: Timestamp,
) -> Effect {
    let end = record.closed.unwrap_or(now);
    let members: Vec<Value> = record
        .members
        .iter()
        .map(|member| {
            json!({
                "check": member.check,
                "level": member.level.word(),
                "since": member.since,
                "ended": member.ended,
                "failed_runs": member.runs,
                "text": member.text,
            })
        })
        .collect();
    let payload = json!({
        "incident": record.id,
        "kind": record.kind.word(),
        "title": record.title,
        "group": record.group,
        "labels": record.labels,
        "level": record.level.word(),
        "worst": record.worst.word(),
        "flapping": record.is_flapping(),
        "opened": record.opened,
        "closed": record.closed,
        "seconds": end.since(record.opened).as_secs(),
        "members": members,
        "cause": record.cause,
        "acknowledged_by": record.acknowledged.as_ref().map(|by| by.author.as_str()),
        "runbook": record.runbook,
        "at": now,
    });
    Effect::Event { trigger, payload }
}

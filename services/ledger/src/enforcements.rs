//! Enforcements: the requests that rules made, and the matches that came to none.
//!
//! A request in LOG that names a rule is an enforcement that succeeded; a transition of kind
//! `enforcement` is one that failed or was held back.

use std::collections::HashSet;

use hearken_log::{Log, Order, Query};
use hearken_proto::question::{Enforced, EnforcementFilter, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use hearken_proto::record::Enforcement;
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Entry, Stream, Subject, codec, id};

use crate::executions;

/// Entries of LOG that one listing walks through, newest first, as for executions.
const WALK_MAX: usize = 400_000;
/// Entries taken from the log at a time.
const STEP: usize = 1000;

/// The newest enforcements that `filter` selects.
pub(crate) fn list(
    log: &Log,
    prefix: &str,
    filter: &EnforcementFilter,
) -> Result<Vec<Enforced>, hearken_log::Error> {
    let limit = filter.limit.clamp(1, PAGE_ENTRIES_MAX);
    let (mut skip, mut bytes, mut walked) = (filter.offset, 0, 0);
    let mut found = Vec::new();
    // A request may be stored twice, and is one enforcement.
    let mut seen = HashSet::new();
    let mut query = Query {
        order: Order::Descending,
        cause: filter.trigger_instance.clone(),
        ..Query::new(STEP)
    };
    while walked < WALK_MAX {
        let step = log.select(Stream::Log.name(), &query)?;
        walked += step.entries.len().max(1);
        for entry in &step.entries {
            let Some(mut enforced) = read(prefix, entry).filter(|e| selects(filter, e)) else {
                continue;
            };
            if !seen.insert(enforced.id.clone()) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            // One whose parameters could not be made may have left an execution of its name.
            if enforced.execution.is_none() && enforced.held_by.is_none() {
                let left = executions::transition(log, prefix, &enforced.id)?;
                enforced.execution = left.map(|execution| execution.request.execution);
            }
            bytes += 300 + enforced.reason.as_ref().map_or(0, String::len);
            if found.len() == limit || (bytes > PAGE_BYTES_MAX && !found.is_empty()) {
                return Ok(found);
            }
            found.push(enforced);
        }
        match step.resume {
            Some(next) => query.to = next,
            None => break,
        }
    }
    Ok(found)
}

fn selects(filter: &EnforcementFilter, enforced: &Enforced) -> bool {
    let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
    is(&filter.rule, &enforced.rule) && is(&filter.trigger_instance, &enforced.trigger_instance)
}

fn read(prefix: &str, entry: &Entry) -> Option<Enforced> {
    match Subject::parse(prefix, &entry.subject).ok()? {
        Subject::ActionRequest { .. } => {
            let request: ActionRequest = codec::decode(&entry.headers, &entry.body).ok()?;
            Some(Enforced {
                id: id::execution_key(&request.execution).to_owned(),
                rule: request.rule?,
                trigger_instance: request.trigger_instance?.id,
                execution: Some(request.execution),
                reason: None,
                held_by: None,
                enforced_at: Some(request.requested_at),
            })
        }
        Subject::Transition { kind: Kind::Enforcement, id } => {
            let failed: Enforcement = codec::decode(&entry.headers, &entry.body).ok()?;
            Some(Enforced {
                id,
                rule: failed.rule,
                trigger_instance: failed.trigger_instance.id,
                execution: None,
                reason: Some(failed.reason),
                held_by: failed.held_by,
                enforced_at: Some(failed.enforced_at),
            })
        }
        Subject::Event { .. }
        | Subject::NoticeRequest { .. }
        | Subject::CheckResult { .. }
        | Subject::Transition { .. }
        | Subject::State { .. }
        | Subject::Deadletter { .. }
        | Subject::Output { .. }
        | Subject::Control { .. } => None,
    }
}

//! Executions, as the newest entry about each tells.
//!
//! A listing begins with what was asked for last. The log is walked backwards, and tells first of
//! what happened last: the walk ends only where everything that was not met yet was asked for
//! before what is to be listed. Nothing is stored of an execution before it is asked for.

use std::collections::{BinaryHeap, HashMap, hash_map};

use hearken_log::{Log, Order, Query};
use hearken_proto::question::{ExecutionFilter, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use hearken_proto::subject::Kind;
use hearken_proto::{
    ActionRequest, Entry, Execution, Status, Stream, Subject, Timestamp, codec, id,
};

use crate::history::whole;

/// Entries of LOG that one listing walks through, newest first: about as many as are read in a
/// second. Beyond that a listing is cut short rather than slow.
const WALK_MAX: usize = 400_000;
/// Entries taken from the log at a time.
const STEP: usize = 1000;

/// The newest executions that `filter` selects.
pub(crate) fn list(
    log: &Log,
    prefix: &str,
    filter: &ExecutionFilter,
) -> Result<Vec<Execution>, hearken_log::Error> {
    let wanted = filter.offset.saturating_add(filter.limit.clamp(1, PAGE_ENTRIES_MAX));
    let mut newest: HashMap<String, Option<Execution>> = HashMap::new();
    // When those were asked for that may be preceded by one that was not met yet.
    let mut open: BinaryHeap<Timestamp> = BinaryHeap::new();
    let (mut settled, mut walked) = (0, 0);
    let mut to = u64::MAX;
    while settled < wanted && walked < WALK_MAX {
        let query = Query { to, order: Order::Descending, ..Query::new(STEP) };
        let step = log.select(Stream::Log.name(), &query)?;
        walked += step.entries.len();
        for entry in &step.entries {
            let Some(mut execution) = read(prefix, entry) else { continue };
            let key = id::execution_key(&execution.request.execution).to_owned();
            let hash_map::Entry::Vacant(place) = newest.entry(key) else { continue };
            // A request may be stored again after its execution has begun.
            if execution.status == Status::Requested {
                execution = transition(log, prefix, place.key())?.unwrap_or(execution);
            }
            // Remember what was not selected too: an older entry of it must not be.
            let chosen = selects(filter, &execution);
            open.extend(chosen.then_some(execution.request.requested_at));
            place.insert(chosen.then_some(execution));
        }
        if let Some(reached) = step.entries.last().map(|entry| entry.time) {
            while open.peek().is_some_and(|asked| *asked >= reached) {
                open.pop();
                settled += 1;
            }
        }
        match step.resume {
            Some(next) => to = next,
            None => break,
        }
    }
    let mut found: Vec<Execution> = newest.into_values().flatten().collect();
    let age = |execution: &Execution| {
        (execution.request.requested_at, execution.request.execution.clone())
    };
    found.sort_by_cached_key(|execution| std::cmp::Reverse(age(execution)));
    let page = found.into_iter().skip(filter.offset).take(wanted - filter.offset);
    Ok(within_bytes(page))
}

/// The last state of one execution.
pub(crate) fn get(
    log: &Log,
    prefix: &str,
    wanted: &str,
) -> Result<Option<Execution>, hearken_log::Error> {
    let key = id::execution_key(wanted);
    if let Some(execution) = transition(log, prefix, key)? {
        return Ok(Some(execution));
    }
    let request = Query { id: Some(id::request(key)), ..Query::new(1) };
    Ok(newest(log, request)?.and_then(|entry| read(prefix, &entry)))
}

/// The last transition of the execution with this key.
pub(crate) fn transition(
    log: &Log,
    prefix: &str,
    key: &str,
) -> Result<Option<Execution>, hearken_log::Error> {
    let subject = Subject::transition(Kind::Execution, key).under(prefix);
    let entry = match log.last(Stream::Log.name(), &subject)? {
        Some(entry) => Some(entry),
        None => newest(log, Query { subject: Some(subject), ..Query::new(1) })?,
    };
    Ok(entry.and_then(|entry| read(prefix, &entry)))
}

fn newest(log: &Log, query: Query) -> Result<Option<Entry>, hearken_log::Error> {
    let query = Query { order: Order::Descending, ..query };
    Ok(whole(log, Stream::Log, query)?.into_iter().next())
}

/// The execution that an entry of LOG tells of, if it does.
fn read(prefix: &str, entry: &Entry) -> Option<Execution> {
    match Subject::parse(prefix, &entry.subject).ok()? {
        Subject::Transition { kind: Kind::Execution, .. } => {
            codec::decode(&entry.headers, &entry.body).ok()
        }
        Subject::ActionRequest { .. } => {
            let request: ActionRequest = codec::decode(&entry.headers, &entry.body).ok()?;
            Some(Execution::requested(request))
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

fn selects(filter: &ExecutionFilter, execution: &Execution) -> bool {
    let request = &execution.request;
    let is = |wanted: &Option<String>, value: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| Some(wanted) == value)
    };
    let instance = request.trigger_instance.as_ref().map(|instance| instance.id.as_str());
    let begun = execution.start.unwrap_or(request.requested_at);
    is(&filter.status, Some(execution.status.word()))
        && is(&filter.action, Some(&request.action))
        && is(&filter.rule, request.rule.as_deref())
        && is(&filter.trigger_instance, instance)
        && is(&filter.user, Some(&request.user))
        && filter.since.is_none_or(|since| begun >= since)
        && filter.until.is_none_or(|until| begun < until)
}

/// As many as one answer can carry; results of the rest are better asked for one by one.
fn within_bytes(executions: impl Iterator<Item = Execution>) -> Vec<Execution> {
    let mut bytes = 0;
    let mut page = Vec::new();
    for mut execution in executions {
        let mut size = size(&execution);
        if bytes + size > PAGE_BYTES_MAX {
            // A listing shows the result only in detail; leave out the large ones.
            execution.result = serde_json::Value::Null;
            size = 500;
        }
        if bytes + size > PAGE_BYTES_MAX {
            break;
        }
        bytes += size;
        page.push(execution);
    }
    page
}

fn size(execution: &Execution) -> usize {
    let parameters: usize =
        execution.request.parameters.iter().map(|(name, value)| name.len() + text(value)).sum();
    500 + parameters + text(&execution.result)
}

fn text(value: &serde_json::Value) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len())
}

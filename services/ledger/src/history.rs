//! Answers from a local log. Blocking: callers are on a thread that may wait.

use std::collections::{BTreeMap, VecDeque};

use hearken_log::{Log, Order, Query};
use hearken_proto::question::{
    Answer, EntryFilter, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, Question, Shown, StreamReport,
};
use hearken_proto::subject::Kind;
use hearken_proto::{ActionRequest, Entry, Stream, Subject, codec, id};

use crate::{enforcements, executions};

/// Entries of one chain that are shown: a fact that caused more is better asked page by page.
const CHAIN_MAX: usize = 200;
/// Bytes of bodies in one chain: a large event and what came of it, within one message.
const CHAIN_BYTES_MAX: usize = 2 * PAGE_BYTES_MAX;
/// Steps of one walk through the log; each looks at thousands of blocks.
const STEPS_MAX: usize = 1000;

/// The past, as a log tells it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct History {
    log: Log,
    prefix: String,
}

impl History {
    /// The past in `log`, whose subjects start with `prefix`.
    #[must_use]
    pub fn new(log: Log, prefix: &str) -> Self {
        Self { log, prefix: prefix.to_owned() }
    }

    /// Answers one question.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn answer(&self, question: &Question) -> Result<Answer, hearken_log::Error> {
        match question {
            Question::Executions(filter) => {
                executions::list(&self.log, &self.prefix, filter).map(Answer::Executions)
            }
            Question::Execution { id } => executions::get(&self.log, &self.prefix, id)
                .map(|found| Answer::Execution(found.map(Box::new))),
            Question::Entries(filter) => self.entries(filter),
            Question::Chain { id } => self.chain(id).map(Found::answer),
            Question::Enforcements(filter) => {
                enforcements::list(&self.log, &self.prefix, filter).map(Answer::Enforcements)
            }
            Question::Verify => self.streams(true).map(Answer::Streams),
            Question::Stats => self.streams(false).map(Answer::Streams),
        }
    }

    fn entries(&self, filter: &EntryFilter) -> Result<Answer, hearken_log::Error> {
        let Some(stream) = Stream::parse(&filter.stream) else {
            let known = Stream::ALL.map(Stream::name).join(", ");
            let reason = format!("no stream is called {:?}: there are {known}", filter.stream);
            return Ok(Answer::Failed { reason });
        };
        let limit = filter.limit.clamp(1, PAGE_ENTRIES_MAX);
        let subject = (!filter.subject.is_empty()).then(|| self.absolute(&filter.subject));
        let mut query = Query {
            subject,
            id: filter.id.clone(),
            cause: filter.cause.clone(),
            from: filter.from.unwrap_or(1),
            to: filter.to.unwrap_or(u64::MAX),
            since: filter.since,
            until: filter.until,
            order: if filter.descending { Order::Descending } else { Order::Ascending },
            entries_max: limit,
        };
        let (mut bytes, mut entries) = (0, Vec::new());
        // A step of the walk may end before it has found anything: then there is more to look at.
        for _step in 0..STEPS_MAX {
            query.entries_max = limit - entries.len();
            let selected = self.log.select(stream.name(), &query)?;
            for entry in &selected.entries {
                bytes += entry.body.len() + 200;
                if bytes > PAGE_BYTES_MAX && !entries.is_empty() {
                    return Ok(Answer::Entries { entries, more: true });
                }
                entries.push(Shown::new(stream.name(), entry));
            }
            match (selected.resume, query.order) {
                (None, _) => return Ok(Answer::Entries { entries, more: false }),
                (Some(_), _) if entries.len() >= limit => break,
                (Some(next), Order::Ascending) => query.from = next,
                (Some(next), Order::Descending) => query.to = next,
            }
        }
        Ok(Answer::Entries { entries, more: true })
    }

    fn absolute(&self, subject: &str) -> String {
        if subject.starts_with(&format!("{}.", self.prefix)) {
            subject.to_owned()
        } else {
            format!("{}.{subject}", self.prefix)
        }
    }

    /// Everything about an event or an execution, in the order in which it was stored. What was
    /// left of a match whose request could not be made has the name of the request.
    fn chain(&self, id: &str) -> Result<Found, hearken_log::Error> {
        let mut found = Found::default();
        if let Some(event) = self.event(id)? {
            found.add(Stream::Events, event);
            for entry in self.caused_by(id)? {
                self.follow(entry, &mut found)?;
            }
            return Ok(found);
        }
        let key = id::execution_key(id);
        let request = self.named(Stream::Log, &id::request(key))?;
        if let Some(request) = request {
            if let Some(event) = self.event_of(&request)? {
                found.add(Stream::Events, event);
            }
            self.follow(request, &mut found)?;
        } else {
            self.unrequested(key, &mut found)?;
        }
        Ok(found)
    }

    /// An execution that ended before it could be asked for, with the event and what is on record.
    fn unrequested(&self, key: &str, found: &mut Found) -> Result<(), hearken_log::Error> {
        let Some(left) = executions::transition(&self.log, &self.prefix, key)? else {
            return Ok(());
        };
        if let Some(instance) = left.request.trigger_instance
            && let Some(event) = self.at(Stream::Events, instance.sequence)?
        {
            found.add(Stream::Events, event);
        }
        for kind in [Kind::Enforcement, Kind::Execution] {
            let subject = Subject::transition(kind, key).under(&self.prefix);
            let query = Query { subject: Some(subject), ..Query::new(CHAIN_MAX) };
            for entry in whole(&self.log, Stream::Log, query)? {
                found.add(Stream::Log, entry);
            }
        }
        Ok(())
    }

    /// The event called `id`, by its id or by its place.
    fn event(&self, id: &str) -> Result<Option<Entry>, hearken_log::Error> {
        let place = id.strip_prefix('@').and_then(|place| place.rsplit_once('-'));
        if let Some((_, sequence)) = place
            && let Ok(sequence) = sequence.parse()
        {
            return self.at(Stream::Events, sequence);
        }
        self.named(Stream::Events, id)
    }

    fn event_of(&self, request: &Entry) -> Result<Option<Entry>, hearken_log::Error> {
        let decoded: Option<ActionRequest> = codec::decode(&request.headers, &request.body).ok();
        match decoded.and_then(|request| request.trigger_instance) {
            Some(instance) => self.at(Stream::Events, instance.sequence),
            None => Ok(None),
        }
    }

    fn at(&self, stream: Stream, sequence: u64) -> Result<Option<Entry>, hearken_log::Error> {
        let read = self.log.read(stream.name(), sequence, 1, usize::MAX)?;
        Ok(read.into_iter().next().filter(|entry| entry.sequence == sequence))
    }

    fn named(&self, stream: Stream, id: &str) -> Result<Option<Entry>, hearken_log::Error> {
        let query = Query { id: Some(id.to_owned()), ..Query::new(1) };
        Ok(whole(&self.log, stream, query)?.into_iter().next())
    }

    fn caused_by(&self, id: &str) -> Result<Vec<Entry>, hearken_log::Error> {
        let query = Query { cause: Some(id.to_owned()), ..Query::new(CHAIN_MAX) };
        whole(&self.log, Stream::Log, query)
    }

    /// Adds a derived entry and, for a request, what became of it, and of those that repeat it.
    fn follow(&self, entry: Entry, found: &mut Found) -> Result<(), hearken_log::Error> {
        let mut ahead = VecDeque::from([entry]);
        // What cannot be added leads nowhere, so the chain's own bounds end this too.
        while let Some(entry) = ahead.pop_front().filter(|_| !found.is_cut) {
            if found.has(Stream::Log, &entry) {
                continue;
            }
            if let Some(key) = self.follow_one(entry, found)? {
                let repeats = self.caused_by(&id::request(&key))?;
                ahead.extend(repeats.into_iter().filter(|entry| self.repeats(entry, &key)));
            }
        }
        Ok(())
    }

    /// Whether an entry asks for another execution than the one with this key.
    fn repeats(&self, entry: &Entry, key: &str) -> bool {
        let subject = Subject::parse(&self.prefix, &entry.subject);
        matches!(subject, Ok(Subject::ActionRequest { .. }))
            && codec::decode::<ActionRequest>(&entry.headers, &entry.body)
                .is_ok_and(|request| id::execution_key(&request.execution) != key)
    }

    /// Adds an entry and, for a request, what became of it; answers the key of the execution.
    fn follow_one(
        &self,
        entry: Entry,
        found: &mut Found,
    ) -> Result<Option<String>, hearken_log::Error> {
        let subject = Subject::parse(&self.prefix, &entry.subject);
        let request = match subject {
            Ok(Subject::ActionRequest { .. }) => {
                codec::decode::<ActionRequest>(&entry.headers, &entry.body).ok()
            }
            Ok(_) | Err(_) => None,
        };
        found.add(Stream::Log, entry);
        let Some(request) = request else { return Ok(None) };
        let key = id::execution_key(&request.execution).to_owned();
        let subject = Subject::transition(Kind::Execution, &key).under(&self.prefix);
        let query = Query { subject: Some(subject), ..Query::new(CHAIN_MAX) };
        for transition in whole(&self.log, Stream::Log, query)? {
            found.add(Stream::Log, transition);
        }
        Ok(Some(key))
    }

    fn streams(&self, verify: bool) -> Result<Vec<StreamReport>, hearken_log::Error> {
        let stats = self.log.stats()?;
        let mut reports = Vec::new();
        for stream in Stream::ALL {
            let head = self.log.head(stream.name())?;
            let mut report = StreamReport {
                stream: stream.name().to_owned(),
                first: head.first,
                last: head.last,
                last_time: (head.last > 0).then_some(head.time),
                chain: head.chain.iter().map(|byte| format!("{byte:02x}")).collect(),
                ..StreamReport::default()
            };
            if let Some(counted) = stats.streams.iter().find(|s| s.name == stream.name()) {
                report.entries = (head.last + 1).saturating_sub(head.first);
                report.bytes = counted.bytes;
            }
            if verify {
                match self.log.verify(stream.name()) {
                    Ok(verified) => {
                        report.entries = verified.entries;
                        report.erased = verified.erased;
                    }
                    Err(error) => report.fault = Some(error.to_string()),
                }
            }
            reports.push(report);
        }
        Ok(reports)
    }
}

/// Everything that `query` selects, however many steps of the walk it takes: a step ends when it
/// has looked at enough, not only when it has found enough.
pub(crate) fn whole(
    log: &Log,
    stream: Stream,
    mut query: Query,
) -> Result<Vec<Entry>, hearken_log::Error> {
    let wanted = query.entries_max;
    let mut found = Vec::new();
    for _step in 0..STEPS_MAX {
        query.entries_max = wanted - found.len();
        let selected = log.select(stream.name(), &query)?;
        found.extend(selected.entries);
        match (selected.resume, query.order) {
            (Some(next), Order::Ascending) => query.from = next,
            (Some(next), Order::Descending) => query.to = next,
            (None, _) => break,
        }
        if found.len() >= wanted {
            break;
        }
    }
    Ok(found)
}

/// Entries by stream and place, each once.
#[derive(Default)]
struct Found {
    entries: BTreeMap<(Stream, u64), Entry>,
    bytes: usize,
    /// Whether there was more than is shown.
    is_cut: bool,
}

impl Found {
    fn has(&self, stream: Stream, entry: &Entry) -> bool {
        self.entries.contains_key(&(stream, entry.sequence))
    }

    fn add(&mut self, stream: Stream, entry: Entry) {
        let place = (stream, entry.sequence);
        if self.entries.contains_key(&place) {
            return;
        }
        let bytes = self.bytes + entry.body.len() + 200;
        let is_full = self.entries.len() >= CHAIN_MAX || bytes > CHAIN_BYTES_MAX;
        if is_full && !self.entries.is_empty() {
            self.is_cut = true;
            return;
        }
        self.bytes = bytes;
        self.entries.insert(place, entry);
    }

    fn answer(self) -> Answer {
        let shown =
            |((stream, _), entry): (&(Stream, u64), &Entry)| Shown::new(stream.name(), entry);
        Answer::Entries { entries: self.entries.iter().map(shown).collect(), more: self.is_cut }
    }
}

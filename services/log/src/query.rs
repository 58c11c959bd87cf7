//! Questions about the past: entries by subject, id, cause and time.
//!
//! A walk over the blocks between two places, in either direction, that passes over blocks whose
//! times or filters exclude them. The work of one call is bounded; where the bound ends a walk, the
//! answer says where to go on.

use std::cell::Cell;

use hearken_proto::{Entry, Timestamp, subject};

use crate::block::Unpacked;
use crate::error::Error;
use crate::filter::Filter;
use crate::name::{Name, PREFIXES_MAX};
use crate::read::malformed;
use crate::row::Row;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::view::View;
use crate::walk::{Found, Target, look};

/// Blocks that one call unpacks: at 30 us each, two seconds.
const BLOCKS_MAX: usize = 64 * 1024;
/// Blocks that one call passes over by time or filter: at a microsecond each, some seconds.
const PASSED_MAX: usize = 4 * 1024 * 1024;

/// Which way to walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    #[default]
    Ascending,
    /// The newest first.
    Descending,
}

/// What to look for; every part that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Subject with wildcards, as in a subscription.
    pub subject: Option<String>,
    /// The entry's own id.
    pub id: Option<String>,
    /// The id of the entry's cause.
    pub cause: Option<String>,
    /// Not before this log time.
    pub since: Option<Timestamp>,
    /// Before this log time.
    pub until: Option<Timestamp>,
    /// The first sequence.
    pub from: u64,
    /// The last sequence.
    pub to: u64,
    /// Which way to walk.
    pub order: Order,
    /// The most entries wanted.
    pub entries_max: usize,
}

impl Query {
    /// Everything, oldest first, at most `entries_max`.
    #[must_use]
    pub const fn new(entries_max: usize) -> Self {
        Self {
            subject: None,
            id: None,
            cause: None,
            since: None,
            until: None,
            from: 1,
            to: u64::MAX,
            order: Order::Ascending,
            entries_max,
        }
    }
}

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The entries, in the order asked for.
    pub entries: Vec<Entry>,
    /// Where to go on: the walk ended because enough was found or enough was looked at. The next
    /// `from` of an ascending query, the next `to` of a descending one.
    pub resume: Option<u64>,
}

/// A query with its names hashed.
pub(crate) struct Search<'a> {
    query: &'a Query,
    /// Names that a block must all have.
    names: Vec<u64>,
    /// The last segment that was not passed over: it is asked once, not for each of its blocks.
    segment: Cell<Option<u64>>,
}

impl<'a> Search<'a> {
    fn new(query: &'a Query) -> Self {
        let mut names = Vec::new();
        if let Some(filter) = &query.subject {
            names.extend(subject_name(filter));
        }
        names.extend(query.id.as_deref().map(|id| Name::id(id).0));
        names.extend(query.cause.as_deref().map(|cause| Name::cause(cause).0));
        Self { query, names, segment: Cell::new(None) }
    }

    /// Whether nothing between these times is looked for.
    pub(crate) fn excludes(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        self.query.since.is_some_and(|since| latest < since)
            || self.query.until.is_some_and(|until| earliest >= until)
    }

    /// Whether filters can help.
    pub(crate) const fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether a block with this filter may have what is looked for.
    pub(crate) fn may_be_in(&self, filter: &Filter) -> bool {
        self.names.iter().all(|name| filter.may_have(*name))
    }

    /// Whether a segment may have what is looked for; `None` when the file is gone.
    pub(crate) fn may_be_in_segment(&self, segment: &Segment) -> Result<Option<bool>, Error> {
        if self.names.is_empty() || self.segment.get() == Some(segment.first) {
            return Ok(Some(true));
        }
        let possible = segment.may_have(&self.names)?;
        if possible == Some(true) {
            self.segment.set(Some(segment.first));
        }
        Ok(possible)
    }

    fn selects(&self, row: &Row<'_>) -> bool {
        let query = self.query;
        let Some(names) = row.names() else { return false };
        (query.from..=query.to).contains(&row.place.sequence)
            && query.since.is_none_or(|since| row.place.time >= since)
            && query.until.is_none_or(|until| row.place.time < until)
            && query.id.as_deref().is_none_or(|id| names.id == id)
            && query.cause.as_deref().is_none_or(|cause| names.cause == cause)
            && query.subject.as_deref().is_none_or(|filter| subject::matches(filter, names.subject))
    }
}

/// What a block must have in its filter when it has a subject that `filter` selects.
fn subject_name(filter: &str) -> Option<u64> {
    let wild = filter.split('.').position(|token| token == "*" || token == ">");
    let Some(wild) = wild else { return Some(Name::subject(filter).0) };
    let depth = wild.min(PREFIXES_MAX).checked_sub(1)?;
    let (end, _) = filter.match_indices('.').nth(depth)?;
    filter.get(..=end).map(|prefix| Name::prefix(prefix).0)
}

/// Walks and collects.
pub(crate) fn select(shared: &Shared, view: &View, query: &Query) -> Result<Selected, Error> {
    let search = Search::new(query);
    let mut selected = Selected::default();
    let (mut unpacked, mut passed) = (0, 0);
    let mut at = match query.order {
        Order::Ascending => query.from.max(1),
        Order::Descending => query.to.min(view.position().last),
    };
    while at >= query.from && at <= query.to && at > 0 {
        if selected.entries.len() >= query.entries_max
            || unpacked >= BLOCKS_MAX
            || passed >= PASSED_MAX
        {
            selected.resume = Some(at);
            break;
        }
        let target = match query.order {
            Order::Ascending => Target::From(at),
            Order::Descending => Target::To(at),
        };
        let span = match look(shared, view, target, Some(&search))? {
            Found::End => break,
            Found::Passed(span) => {
                passed += 1;
                span
            }
            Found::Block(span, _, rows) | Found::Memory(span, rows) => {
                unpacked += 1;
                let left = query.entries_max - selected.entries.len();
                let (entries, resume) = collect(view, &search, &rows, at, left)?;
                selected.entries.extend(entries);
                if resume.is_some() {
                    selected.resume = resume;
                    break;
                }
                span
            }
        };
        at = match query.order {
            Order::Ascending => span.last + 1,
            Order::Descending => span.first - 1,
        };
    }
    Ok(selected)
}

/// The entries of one unit from `at` on, at most `entries_max`, and where to go on when there are
/// more.
fn collect(
    view: &View,
    search: &Search<'_>,
    rows: &Unpacked,
    at: u64,
    entries_max: usize,
) -> Result<(Vec<Entry>, Option<u64>), Error> {
    let mut hits = Vec::new();
    for row in rows.rows() {
        let row = row.map_err(|bad| malformed(view, bad.after.sequence))?;
        let ahead = match search.query.order {
            Order::Ascending => row.place.sequence >= at,
            Order::Descending => row.place.sequence <= at,
        };
        if ahead && search.selects(&row) {
            hits.push(row);
        }
    }
    if search.query.order == Order::Descending {
        hits.reverse();
    }
    let resume = hits.get(entries_max).map(|row| row.place.sequence);
    let entries = hits.into_iter().take(entries_max).map(|row| {
        let damaged = || malformed(view, row.place.sequence);
        row.to_entry(&rows.bytes).ok_or_else(damaged)
    });
    Ok((entries.collect::<Result<_, _>>()?, resume))
}

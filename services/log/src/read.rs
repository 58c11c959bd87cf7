//! Reading by sequence and by subject's last.

use hearken_proto::Entry;

use crate::error::Error;
use crate::shared::Shared;
use crate::view::View;
use crate::walk::{Found, Target, look};

/// Bytes an entry takes in memory besides its texts and its body.
const ENTRY_OVERHEAD: usize = 160;

/// What an entry takes in memory, for limits.
fn size(entry: &Entry) -> usize {
    let names = entry.subject.len() + entry.id.len() + entry.cause.len();
    let headers: usize = entry.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    ENTRY_OVERHEAD + names + headers + entry.body.len()
}

/// The entries from `from` on, in order, until one of the limits is reached; at least one if there
/// is one.
pub(crate) fn read(
    shared: &Shared,
    view: &View,
    from: u64,
    entries_max: usize,
    bytes_max: usize,
) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut next = from.max(1);
    let mut bytes = 0;
    while entries.len() < entries_max {
        let (span, rows) = match look(shared, view, Target::From(next), None)? {
            Found::Block(span, _, rows) | Found::Memory(span, rows) => (span, rows),
            Found::Passed(_) | Found::End => break,
        };
        for row in rows.rows() {
            let row = row.map_err(|bad| malformed(view, bad.after.sequence))?;
            if row.place.sequence < next || row.names().is_none() {
                continue;
            }
            let entry =
                row.to_entry(&rows.bytes).ok_or_else(|| malformed(view, row.place.sequence))?;
            bytes += size(&entry);
            if entries.len() >= entries_max || (bytes > bytes_max && !entries.is_empty()) {
                return Ok(entries);
            }
            entries.push(entry);
        }
        next = span.last + 1;
    }
    Ok(entries)
}

/// The entry at a place, if it is there.
pub(crate) fn at(shared: &Shared, view: &View, sequence: u64) -> Result<Option<Entry>, Error> {
    let entries = read(shared, view, sequence, 1, usize::MAX)?;
    Ok(entries.into_iter().next().filter(|entry| entry.sequence == sequence))
}

/// What to say when rows cannot be read.
pub(crate) fn malformed(view: &View, after: u64) -> Error {
    Error::corrupt(view.name(), after, "the row after this one is malformed")
}

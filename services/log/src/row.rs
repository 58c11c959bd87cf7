//! Rows: entries as bytes, one after another, in tails and in blocks.
//!
//! Constraints: a row is written once and read often, mostly in order; neighbours resemble each
//! other, so places are written as differences and the rest is left to compression. What was
//! erased keeps its names and the digest of its content; what was dropped from the middle of a
//! stream keeps only the chain's value, so that the rows after it can still be verified.
//!
//! Layout of one row, numbers as varints:
//!
//! ```text
//! kind u8 · sequence difference · time difference (zigzag, ns) · then by kind
//! 0 whole:  subject, id, cause, content lengths · the four as bytes
//! 1 erased: subject, id, cause lengths · the three as bytes · digest of the content (32)
//! 2 gap:    value of the chain after the last entry that was dropped (32)
//! content:  length of headers · headers · body
//! headers:  (name length · name · value length · value) repeated
//! ```

use bytes::Bytes;
use hearken_proto::{Entry, Headers, Timestamp};

use crate::bits::{Cursor, put_len, put_varint, put_zigzag};
use crate::chain::Hash;

const WHOLE: u8 = 0;
const ERASED: u8 = 1;
const GAP: u8 = 2;

/// A place in a stream: what rows are written relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Sequence of the entry.
    pub(crate) sequence: u64,
    /// Its log time.
    pub(crate) time: Timestamp,
}

/// The names of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// Full subject.
    pub(crate) subject: &'a str,
    /// Id, or empty.
    pub(crate) id: &'a str,
    /// Id of the cause, or empty.
    pub(crate) cause: &'a str,
}

/// One row, borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Where it is in the stream.
    pub(crate) place: Place,
    /// What is left of it.
    pub(crate) kept: Kept<'a>,
}

/// What a row keeps of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept<'a> {
    /// Everything.
    Whole {
        /// Subject, id and cause.
        names: Names<'a>,
        /// Headers and body.
        content: &'a [u8],
    },
    /// Everything but the content.
    Erased {
        /// Subject, id and cause.
        names: Names<'a>,
        /// The digest of the content that was.
        digest: Hash,
    },
    /// Nothing but the chain: this row stands for all dropped entries up to its place.
    Gap {
        /// The chain after the last of them.
        chain: Hash,
    },
}

impl<'a> Row<'a> {
    /// The names, unless it is a gap.
    pub(crate) const fn names(&self) -> Option<Names<'a>> {
        match self.kept {
            Kept::Whole { names, .. } | Kept::Erased { names, .. } => Some(names),
            Kept::Gap { .. } => None,
        }
    }

    /// Writes the row after one at `before`.
    pub(crate) fn put(&self, out: &mut Vec<u8>, before: Place) {
        let kind = match self.kept {
            Kept::Whole { .. } => WHOLE,
            Kept::Erased { .. } => ERASED,
            Kept::Gap { .. } => GAP,
        };
        put_place(out, kind, before, self.place);
        match &self.kept {
            Kept::Whole { names, content } => {
                put_lengths(out, names);
                put_len(out, content.len());
                put_names(out, names);
                out.extend_from_slice(content);
            }
            Kept::Erased { names, digest } => {
                put_lengths(out, names);
                put_names(out, names);
                out.extend_from_slice(digest);
            }
            Kept::Gap { chain } => out.extend_from_slice(chain),
        }
    }

    /// The entry, sharing `bytes`, which the row was read from; `None` for a gap.
    pub(crate) fn to_entry(self, bytes: &Bytes) -> Option<Entry> {
        let names = self.names()?;
        let (headers, body) = match self.kept {
            Kept::Whole { content, .. } => {
                let (headers, body) = split_content(content)?;
                (read_headers(headers)?, bytes.slice_ref(body))
            }
            Kept::Erased { .. } | Kept::Gap { .. } => (Headers::new(), Bytes::new()),
        };
        Some(Entry {
            sequence: self.place.sequence,
            time: self.place.time,
            subject: names.subject.to_owned(),
            id: names.id.to_owned(),
            cause: names.cause.to_owned(),
            headers,
            body,
        })
    }
}

/// Writes a whole row from its parts and says where its content begins in `out`.
pub(crate) fn put_whole(
    out: &mut Vec<u8>,
    before: Place,
    place: Place,
    names: &Names<'_>,
    content: &[u8],
) -> usize {
    put_place(out, WHOLE, before, place);
    put_lengths(out, names);
    put_len(out, content.len());
    put_names(out, names);
    let at = out.len();
    out.extend_from_slice(content);
    at
}

/// Adds the content made of `headers` and `body` to `out`.
pub(crate) fn write_content(out: &mut Vec<u8>, headers: &Headers, body: &[u8]) {
    if headers.is_empty() {
        out.push(0);
    } else {
        let mut list = Vec::with_capacity(64);
        for (name, value) in headers.iter() {
            put_len(&mut list, name.len());
            list.extend_from_slice(name.as_bytes());
            put_len(&mut list, value.len());
            list.extend_from_slice(value.as_bytes());
        }
        put_len(out, list.len());
        out.extend_from_slice(&list);
    }
    out.extend_from_slice(body);
}

fn put_place(out: &mut Vec<u8>, kind: u8, before: Place, place: Place) {
    out.push(kind);
    put_varint(out, place.sequence.wrapping_sub(before.sequence));
    put_zigzag(out, place.time.nanos().wrapping_sub(before.time.nanos()));
}

fn put_lengths(out: &mut Vec<u8>, names: &Names<'_>) {
    put_len(out, names.subject.len());
    put_len(out, names.id.len());
    put_len(out, names.cause.len());
}

fn put_names(out: &mut Vec<u8>, names: &Names<'_>) {
    out.extend_from_slice(names.subject.as_bytes());
    out.extend_from_slice(names.id.as_bytes());
    out.extend_from_slice(names.cause.as_bytes());
}

fn split_content(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(content);
    let len = cursor.len()?;
    let headers = cursor.take(len)?;
    Some((headers, cursor.rest()))
}

fn read_headers(bytes: &[u8]) -> Option<Headers> {
    let mut headers = Headers::new();
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let len = cursor.len()?;
        let name = cursor.text(len)?;
        let len = cursor.len()?;
        headers.append(name, cursor.text(len)?);
    }
    Some(headers)
}

/// Reads rows one after another.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    cursor: Cursor<'a>,
    before: Place,
}

/// The bytes are not rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The last place that could be read.
    pub(crate) after: Place,
}

impl<'a> Rows<'a> {
    /// The rows in `bytes`, the first written after `before`.
    pub(crate) const fn new(before: Place, bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes), before }
    }

    fn read(&mut self) -> Option<Row<'a>> {
        let cursor = &mut self.cursor;
        let kind = cursor.u8()?;
        let sequence = self.before.sequence.checked_add(cursor.varint()?)?;
        let nanos = self.before.time.nanos().wrapping_add(cursor.zigzag()?);
        let place = Place { sequence, time: Timestamp::from_nanos(nanos) };
        let kept = match kind {
            WHOLE => {
                let lengths = [cursor.len()?, cursor.len()?, cursor.len()?];
                let content = cursor.len()?;
                let names = read_names(cursor, lengths)?;
                Kept::Whole { names, content: cursor.take(content)? }
            }
            ERASED => {
                let lengths = [cursor.len()?, cursor.len()?, cursor.len()?];
                let names = read_names(cursor, lengths)?;
                Kept::Erased { names, digest: cursor.array()? }
            }
            GAP => Kept::Gap { chain: cursor.array()? },
            _ => return None,
        };
        (sequence > self.before.sequence).then_some(())?;
        self.before = place;
        Some(Row { place, kept })
    }
}

fn read_names<'a>(cursor: &mut Cursor<'a>, lengths: [usize; 3]) -> Option<Names<'a>> {
    let [subject, id, cause] = lengths;
    Some(Names { subject: cursor.text(subject)?, id: cursor.text(id)?, cause: cursor.text(cause)? })
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        match self.read() {
            Some(row) => Some(Ok(row)),
            None => {
                self.cursor = Cursor::new(&[]);
                Some(Err(Malformed { after: self.before }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(sequence: u64, nanos: i64) -> Place {
        Place { sequence, time: Timestamp::from_nanos(nanos) }
    }

    #[test]
    fn every_kind_of_row_reads_back_as_written() {
        let names = Names { subject: "a.b", id: "i", cause: "" };
        let mut headers = Headers::new();
        headers.append("K", "v");
        let mut content = Vec::new();
        write_content(&mut content, &headers, b"body");
        let rows = [
            Row { place: place(8, 50), kept: Kept::Whole { names, content: &content } },
            Row { place: place(9, 40), kept: Kept::Erased { names, digest: [3; 32] } },
            Row { place: place(40, 60), kept: Kept::Gap { chain: [4; 32] } },
        ];
        let mut out = Vec::new();
        let mut before = place(7, 0);
        for row in &rows {
            row.put(&mut out, before);
            before = row.place;
        }
        let bytes = Bytes::from(out);
        let read: Vec<_> = Rows::new(place(7, 0), &bytes).map(|row| row.unwrap()).collect();
        assert_eq!(read, rows);
        let entry = read[0].to_entry(&bytes).unwrap();
        assert_eq!((entry.headers, &entry.body[..]), (headers, &b"body"[..]));
        assert_eq!(read[1].to_entry(&bytes).unwrap().body.len(), 0);
        assert_eq!(read[2].to_entry(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            for row in Rows::new(Place::default(), &bytes).flatten() {
                drop(row.to_entry(&bytes));
            }
        }
    }
}

//! Filters: which blocks and segments can hold an entry with a given subject, id or cause.
//!
//! A Bloom filter per block over the names of its entries: subject, each leading part of the
//! subject, id, cause. Ten bits per name and six probes let through about one block in a hundred
//! that does not have the name. Subjects repeat, so most blocks of events have few names.
//!
//! The filter of a segment (tens of thousands of entries) is made of 64-byte lines, and all probes
//! of a name fall into one line: asking a segment on disk is one small read.

use std::sync::Arc;

use crate::name::{Name, prefixes};
use crate::row::Names;

const PROBES: u32 = 6;
const BITS_PER_NAME: usize = 10;
/// Bytes of a line of a segment's filter.
pub(crate) const LINE_BYTES: usize = 64;

/// Collects the names of a block while it is being filled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collector {
    names: Vec<u64>,
    /// The last subject seen: its prefixes are those of its neighbours more often than not.
    subject: String,
}

impl Collector {
    /// Takes in the names of an entry; `subject` is the hash of its subject.
    pub(crate) fn add(&mut self, names: &Names<'_>, subject: Name, id: Option<Name>) {
        if self.subject != names.subject {
            let known = common_prefix(&self.subject, names.subject);
            for prefix in prefixes(names.subject).filter(|prefix| prefix.len() > known) {
                self.names.push(Name::prefix(prefix).0);
            }
            self.names.push(subject.0);
            self.subject.clear();
            self.subject.push_str(names.subject);
        }
        if let Some(id) = id {
            self.names.push(id.0);
        }
        if !names.cause.is_empty() {
            self.names.push(Name::cause(names.cause).0);
        }
    }

    /// The names collected, each once; the collector is empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<u64> {
        self.subject.clear();
        let mut names = std::mem::take(&mut self.names);
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The length of the longest shared part of two subjects that ends with a dot.
fn common_prefix(left: &str, right: &str) -> usize {
    let same = left.bytes().zip(right.bytes()).take_while(|(a, b)| a == b).count();
    left.as_bytes()
        .get(..same)
        .and_then(|part| part.iter().rposition(|b| *b == b'.'))
        .map_or(0, |at| at + 1)
}

/// A filter over the names of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Arc<[u8]>);

impl Filter {
    /// A filter that lets these names through.
    pub(crate) fn build(names: &[u64]) -> Self {
        let mut bits = vec![0; (names.len() * BITS_PER_NAME).div_ceil(8)];
        for name in names {
            set(&mut bits, *name);
        }
        Self(bits.into())
    }

    /// From bytes read back.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes to store.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the block may have this name; never `false` for one that it has.
    pub(crate) fn may_have(&self, name: u64) -> bool {
        has(&self.0, name)
    }
}

/// The filter of a segment, as lines.
pub(crate) fn build_lines(names: &[u64]) -> Vec<u8> {
    let lines = (names.len() * BITS_PER_NAME).div_ceil(8 * LINE_BYTES).max(1);
    let mut bits = vec![0; lines * LINE_BYTES];
    for name in names {
        let at = line_of(*name, lines) * LINE_BYTES;
        if let Some(line) = bits.get_mut(at..at + LINE_BYTES) {
            set(line, mix(*name));
        }
    }
    bits
}

/// Which of `lines` lines answers for this name.
pub(crate) fn line_of(name: u64, lines: usize) -> usize {
    let scaled = (u128::from(name) * lines as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

/// Whether a segment may have this name, by the line that answers for it.
pub(crate) fn line_may_have(line: &[u8], name: u64) -> bool {
    has(line, mix(name))
}

/// The names of one line share their leading bits; this makes the probes independent of them.
const fn mix(name: u64) -> u64 {
    let product = name.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

/// The bits of a name, by double hashing of the two halves of its hash.
fn probes(name: u64, bits: usize) -> impl Iterator<Item = (usize, u8)> {
    let step = (name >> 32) | 1;
    (0..u64::from(PROBES)).map(move |probe| {
        let bit = name.wrapping_add(probe.wrapping_mul(step)) & u64::from(u32::MAX);
        let bit = usize::try_from((bit * bits as u64) >> 32).unwrap_or(0);
        (bit / 8, 1 << (bit % 8))
    })
}

fn set(bytes: &mut [u8], name: u64) {
    for (at, mask) in probes(name, bytes.len() * 8) {
        if let Some(byte) = bytes.get_mut(at) {
            *byte |= mask;
        }
    }
}

fn has(bytes: &[u8], name: u64) -> bool {
    probes(name, bytes.len() * 8)
        .all(|(at, mask)| bytes.get(at).is_some_and(|byte| byte & mask != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<u32>) -> Vec<u64> {
        range.map(|n| Name::id(&n.to_string()).0).collect()
    }

    #[test]
    fn what_is_there_always_passes_and_little_else_does() {
        let there = names(0..200);
        let filter = Filter::build(&there);
        assert!(there.iter().all(|name| filter.may_have(*name)));
        let passed = names(1000..11_000).into_iter().filter(|name| filter.may_have(*name)).count();
        assert!(passed < 200, "{passed} of 10,000");
        assert!(!Filter::build(&[]).may_have(7));
    }

    #[test]
    fn lines_answer_alone() {
        let there = names(0..5000);
        let bits = build_lines(&there);
        let lines = bits.len() / LINE_BYTES;
        let ask = |name: u64| {
            let at = line_of(name, lines) * LINE_BYTES;
            line_may_have(&bits[at..at + LINE_BYTES], name)
        };
        assert!(there.iter().all(|name| ask(*name)));
        let passed = names(10_000..20_000).into_iter().filter(|name| ask(*name)).count();
        assert!(passed < 300, "{passed} of 10,000");
    }

    #[test]
    fn neighbours_share_prefixes_and_every_prefix_is_collected() {
        let mut collector = Collector::default();
        for subject in ["a.b.c", "a.b.d", "a.bb.c", "x"] {
            let entry = Names { subject, id: "", cause: "" };
            collector.add(&entry, Name::subject(subject), None);
        }
        let names = collector.take();
        for prefix in ["a.", "a.b.", "a.bb."] {
            assert!(names.contains(&Name::prefix(prefix).0), "{prefix}");
        }
        assert_eq!(names.len(), 3 + 4);
    }
}

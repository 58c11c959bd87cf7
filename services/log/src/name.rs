//! Names as fixed-size values: 128-bit hashes of subjects, subject prefixes, ids and causes.
//!
//! Compare-and-set and deduplication decide by these hashes alone, so they are cryptographic and
//! wide: among a billion names the chance of one collision is below 1e-20. Each kind of name is
//! hashed under a key of its own, so that an id never looks like a subject. Filters on disk hold
//! bits of the same hashes: the keys are part of the disk format and never change.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The hash of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) u64, pub(crate) u64);

/// Bytes of a name on disk.
pub(crate) const NAME_BYTES: usize = 16;

const SUBJECT_KEY: [u8; 32] = *b"hearken log subject name, v1    ";
const PREFIX_KEY: [u8; 32] = *b"hearken log subject prefix, v1  ";
const ID_KEY: [u8; 32] = *b"hearken log entry id, v1        ";
const CAUSE_KEY: [u8; 32] = *b"hearken log entry cause, v1     ";

impl Name {
    /// A whole subject.
    pub(crate) fn subject(text: &str) -> Self {
        Self::keyed(&SUBJECT_KEY, text)
    }

    /// The leading tokens of a subject, with the dot that ends them.
    pub(crate) fn prefix(text: &str) -> Self {
        Self::keyed(&PREFIX_KEY, text)
    }

    /// The id of an entry.
    pub(crate) fn id(text: &str) -> Self {
        Self::keyed(&ID_KEY, text)
    }

    /// The id of an entry's cause.
    pub(crate) fn cause(text: &str) -> Self {
        Self::keyed(&CAUSE_KEY, text)
    }

    fn keyed(key: &[u8; 32], text: &str) -> Self {
        let hash = blake3::keyed_hash(key, text.as_bytes());
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *hash.as_bytes();
        Self(
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        )
    }

    /// As bytes for a checkpoint.
    pub(crate) fn to_bytes(self) -> [u8; NAME_BYTES] {
        ((u128::from(self.1) << 64) | u128::from(self.0)).to_le_bytes()
    }

    /// From the bytes of a checkpoint.
    pub(crate) fn from_bytes(bytes: [u8; NAME_BYTES]) -> Self {
        let value = u128::from_le_bytes(bytes);
        let [low, high] = [value, value >> 64].map(|half| half & u128::from(u64::MAX));
        Self(u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0))
    }
}

impl std::hash::Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Passes the first half of a name through: it is a hash already.
#[derive(Default)]
pub(crate) struct Through(u64);

impl Hasher for Through {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map keyed by names.
pub(crate) type NameMap<V> = HashMap<Name, V, BuildHasherDefault<Through>>;

/// The prefixes of a subject that filters know: `a.`, `a.b.` of `a.b.c`.
pub(crate) fn prefixes(subject: &str) -> impl Iterator<Item = &str> {
    subject.match_indices('.').filter_map(|(at, _)| subject.get(..=at)).take(PREFIXES_MAX)
}

/// Deeper prefixes are not indexed: our subjects have at most six tokens before free text.
pub(crate) const PREFIXES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_bytes_and_kinds_differ() {
        let name = Name::subject("hearken.event.a.b");
        assert_eq!(Name::from_bytes(name.to_bytes()), name);
        assert_ne!(Name::id("x"), Name::cause("x"));
        assert_eq!(prefixes("a.b.c").collect::<Vec<_>>(), ["a.", "a.b."]);
    }
}

//! The hash chain: what makes a change to a stored entry visible.
//!
//! ```text
//! digest  = H(salt; headers, body)
//! chain   = H(previous chain, incarnation, sequence, time, subject, id, cause, digest)
//! ```
//!
//! H is blake3, keyed with the salt for the digest. The chain covers the content only through its
//! digest, so content can be erased and the chain still verifies; and nobody can confirm a guess at
//! erased content, because its salt goes with it.
//!
//! Salts: storing 32 random bytes per entry would cost a tenth of a typical entry and does not
//! compress. So each block has one random seed, from which the salts of its rows are expanded. When
//! an entry of a block is erased the seed is thrown away and the salts of the other rows are stored
//! one by one ([`Salts::Listed`]). A secret of the whole stream would not do: it would outlive what
//! is erased. Old copies of a rewritten block stay in free space of the file system until that is
//! used again; no store on a file system can promise more.
//!
//! The incarnation is random and drawn when the stream is created: two streams with the same
//! entries have different chains.

use std::fs::File;
use std::io::Read;

use crate::error::Error;
use crate::row::{Names, Place};

/// A blake3 hash.
pub(crate) type Hash = [u8; 32];
/// The random id of a stream.
pub(crate) type Incarnation = [u8; 16];
/// The salt of one row.
pub(crate) type Salt = [u8; 32];

/// The most rows of a block, hence of salts from one seed.
pub(crate) const ROWS_MAX: usize = 64;

/// Where the salts of a block come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Salts {
    /// All are expanded from this seed.
    Seed([u8; 32]),
    /// One for each row that is whole, in order.
    Listed(Vec<Salt>),
}

impl Salts {
    /// A salt for each row; `kinds` says which rows are whole. `None` when there are too few.
    pub(crate) fn expand(&self, whole: &[bool]) -> Option<Vec<Salt>> {
        match self {
            Self::Seed(seed) => {
                let all = expand(seed);
                (whole.len() <= ROWS_MAX).then(|| all.into_iter().take(whole.len()).collect())
            }
            Self::Listed(listed) => {
                let mut listed = listed.iter().copied();
                whole
                    .iter()
                    .map(|whole| if *whole { listed.next() } else { Some([0; 32]) })
                    .collect()
            }
        }
    }
}

/// All salts of a block with this seed.
pub(crate) fn expand(seed: &[u8; 32]) -> [Salt; ROWS_MAX] {
    let mut salts = [[0; 32]; ROWS_MAX];
    blake3::Hasher::new_keyed(seed).finalize_xof().fill(salts.as_flattened_mut());
    salts
}

/// The digest of an entry's content.
pub(crate) fn digest(salt: &Salt, content: &[u8]) -> Hash {
    *blake3::keyed_hash(salt, content).as_bytes()
}

/// Computes the links of one stream's chain.
#[derive(Clone, Debug)]
pub(crate) struct Linker {
    incarnation: Incarnation,
    /// What is hashed, put together here because one hash of one slice is twice as fast as several
    /// updates of a hasher.
    scratch: Vec<u8>,
}

impl Linker {
    pub(crate) fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, scratch: Vec::with_capacity(512) }
    }

    /// The chain before the first entry of the stream.
    pub(crate) fn start(&self) -> Hash {
        *blake3::hash(&self.incarnation).as_bytes()
    }

    /// The chain after an entry.
    pub(crate) fn link(
        &mut self,
        previous: &Hash,
        place: Place,
        names: &Names<'_>,
        digest: &Hash,
    ) -> Hash {
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.extend_from_slice(previous);
        scratch.extend_from_slice(&self.incarnation);
        scratch.extend_from_slice(&place.sequence.to_le_bytes());
        scratch.extend_from_slice(&place.time.nanos().to_le_bytes());
        scratch.extend_from_slice(digest);
        for text in [names.subject, names.id, names.cause] {
            // Lengths of two bytes keep most links within two blocks of the hash: names are short.
            let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
            scratch.extend_from_slice(&len.to_le_bytes());
            scratch.extend_from_slice(text.as_bytes());
        }
        *blake3::hash(scratch).as_bytes()
    }
}

/// Random bytes from the operating system, fetched by the page because a block needs 32 of them.
pub(crate) struct Entropy {
    source: File,
    page: Box<[u8; 4096]>,
    used: usize,
}

impl Entropy {
    pub(crate) fn open() -> Result<Self, Error> {
        let source = File::open("/dev/urandom")
            .map_err(|source| Error::io("open /dev/urandom for salts", source))?;
        Ok(Self { source, page: Box::new([0; 4096]), used: 4096 })
    }

    /// `N` random bytes that were never given out before.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        loop {
            let rest = self.page.get_mut(self.used..).unwrap_or_default();
            if let Some(taken) = rest.first_chunk_mut::<N>() {
                let bytes = *taken;
                taken.fill(0);
                self.used += N;
                return Ok(bytes);
            }
            self.source
                .read_exact(self.page.as_mut_slice())
                .map_err(|source| Error::io("read /dev/urandom for salts", source))?;
            self.used = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::Timestamp;

    use super::*;

    #[test]
    fn each_part_of_an_entry_changes_the_chain() {
        let mut linker = Linker::new([7; 16]);
        let names = Names { subject: "a.b", id: "i", cause: "c" };
        let place = Place { sequence: 4, time: Timestamp::from_nanos(9) };
        let base = linker.link(&[1; 32], place, &names, &[2; 32]);
        let later = Place { time: Timestamp::from_nanos(10), ..place };
        let others = [
            linker.link(&[0; 32], place, &names, &[2; 32]),
            linker.link(&[1; 32], later, &names, &[2; 32]),
            linker.link(&[1; 32], Place { sequence: 5, ..place }, &names, &[2; 32]),
            linker.link(&[1; 32], place, &Names { subject: "a.bi", id: "", ..names }, &[2; 32]),
            linker.link(&[1; 32], place, &Names { id: "ic", cause: "", ..names }, &[2; 32]),
            linker.link(&[1; 32], place, &names, &[3; 32]),
            Linker::new([8; 16]).link(&[1; 32], place, &names, &[2; 32]),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn salts_of_a_seed_are_all_different_and_listed_ones_follow_whole_rows() {
        let salts = expand(&[5; 32]);
        for (at, salt) in salts.iter().enumerate() {
            assert!(!salts[..at].contains(salt));
        }
        let listed = Salts::Listed(vec![[1; 32], [2; 32]]);
        assert_eq!(listed.expand(&[true, false, true]), Some(vec![[1; 32], [0; 32], [2; 32]]));
        assert_eq!(listed.expand(&[true, true, true]), None);
    }

    #[test]
    fn entropy_does_not_repeat() {
        let mut entropy = Entropy::open().unwrap();
        let drawn: Vec<[u8; 32]> = (0..300).map(|_| entropy.take().unwrap()).collect();
        for (at, bytes) in drawn.iter().enumerate() {
            assert!(!drawn[..at].contains(bytes));
        }
    }
}

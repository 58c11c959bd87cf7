//! Recent names: the sequence of the last entry of each subject, and of each id, for a while.
//!
//! Compare-and-set and deduplication ask for every append, so this is in memory. What is older than
//! `age` is forgotten, in generations: a full scan per sweep would stall the writer. A name is
//! remembered for at least `age` (and a thousandth more), unless more than `names_max` come in that
//! time: then the oldest go first.
//!
//! Ages are told by sequence: `marks` knows which sequences were stored before a moment, so a name
//! costs 24 bytes and no time of its own.

use std::collections::VecDeque;
use std::time::Duration;

use hearken_proto::Timestamp;

use crate::bits::{Cursor, put_len};
use crate::name::{NAME_BYTES, Name, NameMap};
use crate::row::Place;

/// Generations kept; the oldest goes when a new one starts. More means less memory for names that
/// are too old and more look-ups for a name that is not there.
const GENERATIONS: usize = 4;
/// Marks per age: how exactly `age` is kept.
const MARKS: u32 = 1024;

/// The last sequence of each name that was seen within an age.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    /// How long names are remembered; `None` for ever.
    age: Option<Duration>,
    names_max: usize,
    /// The youngest first.
    generations: VecDeque<Generation>,
    /// Places a thousandth of `age` apart, the oldest first.
    marks: VecDeque<Place>,
    /// Entries before this one are too old.
    floor: u64,
}

#[derive(Clone, Debug, Default)]
struct Generation {
    started: Timestamp,
    sequences: NameMap<u64>,
}

impl Recent {
    pub(crate) fn new(age: Option<Duration>, names_max: usize) -> Self {
        Self {
            age,
            names_max,
            generations: VecDeque::from([Generation::default()]),
            marks: VecDeque::new(),
            floor: 0,
        }
    }

    /// Goes on to `place`, where the next entry will be: forgets what is too old by then.
    pub(crate) fn advance(&mut self, place: Place) {
        let Some(age) = self.age else { return };
        let apart = age / MARKS;
        if self.marks.back().is_none_or(|mark| place.time.since(mark.time) >= apart) {
            self.marks.push_back(place);
        }
        // Entries between a mark and the next are less than `apart` younger than the mark.
        while self.marks.front().is_some_and(|mark| place.time.since(mark.time) >= age + apart) {
            self.marks.pop_front();
            self.floor = self.marks.front().map_or(place.sequence, |next| next.sequence);
        }
        let span = age / u32::try_from(GENERATIONS - 1).unwrap_or(1);
        let room = self.names_max / GENERATIONS;
        let Some(youngest) = self.generations.front() else { return };
        let full = youngest.sequences.len() >= room.max(1);
        let aged = place.time.since(youngest.started) >= span && !youngest.sequences.is_empty();
        if full || aged {
            self.generations
                .push_front(Generation { started: place.time, ..Generation::default() });
            self.generations.truncate(GENERATIONS);
        } else if youngest.sequences.is_empty()
            && let Some(youngest) = self.generations.front_mut()
        {
            youngest.started = place.time;
        }
    }

    /// The last sequence of `name`, if it is remembered.
    pub(crate) fn get(&self, name: Name) -> Option<u64> {
        self.generations
            .iter()
            .find_map(|generation| generation.sequences.get(&name).copied())
            .filter(|sequence| *sequence >= self.floor)
    }

    /// Remembers that `name` was seen at `sequence`.
    pub(crate) fn insert(&mut self, name: Name, sequence: u64) {
        if let Some(youngest) = self.generations.front_mut() {
            youngest.sequences.insert(name, sequence);
        }
    }

    /// How many names are held, those of several generations counted as often.
    pub(crate) fn len(&self) -> usize {
        self.generations.iter().map(|generation| generation.sequences.len()).sum()
    }

    /// Everything, for a checkpoint.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.floor.to_le_bytes());
        put_len(out, self.marks.len());
        for mark in &self.marks {
            out.extend_from_slice(&mark.sequence.to_le_bytes());
            out.extend_from_slice(&mark.time.nanos().to_le_bytes());
        }
        put_len(out, self.generations.len());
        for generation in &self.generations {
            out.extend_from_slice(&generation.started.nanos().to_le_bytes());
            put_len(out, generation.sequences.len());
            for (name, sequence) in &generation.sequences {
                out.extend_from_slice(&name.to_bytes());
                out.extend_from_slice(&sequence.to_le_bytes());
            }
        }
    }

    /// Takes over what a checkpoint holds; `None`, and nothing changed, when it is malformed.
    pub(crate) fn restore(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let floor = cursor.u64()?;
        let count = cursor.len()?;
        let mut marks = VecDeque::new();
        for _ in 0..count {
            let sequence = cursor.u64()?;
            marks.push_back(Place { sequence, time: Timestamp::from_nanos(cursor.i64()?) });
        }
        let count = cursor.len().filter(|count| (1..=GENERATIONS).contains(count))?;
        let mut generations = VecDeque::new();
        for _ in 0..count {
            let started = Timestamp::from_nanos(cursor.i64()?);
            let names = cursor.len()?;
            let mut generation = Generation { started, sequences: NameMap::default() };
            let room = cursor.rest().len() / (NAME_BYTES + 8);
            generation.sequences.reserve(names.min(room));
            for _ in 0..names {
                let name = Name::from_bytes(cursor.array()?);
                generation.sequences.insert(name, cursor.u64()?);
            }
            generations.push_back(generation);
        }
        (self.floor, self.marks, self.generations) = (floor, marks, generations);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sequence: u64, seconds: i64) -> Place {
        Place { sequence, time: Timestamp::from_nanos(seconds * 1_000_000_000) }
    }

    fn name(text: &str) -> Name {
        Name::id(text)
    }

    #[test]
    fn a_name_is_remembered_for_the_age_and_then_forgotten() {
        let mut recent = Recent::new(Some(Duration::from_secs(100)), 1000);
        for second in 0..300_i64 {
            recent.advance(place(second.unsigned_abs() + 1, second));
            recent.insert(name(&second.to_string()), second.unsigned_abs() + 1);
            let remembered = |age: i64| recent.get(name(&(second - age).to_string())).is_some();
            assert!(second < 99 || remembered(99), "{second}");
            assert!(second < 102 || !remembered(102), "{second}");
        }
        assert!(recent.len() <= 140, "{}", recent.len());
    }

    #[test]
    fn too_many_names_push_out_the_oldest() {
        let mut recent = Recent::new(Some(Duration::from_secs(100)), 40);
        for n in 1..=200_u64 {
            recent.advance(place(n, 0));
            recent.insert(name(&n.to_string()), n);
        }
        assert!(recent.len() <= 40);
        assert_eq!(recent.get(name("200")), Some(200));
        assert_eq!(recent.get(name("171")), Some(171));
        assert_eq!(recent.get(name("100")), None);
    }

    #[test]
    fn without_an_age_nothing_is_forgotten() {
        let mut recent = Recent::new(None, 2);
        for n in 1..=100_u64 {
            recent.insert(name(&n.to_string()), n);
            recent.advance(place(n, 1_000_000));
        }
        assert_eq!(recent.get(name("1")), Some(1));
    }

    #[test]
    fn a_checkpoint_reads_back_and_a_damaged_one_changes_nothing() {
        let mut recent = Recent::new(Some(Duration::from_secs(100)), 1000);
        for n in 0..250_u32 {
            recent.advance(place(u64::from(n) + 1, i64::from(n)));
            recent.insert(name(&n.to_string()), u64::from(n) + 1);
        }
        let mut bytes = Vec::new();
        recent.put(&mut bytes);
        let mut other = Recent::new(Some(Duration::from_secs(100)), 1000);
        for cut in [0, 9, 100, bytes.len() - 1] {
            assert_eq!(other.restore(&mut Cursor::new(&bytes[..cut])), None);
            assert_eq!(other.len(), 0);
        }
        assert_eq!(other.restore(&mut Cursor::new(&bytes)), Some(()));
        for n in 0..250_u32 {
            assert_eq!(other.get(name(&n.to_string())), recent.get(name(&n.to_string())));
        }
    }
}

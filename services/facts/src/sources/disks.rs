//! `/proc/diskstats`: what the disks have done since the start.
//!
//! A sector is 512 bytes here whatever the disk's own is. Old kernels end the line after 14 columns
//! and wrap counters at 32 bits. Loop and RAM devices are no disks, and a partition's work is its
//! disk's work already.

use std::collections::{BTreeMap, BTreeSet};

use crate::read::Text;
use crate::{Bounds, Roots, Unavailable};

/// The kernel's unit of length, on every disk.
const SECTOR_BYTES: u64 = 512;
/// Where counters of 32-bit kernels wrap.
const WRAP: u64 = 1 << 32;

/// What one disk has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) read_ms: u64,
    pub(crate) writes: u64,
    pub(crate) write_bytes: u64,
    pub(crate) write_ms: u64,
    /// Time in which anything was under way.
    pub(crate) busy_ms: u64,
}

impl Work {
    /// What was done since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            reads: difference(self.reads, earlier.reads, WRAP),
            read_bytes: difference(self.read_bytes, earlier.read_bytes, WRAP * SECTOR_BYTES),
            read_ms: difference(self.read_ms, earlier.read_ms, WRAP),
            writes: difference(self.writes, earlier.writes, WRAP),
            write_bytes: difference(self.write_bytes, earlier.write_bytes, WRAP * SECTOR_BYTES),
            write_ms: difference(self.write_ms, earlier.write_ms, WRAP),
            busy_ms: difference(self.busy_ms, earlier.busy_ms, WRAP),
        }
    }

    /// Both together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            reads: self.reads.saturating_add(other.reads),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            read_ms: self.read_ms.saturating_add(other.read_ms),
            writes: self.writes.saturating_add(other.writes),
            write_bytes: self.write_bytes.saturating_add(other.write_bytes),
            write_ms: self.write_ms.saturating_add(other.write_ms),
            busy_ms: self.busy_ms.max(other.busy_ms),
        }
    }
}

/// A counter's way, over the wrap where it was near it, else never backwards.
fn difference(later: u64, earlier: u64, wrap: u64) -> u64 {
    if later >= earlier {
        later - earlier
    } else if earlier < wrap && earlier > wrap / 2 && later < wrap / 2 {
        later + (wrap - earlier)
    } else {
        0
    }
}

/// Reads what every disk has done.
pub(crate) fn disks(roots: &Roots, bounds: &Bounds) -> Result<BTreeMap<String, Work>, Unavailable> {
    parse(&Text::read(roots.proc.join("diskstats"), bounds.file_bytes)?)
}

fn parse(text: &Text) -> Result<BTreeMap<String, Work>, Unavailable> {
    let mut found = BTreeMap::new();
    for row in text.rows() {
        let mut words = row.words();
        words.pass_over(2);
        let name = words.text("the name")?;
        if name.starts_with("loop") || name.starts_with("ram") {
            continue;
        }
        let mut work = Work { reads: words.number("reads")?, ..Work::default() };
        words.pass_over(1);
        work.read_bytes = words.number::<u64>("sectors read")?.saturating_mul(SECTOR_BYTES);
        work.read_ms = words.number("the time of reads")?;
        work.writes = words.number("writes")?;
        words.pass_over(1);
        work.write_bytes = words.number::<u64>("sectors written")?.saturating_mul(SECTOR_BYTES);
        work.write_ms = words.number("the time of writes")?;
        words.pass_over(1);
        work.busy_ms = words.number("the busy time")?;
        found.insert(name.to_owned(), work);
    }
    let names: BTreeSet<String> = found.keys().cloned().collect();
    found.retain(|name, _work| !whole(name).is_some_and(|disk| names.contains(disk)));
    Ok(found)
}

/// The disk that a partition of this name lies on: `sda1` on `sda`, `nvme0n1p2` on `nvme0n1`.
fn whole(name: &str) -> Option<&str> {
    let disk = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if disk.len() == name.len() {
        return None;
    }
    let numbered = disk
        .strip_suffix('p')
        .filter(|disk| disk.ends_with(|letter: char| letter.is_ascii_digit()));
    Some(numbered.unwrap_or(disk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_disks_count_and_all_widths_of_the_table_are_read() {
        let text = "   7 0 loop0 9 9 9 9 9 9 9 9 9 9 9\n\
             8 0 sda 10 1 100 20 30 3 300 40 0 50 60\n\
             8 1 sda1 9 1 90 19 29 3 290 39 0 49 59\n\
             259 0 nvme0n1 1 0 8 1 2 0 16 2 0 3 3 0 0 0 0\n\
             259 1 nvme0n1p1 1 0 8 1 2 0 16 2 0 3 3 0 0 0 0\n\
             253 0 dm-0 5 0 40 5 6 0 48 6 0 11 11 0 0 0 0 0 0\n\
             8 17 sdb1 1 0 8 1 1 0 8 1 0 2 2\n";
        let disks = parse(&Text::of("/proc/diskstats", text)).unwrap();
        assert_eq!(disks.keys().collect::<Vec<_>>(), ["dm-0", "nvme0n1", "sda", "sdb1"]);
        let sda = disks["sda"];
        assert_eq!((sda.reads, sda.read_bytes, sda.read_ms), (10, 51_200, 20));
        assert_eq!((sda.writes, sda.write_bytes, sda.write_ms), (30, 153_600, 40));
        assert_eq!(sda.busy_ms, 50);
    }

    #[test]
    fn a_short_line_has_a_place() {
        let error = parse(&Text::of("/proc/diskstats", "8 0 sda 10 1 100\n")).unwrap_err();
        assert_eq!(error.reason(), "/proc/diskstats:1: the time of reads is missing");
    }

    #[test]
    fn a_counter_that_wraps_goes_on_and_one_that_was_reset_does_not() {
        assert_eq!(difference(5, WRAP - 5, WRAP), 10);
        assert_eq!(difference(0, 1_000, WRAP), 0);
        assert_eq!(difference(7, 3, WRAP), 4);
    }
}

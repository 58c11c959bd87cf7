//! `/proc/stat`: where the processors' time went.
//!
//! The kernel counts guests' time in `user` and `nice` as well; here it is counted once. Counters
//! can go backwards (`iowait`, a processor that was taken out), so a difference is never negative.

use std::collections::BTreeMap;

use crate::read::{Row, Text};
use crate::{Bounds, Roots, Unavailable};

/// The time of all processors, and of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Times {
    /// All processors together.
    pub(crate) all: Modes,
    /// Each, by its number.
    pub(crate) each: BTreeMap<u32, Modes>,
    /// When the machine was started, in seconds since the Unix epoch.
    pub(crate) started: u64,
}

/// Ticks spent in each mode, each tick counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) user: u64,
    pub(crate) nice: u64,
    pub(crate) system: u64,
    pub(crate) idle: u64,
    pub(crate) iowait: u64,
    pub(crate) irq: u64,
    pub(crate) softirq: u64,
    pub(crate) steal: u64,
    pub(crate) guest: u64,
}

impl Modes {
    /// Names and ticks, in the kernel's order.
    pub(crate) fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("user", self.user),
            ("nice", self.nice),
            ("system", self.system),
            ("idle", self.idle),
            ("iowait", self.iowait),
            ("irq", self.irq),
            ("softirq", self.softirq),
            ("steal", self.steal),
            ("guest", self.guest),
        ]
    }

    pub(crate) fn total(&self) -> u64 {
        self.named().iter().fold(0, |sum, (_name, ticks)| sum.saturating_add(*ticks))
    }

    /// What was spent since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            nice: self.nice.saturating_sub(earlier.nice),
            system: self.system.saturating_sub(earlier.system),
            idle: self.idle.saturating_sub(earlier.idle),
            iowait: self.iowait.saturating_sub(earlier.iowait),
            irq: self.irq.saturating_sub(earlier.irq),
            softirq: self.softirq.saturating_sub(earlier.softirq),
            steal: self.steal.saturating_sub(earlier.steal),
            guest: self.guest.saturating_sub(earlier.guest),
        }
    }

    /// Percent of the time that was neither idle nor waiting for a disk; `None` for no time.
    pub(crate) fn busy_percent(&self) -> Option<f64> {
        let total = self.total();
        let busy = total.saturating_sub(self.idle).saturating_sub(self.iowait);
        crate::number::percent(busy, total)
    }
}

/// Reads the time spent so far.
pub(crate) fn times(roots: &Roots, bounds: &Bounds) -> Result<Times, Unavailable> {
    parse(&Text::read(roots.proc.join("stat"), bounds.file_bytes)?)
}

fn parse(text: &Text) -> Result<Times, Unavailable> {
    let mut times = Times::default();
    let mut seen = false;
    for row in text.rows() {
        let mut words = row.words();
        let Some(name) = words.next() else { continue };
        if name == "cpu" {
            times.all = modes(row)?;
            seen = true;
        } else if name == "btime" {
            times.started = words.number("the time of the start")?;
        } else if let Some(number) = name.strip_prefix("cpu") {
            times.each.insert(row.parse("the processor", number)?, modes(row)?);
        }
    }
    if seen { Ok(times) } else { Err(text.malformed(1, "no line \"cpu\"")) }
}

fn modes(row: Row<'_>) -> Result<Modes, Unavailable> {
    let mut words = row.words();
    words.pass_over(1);
    let mut modes = Modes {
        user: words.number("user")?,
        nice: words.number("nice")?,
        system: words.number("system")?,
        idle: words.number("idle")?,
        // Younger than the others, each: kernels before 2.6.33 don't have all.
        iowait: words.number_if_there("iowait")?,
        irq: words.number_if_there("irq")?,
        softirq: words.number_if_there("softirq")?,
        steal: words.number_if_there("steal")?,
        guest: words.number_if_there("guest")?,
    };
    let guest_nice: u64 = words.number_if_there("guest_nice")?;
    modes.user = modes.user.saturating_sub(modes.guest);
    modes.nice = modes.nice.saturating_sub(guest_nice);
    modes.guest = modes.guest.saturating_add(guest_nice);
    Ok(modes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 10 20 300 40 5 6 7 30 4\ncpu0 60 5 10 150 20 2 3 4 20 4\n\
                        cpu2 40 5 10 150 20 3 3 3 10 0\nintr 99 1 2\nbtime 1764000000\n";

    #[test]
    fn guests_are_counted_once() {
        let times = parse(&Text::of("/proc/stat", STAT)).unwrap();
        assert_eq!((times.all.user, times.all.nice, times.all.guest), (70, 6, 34));
        assert_eq!(times.all.total(), 100 + 10 + 20 + 300 + 40 + 5 + 6 + 7);
        assert_eq!(times.each.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(times.started, 1_764_000_000);
    }

    #[test]
    fn a_counter_that_went_backwards_is_no_time() {
        let earlier = Modes { user: 10, idle: 100, iowait: 50, ..Modes::default() };
        let later = Modes { user: 40, idle: 130, iowait: 48, ..Modes::default() };
        let spent = later.since(&earlier);
        assert_eq!(spent.busy_percent(), Some(50.0));
        assert_eq!(earlier.since(&later).busy_percent(), Some(0.0));
        assert_eq!(later.since(&later).busy_percent(), None);
    }

    #[test]
    fn wrong_text_has_a_place() {
        let rows = [
            ("intr 1\n", "/proc/stat:1: no line \"cpu\""),
            ("cpu 1 2 3 4\ncpux 1 2 3 4\n", "/proc/stat:2: the processor is \"x\""),
            ("cpu 1 2 3\n", "/proc/stat:1: idle is missing"),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(&Text::of("/proc/stat", text)).unwrap_err().reason(), expected);
        }
    }
}

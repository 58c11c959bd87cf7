//! Flapping: how much of the last runs was a change of mind, in percent, the newest weighing most.
//!
//! Twenty changes are remembered, with weights from 1.18 for the newest down to 0.80: what engines
//! have done for twenty years, so that thresholds can be taken over. It begins at `high` and ends
//! at `low`; in between it stays as it is.

use crate::definition::check::Flapping;

/// Changes that are remembered.
pub const CHANGES: u32 = 20;
/// Weight of the newest change, in hundredths.
const NEWEST: u32 = 118;
/// How much less each older one weighs.
const STEP: u32 = 2;

/// What is remembered after one more run.
#[must_use]
pub const fn remember(changes: u32, changed: bool) -> u32 {
    ((changes << 1) | (changed as u32)) & ((1 << CHANGES) - 1)
}

/// Weighted changes in percent.
#[must_use]
pub fn percent(changes: u32) -> f64 {
    let weights = (0..CHANGES).filter(|age| changes & (1 << age) != 0);
    let sum: u32 = weights.map(|age| NEWEST - STEP * age).sum();
    // Hundredths of 20 changes make percents of one.
    f64::from(sum) / f64::from(CHANGES)
}

/// Whether it flaps now, after it did or did not before.
#[must_use]
pub fn flaps(thresholds: Flapping, before: bool, changes: u32) -> bool {
    let percent = percent(changes);
    if before { percent > thresholds.low } else { percent >= thresholds.high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_changes_weigh_more_than_old_ones() {
        let all = (0..CHANGES).fold(0, |changes, _| remember(changes, true));
        assert!((percent(all) - 99.0).abs() < 1e-9);
        assert!((percent(1) - 5.9).abs() < 1e-9);
        assert!((percent(1 << 19) - 4.0).abs() < 1e-9);
        assert_eq!(remember(1 << 19, false), 0);
    }

    #[test]
    fn it_ends_later_than_it_begins() {
        let thresholds = Flapping { high: 30.0, low: 20.0 };
        let mut changes = 0;
        let mut flapping = false;
        let mut turns = Vec::new();
        for run in 0..60 {
            changes = remember(changes, run < 12);
            let now = flaps(thresholds, flapping, changes);
            if now != flapping {
                turns.push(run);
            }
            flapping = now;
        }
        assert_eq!(turns, [5, 27]);
    }
}

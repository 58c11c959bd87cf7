//! Figures over rounds: the median and the range, and how numbers are written.

use std::fmt;

/// One figure per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(pub Vec<f64>);

impl Rounds {
    /// The figures that `of` takes from what was measured.
    pub(crate) fn of<T>(measured: &[T], of: impl Fn(&T) -> f64) -> Self {
        Self(measured.iter().map(of).collect())
    }

    /// Each round's figure by the same round's figure of `other`.
    pub(crate) fn by(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other.max(1e-9)).collect())
    }

    /// The figure in the middle.
    pub(crate) fn median(&self) -> f64 {
        percentile(&self.0, 0.5)
    }

    /// Median and range with a unit.
    pub(crate) fn with(&self, unit: &str) -> String {
        format!("{self} {unit}").trim_end().to_owned()
    }
}

/// The median, then the range: `1.2 (1.1..1.3)`.
impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (percentile(&self.0, 0.0), percentile(&self.0, 1.0));
        write!(f, "{} ({}..{})", short(self.median()), short(low), short(high))
    }
}

/// The value below which `share` of all are; not a number when there is none.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a list of measurements"
    )]
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) const fn count(count: u64) -> f64 {
    count as f64
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2}M", value / 1e6),
        value if value >= 10_000.0 => format!("{:.0}k", value / 1e3),
        value if value >= 1000.0 => format!("{:.1}k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_its_median_and_its_range() {
        let rounds = Rounds(vec![3.0, 1.0, 2.0]);
        assert_eq!(rounds.to_string(), "2.00 (1.00..3.00)");
        assert_eq!(rounds.by(&Rounds(vec![1.0, 2.0, 4.0])).0, [3.0, 0.5, 0.5]);
        assert_eq!(short(75_123.0), "75k");
    }
}

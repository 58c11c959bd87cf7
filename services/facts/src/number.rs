//! Numbers as facts show them: base units, percent from 0 to 100, two decimals.

/// Percent of `whole` that `part` is; `None` where there is nothing to be a part of.
pub(crate) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole) * 100.0)
}

/// Two decimals: what is behind them is noise of the sampling.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A count as a number with decimals. Beyond 2^53 (nine petabytes) the last bits go.
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The average, the least and the most of what was seen; `None` of nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) average: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
}

impl Spread {
    /// Of these values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let (mut minimum, mut maximum, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for value in values {
            minimum = minimum.min(*value);
            maximum = maximum.max(*value);
            sum += value;
        }
        let count = u64::try_from(values.len()).ok().filter(|count| *count > 0)?;
        // A sum of equal values can come out a little beside them.
        let average = (sum / float(count)).clamp(minimum, maximum);
        Some(Self {
            average: rounded(average),
            minimum: rounded(minimum),
            maximum: rounded(maximum),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(percent(1, 0), None);
    }

    proptest! {
        #[test]
        fn the_average_lies_between(values in prop::collection::vec(0.0..100.0_f64, 1..20)) {
            let spread = Spread::of(&values).unwrap();
            prop_assert!(spread.minimum <= spread.average && spread.average <= spread.maximum);
        }

        #[test]
        fn one_value_is_all_three(value in 0.0..1e9_f64) {
            let spread = Spread::of(&[value]).unwrap();
            prop_assert_eq!(spread.minimum, spread.average);
            prop_assert_eq!(spread.maximum, spread.average);
        }
    }
}

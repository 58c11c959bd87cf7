//! How busy the processors are, over the window and each for itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::number::{self, Spread, rounded};
use crate::sources::cpu::{Modes, Times};
use crate::{Context, Unavailable};

/// Percent busy: average, minimum and maximum over the window, of all and of each processor.
pub(crate) fn cpu(context: &Context) -> Result<Value, Unavailable> {
    let samples = context.samples()?;
    let readings = samples.of(|reading| &reading.cpu)?;
    let all = spread(&readings, |times| Some(&times.all));
    let numbers: BTreeSet<u32> =
        readings.iter().flat_map(|times| times.each.keys().copied()).collect();
    let each = numbers.into_iter().map(|number| {
        let spread = spread(&readings, |times| times.each.get(&number));
        json!({
            "average": spread.average, "minimum": spread.minimum, "maximum": spread.maximum,
        })
    });
    Ok(json!({
        "average": all.average,
        "minimum": all.minimum,
        "maximum": all.maximum,
        "samples": samples.sampling.samples,
        "interval_ms": u64::try_from(samples.sampling.interval.as_millis()).unwrap_or(u64::MAX),
        "per_cpu": each.collect::<Vec<_>>(),
        "modes": modes(&readings),
    }))
}

/// What one processor, or all, did between neighbouring readings; since the start when there is
/// only one. A processor that was not there all the time tells of when it was.
pub(crate) fn spread<'a>(
    readings: &[&'a Times],
    of: impl Fn(&'a Times) -> Option<&'a Modes>,
) -> Spread {
    let mut values = Vec::new();
    for (earlier, later) in readings.iter().zip(readings.iter().skip(1)) {
        let (Some(earlier), Some(later)) = (of(earlier), of(later)) else { continue };
        values.extend(later.since(earlier).busy_percent());
    }
    if values.is_empty() {
        let last = readings.last().and_then(|times| of(times));
        values.extend(last.and_then(Modes::busy_percent));
    }
    Spread::of(&values).unwrap_or(Spread { average: 0.0, minimum: 0.0, maximum: 0.0 })
}

/// Percent of the whole window spent in each mode.
fn modes(readings: &[&Times]) -> Map<String, Value> {
    let last = readings.last().map(|times| times.all).unwrap_or_default();
    let first = readings.first().filter(|_first| readings.len() > 1);
    let spent = first.map_or(last, |first| last.since(&first.all));
    let percent = |ticks| rounded(number::percent(ticks, spent.total()).unwrap_or(0.0));
    spent.named().iter().map(|(name, ticks)| ((*name).to_owned(), percent(*ticks).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn times(user: u64, idle: u64, each: &[(u32, u64, u64)]) -> Times {
        let modes = |user, idle| Modes { user, idle, ..Modes::default() };
        let each: BTreeMap<_, _> =
            each.iter().map(|(number, user, idle)| (*number, modes(*user, *idle))).collect();
        Times { all: modes(user, idle), each, started: 0 }
    }

    #[test]
    fn the_spread_is_over_time_and_of_a_processor_while_it_was_there() {
        let readings = [
            times(100, 100, &[(0, 50, 50)]),
            times(110, 130, &[(0, 60, 50), (1, 0, 30)]),
            times(140, 140, &[(0, 70, 60), (1, 30, 40)]),
        ];
        let readings: Vec<_> = readings.iter().collect();
        let all = spread(&readings, |times| Some(&times.all));
        assert_eq!(all, Spread { average: 50.0, minimum: 25.0, maximum: 75.0 });
        let second = spread(&readings, |times| times.each.get(&1));
        assert_eq!(second, Spread { average: 75.0, minimum: 75.0, maximum: 75.0 });
        assert_eq!(modes(&readings)["user"], 50.0);
    }

    #[test]
    fn one_reading_tells_since_the_start() {
        let reading = times(25, 75, &[]);
        let all = spread(&[&reading], |times| Some(&times.all));
        assert_eq!(all, Spread { average: 25.0, minimum: 25.0, maximum: 25.0 });
    }
}

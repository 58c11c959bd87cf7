//! What the disks do, over the window.
//!
//! For all disks together rates are sums, `await_ms` is over all requests and `util` is that of the
//! busiest: the sum would pass 100 and the mean would hide one that is full. Since `util` is the
//! share of time in which anything was under way, a disk that works in parallel can do more at 100.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::number::{Spread, float, rounded};
use crate::sources::disks::Work;
use crate::window::Samples;
use crate::{Context, Unavailable};

/// Rates of one interval, in the order of their names.
type Rates = [f64; 6];

const NAMES: [&str; 6] =
    ["read_bytes_s", "write_bytes_s", "reads_s", "writes_s", "await_ms", "util"];

/// What each disk did in one interval, and how many seconds it had.
#[derive(Debug)]
struct Interval {
    seconds: f64,
    done: BTreeMap<String, Work>,
}

/// Rates: average, minimum and maximum over the window, of all disks and of each.
pub(crate) fn iostat(context: &Context) -> Result<Value, Unavailable> {
    let samples = context.samples()?;
    let readings = samples.of(|reading| &reading.disks)?;
    let intervals = intervals(&samples, &readings);
    let names: BTreeSet<&String> = readings.iter().flat_map(|disks| disks.keys()).collect();
    let mut devices = Map::new();
    for name in names {
        let mut device = spreads(&intervals, |done| done.get(name).copied());
        let last = readings.last().and_then(|disks| disks.get(name));
        device.insert("totals".to_owned(), last.map_or(Value::Null, totals));
        devices.insert(name.clone(), device.into());
    }
    let mut result = spreads(&intervals, |done| {
        Some(done.values().fold(Work::default(), |sum, work| sum.plus(work)))
    });
    result.insert("devices".to_owned(), devices.into());
    Ok(result.into())
}

/// What was done between neighbouring readings; since the start when there is only one.
fn intervals(samples: &Samples, readings: &[&BTreeMap<String, Work>]) -> Vec<Interval> {
    if let ([disks], Some(seconds)) = (readings, samples.uptime) {
        return vec![Interval { seconds, done: (*disks).clone() }];
    }
    let times: Vec<f64> = samples.readings.iter().map(|reading| reading.at.as_secs_f64()).collect();
    let starts = times.iter().zip(readings);
    let ends = times.iter().zip(readings).skip(1);
    let between = starts.zip(ends).map(|((begun, earlier), (ended, later))| {
        // A disk that was plugged in meanwhile counts from the next reading on.
        let since = |(name, work): (&String, &Work)| {
            earlier.get(name).map(|earlier| (name.clone(), work.since(earlier)))
        };
        Interval { seconds: ended - begun, done: later.iter().filter_map(since).collect() }
    });
    between.collect()
}

/// Average, minimum and maximum of every rate.
fn spreads(
    intervals: &[Interval],
    of: impl Fn(&BTreeMap<String, Work>) -> Option<Work>,
) -> Map<String, Value> {
    let seen = intervals.iter().filter(|interval| interval.seconds > 0.0);
    let rates: Vec<Rates> = seen
        .filter_map(|interval| of(&interval.done).map(|w| rates(&w, interval.seconds)))
        .collect();
    let mut named = [Map::new(), Map::new(), Map::new()];
    for (index, name) in NAMES.iter().enumerate() {
        let values: Vec<f64> = rates.iter().filter_map(|rates| rates.get(index).copied()).collect();
        let spread = Spread::of(&values);
        let [average, minimum, maximum] = &mut named;
        let told = [
            (average, spread.map(|spread| spread.average)),
            (minimum, spread.map(|spread| spread.minimum)),
            (maximum, spread.map(|spread| spread.maximum)),
        ];
        for (map, value) in told {
            map.insert((*name).to_owned(), value.into());
        }
    }
    ["average", "minimum", "maximum"]
        .into_iter()
        .zip(named)
        .map(|(name, rates)| (name.to_owned(), rates.into()))
        .collect()
}

fn rates(work: &Work, seconds: f64) -> Rates {
    let requests = work.reads.saturating_add(work.writes);
    let waited = work.read_ms.saturating_add(work.write_ms);
    [
        float(work.read_bytes) / seconds,
        float(work.write_bytes) / seconds,
        float(work.reads) / seconds,
        float(work.writes) / seconds,
        if requests == 0 { 0.0 } else { float(waited) / float(requests) },
        // The kernel's clock of a disk and ours can differ by a tick.
        (float(work.busy_ms) / (seconds * 1000.0) * 100.0).min(100.0),
    ]
}

fn totals(work: &Work) -> Value {
    json!({
        "reads": work.reads,
        "read_bytes": work.read_bytes,
        "read_seconds": rounded(float(work.read_ms) / 1000.0),
        "writes": work.writes,
        "write_bytes": work.write_bytes,
        "write_seconds": rounded(float(work.write_ms) / 1000.0),
        "busy_seconds": rounded(float(work.busy_ms) / 1000.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(reads: u64, read_ms: u64, busy_ms: u64) -> Work {
        Work { reads, read_bytes: reads * 512, read_ms, busy_ms, ..Work::default() }
    }

    #[test]
    fn rates_are_per_second_and_util_is_that_of_the_busiest() {
        let done = |a, b| [("sda".to_owned(), a), ("sdb".to_owned(), b)].into_iter().collect();
        let intervals = [
            Interval { seconds: 2.0, done: done(work(10, 40, 500), work(10, 20, 1000)) },
            Interval { seconds: 2.0, done: done(work(0, 0, 0), work(40, 20, 100)) },
        ];
        let sum = |done: &BTreeMap<String, Work>| {
            Some(done.values().fold(Work::default(), |sum, work| sum.plus(work)))
        };
        let all = Value::from(spreads(&intervals, sum));
        assert_eq!(all["average"]["reads_s"], 15.0);
        assert_eq!(all["maximum"]["read_bytes_s"], 10240.0);
        assert_eq!(all["maximum"]["await_ms"], 3.0);
        assert_eq!(all["maximum"]["util"], 50.0);
        assert_eq!(all["minimum"]["util"], 5.0);
        let sda = Value::from(spreads(&intervals, |done| done.get("sda").copied()));
        assert_eq!(sda["minimum"]["await_ms"], 0.0);
        assert_eq!(sda["maximum"]["util"], 25.0);
    }

    #[test]
    fn no_interval_has_no_rates() {
        let none = Value::from(spreads(&[], |_done| None));
        assert_eq!(none["average"]["util"], Value::Null);
    }
}

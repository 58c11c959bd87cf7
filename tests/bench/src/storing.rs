//! Append and scan of the log, against a plain file and against sled with one key per entry.

use anyhow::ensure;

use crate::figures::{Rounds, count, short};
use crate::machine::{Watch, bytes_on_disk};
use crate::stores::{ENTRY_BYTES, Way};
use crate::table::{Goal, Line, say};

/// Rounds; each takes every way.
const ROUNDS: usize = 3;
/// Entries of a measurement: 90 MB of text.
const ENTRIES: u64 = 300_000;

#[derive(Clone, Copy, Debug)]
struct Run {
    appends: f64,
    /// Microseconds of the processor per entry.
    micros: f64,
    /// Bytes on the disk by bytes of text.
    disk: f64,
    scans: f64,
}

/// Measures all ways.
pub(crate) fn measure() -> anyhow::Result<Vec<Line>> {
    let mut runs: [Vec<Run>; 4] = Default::default();
    for round in 0..ROUNDS {
        for (way, runs) in Way::ALL.iter().zip(&mut runs) {
            let run = one(*way)?;
            say(&format!("round {round}: {} {run:?}", way.name()));
            runs.push(run);
        }
    }
    let [file, interval, flush, sled] = &runs;
    let mut lines = Vec::new();
    for (way, runs) in [(Way::LogInterval, interval), (Way::LogFlush, flush)] {
        lines.extend(compare(way, runs, file, sled));
    }
    Ok(lines)
}

fn compare(way: Way, runs: &[Run], file: &[Run], sled: &[Run]) -> Vec<Line> {
    let line = |what: &str, of: fn(&Run) -> f64, theirs: &[Run], unit: &str, goal: Option<Goal>| {
        let (ours, theirs) = (Rounds::of(runs, of), Rounds::of(theirs, of));
        let ratio = ours.by(&theirs);
        Line {
            what: format!("{}: {what}", way.name()),
            measured: ours.with(unit),
            baseline: theirs.with(unit),
            ratio: ratio.to_string(),
            goals: Vec::from_iter(goal.map(|goal| (goal, ratio.median()))),
        }
    };
    let micros: fn(&Run) -> f64 = |run| run.micros;
    let scans: fn(&Run) -> f64 = |run| run.scans;
    let appends: fn(&Run) -> f64 = |run| run.appends;
    let disk = Rounds::of(runs, |run| run.disk);
    vec![
        line("append/s, against an append file", appends, file, "", None),
        line("append/s, against sled", appends, sled, "", Some(Goal::AtLeast(5.0))),
        // 2 us where the file took 0.47.
        line(
            "CPU per append, against an append file",
            micros,
            file,
            "us",
            Some(Goal::AtMost(4.25)),
        ),
        line("CPU per append, against sled", micros, sled, "us", None),
        Line {
            what: format!("{}: bytes on disk by bytes of text, beside sled's", way.name()),
            measured: disk.to_string(),
            baseline: Rounds::of(sled, |run| run.disk).to_string(),
            ratio: format!("{} B per entry", short(disk.median() * count(ENTRY_BYTES as u64))),
            goals: vec![(Goal::AtMost(0.3), disk.median())],
        },
        line("scan/s, against reading the file", scans, file, "", Some(Goal::AtLeast(0.15))),
        line("scan/s, against sled", scans, sled, "", Some(Goal::AtLeast(4.0))),
    ]
}

fn one(way: Way) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let entries = count(ENTRIES);
    let watch = Watch::start();
    way.append(folder.path(), ENTRIES)?;
    let (wall, processor) = watch.read();
    let disk = count(bytes_on_disk(folder.path())?) / (entries * count(ENTRY_BYTES as u64));
    let watch = Watch::start();
    let found = way.scan(folder.path())?;
    let (scanned, _) = watch.read();
    ensure!(found == ENTRIES, "{way:?} gave back {found} of {ENTRIES}");
    Ok(Run {
        appends: entries / wall,
        micros: processor * 1e6 / entries,
        disk,
        scans: entries / scanned,
    })
}

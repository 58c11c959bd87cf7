//! Ten thousand rules: how long `hearken up` takes longer to be there, and how much more it holds.

use std::time::Duration;

use crate::figures::Rounds;
use crate::machine::field;
use crate::packs::{self, Shape};
use crate::server::{Up, program};
use crate::table::{Goal, Line, say};

/// Rounds; each starts with one rule and with all.
const ROUNDS: usize = 3;
/// All.
const RULES: u64 = 10_000;
/// What a start left to be done is done by then.
const REST: Duration = Duration::from_secs(3);

/// Milliseconds until it listens, and MiB then.
type Start = (f64, f64);

/// Measures starts with a folder of so many rules.
pub(crate) fn measure() -> anyhow::Result<Vec<Line>> {
    let program = program()?;
    let few = packs::folder(Shape::Plain, 1, "nothing")?;
    let many = packs::folder(Shape::Plain, RULES, "nothing")?;
    let one = |folder| -> anyhow::Result<Start> {
        let up = Up::start(&program, Some(folder))?;
        std::thread::sleep(REST);
        let resident = field(up.running.pid(), "status", "VmRSS")? / 1024.0;
        Ok((up.started_in.as_secs_f64() * 1e3, resident))
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(one(few.path())?);
        ours.push(one(many.path())?);
        say(&format!("round {round}: 1 rule {:?}, all {:?}", theirs.last(), ours.last()));
    }
    let line = |what: &str, unit: &str, of: fn(&Start) -> f64, bound| {
        let (ours, theirs) = (Rounds::of(&ours, of), Rounds::of(&theirs, of));
        let more = Rounds(ours.0.iter().zip(&theirs.0).map(|(one, other)| one - other).collect());
        Line {
            what: format!("`hearken up` with {RULES} rules, against 1 rule: {what}"),
            measured: ours.with(unit),
            baseline: theirs.with(unit),
            ratio: format!("{} more", more.with(unit)),
            goals: vec![(Goal::AtMost(bound), more.median())],
        }
    };
    Ok(vec![
        line("exec to listening", "ms", |start| start.0, 500.0),
        line("RSS at rest", "MiB", |start| start.1, 48.0),
    ])
}

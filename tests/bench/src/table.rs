//! The table, as `tests/README.md` shows it: written line by line as figures come.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is the output")]

/// Whether a goal of `at least` or `at most` is met.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The figure should not be smaller.
    AtLeast(f64),
    /// The figure should not be larger.
    AtMost(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What was measured, of which candidate.
    pub what: String,
    /// The figures.
    pub measured: String,
    /// The baseline's figures in the same rounds.
    pub baseline: String,
    /// Product by baseline, per round.
    pub ratio: String,
    /// What it should be, and what number is held against it; empty when nothing was promised.
    pub goals: Vec<(Goal, f64)>,
}

impl Goal {
    fn told(self, figure: f64) -> String {
        let (text, is_met) = match self {
            Self::AtLeast(bound) => (format!(">= {bound}"), figure >= bound),
            Self::AtMost(bound) => (format!("<= {bound}"), figure <= bound),
        };
        format!("{text}: {}", if is_met { "met" } else { "**missed**" })
    }
}

/// The head of the table.
pub(crate) fn head() {
    println!("| row | what | measured | baseline, same rounds | ratio | goal |");
    println!("|---|---|---|---|---|---|");
}

/// A line of it.
pub(crate) fn line(row: &str, line: &Line) {
    let Line { what, measured, baseline, ratio, goals } = line;
    let told: Vec<String> = goals.iter().map(|(goal, figure)| goal.told(*figure)).collect();
    let told = if told.is_empty() { "-".to_owned() } else { told.join(", ") };
    println!("| {row} | {what} | {measured} | {baseline} | {ratio} | {told} |");
}

/// What goes on, on standard error.
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}

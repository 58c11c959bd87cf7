//! What became of a pack's tests: the lines that `trial.py` wrote, and how its process ended.

use std::time::Duration;

use hearken_kit::process::{Ending, Outcome};
use serde::{Deserialize, Serialize};

/// The last lines of standard error, as they stand in a message.
const LINES_MAX: usize = 20;

/// How the tests of a pack went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// Each of them, in the order in which they ran.
    pub results: Vec<Tried>,
    /// What they had to do without.
    pub notes: Vec<String>,
}

/// How one test went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its file, inside the pack.
    pub file: String,
    /// Its class and method; empty when the file itself could not be imported.
    pub name: String,
    /// What is to be said of it.
    pub outcome: Verdict,
    /// How long it took.
    pub seconds: f64,
    /// Why, and what it printed; empty when it passed.
    pub message: String,
}

/// The word for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Passed,
    /// An assertion does not hold.
    Failed,
    /// Something else went wrong.
    Error,
    /// It was not to be run.
    Skipped,
}

impl Trial {
    /// How many results are of this kind.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.outcome == verdict).count()
    }

    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.count(Verdict::Failed) + self.count(Verdict::Error) == 0
    }
}

/// A line of `trial.py`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    /// A test begins.
    Began {
        /// Which.
        began: String,
        /// Where.
        file: String,
    },
    /// A result.
    Tried(Tried),
    /// There are no more.
    Over {
        /// How many there were.
        over: usize,
    },
}

/// Reads what was told. A process that did not come to the end of its tests is an error of the one
/// that ran.
pub(super) fn read(ended: &Outcome, timeout: Duration, notes: Vec<String>) -> Trial {
    let mut trial = Trial { results: Vec::new(), notes };
    let mut running = (String::new(), String::new());
    let mut is_over = false;
    for line in ended.stdout.bytes.split(|byte| *byte == b'\n') {
        // The last line of a process that was ended may be half of one.
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        match line {
            Line::Began { began, file } => running = (file, began),
            Line::Tried(result) => {
                running = (String::new(), String::new());
                trial.results.push(result);
            }
            Line::Over { over } => is_over = over == trial.results.len(),
        }
    }
    if !is_over {
        let (file, name) = running;
        let message = why(ended, timeout);
        let outcome = Verdict::Error;
        trial.results.push(Tried { file, name, outcome, seconds: 0.0, message });
    }
    trial
}

/// Why there are no more results.
fn why(ended: &Outcome, timeout: Duration) -> String {
    let how = match &ended.ending {
        Ending::TimedOut => {
            let seconds = timeout.as_secs();
            format!("the tests took longer than {seconds} s and were ended (--timeout SECONDS)")
        }
        Ending::Canceled => "the tests were ended by the user".to_owned(),
        Ending::Signaled(number) => format!("signal {number} ended their process"),
        Ending::Exited(_) if ended.stdout.truncated => {
            "there are more results than are kept: run some of them with --only TEXT".to_owned()
        }
        Ending::Exited(code) => format!("their process ended with {code} before they were over"),
        Ending::FailedToStart(error) => error.to_string(),
        Ending::Unknown(error) => format!("how the tests ended is not known: {error}"),
    };
    let said = String::from_utf8_lossy(&ended.stderr.bytes).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default();
    if last.is_empty() { how } else { format!("{how}; last said:\n{}", last.join("\n")) }
}

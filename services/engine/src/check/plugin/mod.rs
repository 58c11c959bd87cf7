//! What the end of a plugin means: its exit code, its lines, what it measured, its thresholds.
//!
//! The contract is that of the monitoring plugins, which three families of engines read in three
//! ways. Exit codes alone decide how something is. Where texts are read differently, the reading
//! that loses nothing is taken: see `output.rs`.
//!
//! Starting plugins and ending them is not here.

mod output;
mod perfdata;
mod range;

pub(crate) use output::cut;
pub use output::{Ended, LONG_TEXT_MAX, Report, TEXT_MAX, interpret};
pub use perfdata::{LABEL_MAX, METRICS_MAX, parse as perfdata};
pub use range::{Error as RangeError, Range};

//! Continuation lines that stand too far left, moved right.
//!
//! YAML 1.2 wants the lines inside brackets and quotes indented more than what holds them; YAML 1.1
//! and PyYAML do not care, and people close a bracket under the line that opened it. The blanks in
//! front of such a line mean nothing, so putting more of them there changes no value. Only lines
//! are touched that the parser has refused for exactly this reason.

use std::collections::BTreeSet;

use saphyr_parser::ScanError;

/// How far a line is moved: more than the deepest indentation anyone writes.
const SHIFT: usize = 200;

/// Lines moved in one file; each costs one more reading of the file.
const LINES_MAX: usize = 100;

/// The lines that have been moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Their numbers, from 1.
    lines: BTreeSet<usize>,
}

impl Moved {
    /// Adds the line that `error` complains about; false when moving lines does not help.
    pub(super) fn add(&mut self, error: &ScanError, text: &str) -> bool {
        let line = match error.info() {
            "invalid indentation" | "invalid indentation in flow construct" => {
                error.marker().line()
            }
            // Here the mark is where the quotes open; the line is one of those that follow.
            "invalid indentation in quoted scalar" => {
                let mut line = error.marker().line() + 1;
                while self.lines.contains(&line) {
                    line += 1;
                }
                line
            }
            _ => return false,
        };
        let exists = line <= text.lines().count();
        exists && self.lines.len() < LINES_MAX && self.lines.insert(line)
    }

    /// The text with those lines moved.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut moved = String::with_capacity(text.len() + self.lines.len() * SHIFT);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if self.lines.contains(&(index + 1)) {
                moved.extend(std::iter::repeat_n(' ', SHIFT));
            }
            moved.push_str(line);
        }
        moved
    }

    /// A column of the moved text, as it was in the file.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        if self.lines.contains(&line) { column.saturating_sub(SHIFT) } else { column }
    }
}

//! What is wrong with a definition, and where in its file.

use std::fmt;

use serde::Serialize;

/// One thing to say about a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// JSON pointer into the file, as `/criteria/trigger.name/type`; empty for the whole file.
    pub pointer: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// How to repair it.
    pub hint: Option<String>,
    /// Whether the definition cannot be used; otherwise this is a notice.
    pub fatal: bool,
}

impl Problem {
    /// A fault that keeps the definition from being used.
    #[must_use]
    pub fn fatal(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), hint: None, fatal: true }
    }

    /// Something the author should know; the definition is used all the same.
    #[must_use]
    pub fn notice(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), hint: None, fatal: false }
    }

    /// The same with a way to repair it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.pointer.is_empty() {
            write!(f, " at {}", self.pointer)?;
        }
        Ok(())
    }
}

/// One token of a JSON pointer, escaped.
#[must_use]
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The known name that `name` was probably meant to be.
#[must_use]
pub fn suggestion<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let nearest = known.iter().map(|known| (distance(name, known), *known)).min()?;
    // A third of the letters may be wrong; more is another word.
    let tolerated = (name.chars().count() / 3).max(1);
    (nearest.0 <= tolerated).then_some(nearest.1)
}

/// Letters to insert, delete or change between two words.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, a) in left.chars().enumerate() {
        let mut next = vec![above + 1];
        for (column, b) in right.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let changed = cell(&row, column).saturating_add(usize::from(a != *b));
            let deleted = cell(&row, column + 1).saturating_add(1);
            let inserted = cell(&next, column).saturating_add(1);
            next.push(changed.min(deleted).min(inserted));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let known = ["criteria", "trigger", "enabled", "description"];
        assert_eq!(suggestion("critera", &known), Some("criteria"));
        assert_eq!(suggestion("enable", &known), Some("enabled"));
        assert_eq!(suggestion("colour", &known), None);
    }
}

//! Ranges of thresholds: `[@][start:][end]`.
//!
//! A value outside of the range is one to tell of; with `@`, a value inside. Both ends belong to
//! the range, also where it has no beginning: some plugins of today see `~:0` otherwise, against
//! their own tests.

use std::fmt;

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is written.
    #[error("an empty text is no range")]
    Empty,
    /// An end is no number.
    #[error("{0:?} is no number")]
    Number(String),
    /// It ends before it begins.
    #[error("{0:?} ends before it begins")]
    Backwards(String),
    /// More colons than one.
    #[error("{0:?} has more than one colon")]
    Colons(String),
    /// `~` where there is no beginning.
    #[error("{0:?} needs a colon: ~ stands for no beginning")]
    Tilde(String),
}

/// A range, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    source: String,
    start: f64,
    end: f64,
    inside: bool,
}

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let text = source.trim();
        let (inside, rest) = match text.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.is_empty() {
            return Err(Error::Empty);
        }
        let (start, end) = match rest.split_once(':') {
            Some((_, end)) if end.contains(':') => return Err(Error::Colons(source.to_owned())),
            Some(("~", end)) => (f64::NEG_INFINITY, end),
            Some(("", end)) => (0.0, end),
            Some((start, end)) => (number(start)?, end),
            None if rest.starts_with('~') => return Err(Error::Tilde(source.to_owned())),
            None => (0.0, rest),
        };
        let end = if end.is_empty() { f64::INFINITY } else { number(end)? };
        if start > end {
            return Err(Error::Backwards(source.to_owned()));
        }
        Ok(Self { source: text.to_owned(), start, end, inside })
    }

    /// Whether `value` is one to tell of.
    #[must_use]
    pub fn alerts(&self, value: f64) -> bool {
        (self.start <= value && value <= self.end) == self.inside
    }

    /// The range as it is written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// The number that `text` begins with; a unit after it is allowed and means nothing.
fn number(text: &str) -> Result<f64, Error> {
    let wrong = || Error::Number(text.to_owned());
    let (value, unit) = super::perfdata::leading_number(text).ok_or_else(wrong)?;
    let known = unit.chars().all(|c| c.is_alphabetic() || matches!(c, '%' | '°'));
    if known && value.is_finite() { Ok(value) } else { Err(wrong()) }
}

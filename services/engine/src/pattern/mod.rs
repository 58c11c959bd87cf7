//! Patterns that rules and templates match text with: Python's `re` and `fnmatch`.

pub mod regex;
mod replacement;
mod translate;
pub mod wildcard;

//! Hiding secrets in what is gathered, before anything is written.
//!
//! A secret is replaced by as many asterisks as it has bytes, so that lengths stay what they are: a
//! member of an archive has its length written before it. Text is looked at line by line; only
//! lines with a word that may belong to a secret are looked at closely (`rules.rs`). A private key
//! runs over many lines, and is hidden from its first to its last.
//!
//! Deliberately not here: what is not text. Compressed and other binary files are kept as they are.

mod reader;
mod rules;

pub use reader::Masked;
pub use rules::{Counts, Masker};

#[cfg(test)]
mod tests;

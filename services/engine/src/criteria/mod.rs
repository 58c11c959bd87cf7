//! Criteria: the conditions of a rule, each a path, an operator and a pattern.
//!
//! One evaluator serves live judging and explaining. Whatever Python would raise is an error of
//! that one criterion: it does not match, and the reason is kept.

mod criterion;
mod operator;
mod pattern;
mod search;

pub use criterion::{Criterion, Input, Witness};
pub use operator::Operator;
pub use search::Condition;

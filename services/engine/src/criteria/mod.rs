//! Criteria: the conditions of a rule, each a path, an operator and a pattern, or a tree of those.
//!
//! One evaluator serves live judging and explaining. Whatever Python would raise is an error of
//! that one criterion: it does not match, and the reason is kept.

mod clause;
mod criterion;
mod operator;
mod pattern;
mod search;

pub use clause::{Clause, Junction, Leaf, Tree};
pub use criterion::{Criterion, Input, Witness};
pub use operator::Operator;
pub use search::Condition;

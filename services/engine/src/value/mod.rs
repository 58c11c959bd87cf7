//! What Python would say of JSON values: equality, order, membership, text, literals.
//!
//! Rules and templates were written for StackStorm, whose meaning of `==`, `<`, `in` and `str()` is
//! Python's; these files are the one place that knows it.

pub mod compare;
pub mod json;
pub mod literal;
pub mod moment;
pub mod text;

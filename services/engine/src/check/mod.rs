//! Checks: what results mean, when somebody is told, when a check runs.
//!
//! A fold over the results of checks and what people do about them. [`Book`] is all there is to
//! keep; each of its records can be stored by itself. [`Definitions`] are what is in force,
//! [`plugin`] reads what plugins print, [`verdict`] holds values against thresholds, [`schedule`]
//! says when a check runs next.
//!
//! Running probes and sending notices are the work of services.

mod book;
mod definitions;
pub mod flapping;
pub mod plugin;
pub mod schedule;
pub mod silence;
pub mod verdict;

pub use book::{Book, Effect, HeldBack, Input, PARENT_WAIT, Part};
pub use definitions::{Contact, Definitions, Route};

//! The meaning of everything: criteria, templates, parameters, timers, executions, checks, notices.
//!
//! Pure: no I/O, no clock, no randomness. Time is an argument, the datastore is a trait,
//! definitions come in as JSON values. Live work, recovery, replay and tests call the same
//! functions and so cannot disagree.
//!
//! In reading order: [`definition`] says what the files of a pack mean; [`registry`] puts packs
//! together; [`judge`] decides what an event leads to, and [`memory`] for rules that remember
//! earlier ones; [`criteria`], [`template`] and [`parameters`] are how; [`script`] and [`schedule`]
//! are the meaning of arguments and timers; [`execution`] is the state machine of a run, [`policy`]
//! says when it may start. [`check`] says what results of checks mean and who is told of them,
//! [`notice`] how that is written. [`path`], [`pattern`] and [`value`] know how Python sees things.

pub mod check;
pub mod criteria;
pub mod definition;
pub mod execution;
pub mod judge;
pub mod memory;
pub mod notice;
pub mod parameters;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod registry;
pub mod schedule;
pub mod script;
pub mod template;
pub mod value;

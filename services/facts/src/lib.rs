//! What this machine is and does now: a library of facts.
//!
//! A fact is a name and a function from a [`Context`] to JSON; [`FACTS`] lists them all. Whoever
//! wants facts makes a context (which machine, which moment, which bounds), and calls [`gather`];
//! [`document()`] puts them into groups, [`changes()`] compares two looks, [`measure`] has typed
//! numbers for checks, and [`external`] reads the facts that packs bring.
//!
//! Invariants:
//! - A gap is data: what is missing, denied, silent or wrong is an [`Unavailable`] with its reason,
//!   never a number that was made up and never the end of the others.
//! - Everything read, counted or waited for has a bound ([`Bounds`]), and what may hang is waited
//!   for on a thread of its own, of which at most one is lost for each mount and fact.
//! - Command lines, and devices and options of mounts, pass through the context's mask before
//!   anyone sees them.
//!
//! Not here: starting programs (the caller runs collectors and `systemctl`, and passes what they
//! print), judging the numbers, archives, and publishing.

mod changes;
mod context;
mod document;
pub mod external;
mod facts;
mod gather;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod machine;
pub mod measure;
mod number;
mod patience;
mod read;
mod sources;
mod table;
mod unavailable;
mod window;

pub use changes::{Change, Place, Rows, apply, carried, changes, rows};
pub use context::{Bounds, Context, Mask, Roots};
pub use document::{RESERVED, document, to_line};
pub use facts::time::timestamp;
pub use gather::{Gathered, gather};
pub use table::{FACTS, Fact, Kept, Need, Table, find};
pub use unavailable::Unavailable;
pub use window::Sampling;

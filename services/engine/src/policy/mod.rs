//! What policies mean for executions: who may start now, who waits, and who is tried again.
//!
//! A [`gate`] is the state of one policy for one set of values of its attributes. Gates of a policy
//! share a bounded number of entities, so that a policy with an attribute of many values does not
//! leave an entity behind for each.

pub mod gate;
mod place;
mod retry;
mod set;

pub use gate::{Limits, Verdict};
pub use place::{Place, places};
pub use retry::retry;
pub use set::Policies;

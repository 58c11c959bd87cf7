//! The datastore: keys with texts, the same on every host.
//!
//! Each key is one entity of STATE, `state.kv.<scope>.<name>`; what is there is all there is. A
//! [`Datastore`] keeps every key in memory and reads on as entries come, so that templates can
//! look keys up while they render; it writes by compare and set, so that of racing writers none
//! overwrites what it has not seen.
//!
//! Invariants: a secret text is sealed before it is written, and stays so in memory and in every
//! stream; what was written here is read here at once, and elsewhere a moment later; a key that
//! has expired reads as missing whether or not somebody has taken it away yet.

mod datastore;
mod error;
mod following;
mod key;
mod keys;
mod opened;
mod tell;
#[cfg(test)]
mod tests;
mod views;

pub use datastore::{Datastore, Expected, Write, open_text};
pub use error::Error;
pub use following::Following;
pub use hearken_proto::kv::Scope;
pub use key::{Key, scope_of};
pub use keys::{Item, Selection};
pub use opened::Opened;

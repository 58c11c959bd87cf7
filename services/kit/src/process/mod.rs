//! Child processes: started, limited, listened to, and ended as a group.
//!
//! Every program that Hearken starts (shell actions, plugins, Python workers, collectors) goes
//! through [`run`] or [`start`], so that none outlives its timeout, none fills the memory with its
//! output, and none is forgotten when Hearken itself is killed ([`Runs`]).
//!
//! What takes long to start can be started once and forked for each run ([`Prepared`]).
//!
//! Invariants: a child leads its own process group and stays unreaped until its group has been
//! dealt with, so its id cannot have been given to a stranger when the group is signalled; dropping
//! a run ends its group; memory is bounded whatever a child writes; no thread per child.
//!
//! Not here: how many run at once (the caller's business), other users (`sudo` or a service that
//! runs as one), and sandboxes: limits fence accidents in, not attackers.

mod capture;
pub mod environment;
mod error;
mod leader;
mod note;
mod prepared;
mod procfs;
mod run;
mod runs;
mod spawn;
mod streams;
mod sweep;
#[cfg(test)]
mod tests;

pub use capture::{Captured, Chunk, Listener, Output};
pub use error::StartError;
pub use note::{Claim, Skipped};
pub use prepared::{Prepared, PreparedError};
pub use run::{Ending, Outcome, Running, run, start};
pub use runs::{Error as RunsError, Leftover, Leftovers, Run, Runs};
pub use spawn::{Identity, Limits, Marker, Spawn, Stdin, Stragglers};
pub use sweep::end_left_over;

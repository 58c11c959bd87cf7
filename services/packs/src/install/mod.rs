//! Packs that are brought from elsewhere: fetched, checked, put in place, taken away.
//!
//! In reading order: [`Spec`] says what is wanted, [`Place`] is where it goes and who may work
//! there, `fetch` brings it (`archive`, `git`, `tree`, `index`), `choose` finds the packs in what
//! came, [`Record`] is what is remembered of each, `needs` is what it
//! wants, `plan` what it brings along, [`Installer`] does it all; `environment` builds
//! the virtual environments that their Python needs.
//!
//! Invariants: one installation at a time works in a data folder; a pack appears, changes and goes
//! whole, whatever is killed; what came from outside is counted and looked through before it is
//! put in place; nothing is given to a shell.
//!
//! Not here: what is in force. The pack source sees the folders change and reads the records.

mod archive;
mod choose;
mod environment;
mod error;
mod fetch;
mod git;
mod index;
mod installer;
mod needs;
mod place;
mod plan;
mod program;
mod record;
mod spec;
#[cfg(test)]
mod tests;
mod tree;

pub use environment::Environment;
pub use error::Error;
pub use installer::{Installed, Installer, Wanted};
pub use place::{Place, sweep};
pub use record::{Record, Register, read as read_record};
pub use spec::Spec;

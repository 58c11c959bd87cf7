//! What the Python of packs stands on: an interpreter, our modules, a pack's virtual environment.
//!
//! The modules that packs import (`st2common` and its kin) are Python files of our own, embedded in
//! the program and unpacked once per version to `<data>/python/<digest>/`. Two folders: `layer`
//! comes before what is installed, `last` after it, so that a library of the same name wins there.
//!
//! [`trial`] runs the unit tests that packs bring along.
//!
//! Not here: how an action is run (`hearken-actions`), and how virtual environments are built.

mod find;
mod layer;
#[cfg(test)]
mod tests;
pub mod trial;
mod virtualenv;

pub use find::{Interpreter, Missing, VERSION_MIN, find};
pub use layer::{Layer, data_folder, digest, unpack};
pub use virtualenv::virtualenv;

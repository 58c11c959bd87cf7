//! Webhooks: facts that other services post.
//!
//! A hook exists while an enabled rule asks for it. Whoever posts to it shows the installation's
//! token; or, where the configuration has a `[[webhook]]` entry for it, signs as that says.

mod content;
mod hook;
mod signature;

pub(crate) use content::{delivery, payload, read};
pub use hook::{Hook, Sender};
pub(crate) use signature::{same, verify};

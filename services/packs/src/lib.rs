//! Packs on disk and what is in force.
//!
//! On the way in: [`source`] finds packs under the roots, [`bundle`] makes canonical content of a
//! folder, [`load`] makes definitions of content and says what is wrong with it by file and line
//! ([`yaml`] reads the files), [`watch`] says when to look again. [`publish`] puts content in force
//! on the bus; a [`Follower`] reads what is in force on every host, from content alone. [`kv`] is
//! the datastore that packs keep their settings and state in. [`install`] brings packs from
//! elsewhere.
//!
//! Invariants: what runs is an unpacked copy named by its digest, never the folder somebody edits;
//! loading is a function of the content; nothing in a pack, however hostile, is a panic, a file
//! outside its folder, or work without end. What a definition means is the engine's business.

pub mod bundle;
pub mod cases;
pub mod check;
pub mod config;
mod error;
mod in_force;
pub mod install;
pub mod kv;
pub mod load;
mod problem;
pub mod publish;
pub mod python;
pub mod source;
pub mod watch;
pub mod yaml;

pub use error::Error;
pub use in_force::{Changes, Content, Definitions, Follower, Following, Runnable};
pub use problem::Located;

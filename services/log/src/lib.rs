//! Ordered streams of entries, on sled.
//!
//! A [`Log`] holds a few named streams. An entry that was appended has a sequence and a log time
//! and is never changed. Appends are grouped: one writer thread decides everything that is queued,
//! writes one batch and flushes it, while the next appends collect. Readers see what was flushed.
//!
//! # Layout
//!
//! - Meaning: `stream` (what decides about an append), `recent` (names remembered for compare and
//!   set and for deduplication), `chain` (hash chain and salts), `query`.
//! - Formats: `row`, `block`, `segment`, `filter`; `bits` and `name` are their small change.
//! - Life: `command` → `queue` → `writer` → `store` → `view` → `read`, `walk`; `recover` opens,
//!   `keeper` does what may take its time, `ballast` watches the disk.
//!
//! # Threads
//!
//! The writer, the keeper, one that syncs at intervals if appends do not, and those of sled.
//! Callers' threads never write.

mod ballast;
mod bits;
mod block;
mod chain;
mod check;
mod checkpoint;
mod command;
mod compact;
mod erase;
mod error;
mod filter;
mod identity;
mod keeper;
mod log;
mod name;
mod open;
mod options;
mod query;
mod queue;
mod read;
mod recent;
mod record;
mod recover;
mod retain;
mod row;
mod segment;
mod shared;
mod stats;
mod store;
mod stream;
mod verify;
mod view;
mod walk;
mod writer;

pub use crate::error::Error;
pub use crate::log::{Log, QueueFull, Subscription};
pub use crate::options::{Clock, Durability, Full, Options, StreamOptions};
pub use crate::query::{Order, Query, Selected};
pub use crate::retain::Retained;
pub use crate::stats::{Stats, StreamStats};
pub use crate::stream::{Condition, Receipt};
pub use crate::verify::Verified;
pub use crate::view::Position;

/// The most bytes of headers and body of one entry: what NATS takes by default.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of an id, of a cause's id, or of one header's name or value.
pub const NAME_BYTES_MAX: usize = 4096;

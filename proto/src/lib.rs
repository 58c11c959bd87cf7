//! What crosses a process boundary: subjects, entries, payloads and their codecs.
//!
//! Everything that two processes must agree on is written here and nowhere else, because a change
//! here is a change for programs that are not ours. `proto/README.md` says the same to users.
//!
//! Invariants: no I/O and no clock; reading is tolerant (an unknown field is left out, never an
//! error); a payload that was ever written has a golden file that must decode for ever.

pub mod check;
pub mod codec;
pub mod definition;
pub mod entry;
pub mod execution;
#[cfg(test)]
mod golden;
pub mod id;
pub mod incident;
pub mod kv;
pub mod notice;
pub mod permission;
pub mod question;
pub mod record;
pub mod request;
pub mod stream;
pub mod subject;
pub mod time;

pub use entry::{Entry, Headers, Message};
pub use execution::{Execution, Status};
pub use request::ActionRequest;
pub use stream::Stream;
pub use subject::Subject;
pub use time::Timestamp;

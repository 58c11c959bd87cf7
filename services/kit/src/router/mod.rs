//! Messages passed on in this process, without being stored.
//!
//! What core NATS is to a nats-server: subjects with wildcards, queue groups, requests and
//! replies. The embedded bus routes what it has stored through here, services answer questions
//! here, and the listener joins its connections to it.
//!
//! Invariants: publishing never waits, every subscriber has a bounded queue, and a subscriber
//! whose queue was full is told how much it missed. Who may do what is not decided here.

mod ask;
mod hub;
mod subscription;
mod trie;

pub use ask::AskError;
pub use hub::{Delivered, Router};
pub use subscription::Subscription;

pub(crate) use hub::{Offer, Origin, Registration, Sink};

#[cfg(test)]
mod tests;

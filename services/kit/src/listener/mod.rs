//! The listener: the NATS client protocol on a socket, so that stock clients work with no
//! server installed.
//!
//! It joins connections to the [`Router`](crate::router::Router) and hands publishes to stored
//! subjects to a [`Store`]. Wording, and whether an error closes the connection, are those of
//! nats-server 2.9; what differs on purpose is said in `proto/README.md`.
//!
//! Invariants: nothing a client sends is a panic; every buffer is bounded; publishes of one
//! connection reach the store in their order; a publish that was not stored is never silence; and
//! a PONG says that everything before its PING has been stored or refused.
//!
//! Deliberately not here: JetStream beyond the publish acknowledgement, TLS, accounts, clusters.

mod connect;
mod counters;
mod headers;
mod operate;
mod outbox;
mod parse;
mod pub_ack;
mod serve;
mod session;
mod settle;
mod write;

pub use counters::{Counters, Metric};
pub use serve::{Config, Error, Refused, Store, Stored, serve};

#[cfg(test)]
mod tests;

//! Claims about the listener, over real sockets on this machine.

mod clients;
mod harness;
mod limits;
mod parser;
mod permissions;
mod protocol;
mod storing;

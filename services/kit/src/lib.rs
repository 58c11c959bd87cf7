//! How a service lives: the bus it speaks on, its tasks, its clock, its end, its child processes.
//!
//! A service is `run(config, bus, shutdown) -> Result<(), Error>`; everything it needs from the
//! outside world comes through this crate, so that the same service runs alone on a laptop and in
//! several copies on many hosts.
//!
//! Invariants: only this crate names `async-nats` or starts processes; no global state.

pub mod backoff;
pub mod bus;
mod chain;
pub mod clock;
pub mod lease;
pub mod listener;
pub mod payload;
pub mod process;
pub mod random;
pub mod request;
pub mod router;
pub mod seal;
pub mod shutdown;
pub mod tasks;
pub mod ticket;
pub mod work;

pub use bus::Bus;
pub use chain::chain;
pub use clock::Clock;
pub use seal::Sealer;
pub use shutdown::Shutdown;
pub use tasks::Tasks;

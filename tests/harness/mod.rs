//! What tests stand on: a fresh folder, real servers on ports of their own, and waiting for
//! conditions instead of for time. Everything started here ends when it is dropped.

mod app;
mod eventually;
mod nats;

pub(crate) use app::{App, Started, is_running, is_within};
pub(crate) use eventually::eventually;
pub(crate) use nats::NatsServer;

/// On which bus a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// In the process.
    Embedded,
    /// On a nats-server.
    Nats,
}

/// The file of the program under test.
pub(crate) const HEARKEN: &str = env!("CARGO_BIN_EXE_hearken");

/// Makes two tests of each scenario: one on each bus.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::harness::On;

            #[test]
            fn embedded() -> anyhow::Result<()> {
                super::$name(On::Embedded)
            }

            #[test]
            fn nats() -> anyhow::Result<()> {
                super::$name(On::Nats)
            }
        }
    )*};
}
pub(crate) use on_both;

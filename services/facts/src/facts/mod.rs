//! One small function for each fact, in files by theme. [`crate::FACTS`] lists them all.

pub(crate) mod container;
pub(crate) mod cpu;
pub(crate) mod disk;
pub(crate) mod fqdn;
pub(crate) mod io;
pub(crate) mod limits;
pub(crate) mod load;
pub(crate) mod memory;
pub(crate) mod network;
pub(crate) mod packages;
pub(crate) mod process;
pub(crate) mod sensors;
pub(crate) mod services;
pub(crate) mod sockets;
pub(crate) mod system;
pub(crate) mod time;
pub(crate) mod users;

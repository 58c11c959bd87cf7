//! What the kernel and `/etc` say, as typed values: one file here for each kind of file there.

pub(crate) mod cpu;
pub(crate) mod disks;
pub(crate) mod load;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod names;
pub(crate) mod process;
pub(crate) mod release;
pub(crate) mod space;

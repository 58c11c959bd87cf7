//! How remote actions reach their hosts unless they say otherwise.

use std::path::PathBuf;

/// Settings of the remote runners.
#[derive(Clone, Debug, Default)]
pub struct Ssh {
    /// What is made of a host's key.
    pub host_keys: HostKeys,
    /// Whether `~/.ssh/config` counts.
    pub use_config: bool,
    /// The user there; `ssh` takes the one of this process when there is none.
    pub username: Option<String>,
    /// The file of the key; `ssh` takes those in `~/.ssh` when there is none.
    pub private_key: Option<PathBuf>,
    /// Whether an action has succeeded when one of its hosts has.
    pub allow_partial_failure: bool,
}

/// What is made of the key that a host shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeys {
    /// The first one is believed and kept; another one later is refused.
    #[default]
    AcceptNew,
    /// Only those that are known are believed.
    Strict,
    /// Any is believed, and none is kept.
    Off,
}

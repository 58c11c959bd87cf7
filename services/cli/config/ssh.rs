//! `[ssh]`: how remote actions reach their hosts.

use std::path::PathBuf;

use hearken_actions::{HostKeys, Ssh};
use serde::Deserialize;

/// The values of the section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SshSettings {
    host_keys: Trust,
    use_config: bool,
    allow_partial_failure: bool,
    username: Option<String>,
    private_key: Option<PathBuf>,
}

/// What is made of the key that a host shows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Trust {
    AcceptNew,
    Strict,
    Off,
}

impl SshSettings {
    /// As the action service takes it.
    pub(crate) fn for_actions(&self) -> Ssh {
        Ssh {
            host_keys: match self.host_keys {
                Trust::AcceptNew => HostKeys::AcceptNew,
                Trust::Strict => HostKeys::Strict,
                Trust::Off => HostKeys::Off,
            },
            use_config: self.use_config,
            username: self.username.clone(),
            private_key: self.private_key.clone(),
            allow_partial_failure: self.allow_partial_failure,
        }
    }
}

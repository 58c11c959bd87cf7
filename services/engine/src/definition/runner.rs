//! Runners: how an action runs, what it was called in the past, and its own parameters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::parameter::Parameters;

/// How an action runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunnerKind {
    /// A command line in a shell of this host.
    LocalShellCommand,
    /// A script of the pack on this host.
    LocalShellScript,
    /// A command line on other hosts.
    RemoteShellCommand,
    /// A script of the pack on other hosts.
    RemoteShellScript,
    /// A class in a Python file of the pack.
    PythonScript,
    /// A request to a web server.
    HttpRequest,
    /// A chain of actions, one after another.
    ActionChain,
    /// A workflow.
    Orquesta,
    /// A question to people.
    Inquirer,
    /// A message on the stream.
    Announcement,
    /// Nothing at all.
    Noop,
    /// A command line of a Windows host.
    WinrmCommand,
    /// A PowerShell command of a Windows host.
    WinrmPowershellCommand,
    /// A PowerShell script on a Windows host.
    WinrmPowershellScript,
    /// A runner that nobody here knows: listed, and refused when asked to run.
    Unsupported(String),
}

/// Names from before StackStorm 1.0, and aliases.
const OLD_NAMES: &[(&str, &str)] = &[
    ("run-local", "local-shell-cmd"),
    ("run-local-script", "local-shell-script"),
    ("run-remote", "remote-shell-cmd"),
    ("run-remote-script", "remote-shell-script"),
    ("run-python", "python-script"),
    ("run-http", "http-request"),
    ("http-runner", "http-request"),
    ("run-announcement", "announcement"),
    ("orchestra", "orquesta"),
];

/// Parameters of each runner, by its name.
static PARAMETERS: LazyLock<BTreeMap<String, Parameters>> = LazyLock::new(|| {
    let value: Value =
        serde_json::from_str(include_str!("runners.json")).expect("the file is part of this crate");
    let runners = value.as_object().cloned().unwrap_or_default();
    runners
        .iter()
        .map(|(name, map)| {
            let (parameters, problems) =
                Parameters::from_map(&map.as_object().cloned().unwrap_or_default(), "");
            assert!(problems.is_empty(), "the file is part of this crate: {problems:?}");
            (name.clone(), parameters)
        })
        .collect()
});

static NO_PARAMETERS: LazyLock<Parameters> = LazyLock::new(Parameters::default);

impl RunnerKind {
    /// Every runner that is known.
    pub const KNOWN: [Self; 14] = [
        Self::LocalShellCommand,
        Self::LocalShellScript,
        Self::RemoteShellCommand,
        Self::RemoteShellScript,
        Self::PythonScript,
        Self::HttpRequest,
        Self::ActionChain,
        Self::Orquesta,
        Self::Inquirer,
        Self::Announcement,
        Self::Noop,
        Self::WinrmCommand,
        Self::WinrmPowershellCommand,
        Self::WinrmPowershellScript,
    ];

    /// The name as it is written today.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::LocalShellCommand => "local-shell-cmd",
            Self::LocalShellScript => "local-shell-script",
            Self::RemoteShellCommand => "remote-shell-cmd",
            Self::RemoteShellScript => "remote-shell-script",
            Self::PythonScript => "python-script",
            Self::HttpRequest => "http-request",
            Self::ActionChain => "action-chain",
            Self::Orquesta => "orquesta",
            Self::Inquirer => "inquirer",
            Self::Announcement => "announcement",
            Self::Noop => "noop",
            Self::WinrmCommand => "winrm-cmd",
            Self::WinrmPowershellCommand => "winrm-ps-cmd",
            Self::WinrmPowershellScript => "winrm-ps-script",
            Self::Unsupported(name) => name,
        }
    }

    /// The runner called `name`, whatever year the name is from.
    ///
    /// `run-local` and `run-remote` mean a script where there is an entry point: in 2014 that was
    /// how one chose.
    #[must_use]
    pub fn parse(name: &str, has_entry_point: bool) -> Self {
        let plain = name.replace('_', "-");
        let dual = match plain.as_str() {
            "run-local" if has_entry_point => Some(Self::LocalShellScript),
            "run-remote" if has_entry_point => Some(Self::RemoteShellScript),
            _ => None,
        };
        if let Some(script) = dual {
            return script;
        }
        let current = OLD_NAMES
            .iter()
            .find(|(old, _)| *old == plain)
            .map_or(plain.as_str(), |(_, current)| current);
        Self::KNOWN
            .into_iter()
            .find(|kind| kind.name() == current)
            .unwrap_or_else(|| Self::Unsupported(name.to_owned()))
    }

    /// The parameters that every action of this runner has besides its own.
    #[must_use]
    pub fn parameters(&self) -> &'static Parameters {
        PARAMETERS.get(self.name()).unwrap_or(&NO_PARAMETERS)
    }

    /// Whether the action names a file of the pack that runs as a script with arguments.
    #[must_use]
    pub const fn is_script(&self) -> bool {
        matches!(
            self,
            Self::LocalShellScript | Self::RemoteShellScript | Self::WinrmPowershellScript
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_understood() {
        let rows = [
            ("run-local", false, RunnerKind::LocalShellCommand),
            ("run-local", true, RunnerKind::LocalShellScript),
            ("run-remote", true, RunnerKind::RemoteShellScript),
            ("run_python", false, RunnerKind::PythonScript),
            ("http-runner", false, RunnerKind::HttpRequest),
            ("local_shell_cmd", false, RunnerKind::LocalShellCommand),
            ("mistral-v2", true, RunnerKind::Unsupported("mistral-v2".into())),
        ];
        for (name, has_entry_point, expected) in rows {
            assert_eq!(RunnerKind::parse(name, has_entry_point), expected, "{name}");
        }
    }

    #[test]
    fn every_known_runner_has_its_parameters() {
        for kind in RunnerKind::KNOWN {
            assert!(PARAMETERS.contains_key(kind.name()), "{}", kind.name());
        }
        let shell = RunnerKind::LocalShellCommand;
        assert_eq!(shell.parameters().get("timeout").unwrap().default, Some(Value::from(60)));
    }
}

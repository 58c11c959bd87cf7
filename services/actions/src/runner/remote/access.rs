//! How one run of an action gets to its hosts: a folder of its own with the configuration that
//! `ssh` and `scp` read, a key that came as text, and the program that answers for passwords.
//!
//! Everything but passwords goes through the configuration file, because what stands on a command
//! line counts for the last hop only, and everybody on this machine may read it. A password goes
//! through the environment of `ssh` to the program that it asks, which nobody but its user reads.
//!
//! Invariant: the folder is readable for nobody else, and is removed with the run; what a run left
//! that was killed goes with the next one.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hearken_kit::process::{Marker, Spawn};
use hearken_kit::random;
use serde_json::{Map, Value};

use crate::runner::shell;
use crate::{HostKeys, Ssh};

/// What begins the name of a run's folder; the process's id follows.
const RUN: &str = "run-";
/// How long a connection may take to be made, in seconds: StackStorm's default.
const CONNECT_SECONDS: u64 = 60;
/// A host that says nothing for so long, three times, is gone.
const ALIVE_SECONDS: u64 = 15;
/// What answers when `ssh` asks.
const ASKPASS: &str = "#!/bin/sh
case \"$1\" in
*assphrase*) printf '%s\\n' \"$HEARKEN_SSH_PASSPHRASE\" ;;
*) printf '%s\\n' \"$HEARKEN_SSH_PASSWORD\" ;;
esac
";

/// The means of one run. Dropping it removes what is on disk.
#[derive(Debug)]
pub(super) struct Access {
    folder: PathBuf,
    port: u16,
    environment: Vec<(OsString, OsString)>,
}

impl Drop for Access {
    fn drop(&mut self) {
        // The next run tries again.
        fs::remove_dir_all(&self.folder).unwrap_or(());
    }
}

/// What the parameters of an action say about the way.
struct Way<'a> {
    username: Option<&'a str>,
    password: Option<&'a str>,
    key: Option<PathBuf>,
    passphrase: Option<&'a str>,
    bastion: Option<&'a str>,
}

impl Access {
    /// Prepares the way to all hosts; `data` is the data folder.
    pub(super) fn prepare(
        data: &Path,
        ssh: &Ssh,
        parameters: &Map<String, Value>,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot prepare the way to the hosts: {error}");
        let port = match parameters.get("port") {
            None | Some(Value::Null) => 22,
            Some(value) => value
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("the parameter \"port\" is {value}, which is no port"))?,
        };
        let all = data.join("ssh");
        let name = random::hex(8).map_err(failed)?;
        let folder = all.join(format!("{RUN}{}-{name}", std::process::id()));
        private().recursive(true).create(&folder).map_err(failed)?;
        // From here on dropping removes it.
        let mut access = Self { folder, port, environment: shell::inherited() };
        sweep(&all);
        let way = access.way(ssh, parameters).map_err(failed)?;
        check(&way)?;
        access.answer_for(&way).map_err(failed)?;
        let text = configuration(&way, ssh, &all.join("known_hosts"));
        access.write("config", &text, 0o600).map_err(failed)?;
        Ok(access)
    }

    /// A folder inside, for what is to be copied.
    pub(super) fn staging(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join(name);
        DirBuilder::new().mode(0o755).create(&folder)?;
        Ok(folder)
    }

    /// `ssh` or `scp`, with everything but what is to be done.
    pub(super) fn spawn(&self, program: &str, port: Option<u16>, marker: Marker) -> Spawn {
        let mut spawn = Spawn::new(program, marker);
        let port_option = if program == "scp" { "-P" } else { "-p" };
        spawn.arguments = vec![
            "-F".into(),
            self.folder.join("config").into(),
            port_option.into(),
            port.unwrap_or(self.port).to_string().into(),
        ];
        spawn.environment.clone_from(&self.environment);
        spawn
    }

    fn way<'a>(&self, ssh: &'a Ssh, parameters: &'a Map<String, Value>) -> io::Result<Way<'a>> {
        let said = |name: &str| {
            parameters.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
        };
        let key = match said("private_key") {
            // The key itself, not where it is.
            Some(text) if text.contains("PRIVATE KEY") => {
                let whole =
                    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
                Some(self.write("key", &whole, 0o600)?)
            }
            Some(path) => Some(at_home(path)),
            None => ssh.private_key.clone(),
        };
        Ok(Way {
            username: said("username").or(ssh.username.as_deref()),
            password: said("password"),
            key,
            passphrase: said("passphrase"),
            bastion: said("bastion_host"),
        })
    }

    /// Lets `ssh` ask our program, when there is something to answer.
    fn answer_for(&mut self, way: &Way<'_>) -> io::Result<()> {
        if way.password.is_none() && way.passphrase.is_none() {
            return Ok(());
        }
        let program = self.write("askpass", ASKPASS, 0o700)?;
        let said = [
            ("SSH_ASKPASS", program.into_os_string()),
            ("SSH_ASKPASS_REQUIRE", "force".into()),
            ("HEARKEN_SSH_PASSWORD", way.password.unwrap_or_default().into()),
            ("HEARKEN_SSH_PASSPHRASE", way.passphrase.unwrap_or_default().into()),
        ];
        self.environment.extend(said.map(|(name, value)| (name.into(), value)));
        Ok(())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Removes what runs of processes that are gone have left.
fn sweep(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(RUN)?.split_once('-'));
        if let Some((owner, _)) = owner
            && !Path::new("/proc").join(owner).exists()
        {
            fs::remove_dir_all(entry.path()).unwrap_or(());
        }
    }
}

/// A path, with `~` as a shell has it.
fn at_home(path: &str) -> PathBuf {
    let home = std::env::var_os("HOME");
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        (Some(_) | None, _) => PathBuf::from(path),
    }
}

/// Refuses what would mean something else in the configuration of `ssh`.
fn check(way: &Way<'_>) -> Result<(), String> {
    let key = way.key.as_ref().map(|key| key.to_string_lossy().into_owned());
    for (name, value) in
        [("username", way.username), ("private_key", key.as_deref()), ("bastion_host", way.bastion)]
    {
        let Some(value) = value else { continue };
        let odd = |c: char| c.is_control() || c == '"' || c == '\\' || c == '%';
        if value.starts_with('-') || value.chars().any(odd) {
            return Err(format!("the parameter {name:?} is no name that ssh takes"));
        }
    }
    if way.bastion.is_some_and(|bastion| bastion.contains(char::is_whitespace)) {
        return Err("the parameter \"bastion_host\" is [user@]host[:port]".to_owned());
    }
    Ok(())
}

fn configuration(way: &Way<'_>, ssh: &Ssh, known: &Path) -> String {
    let has_answer = way.password.is_some() || way.passphrase.is_some();
    let mut lines = vec![
        format!("BatchMode {}", if has_answer { "no" } else { "yes" }),
        format!("ConnectTimeout {CONNECT_SECONDS}"),
        format!("ServerAliveInterval {ALIVE_SECONDS}"),
        "NumberOfPasswordPrompts 1".to_owned(),
        "LogLevel ERROR".to_owned(),
        "RequestTTY no".to_owned(),
        "ForwardAgent no".to_owned(),
        "ForwardX11 no".to_owned(),
        "ControlPath none".to_owned(),
        "EscapeChar none".to_owned(),
        format!(
            "StrictHostKeyChecking {}",
            match ssh.host_keys {
                HostKeys::AcceptNew => "accept-new",
                HostKeys::Strict => "yes",
                HostKeys::Off => "no",
            }
        ),
    ];
    if ssh.host_keys == HostKeys::Off {
        lines.push("UserKnownHostsFile /dev/null".to_owned());
    } else {
        // New ones go into the first file; what the user knows already counts too.
        lines.push(format!("UserKnownHostsFile \"{}\" ~/.ssh/known_hosts", known.display()));
    }
    if let Some(username) = way.username {
        lines.push(format!("User \"{username}\""));
    }
    if let Some(key) = &way.key {
        lines.push(format!("IdentityFile \"{}\"", key.display()));
        lines.push("IdentitiesOnly yes".to_owned());
    }
    match (way.password, &way.key) {
        (Some(_), None) => {
            lines.push("PreferredAuthentications password,keyboard-interactive".to_owned());
            lines.push("PubkeyAuthentication no".to_owned());
        }
        (Some(_), Some(_)) => lines
            .push("PreferredAuthentications publickey,password,keyboard-interactive".to_owned()),
        (None, _) => lines.push("PasswordAuthentication no".to_owned()),
    }
    if let Some(bastion) = way.bastion {
        let name = bastion.rsplit_once('@').map_or(bastion, |(_, name)| name);
        let name = name.split(':').next().unwrap_or(name);
        // Not through itself.
        lines.push(format!("Match host \"*,!{name}\"\nProxyJump {bastion}"));
    }
    if ssh.use_config {
        lines.push("Match all\nInclude ~/.ssh/config".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    fn ssh() -> Ssh {
        Ssh::default()
    }

    fn prepared(data: &Path, parameters: &Value) -> Result<Access, String> {
        Access::prepare(data, &ssh(), parameters.as_object().unwrap())
    }

    fn data() -> PathBuf {
        let name = format!("hearken-access-{}-{}", std::process::id(), random::hex(4).unwrap());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn a_key_that_is_text_is_a_private_file_while_the_run_lasts() {
        let data = data();
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----";
        let stale = data.join("ssh/run-999999999-aa");
        fs::create_dir_all(&stale).unwrap();
        let access = prepared(&data, &json!({"private_key": key, "password": "hush"})).unwrap();
        let file = access.folder.join("key");
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{key}\n"));
        for (path, mode) in [(&file, 0o600), (&access.folder, 0o700)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
        }
        assert!(!stale.exists(), "what a killed run left is gone");
        let marker = Marker::new("test", "run").unwrap();
        let spawn = access.spawn("ssh", Some(2222), marker);
        assert!(!format!("{:?}", spawn.arguments).contains("hush"));
        let config = fs::read_to_string(access.folder.join("config")).unwrap();
        assert!(config.contains("IdentitiesOnly yes") && !config.contains("hush"), "{config}");
        drop(access);
        assert!(!file.exists());
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn what_would_be_another_line_of_the_configuration_is_refused() {
        let data = data();
        for parameters in [
            json!({"username": "x\nProxyCommand touch /tmp/y"}),
            json!({"username": "a\"b"}),
            json!({"private_key": "/tmp/%d"}),
            json!({"bastion_host": "a b"}),
            json!({"bastion_host": "-oX"}),
            json!({"port": 0}),
            json!({"port": 70000}),
        ] {
            assert!(prepared(&data, &parameters).is_err(), "{parameters}");
        }
        assert_eq!(fs::read_dir(data.join("ssh")).unwrap().count(), 0, "nothing is left");
        fs::remove_dir_all(data).unwrap();
    }
}

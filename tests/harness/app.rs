//! The program under test: servers in folders of their own, and the command line beside them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{HEARKEN, NatsServer, On, eventually};

/// How long a start may take on a machine that does other things.
const START: Duration = Duration::from_secs(30);
/// How long things in general may take.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// An installation: a data folder, a folder of packs, perhaps a nats-server.
#[derive(Debug)]
pub(crate) struct App {
    folder: TempDir,
    /// The nats-server, when the bus is on one.
    pub(crate) nats: Option<NatsServer>,
    extra: Vec<String>,
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    /// Where its standard error goes.
    pub(crate) errors: PathBuf,
}

impl App {
    /// A fresh installation.
    pub(crate) fn new(on: On) -> anyhow::Result<Self> {
        let nats = (on == On::Nats).then(NatsServer::start).transpose()?;
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("packs"))?;
        Ok(Self { folder, nats, extra: Vec::new() })
    }

    /// Adds arguments to every `up`.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.extra.extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of a pack, by a temporary name and a rename as editors do.
    pub(crate) fn write(&self, file: &str, content: &str) -> anyhow::Result<()> {
        let path = self.folder.path().join("packs").join(file);
        std::fs::create_dir_all(path.parent().context("a parent")?)?;
        let beside = path.with_file_name(".writing");
        std::fs::write(&beside, content)?;
        if content.starts_with("#!") {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755))?;
        }
        std::fs::rename(beside, path)?;
        Ok(())
    }

    /// Starts `hearken up` and waits until it is ready.
    pub(crate) fn up(&self) -> anyhow::Result<Started> {
        let mut command = self.command();
        command.args(["up", "--listen", "127.0.0.1:0", "--packs"]).arg(self.path("packs"));
        match &self.nats {
            Some(nats) => command.args(["--nats", &nats.url()]),
            None => command.args(["--gateway", "127.0.0.1:0"]),
        };
        command.args(&self.extra);
        self.start(command, "up")
    }

    /// Starts `hearken serve` in a data folder of its own; ready when it said so.
    pub(crate) fn serve(
        &self,
        name: &str,
        services: &str,
        more: &[&str],
    ) -> anyhow::Result<Started> {
        let nats = self.nats.as_ref().context("serve needs a nats-server")?;
        let mut command = Command::new(HEARKEN);
        self.environment(&mut command);
        command.arg("--data").arg(self.path(name));
        command.args(["serve", services, "--nats", &nats.url()]).args(more);
        self.start(command, name)
    }

    fn start(&self, mut command: Command, name: &str) -> anyhow::Result<Started> {
        let errors = self.path(&format!("{name}.stderr"));
        let said = self.path(&format!("{name}.stdout"));
        let append = || File::options().create(true).append(true).open(&errors);
        let child = command.stdout(File::create(&said)?).stderr(append()?).spawn()?;
        let mut started = Started { child, errors: errors.clone() };
        eventually("the server's first lines", START, || {
            if let Some(status) = started.child.try_wait()? {
                anyhow::bail!("it has ended: {status}");
            }
            let said = std::fs::read_to_string(&said)?;
            Ok(said.contains("is up").then_some(()))
        })
        .with_context(|| std::fs::read_to_string(&errors).unwrap_or_default())?;
        Ok(started)
    }

    /// The command line in this installation, with nothing of the tester's environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(HEARKEN);
        self.environment(&mut command);
        command.arg("--data").arg(self.data());
        command
    }

    fn environment(&self, command: &mut Command) {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("XDG_STATE_HOME", self.path("state"));
        command.env("HEARKEN_BUS_DUPLICATE_WINDOW", "1s").stdin(Stdio::null());
        if let Some(level) = std::env::var_os("HEARKEN_LOG") {
            command.env("HEARKEN_LOG", level);
        }
    }

    /// Runs the command line to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command().args(arguments).output()?)
    }

    /// What the command line prints as JSON; its exit code must be zero.
    pub(crate) fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.run(&[&["-o", "json"], arguments].concat())?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {} {errors}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Executions as `execution list` tells them, with more arguments.
    pub(crate) fn executions(&self, more: &[&str]) -> anyhow::Result<Vec<Value>> {
        let listed = self.json(&[&["execution", "list", "--limit", "1000"], more].concat())?;
        Ok(listed.as_array().cloned().unwrap_or_default())
    }

    /// Waits for an execution of `action` that is `status`.
    pub(crate) fn execution(&self, action: &str, status: &str) -> anyhow::Result<Value> {
        eventually(&format!("{action} {status}"), WAIT, || {
            let found = self.executions(&["--action", action, "--status", status])?;
            Ok(found.into_iter().next())
        })
    }

    /// Publishes an event and answers its id.
    pub(crate) fn event(&self, trigger: &str, payload: &str) -> anyhow::Result<String> {
        let stored = self.json(&["event", "send", trigger, payload])?;
        Ok(stored.get("id").and_then(Value::as_str).context("an id")?.to_owned())
    }

    /// Address for NATS clients: of the listener, or of the nats-server.
    pub(crate) fn gateway(&self) -> anyhow::Result<String> {
        if let Some(nats) = &self.nats {
            return Ok(nats.url());
        }
        let server: Value =
            serde_json::from_slice(&std::fs::read(self.data().join("server.json"))?)?;
        Ok(server.get("gateway").and_then(Value::as_str).context("a gateway")?.to_owned())
    }

    /// The installation's token.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.data().join("token"))?.trim().to_owned())
    }
}

impl Started {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and answers its exit code.
    pub(crate) fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        terminate(self.child.id())?;
        let status = eventually("the end", WAIT, || Ok(self.child.try_wait()?))?;
        Ok(status.code())
    }

    /// What it said on standard error so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.kill().unwrap_or(());
        // A test that ends by an error does not panic: this shows the log lines all the same.
        if std::thread::panicking() || std::env::var_os("HEARKEN_TEST_VERBOSE").is_some() {
            std::io::Write::write_all(&mut std::io::stderr(), self.said().as_bytes()).unwrap_or(());
        }
    }
}

fn terminate(pid: u32) -> anyhow::Result<()> {
    let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
    ensure!(sent.success(), "kill -TERM {pid}");
    Ok(())
}

/// Whether a process has this text in its command line.
pub(crate) fn is_running(text: &str) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        let line = entry?.path().join("cmdline");
        let Ok(content) = std::fs::read(line) else { continue };
        if String::from_utf8_lossy(&content).contains(text) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether some file below `folder` holds these bytes.
pub(crate) fn is_within(folder: &Path, text: &str) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            is_within(&path, text)?
        } else {
            let content = std::fs::read(&path)?;
            content.windows(text.len()).any(|window| window == text.as_bytes())
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

//! A real nats-server with JetStream, on a port of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use super::eventually;

/// How long a nats-server may take to be there.
const START: Duration = Duration::from_secs(20);

/// A running nats-server.
#[derive(Debug)]
pub(crate) struct NatsServer {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    extra: Vec<String>,
}

impl NatsServer {
    /// Starts one.
    ///
    /// # Errors
    /// When nats-server is not installed or does not start.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, `{folder}` in them being its folder.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub(crate) fn start_with(extra: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let extra = extra.iter().map(|text| (*text).to_owned()).collect();
        let mut server = Self { child: None, folder, port: 0, extra };
        server.launch()?;
        Ok(server)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again, on the same port with the same streams.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.launch()
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let folder = self.folder.path();
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let log = folder.join("log");
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port, "-js", "--store_dir"]).arg(folder);
        command.arg("--ports_file_dir").arg(folder).arg("-l").arg(&log);
        for extra in &self.extra {
            command.arg(extra.replace("{folder}", &folder.display().to_string()));
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.context("nats-server is needed: apt-get install nats-server")?;
        let ports = folder.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        self.port = eventually("nats-server", START, || {
            let Ok(text) = std::fs::read_to_string(&ports) else { return Ok(None) };
            let Some((_, rest)) = text.split_once("127.0.0.1:") else { return Ok(None) };
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let port: u16 = digits.parse()?;
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(|_| port))
        })
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill().unwrap_or(());
    }
}

//! Other processes: a nats-server of our own, and the program itself. Ended when dropped.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

/// How long a server may take to be there.
const START: Duration = Duration::from_secs(30);

/// A process that ends with its owner.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or(());
        drop(self.0.wait());
    }
}

/// A nats-server with JetStream, on a port and a folder of its own.
#[derive(Debug)]
pub(crate) struct NatsServer {
    /// The process.
    pub running: Running,
    /// Where it listens.
    pub url: String,
    _folder: TempDir,
}

impl NatsServer {
    /// Starts one.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", "-1", "-js", "--store_dir"]).arg(path);
        command.arg("--ports_file_dir").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let child =
            command.spawn().context("nats-server is needed: apt-get install nats-server")?;
        let running = Running(child);
        let ports = path.join(format!("nats-server_{}.ports", running.pid()));
        let port = wait("nats-server", || {
            let Ok(text) = std::fs::read_to_string(&ports) else { return Ok(None) };
            let Some((_, rest)) = text.split_once("127.0.0.1:") else { return Ok(None) };
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            Ok(digits.parse::<u16>().ok().filter(|port| accepts(*port)))
        })?;
        Ok(Self { running, url: format!("nats://127.0.0.1:{port}"), _folder: folder })
    }
}

/// `hearken up` in a folder of its own.
#[derive(Debug)]
pub(crate) struct Up {
    /// The process.
    pub running: Running,
    /// Where NATS clients go.
    pub url: String,
    /// The token that lets them do everything.
    pub token: String,
    /// From its start until its listener took a connection.
    pub started_in: Duration,
    _folder: TempDir,
}

impl Up {
    /// Starts it, with the bundled packs and those in `packs`.
    pub(crate) fn start(program: &Path, packs: Option<&Path>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", folder.path()).env("XDG_STATE_HOME", folder.path().join("state"));
        command.current_dir(folder.path());
        command.arg("--data").arg(folder.path().join("data"));
        command.args(["up", "--listen", "127.0.0.1:0", "--gateway"]);
        command.arg(format!("127.0.0.1:{port}"));
        packs.map(|packs| command.arg("--packs").arg(packs));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let mut running = Running(command.spawn()?);
        wait("hearken up", || {
            if let Some(status) = running.0.try_wait()? {
                bail!("it has ended: {status}");
            }
            Ok(accepts(port).then_some(()))
        })?;
        let started_in = begin.elapsed();
        let token = folder.path().join("data/token");
        let token = wait("the token", || Ok(std::fs::read_to_string(&token).ok()))?;
        let token = token.trim().to_owned();
        let url = format!("nats://127.0.0.1:{port}");
        Ok(Self { running, url, token, started_in, _folder: folder })
    }
}

/// The program, built in release like this one; a stale one would be measured otherwise.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--quiet", "--bin", "hearken", "--manifest-path", manifest]);
    ensure!(build.status()?.success(), "hearken could not be built");
    let program = std::env::current_exe()?.with_file_name("hearken");
    ensure!(program.is_file(), "{} is not there", program.display());
    Ok(program)
}

fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begin = Instant::now();
    while begin.elapsed() < START {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("{what} did not come up")
}

//! A host for actions that run elsewhere: a real `sshd` on loopback with one key.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::WAIT;
use crate::harness::eventually;

/// A running `sshd`. Ended when dropped.
pub(super) struct Host {
    folder: TempDir,
    /// Where it listens.
    pub(super) port: u16,
    child: Child,
}

impl Host {
    /// Starts one.
    pub(super) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for name in ["host_key", "key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(name))
                .stdin(Stdio::null())
                .status()?;
            ensure!(made.success(), "ssh-keygen is needed (tests/run installs it)");
        }
        // sshd is started as root on some machines, and then wants this folder.
        fs::create_dir_all("/run/sshd").unwrap_or(());
        let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = taken.local_addr()?.port();
        drop(taken);
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n\
             Subsystem sftp internal-sftp\nPermitRootLogin yes\nMaxStartups 100\n",
            at("host_key").display(),
            at("key.pub").display(),
        );
        fs::write(at("config"), config)?;
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stderr(fs::File::create(at("log"))?)
            .spawn()
            .context("sshd is needed (tests/run installs it)")?;
        let mut host = Self { folder, port, child };
        eventually("sshd", WAIT, || {
            if let Some(status) = host.child.try_wait()? {
                let log = fs::read_to_string(host.folder.path().join("log"))?;
                anyhow::bail!("{status}: {log}");
            }
            Ok(std::net::TcpStream::connect(("127.0.0.1", host.port)).ok().map(drop))
        })?;
        Ok(host)
    }

    /// The key that it lets in.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().unwrap_or(());
        self.child.wait().map(drop).unwrap_or(());
    }
}

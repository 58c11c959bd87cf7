//! The data folder: where it is, and what identifies the installation in it.
//!
//! `--data` > `HEARKEN_DATA` > `./.hearken` when it exists or the current folder is a checkout of
//! Hearken > `~/.local/state/hearken` (root: `/var/lib/hearken`; `XDG_STATE_HOME` moves both). The
//! folder is the owner's alone.
//!
//! A running server writes `server.json` into its data folder, and a copy under its process id into
//! `servers/` of the user's state folder, so that the command line finds it from any folder. Each
//! server makes and takes away its own files alone; those of a process that is gone are skipped. A
//! folder that the user named stands for itself: no other server is taken for its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hearken_kit::{Sealer, random, seal};
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// Where a server answers; the content of `server.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Address of the HTTP API.
    pub url: String,
    /// Address for NATS clients, when it serves them.
    #[serde(default)]
    pub gateway: Option<String>,
    /// Its data folder, with the token in it.
    pub data: PathBuf,
    /// Its process.
    pub pid: u32,
}

/// Announcements of servers that are looked at; a user has a few.
const ANNOUNCED_MAX: usize = 1000;

/// Who chose the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The user named it, and means no other.
    ByName,
    /// Nobody: any server of the user will do.
    ByDefault,
}

/// Where the data folder is.
pub(crate) fn folder(given: Option<&Path>) -> (PathBuf, Chosen) {
    if let Some(given) = given {
        return (given.to_owned(), Chosen::ByName);
    }
    if let Some(given) = std::env::var_os("HEARKEN_DATA").filter(|value| !value.is_empty()) {
        return (given.into(), Chosen::ByName);
    }
    let here = PathBuf::from(".hearken");
    let folder = if here.is_dir() || is_checkout() { here } else { home() };
    (folder, Chosen::ByDefault)
}

/// The folder of this user's state.
pub(crate) fn home() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty());
    if state.is_none() && rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/hearken");
    }
    let state = state.map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".local/state"))
    });
    state.unwrap_or_else(|| PathBuf::from("/tmp")).join("hearken")
}

/// Whether the current folder is the source of Hearken.
fn is_checkout() -> bool {
    Path::new("services/cli/main.rs").is_file() && Path::new("proto").is_dir()
}

/// Makes the folder, for its owner alone, and answers its absolute path.
pub(crate) fn prepare(folder: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot use the data folder {}: {error}", folder.display()))
            .hint("choose another one with --data, or make this one writable")
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    folder.canonicalize().map_err(failed)
}

/// The secret that clients show; made at the first start.
pub(crate) fn token(folder: &Path) -> Result<String, Failure> {
    once(&folder.join("token"), 24)
}

/// The sealer of the installation's key: of `file`, which must be there, else of the data folder's
/// own, made at the first start. Whoever runs what others ask for needs the same key as they.
pub(crate) fn sealer(folder: &Path, file: Option<&Path>) -> Result<Sealer, Failure> {
    let own = folder.join("key");
    let (text, file) = match file {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read the key {}: {error}", file.display()))
                    .hint("[secrets] key_file names a copy of the key of another data folder")
            })?;
            (text, file)
        }
        None => (once(&own, seal::KEY_BYTES)?, own.as_path()),
    };
    Sealer::from_hex(&text).map_err(|error| {
        Failure::usage(format!("the key {} cannot be used: {error}", file.display()))
            .hint("copy it again from the data folder that it comes from")
    })
}

/// The installation's name, which marks its processes; made at the first start.
pub(crate) fn installation(folder: &Path) -> Result<String, Failure> {
    once(&folder.join("installation"), 8)
}

/// The content of a small file that is made once, with random content.
fn once(file: &Path, bytes: usize) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", file.display()));
    if let Some(known) = read(file) {
        return Ok(known);
    }
    let made = random::hex(bytes).map_err(failed)?;
    write_private(file, made.as_bytes()).map_err(failed)?;
    Ok(made)
}

fn read(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The token of an installation, for a client.
pub(crate) fn token_of(folder: &Path) -> Option<String> {
    read(&folder.join("token"))
}

/// Tells clients where the server answers.
pub(crate) fn announce(server: &Server) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(server).unwrap_or_default();
    let file = server.data.join("server.json");
    write_private(&file, &text)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
    // For the command line in other folders; without it they need HEARKEN_URL.
    let servers = home().join("servers");
    if fs::DirBuilder::new().recursive(true).mode(0o700).create(&servers).is_ok() {
        for (file, _gone) in announced(&servers).into_iter().filter(|(_, other)| !other.runs()) {
            fs::remove_file(file).unwrap_or(());
        }
        write_private(&servers.join(server.file_name()), &text).unwrap_or(());
    }
    Ok(())
}

/// Takes the announcement back, unless another server has made its own since.
pub(crate) fn withdraw(server: &Server) {
    let files = [server.data.join("server.json"), home().join("servers").join(server.file_name())];
    for file in files {
        if found(&file).as_ref() == Some(server) {
            fs::remove_file(&file).unwrap_or(());
        }
    }
}

/// The running server that a client should talk to: that of its data folder, else, unless the user
/// named the folder, the one of the user that started last.
pub(crate) fn server(folder: &Path, chosen: Chosen) -> Option<Server> {
    let own = found(&folder.join("server.json")).filter(Server::runs);
    match chosen {
        Chosen::ByName => own,
        Chosen::ByDefault => own.or_else(|| newest(&home().join("servers"))),
    }
}

fn newest(servers: &Path) -> Option<Server> {
    let mut announced = announced(servers);
    announced.retain(|(_, server)| server.runs());
    let time = |file: &Path| fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    announced.into_iter().max_by_key(|(file, _)| time(file)).map(|(_, server)| server)
}

fn announced(servers: &Path) -> Vec<(PathBuf, Server)> {
    let files = fs::read_dir(servers).into_iter().flatten().take(ANNOUNCED_MAX);
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter_map(|file| found(&file).map(|server| (file, server))).collect()
}

impl Server {
    /// Whether its process is there still.
    fn runs(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let gone = Err(rustix::io::Errno::SRCH);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != gone)
    }

    fn file_name(&self) -> String {
        format!("{}.json", self.pid)
    }
}

fn found(file: &Path) -> Option<Server> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_private(file: &Path, content: &[u8]) -> std::io::Result<()> {
    // Always the same name: what a crash left behind is written over by the next.
    let beside = file.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    opened.write_all(content)?;
    opened.sync_all()?;
    fs::rename(&beside, file)
}

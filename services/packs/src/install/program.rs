//! Programs that an installation starts: git, Python, pip, curl.
//!
//! They get the environment of whoever installs, since what they need of it (proxies, certificates,
//! keys, indices of packages) cannot be listed; they get no terminal and no shell.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_kit::process::{self, Ending, Limits, Listener, Marker, Spawn, Stragglers};
use tokio::sync::mpsc;

use super::Error;

/// What is kept of each stream: the list of the largest tree that is taken, and no more.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// Pieces of output that wait to be shown; more are not shown.
const CHUNKS_MAX: usize = 256;
/// The last lines of what a program said, as they stand in an error.
const LINES_MAX: usize = 6;
/// Variables that would lead git or Python somewhere else.
const NOT_INHERITED: [&str; 11] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
];

/// Tells the person who waits what is being done.
pub(super) type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A program to be run.
#[derive(Debug)]
pub(super) struct Program {
    /// What it is for, as it stands in an error.
    pub(super) doing: String,
    /// Which.
    pub(super) name: OsString,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
    /// Where.
    pub(super) folder: Option<PathBuf>,
    /// Variables beside those of this process.
    pub(super) environment: Vec<(&'static str, String)>,
    /// How long it may take.
    pub(super) wait: Duration,
    /// The largest file it may write.
    pub(super) file_bytes_max: Option<u64>,
}

/// What a program said.
#[derive(Debug)]
pub(super) struct Said {
    /// Its standard output.
    pub(super) text: String,
    /// Whether there was more.
    pub(super) is_cut: bool,
}

impl Program {
    /// A program with its arguments.
    pub(super) fn new(
        doing: impl Into<String>,
        name: impl Into<OsString>,
        arguments: &[&str],
        wait: Duration,
    ) -> Self {
        Self {
            doing: doing.into(),
            name: name.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            folder: None,
            environment: Vec::new(),
            wait,
            file_bytes_max: None,
        }
    }

    /// The same, in `folder`.
    pub(super) fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Runs it to its end, and tells its lines to `say` where there is one.
    pub(super) async fn run(&self, say: Option<Say<'_>>) -> Result<Said, Error> {
        let spawn = self.spawn()?;
        let (tx, mut rx) = mpsc::channel(CHUNKS_MAX);
        let outcome = match say {
            Some(say) => {
                let listener = Listener::new(tx);
                let showing = async move {
                    let mut lines = Lines { say, rest: Vec::new() };
                    while let Some(chunk) = rx.recv().await {
                        lines.take(&chunk.bytes);
                    }
                };
                let running = async move {
                    process::run(&spawn, std::future::pending(), Some(&listener)).await
                };
                tokio::join!(running, showing).0
            }
            None => process::run(&spawn, std::future::pending(), None).await,
        };
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fail = |why: String| Error::Program { doing: self.doing.clone(), why };
        match &outcome.ending {
            Ending::Exited(0) => {
                let (text, is_cut) = (said(&outcome.stdout.bytes), outcome.stdout.truncated);
                Ok(Said { text, is_cut })
            }
            Ending::FailedToStart(error) => Err(fail(format!("{error} ({})", error.hint()))),
            Ending::TimedOut => Err(fail(format!("it took longer than {} s", self.wait.as_secs()))),
            Ending::Exited(_) | Ending::Signaled(_) | Ending::Canceled | Ending::Unknown(_) => {
                let stderr = last_lines(&said(&outcome.stderr.bytes));
                let stdout = last_lines(&said(&outcome.stdout.bytes));
                let why = [stderr, stdout].into_iter().find(|text| !text.is_empty());
                Err(fail(why.unwrap_or_else(|| format!("{:?}", outcome.ending))))
            }
        }
    }

    fn spawn(&self) -> Result<Spawn, Error> {
        let marker = marker(std::process::id()).ok_or_else(|| Error::Program {
            doing: self.doing.clone(),
            why: "it cannot be marked".to_owned(),
        })?;
        let mut spawn = Spawn::new(&self.name, marker);
        spawn.arguments.clone_from(&self.arguments);
        spawn.environment = std::env::vars_os()
            .filter(|(name, _)| !NOT_INHERITED.iter().any(|known| name == known))
            .collect();
        let own = self.environment.iter().map(|(name, value)| (name.into(), value.into()));
        spawn.environment.extend(own);
        spawn.folder.clone_from(&self.folder);
        spawn.timeout = self.wait;
        spawn.output_max_bytes = OUTPUT_BYTES_MAX;
        spawn.limits = Limits { file_bytes: self.file_bytes_max, ..Limits::default() };
        spawn.stragglers = Stragglers::End;
        Ok(spawn)
    }
}

/// What the programs that the process `id` starts carry.
pub(super) fn marker(id: u32) -> Option<Marker> {
    Marker::new("packs", &format!("install-{id}"))
}

/// Puts lines together.
struct Lines<'a> {
    /// Who is told.
    say: Say<'a>,
    /// The line that has not ended.
    rest: Vec<u8>,
}

impl Lines<'_> {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // A line without an end is shown in pieces.
            if *byte == b'\n' || self.rest.len() > 1000 {
                let line = String::from_utf8_lossy(&self.rest).trim_end().to_owned();
                self.rest.clear();
                if !line.is_empty() {
                    (self.say)(&printable(&line));
                }
            }
            if *byte != b'\n' {
                self.rest.push(*byte);
            }
        }
    }
}

/// What programs say may hold what others wrote: it must not steer a terminal.
fn printable(line: &str) -> String {
    line.chars().map(|next| if next.is_control() { ' ' } else { next }).collect()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    printable(&lines.get(from..).unwrap_or_default().join("; "))
}

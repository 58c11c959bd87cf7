//! What to start and how far it may go; the start itself.
//!
//! `std` takes its fast path (`posix_spawn`, which does not copy page tables) as long as the
//! program is a path and nothing asks for code between fork and exec. So the program is looked up
//! here, and limits are set on the child from outside, right after the spawn: a program that forks
//! within its first microseconds can have a child that missed them.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setpriority_process};

use super::error::{self, StartError};
use super::procfs;

/// The variable in a child's environment that says which run it belongs to.
pub(super) const MARKER: &str = "HEARKEN_RUN";
/// Most that can be fed to a child's standard input: it is held in memory meanwhile. More than
/// the 1 MiB that a bus message may carry, with room for what rendering adds.
pub(super) const STDIN_BYTES_MAX: usize = 16 << 20;
/// Where [`Spawn::new`] caps each stream: what a person or a rule can still make use of.
const OUTPUT_MAX_BYTES: usize = 1 << 20;
/// How long [`Spawn::new`] lets a program run: StackStorm's default for shell actions.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long [`Spawn::new`] lets a program tidy up after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A program to start, and everything it is given.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// A path (relative ones start at `folder`), or a name looked up in `environment`'s `PATH`.
    pub program: OsString,
    /// Arguments after the program's name.
    pub arguments: Vec<OsString>,
    /// The whole environment; only the marker is added. A name given twice: the last wins.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts; `None` is where this process is.
    pub folder: Option<PathBuf>,
    /// What it reads.
    pub stdin: Stdin,
    /// How long it may run; `Duration::MAX` is for ever.
    pub timeout: Duration,
    /// How long its group may take to end after SIGTERM before SIGKILL follows.
    pub grace: Duration,
    /// How much of each stream is kept; the rest is read, counted and thrown away.
    pub output_max_bytes: usize,
    /// What the kernel holds it to.
    pub limits: Limits,
    /// What becomes of others in its group when it has ended by itself.
    pub stragglers: Stragglers,
    /// Whose run this is.
    pub marker: Marker,
}

impl Spawn {
    /// `program` without arguments, with an empty environment and the usual bounds.
    #[must_use]
    pub fn new(program: impl Into<OsString>, marker: Marker) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            stdin: Stdin::Null,
            timeout: TIMEOUT,
            grace: GRACE,
            output_max_bytes: OUTPUT_MAX_BYTES,
            limits: Limits::default(),
            stragglers: Stragglers::Leave,
            marker,
        }
    }
}

/// What a child reads on its standard input.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// Nothing: the end at once.
    #[default]
    Null,
    /// These bytes, then the end. A child that stops reading early is no error.
    Bytes(Bytes),
    /// What the holder of [`Running::take_stdin`](super::Running::take_stdin) writes.
    Open,
    /// What comes from the other end of this descriptor. A socket may be written to as well, so it
    /// is how a program answers without a word on its standard output.
    Given(Arc<OwnedFd>),
}

/// What becomes of processes left in the group after the child has ended by itself. Processes that
/// left the group are spared either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stragglers {
    /// They go on, as after a shell's `command &`.
    #[default]
    Leave,
    /// They get SIGKILL once the output has been read.
    End,
}

/// What the kernel holds a child, and what it starts, to. `None` is what this process has.
///
/// A limit above what this process may have is lowered to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Largest core file; none by default.
    pub core_bytes: u64,
    /// Open files.
    pub open_files: Option<u64>,
    /// Address space of each process.
    pub address_space_bytes: Option<u64>,
    /// Processor seconds of each process: SIGXCPU, and a second later SIGKILL.
    pub cpu_seconds: Option<u64>,
    /// Processes of the *user*, those outside this run included.
    pub processes: Option<u64>,
    /// Largest file written.
    pub file_bytes: Option<u64>,
    /// Niceness, from -20 to 19.
    pub nice: Option<i32>,
}

impl Limits {
    /// Sets them on `pid`. Answers how many the kernel refused, as it does for programs that run
    /// as another user (`sudo`).
    pub(super) fn apply(&self, pid: Pid) -> u32 {
        let wanted = [
            (Resource::Core, Some(self.core_bytes), 0),
            (Resource::Nofile, self.open_files, 0),
            (Resource::As, self.address_space_bytes, 0),
            (Resource::Cpu, self.cpu_seconds, 1),
            (Resource::Nproc, self.processes, 0),
            (Resource::Fsize, self.file_bytes, 0),
        ];
        let mut refused = 0;
        for (resource, limit, slack) in wanted {
            let Some(limit) = limit else { continue };
            let ceiling = if limit == 0 { 0 } else { ceiling(resource) };
            let current = Some(limit.min(ceiling));
            let maximum = Some(limit.saturating_add(slack).min(ceiling));
            refused +=
                u32::from(prlimit(Some(pid), resource, Rlimit { current, maximum }).is_err());
        }
        if let Some(nice) = self.nice {
            refused += u32::from(setpriority_process(Some(pid), nice).is_err());
        }
        refused
    }
}

/// The most that this process may grant.
fn ceiling(resource: Resource) -> u64 {
    getrlimit(resource).maximum.unwrap_or(u64::MAX)
}

/// Says whose run a process belongs to: the value of `HEARKEN_RUN` in its environment, by which
/// what escaped from a group is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    /// The marker of one run of one installation. Neither name may be empty or hold control
    /// characters; the installation's may not hold a colon.
    #[must_use]
    pub fn new(installation: &str, run: &str) -> Option<Self> {
        let is_name = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control());
        let valid = is_name(installation) && is_name(run) && !installation.contains(':');
        valid.then(|| Self(format!("{installation}:{run}")))
    }

    /// The variable's value, `<installation>:<run>`.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0
    }
}

/// Which process group a run is, in a form that a recycled id does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Process group id, which is the child's process id.
    pub group: i32,
    /// The child started at or after this many clock ticks since the machine did. Two readings of
    /// the clock around the spawn cost a thirtieth of asking `/proc` for the exact one.
    pub started_after_ticks: u64,
    /// The child started at or before this many.
    pub started_by_ticks: u64,
}

impl Identity {
    /// Whether this is the child that was started, still running and still leading its group.
    pub(super) fn is(&self, stat: &procfs::Stat) -> bool {
        let started = self.started_after_ticks..=self.started_by_ticks;
        stat.group == self.group && started.contains(&stat.started_ticks) && stat.is_alive()
    }
}

/// A child that was started, and how many of its limits were refused.
pub(super) struct Launched {
    /// The child, leader of its own group.
    pub child: Child,
    /// Which group that is.
    pub identity: Identity,
    /// Limits that the kernel refused.
    pub limits_refused: u32,
}

/// Starts the program in a group of its own.
pub(super) fn launch(spawn: &Spawn) -> Result<Launched, StartError> {
    if let Stdin::Bytes(bytes) = &spawn.stdin
        && bytes.len() > STDIN_BYTES_MAX
    {
        return Err(StartError::InputTooLong { bytes: bytes.len(), bytes_max: STDIN_BYTES_MAX });
    }
    check_names(spawn)?;
    let program = resolve(spawn)?;
    let failed = |source| StartError::NoRoom { program: program.clone(), source };
    let stdin = match &spawn.stdin {
        Stdin::Null => Stdio::null(),
        Stdin::Bytes(_) | Stdin::Open => Stdio::piped(),
        Stdin::Given(descriptor) => descriptor.try_clone().map_err(failed)?.into(),
    };
    let mut command = Command::new(&program);
    command.arg0(&spawn.program).args(&spawn.arguments);
    command.env_clear().envs(spawn.environment.iter().map(|(name, value)| (name, value)));
    command.env(MARKER, spawn.marker.value()).process_group(0);
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = &spawn.folder {
        command.current_dir(folder);
    }
    let started_after_ticks = procfs::now_ticks();
    let child = command.spawn().map_err(|source| error::explain(spawn, program, source))?;
    let started_by_ticks = procfs::now_ticks();
    let pid = Pid::from_child(&child);
    let limits_refused = spawn.limits.apply(pid);
    let group = pid.as_raw_nonzero().get();
    let identity = Identity { group, started_after_ticks, started_by_ticks };
    Ok(Launched { child, identity, limits_refused })
}

/// Refuses names that would make another variable than the caller meant.
fn check_names(spawn: &Spawn) -> Result<(), StartError> {
    let is_odd = |name: &OsStr| name.is_empty() || name.as_bytes().contains(&b'=');
    match spawn.environment.iter().find(|(name, _)| is_odd(name)) {
        Some((name, _)) => Err(StartError::VariableName { name: name.clone() }),
        None => Ok(()),
    }
}

/// The path of the program: as given when it has a slash, else the first of that name in `PATH`.
fn resolve(spawn: &Spawn) -> Result<PathBuf, StartError> {
    let start = spawn.folder.as_deref().unwrap_or(Path::new(""));
    if spawn.program.as_bytes().contains(&b'/') {
        // The kernel would start at the new folder, `std` does not promise which.
        return Ok(start.join(&spawn.program));
    }
    let path = spawn.environment.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, value)| value.clone()).unwrap_or_default();
    let mut forbidden = None;
    // An empty entry would mean the current folder, which is an accident more often than a wish.
    for folder in std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()) {
        let candidate = start.join(folder).join(&spawn.program);
        let Ok(metadata) = candidate.metadata() else { continue };
        match metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            true => return Ok(candidate),
            false => forbidden = forbidden.or(Some(candidate)),
        }
    }
    match forbidden {
        Some(path) => Err(StartError::ProgramNotExecutable { path }),
        None => Err(StartError::ProgramMissing { program: spawn.program.clone(), path }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_is_one_value_that_splits_at_its_first_colon() {
        assert_eq!(Marker::new("home", "check:disk /").unwrap().value(), "home:check:disk /");
        for (installation, run) in [("", "a"), ("a", ""), ("a:b", "c"), ("a", "b\0c"), ("a\n", "b")]
        {
            assert_eq!(Marker::new(installation, run), None, "{installation:?} {run:?}");
        }
    }
}

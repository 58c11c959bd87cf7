//! A pack's own unit tests, `tests/test_*.py`, run as StackStorm's `st2-run-pack-tests` runs them.
//!
//! [`files`] says whether there are any, `environment` finds or builds the Python that they need,
//! `hearken_python/trial.py` of the modules finds and runs them in a process of its own, and
//! [`Trial`] is what it told. The tests are the user's own code: they get the environment of
//! whoever runs them, the pack's folder to work in, a time limit, and an end with all that they
//! started.
//!
//! Not here: the cases of a pack, which need no Python (`cases`).

mod environment;
mod outcome;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hearken_kit::process::{self, Limits, Marker, Spawn, Stdin, Stragglers};
use hearken_proto::Timestamp;
use serde_json::json;

use super::layer::{self, Layer};
pub use outcome::{Trial, Tried, Verdict};

/// Files of tests, and folders looked into, as in `trial.py`.
const FILES_MAX: usize = 2_000;
const FOLDERS_MAX: usize = 5_000;
/// What is kept of each stream: results of two thousand tests that all fail at length.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// How long the tests may tidy up when they are ended.
const GRACE: Duration = Duration::from_secs(2);
/// Variables that would lead Python somewhere else than to the pack.
const NOT_INHERITED: [&str; 4] = ["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV"];

/// Counts the programs that this process has begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Which tests, and how they are run.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The data folder, where environments are.
    pub data: PathBuf,
    /// The pack's name.
    pub pack: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether it is installed under this name, and has an environment already.
    pub is_installed: bool,
    /// Only tests whose `file: Class.method` holds this text.
    pub only: Option<String>,
    /// The Python to build with; otherwise one is looked for.
    pub python: Option<PathBuf>,
    /// Whether libraries are installed that are missing.
    pub installs: bool,
    /// How long all tests together may take.
    pub timeout: Duration,
    /// When this happens.
    pub now: Timestamp,
}

/// The tests cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error(transparent)]
    Files(#[from] crate::Error),
    /// There is no Python, or it cannot be started.
    #[error("the tests of {pack} cannot be run: {why}")]
    Python {
        /// The pack.
        pack: String,
        /// Why not.
        why: String,
    },
}

/// The files in `folder` that hold tests, by path; empty when there are none.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("tests")];
    let mut looked = 0;
    while let Some(next) = folders.pop() {
        looked += 1;
        if looked > FOLDERS_MAX || found.len() >= FILES_MAX {
            break;
        }
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_passed_over = ["__pycache__", "node_modules", "venv"].contains(&&*name);
            if is_folder && !name.starts_with('.') && !is_passed_over {
                folders.push(entry.path());
            } else if !is_folder && is_test(&name) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Whether a file is called as files of tests are.
fn is_test(name: &str) -> bool {
    let stem = name.strip_suffix(".py").unwrap_or_default();
    stem.starts_with("test_") || stem.ends_with("_test")
}

/// Runs the tests, after building what they need unless it is there; `say` is told what takes long.
///
/// # Errors
/// [`Error`] when not one of them could be run. Libraries that cannot be installed are no error:
/// [`Trial::notes`] names them, and tests that need nothing of them run.
pub async fn run(
    wanted: &Wanted,
    cancel: impl Future<Output = ()>,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Trial, Error> {
    let failed = |why: String| Error::Python { pack: wanted.pack.clone(), why };
    let layer = layer::unpack(&wanted.data)?;
    let mut cancel = std::pin::pin!(cancel);
    // What is installed meanwhile ends with the future.
    let means = tokio::select! {
        biased;
        () = &mut cancel => return Err(failed("the user has ended it".to_owned())),
        means = environment::prepare(wanted, say) => means.map_err(failed)?,
    };
    let marker = marker("test").ok_or_else(|| failed("they cannot be marked".to_owned()))?;
    let spawn = spawn(wanted, &means.program, &layer, marker).map_err(failed)?;
    let ended = process::run(&spawn, cancel, None).await;
    if let process::Ending::FailedToStart(error) = &ended.ending {
        return Err(failed(format!("{error} ({})", error.hint())));
    }
    Ok(outcome::read(&ended, wanted.timeout, means.notes))
}

fn spawn(wanted: &Wanted, program: &Path, layer: &Layer, marker: Marker) -> Result<Spawn, String> {
    let folder = wanted.folder.canonicalize().map_err(|error| error.to_string())?;
    let text = json!({"pack": wanted.pack, "folder": folder, "only": wanted.only});
    let mut spawn = Spawn::new(program, marker);
    // Nothing is left behind in the pack: what is there is its content.
    spawn.arguments = vec!["-u".into(), "-B".into(), layer.modules().join(PROGRAM).into()];
    spawn.environment = surroundings(program);
    spawn.folder = Some(folder);
    spawn.stdin = Stdin::Bytes(format!("{text}\n").into());
    spawn.timeout = wanted.timeout;
    spawn.grace = GRACE;
    spawn.output_max_bytes = OUTPUT_BYTES_MAX;
    spawn.limits = Limits::default();
    spawn.stragglers = Stragglers::End;
    Ok(spawn)
}

/// The program in our modules.
const PROGRAM: &str = "hearken_python/trial.py";

/// The environment of the tests: ours, with the programs of their Python first.
fn surroundings(program: &Path) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| !NOT_INHERITED.iter().any(|known| name == known))
        .collect();
    let path = process::environment::path();
    let bin = program.parent().map(Path::to_owned);
    let all = bin.into_iter().chain(std::env::split_paths(&path));
    // A folder whose name holds a colon cannot stand in PATH; it is found without.
    let path = std::env::join_paths(all).unwrap_or(path);
    environment.push(("PATH".into(), path));
    environment.push(("PYTHONDONTWRITEBYTECODE".into(), "1".into()));
    environment
}

/// What marks the processes of one run: those with its marker end with it, and no others.
fn marker(what: &str) -> Option<Marker> {
    let count = BEGUN.fetch_add(1, Ordering::Relaxed);
    Marker::new("packs", &format!("{what}-{}-{count}", std::process::id()))
}

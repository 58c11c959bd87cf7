//! An interpreter that is new enough.
//!
//! What is called `python3` may be a script that chooses one, an old version, or no Python at all.
//! So each candidate is asked, in order, and tells its version and where it really is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_kit::process::{self, Ending, Marker, Spawn};

/// The oldest version that will do.
pub const VERSION_MIN: (u32, u32) = (3, 9);
/// Names by which an interpreter is looked for, the usual one first.
const NAMES: [&str; 8] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python",
];
/// How long a candidate may take to tell its version: a disk that wakes up, not one that is gone.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// Bytes of an answer: a version and a path.
const ANSWER_BYTES_MAX: usize = 8 << 10;
/// What a candidate is asked.
const QUESTION: &str = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)";

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Where it is.
    pub program: PathBuf,
    /// Major and minor version.
    pub version: (u32, u32),
}

/// No interpreter will do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no Python {}.{} or newer on this host: {}",
    VERSION_MIN.0,
    VERSION_MIN.1,
    told(.tried)
)]
pub struct Missing {
    /// What was found instead.
    pub tried: Vec<String>,
}

impl Missing {
    /// What helps.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "install it (apt-get install python3, dnf install python3), or put the folder of one first \
         on PATH; actions of other runners work without"
    }
}

/// The first interpreter of `path`, which is written as `PATH` is, that is new enough. What is
/// started to find out carries `marker`.
///
/// # Errors
/// [`Missing`], with what was found instead.
pub async fn find(path: &OsStr, marker: &Marker) -> Result<Interpreter, Missing> {
    let mut tried = Vec::new();
    for name in NAMES {
        let mut spawn = Spawn::new(name, marker.clone());
        spawn.arguments = ["-I", "-S", "-c", QUESTION].map(OsString::from).into();
        // A script that chooses an interpreter looks at both.
        let home = std::env::var_os("HOME").unwrap_or_default();
        spawn.environment = vec![("PATH".into(), path.into()), ("HOME".into(), home)];
        spawn.timeout = ANSWER_WAIT;
        spawn.output_max_bytes = ANSWER_BYTES_MAX;
        let outcome = process::run(&spawn, std::future::pending(), None).await;
        let said = String::from_utf8_lossy(&outcome.stdout.bytes).into_owned();
        match (&outcome.ending, read(&said)) {
            (Ending::Exited(0), Some(found)) if found.version >= VERSION_MIN => return Ok(found),
            (Ending::Exited(0), Some(Interpreter { version: (major, minor), .. })) => {
                tried.push(format!("{name} is {major}.{minor}"));
            }
            (Ending::FailedToStart(process::StartError::ProgramMissing { .. }), _) => {}
            (Ending::FailedToStart(error), _) => tried.push(error.to_string()),
            (_, _) => tried.push(format!("{name} does not tell its version")),
        }
    }
    Err(Missing { tried })
}

/// Reads the answer of a candidate.
fn read(said: &str) -> Option<Interpreter> {
    let (version, program) = said.trim().split_once(' ')?;
    let (major, minor) = version.split_once('.')?;
    let version = (major.parse().ok()?, minor.parse().ok()?);
    let program = Path::new(program).to_owned();
    program.is_absolute().then_some(Interpreter { program, version })
}

fn told(tried: &[String]) -> String {
    if tried.is_empty() { "none was found on PATH".to_owned() } else { tried.join(", ") }
}

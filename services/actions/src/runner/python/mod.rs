//! The runner python-script: a class of a pack's file, run in a process of its own.
//!
//! A run is forked from an interpreter that was prepared for its pack ([`pool`]), which takes
//! milliseconds; where none can be had an interpreter is started for it. Both do the same: what is
//! to be done goes over a socket that is the process's standard input at its start, and the result
//! comes back over it ([`channel`]), so that standard output is the action's own and nothing of a
//! run stands on a command line.
//!
//! The result has StackStorm's shape: `{stdout, stderr, exit_code, result}`, with `error` where
//! there is something to say.

mod channel;
mod lacking;
mod outcome;
mod pool;
mod wanted;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hearken_kit::chain;
use hearken_kit::process::{self, Spawn, Stdin, environment};
use hearken_packs::python::{self, Interpreter, Layer};
use serde_json::{Map, Value};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::{Job, Outcome};
use pool::{Key, Pool};

/// How long an action may run unless it says otherwise: StackStorm's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
/// How long a group may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// What is kept of each stream. Large results are kept out of line, so this is a bound on memory:
/// of every action that runs, twice as much and some copies of it are held for a moment.
const OUTPUT_BYTES_MAX: usize = 10 << 20;

/// The virtual environment of what packs import without saying so, beside those of packs.
const SHARED_BY_ALL: &str = ".base";

/// What the runs of this process share: prepared interpreters outlive a run, and end with us.
static SHARED: LazyLock<Shared> = LazyLock::new(Shared::default);

/// What is found or made once.
#[derive(Debug, Default)]
struct Shared {
    /// The interpreter of this host, once one was found.
    interpreter: Mutex<Option<Interpreter>>,
    /// Our modules, once they are unpacked.
    layer: Mutex<Option<Layer>>,
    /// Interpreters that can be forked.
    pool: Pool,
}

/// With what a pack's actions are run.
struct Means {
    program: std::path::PathBuf,
    layer: Layer,
    /// Whether the interpreter is of a virtual environment.
    is_virtual: bool,
    /// Whether that is the pack's own.
    is_own: bool,
}

/// Runs an action.
pub(crate) async fn run(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    if let Err(why) = wanted::check(parameters) {
        return Outcome::failed(&why);
    }
    let means = match means(&job).await {
        Ok(means) => means,
        Err(why) => return Outcome::failed(&why),
    };
    let environment = wanted::environment(&job, parameters, &means);
    let wanted = match wanted::wanted(&job, parameters, &environment) {
        Ok(wanted) => wanted,
        Err(why) => return Outcome::failed(&why),
    };
    let started = async {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok::<_, std::io::Error>((UnixStream::from_std(ours)?, theirs))
    };
    let (ours, theirs) = match started.await {
        Ok(pair) => pair,
        Err(error) => return Outcome::failed(&format!("no socket for a run: {error}")),
    };
    let mut spawn = Spawn::new(means.program.as_os_str(), job.file.marker().clone());
    spawn.arguments = vec!["-u".into(), means.layer.program().into(), "run".into()];
    spawn.environment = environment;
    spawn.stdin = Stdin::Given(Arc::new(theirs.into()));
    spawn.timeout = timeout(parameters);
    spawn.grace = GRACE;
    spawn.output_max_bytes = OUTPUT_BYTES_MAX;
    let limit = spawn.timeout;
    // To prepare an interpreter may take a while.
    let started = tokio::select! {
        biased;
        () = job.cancel.requested() => return outcome::canceled(),
        started = start(&job, parameters, &means, &spawn) => started,
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            let hint = error.hint();
            return Outcome::failed(&format!("{error} ({hint})"));
        }
    };
    // The other end is the run's alone now: it ends with it.
    drop(spawn);
    // Without the process group a restart still finds the process by its marker.
    job.file.started(running.identity()).unwrap_or(());
    let ended = running.finish(job.cancel.requested(), Some(&job.listener));
    let (ended, answer) = channel::during(ended, channel::exchange(ours, wanted)).await;
    let mut outcome = outcome::outcome(ended, answer, limit);
    if !means.is_own {
        lacking::explain(&mut outcome, &job.action.pack);
    }
    outcome
}

/// Forks a prepared interpreter, or starts one.
async fn start(
    job: &Job<'_>,
    parameters: &Map<String, Value>,
    means: &Means,
    spawn: &Spawn,
) -> Result<process::Running, process::StartError> {
    if wanted::can_be_forked(parameters)
        && let Some(preparation) = preparation(job, means)
    {
        let key = Key { program: means.program.clone(), folder: job.folder.to_owned() };
        if let Some(running) = SHARED.pool.fork(&key, &preparation, spawn).await {
            return Ok(running);
        }
    }
    process::start(spawn).await
}

/// How an interpreter is prepared for a pack; `None` when a run could not be known by its marker.
fn preparation(job: &Job<'_>, means: &Means) -> Option<Spawn> {
    let marker = pool::marker(&job.config.installation, job.file.marker())?;
    let mut spawn = Spawn::new(means.program.as_os_str(), marker);
    spawn.arguments = vec![
        "-u".into(),
        means.layer.program().into(),
        "serve".into(),
        job.folder.as_os_str().to_owned(),
    ];
    spawn.environment = wanted::inherited();
    spawn.timeout = pool::PREPARE_WAIT;
    Some(spawn)
}

/// Our modules, and the interpreter of the pack, or else of what all packs share, or of the host.
async fn means(job: &Job<'_>) -> Result<Means, String> {
    let data = python::data_folder(job.folder)
        .ok_or_else(|| format!("{} is no unpacked content", job.folder.display()))?;
    let layer = layer(data).await?;
    for (of, is_own) in [(job.action.pack.as_str(), true), (SHARED_BY_ALL, false)] {
        if let Some(program) = python::virtualenv(data, of) {
            return Ok(Means { program, layer, is_virtual: true, is_own });
        }
    }
    let mut found = SHARED.interpreter.lock().await;
    let program = match &*found {
        // It may have been upgraded away.
        Some(interpreter) if interpreter.program.exists() => interpreter.program.clone(),
        Some(_) | None => {
            let path = environment::path();
            let interpreter = python::find(&path, job.file.marker()).await;
            let interpreter =
                interpreter.map_err(|missing| format!("{missing} ({})", missing.hint()))?;
            found.insert(interpreter).program.clone()
        }
    };
    Ok(Means { program, layer, is_virtual: false, is_own: false })
}

/// Our modules, unpacked when they are first needed.
async fn layer(data: &Path) -> Result<Layer, String> {
    let mut layer = SHARED.layer.lock().await;
    if let Some(layer) = &*layer
        && layer.program().starts_with(data)
        && layer.program().exists()
    {
        return Ok(layer.clone());
    }
    let data = data.to_owned();
    let unpacked = tokio::task::spawn_blocking(move || python::unpack(&data)).await;
    match unpacked {
        Ok(Ok(unpacked)) => Ok(layer.insert(unpacked).clone()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(error) => Err(format!("the Python modules cannot be unpacked: {error}")),
    }
}

fn timeout(parameters: &Map<String, Value>) -> Duration {
    let seconds = parameters.get("timeout").and_then(Value::as_f64).filter(|s| *s > 0.0);
    seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(TIMEOUT_DEFAULT)
}

//! With what a sensor is run: its program, what it is told, and its environment.
//!
//! A `.py` file is a class, run by the Python host over a socket that is its standard input, so
//! that standard output stays the sensor's own and nothing of it stands on a command line. Anything
//! else is a program that writes its events on standard output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearken_kit::chain;
use hearken_kit::process::{Marker, Spawn, Stdin, Stragglers, environment};
use hearken_packs::python::{self, Interpreter, Layer};
use serde_json::{Map, Value, json};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use crate::host::{Shared, Wanted};

/// How long a group may take to end after SIGTERM, as StackStorm has it.
const GRACE: Duration = Duration::from_secs(5);
/// The virtual environment of what packs import without saying so, beside those of packs.
const SHARED_BY_ALL: &str = ".base";
/// How an error begins when a library is missing, or is too old.
const MISSING: [&str; 2] = ["ModuleNotFoundError: ", "ImportError: "];
/// The program of the Python host, among our modules.
const HOST: &str = "hearken_python/sensor_host.py";

/// What is found or made once for all sensors.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The interpreter of this host.
    interpreter: Mutex<Option<Interpreter>>,
    /// Our modules.
    layer: Mutex<Option<Layer>>,
}

/// A sensor, ready to be started.
pub(crate) struct Prepared {
    /// What to start.
    pub(crate) spawn: Spawn,
    /// Our end of the socket of a Python sensor; others use their standard streams.
    pub(crate) channel: Option<UnixStream>,
    /// What it is told first. Triggers are added to it.
    pub(crate) first: Map<String, Value>,
}

/// Prepares a sensor with this configuration and this ticket; `marker` says whose process it is.
pub(crate) async fn prepare(
    shared: &Shared,
    wanted: &Wanted,
    config: Map<String, Value>,
    ticket: &str,
    marker: Marker,
) -> Result<Prepared, String> {
    let sensor = &wanted.sensor;
    let file = wanted.folder.join("sensors").join(&sensor.entry_point);
    if !file.is_file() {
        return Err(format!("the sensor's file sensors/{} is missing", sensor.entry_point));
    }
    let mut first = Map::new();
    first.insert("sensor".to_owned(), json!(sensor.reference));
    first.insert("pack".to_owned(), json!(sensor.pack));
    first.insert("class_name".to_owned(), json!(sensor.class_name));
    first.insert("config".to_owned(), Value::Object(config));
    first.insert("poll_interval".to_owned(), json!(sensor.poll_interval));
    let mut prepared = if is_python(&file) {
        of_python(shared, wanted, &file, marker, first, ticket).await?
    } else {
        let mut spawn = Spawn::new(file, marker);
        spawn.environment = inherited();
        let own = own_environment(shared, wanted, ticket);
        spawn.environment.extend(own.into_iter().map(|(k, v)| (k.into(), v.into())));
        spawn.stdin = Stdin::Open;
        spawn.folder = Some(wanted.folder.clone());
        Prepared { spawn, channel: None, first }
    };
    prepared.spawn.timeout = Duration::MAX;
    prepared.spawn.grace = GRACE;
    prepared.spawn.stragglers = Stragglers::End;
    // All of it is read as it comes.
    prepared.spawn.output_max_bytes = 0;
    Ok(prepared)
}

/// Whether the file is a Python class rather than a program.
fn is_python(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "py")
}

async fn of_python(
    shared: &Shared,
    wanted: &Wanted,
    file: &Path,
    marker: Marker,
    mut first: Map<String, Value>,
    ticket: &str,
) -> Result<Prepared, String> {
    let layer = layer(shared).await?;
    let places = [wanted.sensor.pack.as_str(), SHARED_BY_ALL];
    let program = match places.into_iter().find_map(|of| python::virtualenv(&shared.data, of)) {
        Some(program) => program,
        None => interpreter(shared, &marker).await?,
    };
    let failed = |error: std::io::Error| format!("no socket for the sensor: {error}");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let channel = UnixStream::from_std(ours).map_err(failed)?;
    let mut spawn = Spawn::new(program.as_os_str(), marker);
    spawn.arguments = vec!["-u".into(), layer.modules().join(HOST).into()];
    spawn.environment = inherited();
    if let Some(bin) = program.parent() {
        // Programs of the pack's virtual environment are found by name.
        let path = std::env::split_paths(&environment::path()).collect::<Vec<_>>();
        let path = std::env::join_paths([bin.to_owned()].into_iter().chain(path));
        spawn.environment.extend(path.map(|path| ("PATH".into(), path)));
    }
    // Programs that the sensor starts find the same modules.
    let modules = [wanted.folder.join("lib"), layer.modules()];
    let modules = std::env::join_paths(modules.iter().filter(|place| place.is_dir()));
    spawn.environment.extend(modules.map(|modules| ("PYTHONPATH".into(), modules)));
    spawn.stdin = Stdin::Given(Arc::new(theirs.into()));
    // Told over the socket, where nobody who looks at processes sees it.
    let own: Map<String, Value> = own_environment(shared, wanted, ticket)
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.into()))
        .collect();
    first.insert("environment".to_owned(), Value::Object(own));
    first.insert("folder".to_owned(), json!(wanted.folder));
    first.insert("file".to_owned(), json!(file));
    Ok(Prepared { spawn, channel: Some(channel), first })
}

/// Why a sensor has ended, with the way to have a library that it found missing.
pub(crate) fn explained(shared: &Shared, pack: &str, why: String) -> String {
    let is_missing = MISSING.iter().any(|start| why.starts_with(start));
    if !is_missing || python::virtualenv(&shared.data, pack).is_some() {
        return why;
    }
    format!(
        "{why}; the pack {pack} has no virtual environment on this host (try: hearken pack setup \
         {pack}, or with the pack's folder where it is not installed)"
    )
}

/// How a sensor finds the HTTP API, under the names that StackStorm's and our own tools look for.
fn own_environment(shared: &Shared, wanted: &Wanted, ticket: &str) -> Vec<(&'static str, String)> {
    let mut own = vec![
        ("ST2_SENSOR_PACK_NAME", wanted.sensor.pack.clone()),
        ("HEARKEN_SENSOR", wanted.sensor.reference.clone()),
    ];
    if !shared.api_url.is_empty() {
        let url = shared.api_url.trim_end_matches('/');
        own.extend(["ST2_API_URL", "ST2_ACTION_API_URL"].map(|name| (name, format!("{url}/v1"))));
        own.push(("HEARKEN_URL", url.to_owned()));
    }
    let tokens = ["ST2_AUTH_TOKEN", "ST2_ACTION_AUTH_TOKEN", "HEARKEN_TOKEN"];
    own.extend(tokens.map(|name| (name, ticket.to_owned())));
    own
}

/// What every process of ours gets.
fn inherited() -> Vec<(OsString, OsString)> {
    environment::inherited(environment::USUAL.into_iter().chain(environment::NETWORK))
}

/// The interpreter of this host, looked for once.
async fn interpreter(shared: &Shared, marker: &Marker) -> Result<PathBuf, String> {
    let mut found = shared.found.interpreter.lock().await;
    // It may have been upgraded away.
    if let Some(interpreter) = found.as_ref().filter(|found| found.program.exists()) {
        return Ok(interpreter.program.clone());
    }
    let interpreter = python::find(&environment::path(), marker).await;
    let interpreter = interpreter.map_err(|missing| format!("{missing} ({})", missing.hint()))?;
    Ok(found.insert(interpreter).program.clone())
}

/// Our modules, unpacked when they are first needed.
async fn layer(shared: &Shared) -> Result<Layer, String> {
    let mut layer = shared.found.layer.lock().await;
    if let Some(layer) = layer.as_ref().filter(|layer| layer.program().exists()) {
        return Ok(layer.clone());
    }
    let data = shared.data.clone();
    let unpacked = tokio::task::spawn_blocking(move || python::unpack(&data)).await;
    match unpacked {
        Ok(Ok(unpacked)) => Ok(layer.insert(unpacked).clone()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(error) => Err(format!("the Python modules cannot be unpacked: {error}")),
    }
}

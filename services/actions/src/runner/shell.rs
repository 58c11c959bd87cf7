//! The runners local-shell-cmd and local-shell-script.
//!
//! Commands go through `sh -c`, scripts are executed as they are, both as the user of this
//! process, or through `sudo` when the action says so. The result has StackStorm's shape:
//! `{failed, succeeded, return_code, stdout, stderr}`, one trailing newline stripped, and output
//! that is JSON in its parsed form.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use hearken_engine::script;
use hearken_kit::process::{self, Captured, Ending, Spawn, Stdin};
use hearken_proto::Status;
use serde_json::{Map, Value, json};

use super::{Job, Outcome};

/// How long an action may run unless it says otherwise: StackStorm's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How long a group may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// What is kept of each stream: both fit into one message of the bus, with the parameters, even
/// where JSON needs more room than the output itself.
const OUTPUT_BYTES_MAX: usize = 192 << 10;
/// What a process finds when nothing else was said.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Return code of a run that was ended by its time limit, as StackStorm has it.
const RETURN_CODE_TIMEOUT: i32 = -9;
/// Variables that an action inherits; everything else of this process's environment stays here.
const INHERITED: [&str; 7] = ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TZ", "USER"];

/// Runs a command line.
pub(crate) async fn command(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    let Some(command) = text(parameters, "cmd").filter(|command| !command.is_empty()) else {
        return Outcome::failed("the parameter \"cmd\" is empty: there is nothing to run");
    };
    let arguments = vec![OsString::from("-c"), OsString::from(command)];
    run(job, parameters, "sh".into(), arguments).await
}

/// Runs a file of the pack.
pub(crate) async fn script(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    let file = job.folder.join("actions").join(&job.action.entry_point);
    if let Err(error) = make_executable(&file) {
        return Outcome::failed(&format!("cannot run {}: {error}", job.action.entry_point));
    }
    let arguments = script::arguments(job.action, parameters).into_iter().map(OsString::from);
    run(job, parameters, file.into_os_string(), arguments.collect()).await
}

/// Scripts may come without the executable bit; on a read-only file system they stay so.
fn make_executable(file: &Path) -> std::io::Result<()> {
    let permissions = std::fs::metadata(file)?.permissions();
    let mode = permissions.mode();
    if mode & 0o100 == 0 {
        // When it cannot be changed, starting it says what is wrong.
        std::fs::set_permissions(file, Permissions::from_mode(mode | 0o755)).unwrap_or(());
    }
    Ok(())
}

async fn run(
    job: Job<'_>,
    parameters: &Map<String, Value>,
    program: OsString,
    arguments: Vec<OsString>,
) -> Outcome {
    let mut spawn = Spawn::new(program, job.file.marker().clone());
    spawn.arguments = arguments;
    spawn.environment = environment(&job, parameters);
    spawn.folder =
        Some(text(parameters, "cwd").map_or_else(|| job.config.folder.clone(), Into::into));
    spawn.timeout = timeout(parameters);
    spawn.grace = GRACE;
    spawn.output_max_bytes = OUTPUT_BYTES_MAX;
    if parameters.get("sudo").and_then(Value::as_bool) == Some(true) {
        through_sudo(&mut spawn, text(parameters, "sudo_password"));
    }
    let limit = spawn.timeout;
    let running = match process::start(&spawn).await {
        Ok(running) => running,
        Err(error) => {
            let hint = error.hint();
            return Outcome::failed(&format!("{error} ({hint})"));
        }
    };
    // Without the process group a restart still finds the process by its marker.
    job.file.started(running.identity()).unwrap_or(());
    let ended = running.finish(job.cancel.requested(), Some(&job.listener)).await;
    outcome(&ended, limit)
}

/// `sudo` keeps the environment as it is; a password goes to its standard input.
fn through_sudo(spawn: &mut Spawn, password: Option<&str>) {
    let program = std::mem::replace(&mut spawn.program, "sudo".into());
    let mut arguments: Vec<OsString> = vec!["-E".into()];
    if let Some(password) = password {
        arguments.extend(["-S".into(), "-p".into(), "".into()]);
        spawn.stdin = Stdin::Bytes(format!("{password}\n").into());
    } else {
        arguments.push("-n".into());
    }
    arguments.extend(["--".into(), program]);
    arguments.append(&mut spawn.arguments);
    spawn.arguments = arguments;
}

fn environment(job: &Job<'_>, parameters: &Map<String, Value>) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = INHERITED
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    if !environment.iter().any(|(name, _)| name == "PATH") {
        environment.push(("PATH".into(), PATH_DEFAULT.into()));
    }
    let request = job.request;
    let own = [
        ("ST2_ACTION_PACK_NAME", job.action.pack.as_str()),
        ("ST2_ACTION_EXECUTION_ID", request.execution.as_str()),
        ("ST2_ACTION_API_URL", job.config.api_url.as_str()),
    ];
    environment.extend(own.map(|(name, value)| (name.into(), value.into())));
    if let Some(Value::Object(given)) = parameters.get("env") {
        for (name, value) in given {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            environment.push((name.into(), value.into()));
        }
    }
    environment
}

fn text<'a>(parameters: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    parameters.get(name).and_then(Value::as_str)
}

fn timeout(parameters: &Map<String, Value>) -> Duration {
    let seconds = parameters.get("timeout").and_then(Value::as_f64).filter(|s| *s > 0.0);
    seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(TIMEOUT_DEFAULT)
}

fn outcome(ended: &process::Outcome, limit: Duration) -> Outcome {
    let (status, return_code, error) = match &ended.ending {
        Ending::Exited(0) => (Status::Succeeded, 0, None),
        Ending::Exited(code) => (Status::Failed, *code, None),
        Ending::Signaled(signal) => {
            (Status::Failed, -signal, Some(format!("ended by signal {signal}")))
        }
        Ending::TimedOut => {
            let error =
                format!("the action took longer than {} s and was ended", limit.as_secs_f64());
            (Status::Timeout, RETURN_CODE_TIMEOUT, Some(error))
        }
        Ending::Canceled => {
            (Status::Canceled, RETURN_CODE_TIMEOUT, Some("canceled while it ran".to_owned()))
        }
        Ending::FailedToStart(error) => (Status::Failed, 127, Some(error.to_string())),
        Ending::Unknown(error) => (Status::Abandoned, -1, Some(error.to_string())),
    };
    let succeeded = status == Status::Succeeded;
    let mut result = Map::new();
    result.insert("failed".to_owned(), json!(!succeeded));
    result.insert("succeeded".to_owned(), json!(succeeded));
    result.insert("return_code".to_owned(), json!(return_code));
    for (name, captured) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        result.insert(name.to_owned(), parsed(captured));
        if captured.truncated {
            result.insert(format!("{name}_bytes"), json!(captured.total_bytes));
        }
    }
    if let Some(error) = error {
        result.insert("error".to_owned(), json!(error));
    }
    Outcome { status, result: Value::Object(result) }
}

/// Output as a value: one trailing newline less, and JSON where it is JSON.
fn parsed(captured: &Captured) -> Value {
    let text = String::from_utf8_lossy(&captured.bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if !captured.truncated
        && let Ok(value) = serde_json::from_str(text)
    {
        return value;
    }
    Value::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(text: &str) -> Captured {
        let total_bytes = text.len() as u64;
        Captured { bytes: text.into(), truncated: false, total_bytes }
    }

    #[test]
    fn output_loses_one_newline_and_json_is_parsed_even_a_scalar() {
        for (text, expected) in [
            ("hello\n", json!("hello")),
            ("hello\n\n", json!("hello\n")),
            ("{\"a\": 1}\n", json!({"a": 1})),
            ("123\n", json!(123)),
            ("true", json!(true)),
            ("", json!("")),
            ("{broken", json!("{broken")),
        ] {
            assert_eq!(parsed(&captured(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn a_time_limit_that_is_none_of_use_is_the_default() {
        for (value, expected) in
            [(json!(3), 3), (json!(0), 60), (json!(-1), 60), (json!("x"), 60), (json!(1e300), 60)]
        {
            let parameters = Map::from_iter([("timeout".to_owned(), value)]);
            assert_eq!(timeout(&parameters).as_secs(), expected);
        }
    }
}

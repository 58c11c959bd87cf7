//! The runners local-shell-cmd and local-shell-script.
//!
//! Commands go through `sh -c`, scripts are executed as they are, both as the user of this
//! process; through `sudo -E -- bash -c` when the action says so. The result has StackStorm's
//! shape: `{failed, succeeded, return_code, stdout, stderr}`, one trailing newline stripped, and
//! output that is JSON in its parsed form.
//!
//! Deliberately not here: `content_version`. A request pins the content that runs; running another
//! one because a parameter says so is refused.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_engine::script;
use hearken_kit::process::{self, Captured, Ending, Marker, Spawn, Stdin, environment};
use hearken_kit::seal::Secrets;
use hearken_proto::Status;
use serde_json::{Map, Value, json};

use super::unlisted::{self, Unlisted};
use super::{Job, Outcome};

/// How long an action may run unless it says otherwise: StackStorm's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How long a group may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// What is kept of each stream. Large results are kept out of line, so this is a bound on memory:
/// of every action that runs, twice as much and some copies of it are held for a moment.
const OUTPUT_BYTES_MAX: usize = 2 << 20;
/// Output that is longer stays text even where it is JSON: as values it takes up to thirty times
/// the room.
const JSON_BYTES_MAX: usize = 1 << 20;
/// Return code of a run that was ended by its time limit, as StackStorm has it.
const RETURN_CODE_TIMEOUT: i32 = -9;
/// Return code of a run that was asked to end by somebody else: StackStorm calls it abandoned.
const RETURN_CODE_TERMINATED: i32 = -15;
/// What `sudo` says when it is not satisfied, and nothing was run.
const SUDO_REFUSES: [&str; 5] = [
    "incorrect password attempt",
    "no password was provided",
    "a password is required",
    "a terminal is required",
    "is not in the sudoers file",
];

/// What is to be started.
enum Program {
    /// A line for a shell.
    Line(String),
    /// A file of the pack, and its arguments.
    File(PathBuf, Vec<String>),
}

/// Runs a command line.
pub(crate) async fn command(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    let Some(command) = text(parameters, "cmd").filter(|command| !command.is_empty()) else {
        return Outcome::failed("the parameter \"cmd\" is empty: there is nothing to run");
    };
    run(job, parameters, Program::Line(command.to_owned())).await
}

/// Runs a file of the pack.
pub(crate) async fn script(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    if text(parameters, "content_version").is_some_and(|version| !version.is_empty()) {
        return Outcome::failed(
            "content_version is not supported: what runs is what was in force at the request",
        );
    }
    let file = job.folder.join("actions").join(&job.action.entry_point);
    if let Err(error) = make_executable(&file) {
        return Outcome::failed(&format!("cannot run {}: {error}", job.action.entry_point));
    }
    let arguments = script::arguments(job.action, parameters);
    run(job, parameters, Program::File(file, arguments)).await
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

async fn run(job: Job<'_>, parameters: &Map<String, Value>, program: Program) -> Outcome {
    let is_sudo = parameters.get("sudo").and_then(Value::as_bool) == Some(true);
    let marker = job.file.marker().clone();
    let secrets = job.hidden.secrets();
    let mut spawn = if is_sudo {
        through_sudo(program, text(parameters, "sudo_password"), &secrets, marker)
    } else {
        directly(program, &secrets, marker)
    };
    spawn.environment.extend(environment(&job, parameters));
    spawn.folder =
        Some(text(parameters, "cwd").map_or_else(|| job.config.folder.clone(), Into::into));
    spawn.timeout = timeout(parameters);
    spawn.grace = GRACE;
    spawn.output_max_bytes = OUTPUT_BYTES_MAX;
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
    if is_sudo && is_refused(&ended) {
        return refused(ended);
    }
    outcome(ended, limit)
}

/// As the user of this process. A script that does not say what reads it is read by `sh`, as it is
/// when a shell starts it.
fn directly(program: Program, secrets: &Secrets, marker: Marker) -> Spawn {
    if let Some(unlisted) = unlisted(&program, secrets) {
        let mut spawn = Spawn::new(unlisted.program.unwrap_or_else(|| "sh".to_owned()), marker);
        spawn.arguments = unlisted.arguments.into_iter().map(OsString::from).collect();
        spawn.environment = unlisted.environment;
        return spawn;
    }
    let (program, arguments) = match program {
        Program::Line(line) => ("sh".into(), vec!["-c".to_owned(), line]),
        Program::File(file, arguments) if says_what_reads_it(&file) => {
            (file.into_os_string(), arguments)
        }
        Program::File(file, mut arguments) => {
            arguments.insert(0, file.to_string_lossy().into_owned());
            ("sh".into(), arguments)
        }
    };
    let mut spawn = Spawn::new(program, marker);
    spawn.arguments = arguments.into_iter().map(OsString::from).collect();
    spawn
}

/// How it is started where a process list would show a secret otherwise.
fn unlisted(program: &Program, secrets: &Secrets) -> Option<Unlisted> {
    let is_told = |text: &String| secrets.are_in(text);
    match program {
        Program::Line(line) if is_told(line) => Some(unlisted::line(line)),
        Program::File(file, arguments) if arguments.iter().any(is_told) => {
            unlisted::script(file, arguments)
        }
        Program::Line(_) | Program::File(..) => None,
    }
}

/// Whether the kernel can execute the file: `#!`, or a binary.
fn says_what_reads_it(file: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(file).and_then(|mut file| file.read(&mut start));
    // What cannot be read may still be executed; starting it says what is wrong otherwise.
    read.is_err() || start.starts_with(b"#!") || start == *b"\x7fELF"
}

/// As root. `sudo` keeps the environment as it is; a password goes to its standard input, which
/// the command does not inherit: where no password was needed, it would read it.
fn through_sudo(
    program: Program,
    password: Option<&str>,
    secrets: &Secrets,
    marker: Marker,
) -> Spawn {
    let mut line = match program {
        Program::Line(line) => line,
        Program::File(file, mut arguments) => {
            arguments.insert(0, file.to_string_lossy().into_owned());
            script::command_line(&arguments)
        }
    };
    let mut spawn = Spawn::new("sudo", marker);
    if secrets.are_in(&line) {
        let unlisted = unlisted::line(&line);
        line = unlisted.arguments.into_iter().next_back().unwrap_or_default();
        spawn.environment = unlisted.environment;
    }
    let (how, line) = match password {
        Some(password) => {
            spawn.stdin = Stdin::Bytes(format!("{password}\n").into());
            (["-S", "-p", ""].as_slice(), format!("exec </dev/null; {line}"))
        }
        None => (["-n"].as_slice(), line),
    };
    // `-k`: what another action was allowed a minute ago is not asked.
    let arguments = ["-E", "-k"].iter().chain(how).chain(&["--", "bash", "-c"]);
    spawn.arguments = arguments.map(OsString::from).chain([line.into()]).collect();
    spawn
}

/// Whether `sudo` ended instead of the command.
fn is_refused(ended: &process::Outcome) -> bool {
    let said = String::from_utf8_lossy(&ended.stderr.bytes);
    matches!(ended.ending, Ending::Exited(1))
        && ended.stdout.bytes.is_empty()
        && said.lines().any(|line| SUDO_REFUSES.iter().any(|words| line.contains(words)))
}

fn refused(ended: process::Outcome) -> Outcome {
    let why = "sudo did not accept the password, or this user may not use sudo for this: give \
               sudo_password, or allow it in /etc/sudoers";
    let result = json!({
        "failed": true, "succeeded": false, "return_code": -1,
        "stdout": "", "stderr": parsed(ended.stderr), "error": why,
    });
    Outcome { status: Status::Failed, result }
}

/// What every program of ours gets of this process's environment.
pub(super) fn inherited() -> Vec<(OsString, OsString)> {
    environment::inherited(environment::USUAL)
}

fn environment(job: &Job<'_>, parameters: &Map<String, Value>) -> Vec<(OsString, OsString)> {
    let mut environment = inherited();
    let given = given(job, parameters).into_iter();
    environment.extend(given.map(|(name, value)| (name.into(), value.into())));
    environment
}

/// What an action is told through its environment, here or elsewhere.
pub(super) fn given(job: &Job<'_>, parameters: &Map<String, Value>) -> Vec<(String, String)> {
    let mut told = Vec::new();
    if let Some(Value::Object(given)) = parameters.get("env") {
        for (name, value) in given {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            told.push((name.clone(), value));
        }
    }
    // Last, so that nobody else says them: of a name that is there twice the last counts.
    let own = [
        ("ST2_ACTION_PACK_NAME", job.action.pack.clone()),
        ("ST2_ACTION_EXECUTION_ID", job.request.execution.clone()),
        ("ST2_ACTION_API_URL", job.api_url()),
        ("ST2_ACTION_AUTH_TOKEN", job.ticket()),
    ];
    told.extend(own.map(|(name, value)| (name.to_owned(), value)));
    if parameters.get("debug").and_then(Value::as_bool) == Some(true) {
        told.push(("ST2_ACTION_DEBUG".to_owned(), "True".to_owned()));
    }
    told
}

/// A parameter that is a text.
pub(super) fn text<'a>(parameters: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    parameters.get(name).and_then(Value::as_str)
}

/// The time limit of a shell action.
pub(super) fn timeout(parameters: &Map<String, Value>) -> Duration {
    let seconds = parameters.get("timeout").and_then(Value::as_f64).filter(|s| *s > 0.0);
    seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(TIMEOUT_DEFAULT)
}

fn outcome(ended: process::Outcome, limit: Duration) -> Outcome {
    let (status, return_code, error) = match &ended.ending {
        Ending::Exited(0) => (Status::Succeeded, 0, None),
        Ending::Exited(code) => (Status::Failed, *code, None),
        Ending::Signaled(15) => {
            let error = "somebody ended it by SIGTERM: nobody knows how far it got".to_owned();
            (Status::Abandoned, RETURN_CODE_TERMINATED, Some(error))
        }
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
    for (name, captured) in [("stdout", ended.stdout), ("stderr", ended.stderr)] {
        if captured.truncated {
            result.insert(format!("{name}_truncated"), json!(true));
            result.insert(format!("{name}_bytes"), json!(captured.total_bytes));
        }
        result.insert(name.to_owned(), parsed(captured));
    }
    if let Some(error) = error {
        result.insert("error".to_owned(), json!(error));
    }
    Outcome { status, result: Value::Object(result) }
}

/// Output as a value: one trailing newline less, and JSON where it is JSON.
pub(super) fn parsed(captured: Captured) -> Value {
    let whole = !captured.truncated && captured.bytes.len() <= JSON_BYTES_MAX;
    let mut text = String::from_utf8(captured.bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if text.ends_with('\n') {
        text.pop();
    }
    if whole && let Ok(value) = serde_json::from_str(&text) {
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
            assert_eq!(parsed(captured(text)), expected, "{text:?}");
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

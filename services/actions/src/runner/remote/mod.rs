//! The runners remote-shell-cmd and remote-shell-script: on other hosts, with the system's `ssh`.
//!
//! The result is StackStorm's: for each host `{stdout, stderr, return_code, succeeded, failed}`,
//! one trailing newline stripped, and output that is JSON in its parsed form. The action has
//! succeeded when all hosts have, and is a timeout when all hosts are.
//!
//! Differences: what runs on a host ends with its connection ([`text`]), and one host of a name has
//! the name alone as its key, as there, while two of one name are told apart by their ports.

mod access;
mod host;
mod hosts;
mod text;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use hearken_engine::script;
use hearken_packs::python::data_folder;
use hearken_proto::Status;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::shell;
use super::{Job, Outcome};
use access::Access;
use host::{Ended, Work};
use hosts::Host;
use text::Told;

/// What is kept of the output of all hosts together, and of one at least and at most.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
const HOST_BYTES_MIN: usize = 32 << 10;
const HOST_BYTES_MAX: usize = 2 << 20;
/// Return code of an action that reached no host.
const RETURN_CODE_UNREACHED: i32 = 255;
/// How deep the folders of `actions/lib` are copied, and how many files: no library has more.
const DEPTH_MAX: usize = 16;
const FILES_MAX: usize = 5_000;

/// What is to be run on every host.
enum Program {
    /// A command line.
    Line(String),
    /// A file of the pack, its name, and its arguments.
    File(PathBuf, String, Vec<String>),
}

/// Runs a command line.
pub(crate) async fn command(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    let Some(command) = shell::text(parameters, "cmd").filter(|command| !command.is_empty()) else {
        return Outcome::failed("the parameter \"cmd\" is empty: there is nothing to run");
    };
    let program = Program::Line(command.to_owned());
    run(job, parameters, program).await.unwrap_or_else(|why| Outcome::failed(&why))
}

/// Runs a file of the pack.
pub(crate) async fn script(job: Job<'_>, parameters: &Map<String, Value>) -> Outcome {
    let file = job.folder.join("actions").join(&job.action.entry_point);
    let Some(name) = file.file_name().and_then(|name| name.to_str()).filter(|_| file.is_file())
    else {
        let why = format!("the action's file actions/{} is missing", job.action.entry_point);
        return Outcome::failed(&why);
    };
    let program =
        Program::File(file.clone(), name.to_owned(), script::arguments(job.action, parameters));
    run(job, parameters, program).await.unwrap_or_else(|why| Outcome::failed(&why))
}

async fn run(
    job: Job<'_>,
    parameters: &Map<String, Value>,
    program: Program,
) -> Result<Outcome, String> {
    let hosts = hosts::parse(shell::text(parameters, "hosts").unwrap_or_default())?;
    let data = data_folder(job.folder)
        .ok_or_else(|| format!("{} is no unpacked content", job.folder.display()))?;
    let access = Access::prepare(data, &job.config.ssh, parameters)?;
    let (told, staged) = told(&job, parameters, &program, &access)?;
    let limit = shell::timeout(parameters);
    let bytes = (OUTPUT_BYTES_MAX / hosts.len()).clamp(HOST_BYTES_MIN, HOST_BYTES_MAX);
    let work = Work {
        access: &access,
        told: told.text(),
        staged: staged.as_deref(),
        folder: shell::text(parameters, "dir").unwrap_or("/tmp"),
        marker: job.file.marker().clone(),
        cancel: job.cancel,
        // What several hosts print at once cannot be told apart.
        listener: (hosts.len() == 1).then_some(&job.listener),
        limit,
        due: Instant::now() + limit,
        output_bytes_max: bytes,
    };
    let at_a_time = hosts::at_a_time(hosts.len());
    let all: Vec<BoxFuture<'_, Ended>> = hosts.iter().map(|host| work.at(host).boxed()).collect();
    let ended: Vec<Ended> = stream::iter(all).buffered(at_a_time).collect().await;
    Ok(outcome(&hosts, ended, job.config.ssh.allow_partial_failure))
}

/// What the shells are told, and the folder that is copied to each host first.
fn told(
    job: &Job<'_>,
    parameters: &Map<String, Value>,
    program: &Program,
    access: &Access,
) -> Result<(Told, Option<PathBuf>), String> {
    let environment = shell::given(job, parameters);
    if let Some((name, _)) = environment.iter().find(|(name, _)| !text::is_name(name)) {
        return Err(format!(
            "the parameter \"env\" has a variable called {name:?}, which no shell \
                            takes"
        ));
    }
    let mut told = Told {
        environment,
        folder: shell::text(parameters, "cwd").unwrap_or("/tmp").to_owned(),
        command: String::new(),
        sudo: parameters.get("sudo").and_then(Value::as_bool) == Some(true),
        sudo_password: shell::text(parameters, "sudo_password").map(str::to_owned),
        removed: None,
    };
    let (file, name, arguments) = match program {
        Program::Line(command) => {
            told.command.clone_from(command);
            return Ok((told, None));
        }
        Program::File(file, name, arguments) => (file, name, arguments),
    };
    let staged = stage(job, access, file, name)
        .map_err(|error| format!("cannot copy {}: {error}", job.action.entry_point))?;
    let place = shell::text(parameters, "dir").unwrap_or("/tmp").trim_end_matches('/');
    let place = format!("{place}/{}", job.request.execution);
    let line = [&[format!("{place}/{name}")], arguments.as_slice()].concat();
    told.command = script::command_line(&line);
    told.removed = Some(place);
    Ok((told, Some(staged)))
}

/// The script and the libraries beside it, in a folder that is called as the execution.
fn stage(job: &Job<'_>, access: &Access, file: &Path, name: &str) -> io::Result<PathBuf> {
    let staged = access.staging(&job.request.execution)?;
    let script = staged.join(name);
    fs::copy(file, &script)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o744))?;
    let libraries = job.folder.join("actions/lib");
    if libraries.is_dir() {
        let mut files_left = FILES_MAX;
        copy_all(&libraries, &staged.join("lib"), DEPTH_MAX, &mut files_left)?;
    }
    Ok(staged)
}

fn copy_all(from: &Path, to: &Path, depth: usize, files_left: &mut usize) -> io::Result<()> {
    let many = || io::Error::other(format!("actions/lib has more than {FILES_MAX} files"));
    let depth =
        depth.checked_sub(1).ok_or_else(|| io::Error::other("actions/lib is nested too deeply"))?;
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_all(&entry.path(), &to.join(entry.file_name()), depth, files_left)?;
        } else if kind.is_file() {
            *files_left = files_left.checked_sub(1).ok_or_else(many)?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The whole of what came of all hosts.
fn outcome(hosts: &[Host], ended: Vec<Ended>, allow_partial_failure: bool) -> Outcome {
    let all = |is: fn(&Ended) -> bool| ended.iter().all(is);
    let any = |is: fn(&Ended) -> bool| ended.iter().any(is);
    let status = if any(|ended| ended.status == Status::Canceled) {
        Status::Canceled
    } else if all(|ended| ended.status == Status::Timeout) {
        Status::Timeout
    } else if all(|ended| ended.status == Status::Succeeded)
        || allow_partial_failure && any(|ended| ended.status == Status::Succeeded)
    {
        Status::Succeeded
    } else {
        Status::Failed
    };
    if all(|ended| ended.unreached.is_some()) {
        let why: Vec<String> = hosts
            .iter()
            .zip(&ended)
            .map(|(host, ended)| {
                format!("{}: {}", host.label, ended.unreached.as_deref().unwrap_or_default())
            })
            .collect();
        let result = json!({
            "error": format!("unable to connect to any host: {}", why.join("; ")),
            "traceback": "",
            "failed": true,
            "succeeded": false,
            "return_code": RETURN_CODE_UNREACHED,
        });
        return Outcome { status, result };
    }
    let results = hosts.iter().zip(ended).map(|(host, ended)| (host.label.clone(), ended.result));
    Outcome { status, result: Value::Object(results.collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hosts_decide_what_became_of_the_action() {
        use Status::{Canceled, Failed, Succeeded, Timeout};
        let hosts = hosts::parse("a,b").unwrap();
        let ended = |status, unreached: bool| Ended {
            status,
            result: json!({}),
            unreached: unreached.then(|| "refused".to_owned()),
        };
        for (first, second, expected, partial) in [
            (Succeeded, Succeeded, Succeeded, Succeeded),
            (Succeeded, Failed, Failed, Succeeded),
            (Timeout, Failed, Failed, Failed),
            (Timeout, Timeout, Timeout, Timeout),
            (Succeeded, Canceled, Canceled, Canceled),
            (Succeeded, Timeout, Failed, Succeeded),
        ] {
            for (allow, expected) in [(false, expected), (true, partial)] {
                let both = vec![ended(first, false), ended(second, false)];
                assert_eq!(outcome(&hosts, both, allow).status, expected, "{first} {second}");
            }
        }
        let none = outcome(&hosts, vec![ended(Failed, true), ended(Failed, true)], false);
        assert_eq!(none.result["return_code"], 255);
        let one = outcome(&hosts, vec![ended(Failed, true), ended(Succeeded, false)], false);
        assert_eq!(one.result, json!({"a": {}, "b": {}}));
    }
}

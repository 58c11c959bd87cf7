//! How an action runs: one file per runner, one `match` for all of them.

mod noop;
mod shell;

use std::path::Path;

use hearken_engine::definition::{Action, RunnerKind};
use hearken_engine::judge::Context;
use hearken_engine::parameters::{self, Surroundings};
use hearken_engine::template::Scope;
use hearken_kit::Shutdown;
use hearken_kit::process::{self, Listener};
use hearken_proto::{ActionRequest, Status};
use serde_json::{Map, Value};

use crate::Config;
use crate::run::error_result;

/// An action to be run.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// What it is.
    pub action: &'a Action,
    /// Root folder of its pack.
    pub folder: &'a Path,
    /// What was asked for.
    pub request: &'a ActionRequest,
    /// The service's settings.
    pub config: &'a Config,
    /// Where the process is written down.
    pub file: &'a mut process::Run,
    /// Requested when it should end early.
    pub cancel: &'a Shutdown,
    /// Hears what it prints.
    pub listener: Listener,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The final state.
    pub status: Status,
    /// The result, in the shape of the runner.
    pub result: Value,
}

impl Outcome {
    /// It could not even be started.
    pub(crate) fn failed(why: &str) -> Self {
        Self { status: Status::Failed, result: error_result(why) }
    }

    /// It was not to be run.
    pub(crate) fn shadow() -> Self {
        let result = serde_json::json!({ "message": "not run: this is a shadow installation" });
        Self { status: Status::Canceled, result }
    }
}

/// Runs an action to its end.
pub(crate) async fn run(job: Job<'_>) -> Outcome {
    let parameters = match complete(&job) {
        Ok(parameters) => parameters,
        Err(error) => return Outcome::failed(&error.to_string()),
    };
    match &job.action.runner {
        RunnerKind::Noop => noop::run(),
        RunnerKind::LocalShellCommand => shell::command(job, &parameters).await,
        RunnerKind::LocalShellScript => shell::script(job, &parameters).await,
        RunnerKind::RemoteShellCommand
        | RunnerKind::RemoteShellScript
        | RunnerKind::PythonScript
        | RunnerKind::HttpRequest
        | RunnerKind::ActionChain
        | RunnerKind::Orquesta
        | RunnerKind::Inquirer
        | RunnerKind::Announcement
        | RunnerKind::WinrmCommand
        | RunnerKind::WinrmPowershellCommand
        | RunnerKind::WinrmPowershellScript
        | RunnerKind::Unsupported(_) => {
            let name = job.action.runner.name();
            Outcome::failed(&format!("the runner {name} is not supported yet"))
        }
    }
}

/// What was asked for, with defaults filled in.
fn complete(job: &Job<'_>) -> Result<Map<String, Value>, parameters::Error> {
    let context = Context::default();
    let scope = Scope::viewing(context.views());
    parameters::finish(job.action, &job.request.parameters, &scope, &Surroundings::default())
}

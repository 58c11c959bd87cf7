//! How an action runs: one file per runner, one `match` for all of them.
//!
//! Secrets are opened here, last of all, and nowhere before. They reach the action and nobody else:
//! what goes wrong is told without them. What an action itself prints of them is its own affair.

mod announcement;
mod http;
mod noop;
mod python;
mod shell;

use std::path::Path;

use hearken_engine::definition::{Action, RunnerKind};
use hearken_engine::judge::USER_DEFAULT;
use hearken_engine::parameters::mask;
use hearken_engine::parameters::{self, Surroundings};
use hearken_engine::template::Scope;
use hearken_kit::Shutdown;
use hearken_kit::bus::Bus;
use hearken_kit::process::{self, Listener};
use hearken_kit::seal::Secrets;
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
    /// Where what it has to say goes.
    pub bus: &'a Bus,
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
    let opened = match job.config.sealer.open_request(job.request) {
        Ok(opened) => opened,
        Err(error) => return Outcome::failed(&error.to_string()),
    };
    let mut secret = secret_names(&job);
    let parameters = match complete(&job, &opened) {
        Ok(parameters) => parameters,
        Err(error) => {
            return Outcome::failed(&Secrets::of(&secret, &opened).hide(&error.to_string()));
        }
    };
    let secrets = Secrets::of(&secret, &parameters);
    // A default may be a template that repeats a secret.
    let repeat = parameters.iter().filter(|(_, value)| secrets.appear_in(value));
    secret.extend(repeat.map(|(name, _)| name.clone()));
    // On the heap: some runners hold much while they wait, and there is one of them per run.
    let mut outcome = Box::pin(perform(job, &parameters, &secret)).await;
    if let Some(Value::String(error)) = outcome.result.get_mut("error") {
        *error = secrets.hide(error);
    }
    outcome
}

async fn perform(job: Job<'_>, parameters: &Map<String, Value>, secret: &[String]) -> Outcome {
    match &job.action.runner {
        RunnerKind::Noop => noop::run(),
        RunnerKind::LocalShellCommand => shell::command(job, parameters).await,
        RunnerKind::LocalShellScript => shell::script(job, parameters).await,
        RunnerKind::HttpRequest => http::run(&job, parameters).await,
        RunnerKind::PythonScript => python::run(job, parameters).await,
        RunnerKind::Announcement => announcement::run(&job, parameters, secret).await,
        RunnerKind::RemoteShellCommand
        | RunnerKind::RemoteShellScript
        | RunnerKind::ActionChain
        | RunnerKind::Orquesta
        | RunnerKind::Inquirer
        | RunnerKind::WinrmCommand
        | RunnerKind::WinrmPowershellCommand
        | RunnerKind::WinrmPowershellScript
        | RunnerKind::Unsupported(_) => {
            let name = job.action.runner.name();
            Outcome::failed(&format!("the runner {name} is not supported yet"))
        }
    }
}

/// Parameters that must not be shown: those the request names, and those whose
/// default is secret or opens a secret.
fn secret_names(job: &Job<'_>) -> Vec<String> {
    let mut names = job.request.secret.clone();
    for name in mask::secret_names(job.action, &Map::new()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What was asked for, with defaults filled in.
fn complete(
    job: &Job<'_>,
    opened: &Map<String, Value>,
) -> Result<Map<String, Value>, parameters::Error> {
    let context = job.config.datastore.context(USER_DEFAULT);
    let scope = Scope::viewing(context.views());
    parameters::finish(job.action, opened, &scope, &Surroundings::default())
}

//! How an action runs: one file per runner, one `match` for all of them.
//!
//! Secrets are opened here, last of all, and nowhere before. They reach the action and nobody else:
//! what it prints of them, returns or fails with is told without them.

mod announcement;
mod http;
mod inquirer;
mod noop;
mod python;
mod remote;
mod shell;
mod unlisted;

use std::path::Path;

use hearken_engine::definition::{Action, RunnerKind};
use hearken_engine::judge::USER_DEFAULT;
use hearken_engine::parameters::{self, Done, Resolved, Surroundings};
use hearken_engine::template::Scope;
use hearken_kit::Shutdown;
use hearken_kit::bus::Bus;
use hearken_kit::process::{self, Listener};
use hearken_kit::seal::Secrets;
use hearken_kit::ticket;
use hearken_proto::{ActionRequest, Status};
use serde_json::{Map, Value};

use crate::Config;
use crate::hidden::Hidden;
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
    /// What it must not tell.
    pub hidden: Hidden,
}

impl Job<'_> {
    /// What the action shows to the HTTP API, as `ST2_ACTION_AUTH_TOKEN`: good for as long as the
    /// execution goes on.
    pub(crate) fn ticket(&self) -> String {
        ticket::issue(&self.config.sealer, &self.request.execution, self.config.clock.now())
    }

    /// Where the HTTP API answers, with its version, as StackStorm tells it.
    pub(crate) fn api_url(&self) -> String {
        let url = self.config.api_url.trim_end_matches('/');
        if url.is_empty() || url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") }
    }
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
    let done = Done { values: opened, secret: job.request.secret.clone() };
    let Resolved { parameters, mut secret } = match complete(&job, &done) {
        Ok(resolved) => resolved,
        Err(error) => {
            let secrets = Secrets::of(&secret_names(&job), &done.values);
            return Outcome::failed(&secrets.hide(&error.to_string()));
        }
    };
    let hidden = job.hidden.clone();
    let secrets = Secrets::of(&secret, &parameters);
    // A default may be a template that repeats a secret.
    let repeat = parameters.iter().filter(|(_, value)| secrets.appear_in(value));
    secret.extend(repeat.map(|(name, _)| name.clone()));
    hidden.add(secrets);
    // On the heap: some runners hold much while they wait, and there is one of them per run.
    let mut outcome = Box::pin(perform(job, &parameters, &secret)).await;
    outcome.result = hidden.secrets().hide_value(outcome.result);
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
        RunnerKind::Inquirer => inquirer::run(parameters),
        RunnerKind::RemoteShellCommand => remote::command(job, parameters).await,
        RunnerKind::RemoteShellScript => remote::script(job, parameters).await,
        RunnerKind::WinrmCommand
        | RunnerKind::WinrmPowershellCommand
        | RunnerKind::WinrmPowershellScript => {
            let name = job.action.runner.name();
            Outcome::failed(&format!(
                "the runner {name} is not supported: Hearken does not speak WinRM; Windows has an \
                 OpenSSH server, which remote-shell-cmd reaches"
            ))
        }
        RunnerKind::ActionChain | RunnerKind::Orquesta | RunnerKind::Unsupported(_) => {
            let name = job.action.runner.name();
            Outcome::failed(&format!("the runner {name} is not supported yet"))
        }
    }
}

/// Parameters of the request that must not be shown: those it names, and those that the action
/// declares secret by now.
fn secret_names(job: &Job<'_>) -> Vec<String> {
    let mut names = job.request.secret.clone();
    let declared = job.action.secret_parameters().into_iter().map(str::to_owned);
    names.extend(declared);
    names
}

/// What was asked for, with defaults filled in. Only the action's own defaults are templates here:
/// what was asked for is data.
fn complete(job: &Job<'_>, done: &Done) -> Result<Resolved, parameters::Error> {
    let context = job.config.datastore.context(USER_DEFAULT);
    let scope = Scope::viewing(context.views());
    parameters::finish(job.action, done, &scope, &Surroundings::default())
}

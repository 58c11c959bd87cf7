//! The work on one host: what is copied there, then what is run there, within one time limit.

use std::path::Path;
use std::time::Duration;

use hearken_kit::Shutdown;
use hearken_kit::process::{self, Ending, Listener, Marker, Spawn, Stdin};
use hearken_proto::Status;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::access::Access;
use super::hosts::Host;
use crate::runner::shell::parsed;

/// What `ssh` answers when it could not do its part. A command may answer the same; then it has
/// printed nothing, or nobody complains about it.
const EXIT_SSH: i32 = 255;
/// Return code of a run that was ended by its time limit, as StackStorm has it.
const RETURN_CODE_TIMEOUT: i32 = -9;
/// How long `ssh` may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// What the host is asked to run: the user's own shell, which is told the rest.
const SHELL: &str = "exec \"${SHELL:-/bin/sh}\"";

/// What is done on every host.
pub(super) struct Work<'a> {
    /// The way there.
    pub access: &'a Access,
    /// What the shell is told.
    pub told: String,
    /// A folder that is copied first.
    pub staged: Option<&'a Path>,
    /// Where to.
    pub folder: &'a str,
    /// Whose run this is.
    pub marker: Marker,
    /// Requested when it should end early.
    pub cancel: &'a Shutdown,
    /// Hears what is printed.
    pub listener: Option<&'a Listener>,
    /// The time limit.
    pub limit: Duration,
    /// When it is over.
    pub due: Instant,
    /// How much of each stream is kept.
    pub output_bytes_max: usize,
}

/// What became of it on one host.
#[derive(Debug)]
pub(super) struct Ended {
    /// The state this host gives the action.
    pub status: Status,
    /// Its part of the result.
    pub result: Value,
    /// Why nothing was run there, when nothing was.
    pub unreached: Option<String>,
}

impl Work<'_> {
    /// Does it at `host`.
    pub(super) async fn at(&self, host: &Host) -> Ended {
        if let Some(staged) = self.staged
            && let Err(ended) = self.copy(staged, host).await
        {
            return ended;
        }
        let mut spawn = self.spawn("ssh", host);
        spawn.stdin = Stdin::Open;
        spawn.arguments.extend(["-T".into(), "--".into(), (&host.name).into(), SHELL.into()]);
        let mut running = match process::start(&spawn).await {
            Ok(running) => running,
            Err(error) => return unreached(format!("{error} ({})", error.hint())),
        };
        // Held until the end: it is the line that the command's life hangs on.
        let line = running.take_stdin();
        let telling = async {
            let mut line = line;
            if let Some(line) = &mut line {
                // A connection that broke says so by its exit code.
                line.write_all(self.told.as_bytes()).await.unwrap_or(());
            }
            std::future::pending::<()>().await;
            drop(line);
        };
        let ended = tokio::select! {
            ended = running.finish(self.cancel.requested(), self.listener) => ended,
            () = telling => return unreached("the connection was lost".to_owned()),
        };
        self.judge(ended)
    }

    async fn copy(&self, staged: &Path, host: &Host) -> Result<(), Ended> {
        let mut spawn = self.spawn("scp", host);
        let name =
            if host.name.contains(':') { format!("[{}]", host.name) } else { host.name.clone() };
        let to = format!("{name}:{}/", self.folder.trim_end_matches('/'));
        let more = ["-q", "-r", "-p", "--"].map(Into::into);
        spawn.arguments.extend(more);
        spawn.arguments.extend([staged.as_os_str().to_owned(), to.into()]);
        let ended = process::run(&spawn, self.cancel.requested(), None).await;
        match ended.ending {
            Ending::Exited(0) => Ok(()),
            Ending::Exited(_) => {
                let said = String::from_utf8_lossy(&ended.stderr.bytes).trim().to_owned();
                Err(unreached(format!("cannot copy the script there: {said}")))
            }
            Ending::Signaled(_)
            | Ending::TimedOut
            | Ending::Canceled
            | Ending::FailedToStart(_)
            | Ending::Unknown(_) => Err(self.judge(ended)),
        }
    }

    fn spawn(&self, program: &str, host: &Host) -> Spawn {
        let mut spawn = self.access.spawn(program, host.port, self.marker.clone());
        spawn.timeout = self.due.saturating_duration_since(Instant::now());
        spawn.grace = GRACE;
        spawn.output_max_bytes = self.output_bytes_max;
        spawn
    }

    /// What an end means, in StackStorm's shape.
    fn judge(&self, ended: process::Outcome) -> Ended {
        let (status, return_code, error) = match &ended.ending {
            Ending::Exited(0) => (Status::Succeeded, 0, None),
            Ending::Exited(EXIT_SSH)
                if ended.stdout.total_bytes == 0 && ended.stderr.total_bytes > 0 =>
            {
                return unreached(String::from_utf8_lossy(&ended.stderr.bytes).trim().to_owned());
            }
            Ending::Exited(code) => (Status::Failed, *code, None),
            Ending::Signaled(signal) => {
                (Status::Failed, -signal, Some(format!("ssh was ended by signal {signal}")))
            }
            Ending::TimedOut => {
                let limit = self.limit.as_secs_f64();
                let error = format!("it took longer than {limit} s and was ended");
                (Status::Timeout, RETURN_CODE_TIMEOUT, Some(error))
            }
            Ending::Canceled => {
                let error = "canceled while it ran".to_owned();
                (Status::Canceled, RETURN_CODE_TIMEOUT, Some(error))
            }
            Ending::FailedToStart(error) => {
                return unreached(format!("{error} ({})", error.hint()));
            }
            Ending::Unknown(error) => (Status::Failed, -1, Some(error.to_string())),
        };
        let succeeded = status == Status::Succeeded;
        let mut result = Map::new();
        for (name, captured) in [("stdout", ended.stdout), ("stderr", ended.stderr)] {
            if captured.truncated {
                result.insert(format!("{name}_truncated"), json!(true));
                result.insert(format!("{name}_bytes"), json!(captured.total_bytes));
            }
            result.insert(name.to_owned(), parsed(captured));
        }
        result.insert("return_code".to_owned(), json!(return_code));
        result.insert("succeeded".to_owned(), json!(succeeded));
        result.insert("failed".to_owned(), json!(!succeeded));
        if let Some(error) = error {
            result.insert("error".to_owned(), json!(error));
        }
        Ended { status, result: Value::Object(result), unreached: None }
    }
}

/// Nothing was run there.
fn unreached(why: String) -> Ended {
    let result = json!({
        "stdout": "",
        "stderr": "",
        "return_code": EXIT_SSH,
        "succeeded": false,
        "failed": true,
        "error": why,
        "traceback": "",
    });
    Ended { status: Status::Failed, result, unreached: Some(why) }
}

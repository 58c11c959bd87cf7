//! One process of a sensor, from its start to its end.

use std::time::Duration;

use hearken_kit::chain;
use hearken_kit::process::{self, Claim, Ending, Outcome};
use hearken_kit::{Shutdown, random};
use hearken_proto::record::SensorStatus;
use serde_json::{Map, Value};
use tokio::io;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::host::{Shared, Wanted};
use crate::means::{self, Prepared};
use crate::pass;
use crate::reporter::Reporter;
use crate::talk::{Streams, Talk};

/// How long events that an ended process has told are given to be stored, while the bus is away
/// and somebody waits for us.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Why, in one line.
    pub(crate) why: String,
    /// How long it ran.
    pub(crate) lived: Duration,
}

/// For so long a process counts as one that begins.
const BEGINNING: Duration = Duration::from_secs(3);

/// Processes that may begin at a time.
pub(crate) fn beginning_max() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs one process of a sensor, with this configuration, until it ends, or until `cancel` asks it
/// to.
pub(crate) async fn run(
    shared: &Shared,
    wanted: &Wanted,
    config: Result<Map<String, Value>, String>,
    reporter: &Reporter,
    cancel: &Shutdown,
) -> Ended {
    let started = Instant::now();
    let ran = match config {
        Ok(config) => attempt(shared, wanted, config, reporter, cancel).await,
        Err(why) => Err(why),
    };
    let (Ok(why) | Err(why)) = ran;
    Ended { why, lived: started.elapsed() }
}

/// Why the process ended, or could not be started.
async fn attempt(
    shared: &Shared,
    wanted: &Wanted,
    config: Map<String, Value>,
    reporter: &Reporter,
    cancel: &Shutdown,
) -> Result<String, String> {
    let nonce = random::hex(8).map_err(|error| format!("a process cannot be named: {error}"))?;
    let begun = async {
        let place = shared.beginning.acquire().await.map_err(|error| error.to_string())?;
        let pass = pass::issue(shared, wanted, &nonce).await.map_err(|e| chain(&e))?;
        Ok::<_, String>((place, pass))
    };
    let (place, pass) = tokio::select! {
        biased;
        () = cancel.requested() => return Ok("it was stopped before it began".to_owned()),
        begun = begun => begun?,
    };
    let claim = Claim {
        execution: format!("{}#{nonce}", wanted.sensor.reference),
        incarnation: shared.replica.clone(),
        attempt: 1,
    };
    let mut note = shared.runs.begin(claim).map_err(|error| chain(&error))?;
    let marker = note.marker().clone();
    let ran = match means::prepare(shared, wanted, config, &pass.ticket, marker).await {
        Ok(prepared) => {
            let ran = perform(shared, wanted, reporter, cancel, &nonce, prepared, &mut note);
            let mut ran = std::pin::pin!(ran);
            tokio::select! {
                ran = &mut ran => ran,
                () = tokio::time::sleep(BEGINNING) => {
                    drop(place);
                    ran.await
                }
            }
        }
        Err(why) => Err(why),
    };
    pass.revoke(shared).await;
    if let Err(error) = note.told() {
        warn!(sensor = wanted.sensor.reference, %error, "an ended process stays noted");
    }
    ran
}

async fn perform(
    shared: &Shared,
    wanted: &Wanted,
    reporter: &Reporter,
    cancel: &Shutdown,
    name: &str,
    prepared: Prepared,
    note: &mut process::Run,
) -> Result<String, String> {
    let Prepared { spawn, channel, first } = prepared;
    let command = spawn.program.to_string_lossy().into_owned();
    let mut running = process::start(&spawn).await.map_err(|error| {
        let hint = error.hint();
        format!("{error} ({hint})")
    })?;
    // The other end of the socket is the process's alone now.
    drop(spawn);
    let identity = running.identity();
    // Without the process group a restart still finds the process by its marker.
    note.started(identity).unwrap_or(());
    let talk = Talk::new(shared, wanted, reporter, name);
    let is_class = channel.is_some();
    let first = talk.first(first, is_class);
    let streams = streams(&mut running, channel);
    // A program says nothing of being set up.
    let status = if is_class { SensorStatus::Starting } else { SensorStatus::Running };
    let pid = u32::try_from(identity.group).ok();
    reporter.started(&wanted.sensor.class_name, status, pid, &command).await;
    let outcome = {
        let ended = running.finish(cancel.requested(), None);
        let talking = talk.serve(streams, first);
        let (mut ended, mut talking) = (Box::pin(ended), Box::pin(talking));
        tokio::select! {
            biased;
            outcome = &mut ended => {
                talk.gone.request();
                tokio::select! {
                    biased;
                    () = &mut talking => {}
                    () = waited_for(cancel) => {
                        let why = "events were lost: the bus took none when the process ended";
                        reporter.fault(why);
                    }
                }
                outcome
            }
            () = &mut talking => ended.await,
        }
    };
    reporter.ended(&wanted.sensor.class_name, exit_code(&outcome)).await;
    let why = why(&outcome, talk.last_words());
    Ok(means::explained(shared, &wanted.sensor.pack, why))
}

/// Ends some time after `cancel` was requested; never before that.
async fn waited_for(cancel: &Shutdown) {
    cancel.requested().await;
    sleep(SETTLE_WAIT).await;
}

/// What is read and written: over the socket, or over the standard streams.
fn streams(running: &mut process::Running, channel: Option<tokio::net::UnixStream>) -> Streams {
    let mut output = |which| {
        let taken = running.take_output(which);
        taken.map(|pipe| Box::new(pipe) as Box<dyn io::AsyncRead + Send + Unpin>)
    };
    let stdout = output(process::Output::Stdout);
    let stderr = output(process::Output::Stderr);
    match channel {
        Some(channel) => {
            let (input, output) = channel.into_split();
            let (input, output) = (Box::new(input), Box::new(output));
            Streams { input, output, printed: [stdout, stderr] }
        }
        None => {
            let input = stdout.unwrap_or_else(|| Box::new(io::empty()));
            let output: Box<dyn io::AsyncWrite + Send + Unpin> = match running.take_stdin() {
                Some(pipe) => Box::new(pipe),
                None => Box::new(io::sink()),
            };
            Streams { input, output, printed: [None, stderr] }
        }
    }
}

fn exit_code(outcome: &Outcome) -> Option<i32> {
    match outcome.ending {
        Ending::Exited(code) => Some(code),
        Ending::Signaled(signal) => Some(-signal),
        Ending::TimedOut | Ending::Canceled | Ending::FailedToStart(_) | Ending::Unknown(_) => None,
    }
}

fn why(outcome: &Outcome, said: Option<String>) -> String {
    let how = match &outcome.ending {
        Ending::Exited(0) => return "it ended by itself".to_owned(),
        Ending::Exited(code) => format!("it exited with {code}"),
        Ending::Signaled(signal) => return format!("it was ended by signal {signal}"),
        Ending::Canceled | Ending::TimedOut => return "it was stopped".to_owned(),
        Ending::FailedToStart(error) => error.to_string(),
        Ending::Unknown(error) => format!("nobody knows how it ended: {error}"),
    };
    said.unwrap_or(how)
}

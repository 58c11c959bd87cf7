//! One process of a sensor, from its start to its end.

use std::time::Duration;

use hearken_kit::process::{self, Claim, Ending, Outcome};
use hearken_kit::{Shutdown, random};
use tokio::io;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::host::{Shared, Wanted};
use crate::means::{self, Prepared, with_causes};
use crate::reporter::Reporter;
use crate::talk::{Streams, Talk};

/// How long events that an ended process has told are given to be stored, while the bus is away.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Why, in one line.
    pub(crate) why: String,
    /// How long it ran.
    pub(crate) lived: Duration,
}

/// Runs one process of a sensor until it ends, or until `cancel` asks it to.
pub(crate) async fn run(
    shared: &Shared,
    wanted: &Wanted,
    reporter: &Reporter,
    cancel: &Shutdown,
) -> Ended {
    let started = Instant::now();
    let why = match attempt(shared, wanted, reporter, cancel).await {
        Ok(why) | Err(why) => why,
    };
    Ended { why, lived: started.elapsed() }
}

/// Why the process ended, or could not be started.
async fn attempt(
    shared: &Shared,
    wanted: &Wanted,
    reporter: &Reporter,
    cancel: &Shutdown,
) -> Result<String, String> {
    let nonce = random::hex(8).map_err(|error| format!("a process cannot be named: {error}"))?;
    let claim = Claim {
        execution: format!("{}#{nonce}", wanted.sensor.reference),
        incarnation: shared.replica.clone(),
        attempt: 1,
    };
    let mut note = shared.runs.begin(claim).map_err(|error| with_causes(&error))?;
    let ran = match means::prepare(shared, wanted, note.marker().clone()).await {
        Ok(prepared) => {
            perform(shared, wanted, reporter, cancel, &nonce, prepared, &mut note).await
        }
        Err(why) => Err(why),
    };
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
    let first = talk.first(first, channel.is_some());
    let streams = streams(&mut running, channel);
    reporter.running(&wanted.sensor.class_name, u32::try_from(identity.group).ok(), &command).await;
    let outcome = {
        let ended = running.finish(cancel.requested(), None);
        let talking = talk.serve(streams, first);
        let (mut ended, mut talking) = (Box::pin(ended), Box::pin(talking));
        tokio::select! {
            biased;
            outcome = &mut ended => {
                talk.gone.request();
                if timeout(SETTLE_WAIT, talking).await.is_err() {
                    reporter.fault("events were lost: the bus took none when the process ended");
                }
                outcome
            }
            () = &mut talking => ended.await,
        }
    };
    reporter.ended(&wanted.sensor.class_name, exit_code(&outcome)).await;
    Ok(why(&outcome, talk.last_words()))
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

//! Real programs, started, watched and ended.

use std::future::pending;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::procfs;
use super::{
    Chunk, Ending, Listener, Marker, Outcome, Output, Running, Spawn, StartError, Stdin,
    Stragglers, run, start,
};

mod endings;
mod interrupted;
mod output;
mod prepared;

/// Longest that anything here is waited for: a loaded machine is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// A grace that no test means to use up.
const LONG: Duration = Duration::from_secs(60);

/// A shell script, as a run of that name.
fn script(name: &str, text: &str) -> Spawn {
    let mut spawn = Spawn::new("/bin/sh", Marker::new("test", name).unwrap());
    spawn.arguments = vec!["-c".into(), text.into()];
    spawn.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spawn.timeout = LONG;
    spawn.grace = LONG;
    spawn
}

/// Runs to the end without listening or canceling.
async fn outcome(spawn: &Spawn) -> Outcome {
    tokio::time::timeout(PATIENCE, run(spawn, pending(), None)).await.expect("it ends")
}

/// Runs until it has said `words` words, then cancels it. Answers what it said as well.
async fn cancel_after(spawn: &Spawn, words: usize) -> (Vec<String>, Outcome) {
    let (tx, mut rx) = mpsc::channel(64);
    let listener = Listener::new(tx);
    let mut said = String::new();
    let cancel = async {
        while said.split_whitespace().count() < words || !said.ends_with('\n') {
            let chunk: Chunk = rx.recv().await.expect("it speaks");
            said.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
        }
    };
    let run = run(spawn, cancel, Some(&listener));
    let outcome = tokio::time::timeout(PATIENCE, run).await.expect("it ends");
    (said.split_whitespace().map(str::to_owned).collect(), outcome)
}

/// Waits for a condition that nothing announces.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process executes something.
fn is_alive(pid: &str) -> bool {
    procfs::stat(pid.parse().expect("a process id")).is_ok_and(|stat| stat.is_alive())
}

/// Kills a process that a test left alive on purpose.
fn kill(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// What was said on standard output.
fn stdout(outcome: &Outcome) -> &str {
    std::str::from_utf8(&outcome.stdout.bytes).unwrap()
}

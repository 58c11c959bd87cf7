//! One run of a program, from its start to an outcome that says everything about its end.
//!
//! Three stretches, each with a deadline: until the child ends, is canceled or is due; then, if it
//! did not end by itself, until its group has; then until its output is at its end, which somebody
//! who inherited the pipes may put off for ever.

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::capture::{Captured, Listener, Output};
use super::error::StartError;
use super::leader::{self, Leader};
use super::procfs;
use super::spawn::{self, Identity, Launched, Spawn, Stragglers};
use super::streams::Streams;
use super::sweep;

/// How long output is awaited after the child's end from those who inherited its pipes: long
/// enough for a `tee` to finish, too short to be felt.
const LINGER: Duration = Duration::from_millis(250);
/// How long a child may take to be gone after SIGKILL. One that sleeps in the kernel (a dead NFS
/// server) is left to a reaper after that.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// How long a program whose file is just being written is tried again, by whoever unpacks it or by
/// a child of ours that was forked meanwhile and holds the file until it executes.
const BUSY_PAUSES: [Duration; 3] =
    [Duration::from_millis(2), Duration::from_millis(10), Duration::from_millis(50)];

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// It ran longer than it may and was ended.
    TimedOut,
    /// The caller wanted its end.
    Canceled,
    /// It never ran.
    FailedToStart(StartError),
    /// It ran, and how it ended is not known: somebody else reaped it (this process was started
    /// with SIGCHLD ignored).
    Unknown(io::Error),
}

/// All there is to say about a run.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Its standard output.
    pub stdout: Captured,
    /// Its standard error.
    pub stderr: Captured,
    /// From the start to this outcome.
    pub elapsed: Duration,
    /// Somebody who outlived the child still held its output open, so there may be more to it.
    pub held_open: bool,
    /// SIGTERM was not enough for the child itself.
    pub forced: bool,
    /// Processes that had left the group and were killed one by one.
    pub escaped: u32,
    /// The child could not be killed: it sleeps in the kernel, or runs as a user we may not signal.
    pub stuck: bool,
    /// Limits that the kernel refused, as it does for programs that run as another user.
    pub limits_refused: u32,
}

/// A child that was started. Dropping it kills its group.
#[derive(Debug)]
pub struct Running {
    /// The child.
    leader: Leader,
    /// Its pipes.
    streams: Streams,
    /// Which group it is.
    identity: Identity,
    /// When it was started.
    started: Instant,
    /// When it is due; `None` is never.
    due: Option<Instant>,
    /// How long its group may take to end after SIGTERM.
    grace: Duration,
    /// What becomes of those it leaves in its group.
    stragglers: Stragglers,
    /// Limits that the kernel refused.
    limits_refused: u32,
}

/// Why a child is not waited for any longer.
enum Cause {
    /// It has ended.
    Ended,
    /// It ran longer than it may.
    Due,
    /// The caller wants its end.
    Canceled,
}

/// What it took to end a group.
#[derive(Default)]
struct End {
    /// SIGTERM was not enough for the child itself.
    forced: bool,
    /// Processes that had left the group.
    escaped: u32,
}

/// Runs a program to its end. `cancel` ends it early ([`std::future::pending`] for never),
/// `listener` hears its output while it runs.
///
/// Dropping the future kills the group.
pub async fn run(
    spawn: &Spawn,
    cancel: impl Future<Output = ()>,
    listener: Option<&Listener>,
) -> Outcome {
    let started = Instant::now();
    match start(spawn).await {
        Ok(running) => running.finish(cancel, listener).await,
        Err(error) => Outcome::not_started(error, started.elapsed()),
    }
}

/// Starts a program. Its output is read only by [`Running::finish`], so call that soon.
///
/// # Errors
/// [`StartError`] says what is missing and where.
pub async fn start(spawn: &Spawn) -> Result<Running, StartError> {
    let mut pauses = BUSY_PAUSES.into_iter();
    loop {
        let busy = match spawn::launch(spawn) {
            Err(busy @ StartError::ProgramBusy { .. }) => busy,
            Err(error) => return Err(error),
            Ok(launched) => return Running::new(spawn, launched),
        };
        match pauses.next() {
            Some(pause) => sleep(pause).await,
            None => return Err(busy),
        }
    }
}

impl Running {
    /// Takes over a child that was just started.
    fn new(spawn: &Spawn, launched: Launched) -> Result<Self, StartError> {
        let Launched { mut child, identity, limits_refused } = launched;
        let streams = Streams::take(&mut child, spawn);
        // From here on dropping kills: no way out of this function leaves a child behind.
        let mut leader = Leader::new(child, spawn.marker.clone());
        let failed = |source| StartError::NoRoom { program: spawn.program.clone().into(), source };
        let streams = streams.map_err(failed)?;
        leader.watch().map_err(failed)?;
        Ok(Self::of(leader, streams, identity, spawn, limits_refused))
    }

    /// A child that is watched and read.
    pub(super) fn of(
        leader: Leader,
        streams: Streams,
        identity: Identity,
        spawn: &Spawn,
        limits_refused: u32,
    ) -> Self {
        let started = Instant::now();
        Self {
            leader,
            streams,
            identity,
            started,
            due: started.checked_add(spawn.timeout),
            grace: spawn.grace,
            stragglers: spawn.stragglers,
            limits_refused,
        }
    }

    /// Which group this is, to find it again after a crash.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The child's standard input, when it was started with [`Stdin::Open`](super::Stdin::Open). It
    /// ends for the child when this is dropped, or when [`Running::finish`] begins and nobody took
    /// it.
    pub fn take_stdin(&mut self) -> Option<Sender> {
        self.streams.take_stdin()
    }

    /// One of the child's outputs, for a caller who reads it as it comes; nothing of it is captured
    /// then. The child waits when it is not read.
    pub fn take_output(&mut self, output: Output) -> Option<Receiver> {
        self.streams.take_output(output)
    }

    /// Waits for the end, or brings it about when it is due or wanted.
    ///
    /// Dropping the future kills the group.
    pub async fn finish(
        mut self,
        cancel: impl Future<Output = ()>,
        listener: Option<&Listener>,
    ) -> Outcome {
        let cause = self.until_ended(cancel, listener).await;
        let end = match cause {
            Cause::Ended => End::default(),
            Cause::Due | Cause::Canceled => self.end(listener).await,
        };
        self.streams.read(listener);
        let held_open = !self.streams.are_closed()
            && timeout(LINGER, self.streams.drain(listener)).await.is_err();
        if self.stragglers == Stragglers::End {
            self.leader.signal(Signal::KILL);
        }
        let reaped = self.leader.reap();
        let stuck = matches!(reaped, Ok(None));
        let ending = match cause {
            Cause::Ended => Ending::of(reaped),
            Cause::Due => Ending::TimedOut,
            Cause::Canceled => Ending::Canceled,
        };
        let (stdout, stderr) = self.streams.finish();
        Outcome {
            ending,
            stdout,
            stderr,
            elapsed: self.started.elapsed(),
            held_open,
            forced: end.forced,
            escaped: end.escaped,
            stuck,
            limits_refused: self.limits_refused,
        }
    }

    /// The first stretch: until the child has ended, is due, or is canceled.
    async fn until_ended(
        &mut self,
        cancel: impl Future<Output = ()>,
        listener: Option<&Listener>,
    ) -> Cause {
        let (leader, due) = (&mut self.leader, self.due);
        let cause = async move {
            let cancel = pin!(cancel);
            let due = pin!(async move {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            });
            // The child's own end first: it says more than that it was also late.
            tokio::select! {
                biased;
                () = leader.exited() => Cause::Ended,
                () = cancel => Cause::Canceled,
                () = due => Cause::Due,
            }
        };
        self.streams.serve(listener, cause).await
    }

    /// The second stretch: ends the group, first politely, and then those who left it.
    async fn end(&mut self, listener: Option<&Listener>) -> End {
        let Self { leader, streams, grace, .. } = self;
        let group = leader.group();
        leader.signal(Signal::TERM);
        // A stopped process could not act on it.
        leader.signal(Signal::CONT);
        let ended = async {
            leader.exited().await;
            leader::group_ended(group).await;
        };
        // A deadline beyond the end of time is none; five seconds of grace are the rule.
        let deadline = Instant::now().checked_add(*grace);
        let ended = async {
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, ended).await),
                None => ended.await,
            }
        };
        streams.serve(listener, ended).await;
        let forced = procfs::stat(group).is_ok_and(|stat| stat.is_alive());
        leader.signal(Signal::KILL);
        let gone = timeout(KILL_WAIT, leader.exited());
        drop(streams.serve(listener, gone).await);
        let marker = leader.marker().clone();
        let swept = tokio::task::spawn_blocking(move || {
            sweep::kill_marked(|value| value == marker.value().as_bytes())
        });
        let mut killed = streams.serve(listener, swept).await.unwrap_or_default();
        killed.remove(&group);
        End { forced, escaped: u32::try_from(killed.len()).unwrap_or(u32::MAX) }
    }
}

impl Ending {
    /// What the child's status says.
    fn of(reaped: io::Result<Option<ExitStatus>>) -> Self {
        let status = match reaped {
            Ok(Some(status)) => status,
            Ok(None) => return Self::Unknown(io::ErrorKind::WouldBlock.into()),
            Err(error) => return Self::Unknown(error),
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signaled(signal),
            (None, None) => Self::Unknown(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Outcome {
    /// The outcome of a program that never ran.
    fn not_started(error: StartError, elapsed: Duration) -> Self {
        Self {
            ending: Ending::FailedToStart(error),
            stdout: Captured::default(),
            stderr: Captured::default(),
            elapsed,
            held_open: false,
            forced: false,
            escaped: 0,
            stuck: false,
            limits_refused: 0,
        }
    }
}

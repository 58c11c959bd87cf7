//! A prepared process: started once, and forked for each run.
//!
//! An interpreter that takes a tenth of a second to start takes a millisecond to fork. Whoever is
//! prepared reads requests from the socket that is its standard input; each brings three
//! descriptors: the new process's standard input, output and error. What the new process is to do,
//! with which environment and in which folder, comes to it over the first of them and is nothing
//! that the prepared process ever sees, so no run inherits a word of another.
//!
//! The protocol, numbers with the high byte first:
//! - when prepared it says `Y`, otherwise `N` and why;
//! - `F`, a number (4 bytes), a length (2), and so many bytes of marker, with three descriptors:
//!   fork. The answer is the number and the process id (4 bytes), or the error number below zero.
//!   The new process leads its own group before the answer, and shows the marker as `HEARKEN_RUN`
//!   in its environment where `/proc` shows it;
//! - `R` and a process id: reap it as soon as it has ended, and not before;
//! - at the end of the socket it kills the groups of what it has not been told to reap, and ends.
//!
//! Invariants: a forked process keeps its id until its group has been dealt with; a prepared
//! process lives as long as anything that it forked is looked after, and ends with this process.

use std::io::{self, IoSlice, pipe};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Pair;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error::StartError;
use super::leader::Leader;
use super::procfs;
use super::run::{self, Running};
use super::spawn::{Identity, Spawn, Stdin};
use super::streams::Streams;

/// How long a fork may take: milliseconds, and what a loaded machine makes of them.
const FORK_WAIT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES: usize = 8;
/// Most that is read of why something could not be prepared.
const WHY_BYTES_MAX: usize = 4 << 10;

/// A process that is ready to be forked. Clones are the same process, which ends when the last of
/// them, and of what was forked from it, is gone.
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Control>);

/// The socket to a prepared process, and the process.
#[derive(Debug)]
pub(super) struct Control {
    /// Our end of the socket.
    socket: UnixStream,
    /// Whose turn it is to fork.
    turn: Mutex<Turn>,
    /// The process, which ends when this is dropped.
    running: Running,
}

/// What the forks of one process have in common.
#[derive(Debug, Default)]
struct Turn {
    /// Number of the last request.
    number: u32,
    /// The beginning of an answer.
    answer: Vec<u8>,
}

/// Why a prepared process cannot be had, or does not fork.
#[derive(Debug, thiserror::Error)]
pub enum PreparedError {
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It was started, and could not prepare itself.
    #[error("{program} is not ready to be forked: {why}")]
    NotReady {
        /// The program.
        program: String,
        /// What it said, or what it was.
        why: String,
    },
    /// It is gone, or does not answer.
    #[error("the prepared process does not answer")]
    Gone(#[source] io::Error),
    /// No room for another process, its pipes or its descriptors.
    #[error("no room to fork the prepared process")]
    NoRoom(#[source] io::Error),
    /// The kernel cannot tell of the end of processes that are no children (before Linux 5.3).
    #[error("this kernel has no descriptors of processes")]
    Unsupported,
}

impl Prepared {
    /// Starts a program that prepares itself, and waits until it is ready, for `spawn.timeout` at
    /// most. Its standard input is the socket, whatever `spawn` says of it. Its marker has to be
    /// its own, because its end is the end of all that carry it, and as long as those of the runs.
    ///
    /// # Errors
    /// [`PreparedError`]; nothing is left of it then.
    pub async fn start(spawn: &Spawn) -> Result<Self, PreparedError> {
        if pidfd_open(getpid(), PidfdFlags::empty()).is_err() {
            return Err(PreparedError::Unsupported);
        }
        let (ours, theirs) = Pair::pair().map_err(PreparedError::NoRoom)?;
        ours.set_nonblocking(true).map_err(PreparedError::NoRoom)?;
        let socket = UnixStream::from_std(ours).map_err(PreparedError::NoRoom)?;
        let mut spawn = spawn.clone();
        spawn.stdin = Stdin::Given(Arc::new(theirs.into()));
        let running = run::start(&spawn).await?;
        let program = spawn.program.to_string_lossy().into_owned();
        let wait = spawn.timeout;
        // The other end of the socket is open in the child alone now.
        drop(spawn);
        let said = timeout(wait, said(&socket)).await;
        let why = match said {
            Ok(Ok(said)) if said == "Y" => {
                let turn = Mutex::default();
                return Ok(Self(Arc::new(Control { socket, turn, running })));
            }
            Ok(Ok(said)) if said.is_empty() => String::new(),
            Ok(Ok(said)) => said.trim_start_matches('N').to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_late) => format!("it took longer than {} s", wait.as_secs_f64()),
        };
        drop(socket);
        let outcome = running.finish(std::future::ready(()), None).await;
        let printed = String::from_utf8_lossy(&outcome.stderr.bytes);
        let why = format!("{why} {}", printed.trim()).trim().to_owned();
        Err(PreparedError::NotReady { program, why })
    }

    /// Forks it. Of `spawn` counts what concerns the run: its bounds, its marker, and
    /// [`Stdin::Given`], over which the new process learns what it is to do.
    ///
    /// # Errors
    /// [`PreparedError::Gone`] when another one has to be prepared, [`PreparedError::NoRoom`] when
    /// it may work later.
    pub async fn fork(&self, spawn: &Spawn) -> Result<Running, PreparedError> {
        let Stdin::Given(stdin) = &spawn.stdin else {
            return Err(PreparedError::NoRoom(io::ErrorKind::InvalidInput.into()));
        };
        let (stdout, child_stdout) = pipe().map_err(PreparedError::NoRoom)?;
        let (stderr, child_stderr) = pipe().map_err(PreparedError::NoRoom)?;
        let theirs = [stdin.as_fd(), child_stdout.as_fd(), child_stderr.as_fd()];
        let marker = spawn.marker.value().as_bytes();
        let started_after_ticks = procfs::now_ticks();
        let pid = match timeout(FORK_WAIT, self.0.fork(marker, &theirs)).await {
            Ok(pid) => pid?,
            Err(_late) => return Err(PreparedError::Gone(io::ErrorKind::TimedOut.into())),
        };
        let started_by_ticks = procfs::now_ticks();
        // From here on dropping kills: no way out of this function leaves a process behind.
        let mut leader = Leader::forked(pid, Arc::clone(&self.0), spawn.marker.clone());
        leader.watch().map_err(PreparedError::NoRoom)?;
        let limits_refused = spawn.limits.apply(pid);
        let streams = Streams::reading(OwnedFd::from(stdout), OwnedFd::from(stderr), spawn);
        let streams = streams.map_err(PreparedError::NoRoom)?;
        let group = leader.group();
        let identity = Identity { group, started_after_ticks, started_by_ticks };
        Ok(Running::of(leader, streams, identity, spawn, limits_refused))
    }

    /// The prepared process itself.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.running.identity()
    }
}

impl Control {
    /// Asks for a process that leads its own group, and waits for its id.
    async fn fork(
        &self,
        marker: &[u8],
        descriptors: &[std::os::fd::BorrowedFd<'_>; 3],
    ) -> Result<Pid, PreparedError> {
        let mut turn = self.turn.lock().await;
        turn.number = turn.number.wrapping_add(1);
        let number = turn.number;
        let length = u16::try_from(marker.len())
            .map_err(|_| PreparedError::NoRoom(io::ErrorKind::InvalidInput.into()))?;
        let request = [b"F", &number.to_be_bytes()[..], &length.to_be_bytes()[..], marker].concat();
        let sent = self.socket.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            Ok(sendmsg(&self.socket, &[IoSlice::new(&request)], &mut ancillary, flags)?)
        });
        let sent = sent.await.map_err(PreparedError::Gone)?;
        if sent != request.len() {
            return Err(PreparedError::Gone(io::ErrorKind::WriteZero.into()));
        }
        loop {
            let (answered, pid) = self.answer(&mut turn).await.map_err(PreparedError::Gone)?;
            let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) else {
                let error = io::Error::from_raw_os_error(pid.saturating_neg());
                match answered == number {
                    true => return Err(PreparedError::NoRoom(error)),
                    false => continue,
                }
            };
            if answered == number {
                return Ok(pid);
            }
            // Whoever asked for this one did not wait for it; it ends, because nobody tells it what
            // it is to do.
            self.reap(pid);
        }
    }

    /// The next answer.
    async fn answer(&self, turn: &mut Turn) -> io::Result<(u32, i32)> {
        while turn.answer.len() < ANSWER_BYTES {
            self.socket.readable().await?;
            let mut buffer = [0; ANSWER_BYTES];
            let wanted = buffer.get_mut(turn.answer.len()..).unwrap_or_default();
            match self.socket.try_read(wanted) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => turn.answer.extend(wanted.iter().take(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let answer = std::mem::take(&mut turn.answer);
        match *answer.as_slice() {
            [a, b, c, d, e, f, g, h] => {
                Ok((u32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h])))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Has a process reaped as soon as it has ended; from then on its id may be anybody's.
    pub(super) fn reap(&self, pid: Pid) {
        let pid = pid.as_raw_nonzero().get().to_be_bytes();
        let request = [b"R", &pid[..]].concat();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match send(&self.socket, &request, flags) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => {}
            // It costs an entry in the process table until the prepared process ends.
            Err(error) => tracing::warn!(%error, "a forked process is not reaped"),
        }
    }
}

/// What a program says when it is prepared, or cannot be: `Y`, or everything up to the end.
async fn said(socket: &UnixStream) -> io::Result<String> {
    let mut said = Vec::new();
    loop {
        socket.readable().await?;
        let mut buffer = [0; 512];
        match socket.try_read(&mut buffer) {
            Ok(count) => {
                said.extend(buffer.iter().take(count));
                if count == 0 || said == b"Y" || said.len() >= WHY_BYTES_MAX {
                    return Ok(String::from_utf8_lossy(&said).into_owned());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

//! The child that leads a group: watched, signalled, reaped.
//!
//! A process that has ended keeps its id, and its group's, until it is reaped. So this code learns
//! of the end from a descriptor of the process (pidfd), deals with the group, and reaps last;
//! `tokio::process` reaps at once, after which the id may be a stranger's.
//!
//! Invariant: a leader that is dropped before it was reaped takes its group with it and leaves no
//! zombie.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use super::prepared::Control;
use super::procfs;
use super::spawn::Marker;
use super::sweep;

/// Stack of a reaper thread, which reads `/proc` and waits.
const REAPER_STACK_BYTES: usize = 256 << 10;

/// A child, leader of its own process group.
#[derive(Debug)]
pub(super) struct Leader {
    /// Who reaps it; `None` once it was reaped.
    reaper: Option<Reaper>,
    /// Its id, and its group's.
    pid: Pid,
    /// How its end shows; `None` before the first wait.
    watch: Option<Watch>,
    /// What those of its run carry.
    marker: Marker,
}

/// Who reaps a child: its parent.
#[derive(Debug)]
enum Reaper {
    /// This process.
    Own(Child),
    /// A prepared process that forked it for us, and reaps when it is told.
    Prepared(Arc<Control>),
}

/// How the end of a child shows.
#[derive(Debug)]
enum Watch {
    /// A descriptor that becomes readable.
    Descriptor(AsyncFd<OwnedFd>),
    /// SIGCHLD, where the kernel (before 5.3) or a sandbox has no such descriptors.
    Signal(SignalStream),
}

impl Leader {
    /// Takes the child over.
    pub(super) fn new(child: Child, marker: Marker) -> Self {
        let pid = Pid::from_child(&child);
        Self { reaper: Some(Reaper::Own(child)), pid, watch: None, marker }
    }

    /// Takes over what a prepared process forked.
    pub(super) fn forked(pid: Pid, control: Arc<Control>, marker: Marker) -> Self {
        Self { reaper: Some(Reaper::Prepared(control)), pid, watch: None, marker }
    }

    /// The group's id.
    pub(super) fn group(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// What those of its run carry.
    pub(super) fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Begins to watch for the end.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        let watch = match pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(descriptor) => Watch::Descriptor(register(descriptor)?),
            // Nothing else tells of the end of what is no child of ours.
            Err(error) if matches!(self.reaper, Some(Reaper::Prepared(_))) => {
                return Err(error.into());
            }
            // No such process: with SIGCHLD ignored the kernel has reaped it already.
            Err(Errno::NOSYS | Errno::PERM | Errno::SRCH) => {
                Watch::Signal(signal(SignalKind::child())?)
            }
            Err(error) => return Err(error.into()),
        };
        self.watch = Some(watch);
        Ok(())
    }

    /// Waits until the child has ended. It is not reaped: its id stays its own.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn exited(&mut self) {
        let pid = self.pid;
        let is_own = matches!(self.reaper, Some(Reaper::Own(_)));
        let has_exited = |pid: Pid| match is_own {
            true => has_exited(pid),
            false => !is_alive(pid),
        };
        loop {
            match &mut self.watch {
                Some(Watch::Descriptor(descriptor)) => match descriptor.readable().await {
                    Ok(_) if has_exited(pid) => return,
                    Ok(mut guard) => guard.clear_ready(),
                    // The runtime is ending; so is whoever waits.
                    Err(_) => std::future::pending().await,
                },
                Some(Watch::Signal(_)) if has_exited(pid) => return,
                Some(Watch::Signal(signals)) => drop(signals.recv().await),
                None => std::future::pending().await,
            }
        }
    }

    /// Sends a signal to the whole group. A group that is gone is no error.
    pub(super) fn signal(&self, signal: Signal) {
        if self.reaper.is_some() {
            // EPERM means that all members run as another user: nothing more can be done.
            let _gone = kill_process_group(self.pid, signal);
        }
    }

    /// Reaps the child if it has ended; from then on its id may be anybody's.
    pub(super) fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        let pid = self.pid;
        let status = match &mut self.reaper {
            None => return Ok(None),
            Some(Reaper::Own(child)) => child.try_wait(),
            Some(Reaper::Prepared(_)) if is_alive(pid) => Ok(None),
            Some(Reaper::Prepared(control)) => {
                let status = procfs::wait_status(pid.as_raw_nonzero().get());
                control.reap(pid);
                status.map(|status| Some(ExitStatus::from_raw(status)))
            }
        };
        if !matches!(status, Ok(None)) {
            self.reaper = None;
        }
        status
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let Some(reaper) = self.reaper.take() else { return };
        let (marker, pid) = (self.marker.clone(), self.pid);
        // Dropping is rare (a service that stops), and a destructor can neither wait nor own a
        // task: a thread sees the end, which for a process that cannot die may be far away.
        let thread = thread::Builder::new().name("reaper".into()).stack_size(REAPER_STACK_BYTES);
        let thread = thread.spawn(move || {
            drop(sweep::kill_marked(|value| value == marker.value().as_bytes()));
            match reaper {
                Reaper::Own(mut child) => drop(child.wait()),
                Reaper::Prepared(control) => control.reap(pid),
            }
        });
        if let Err(error) = thread {
            tracing::warn!(%error, group = self.group(), "child was killed but cannot be reaped");
        }
    }
}

/// Has the runtime watch a descriptor of a process.
#[expect(
    deprecated,
    reason = "the constructors that replace it are unsafe, for the sake of types that may close \
              their descriptor early; `OwnedFd` does not"
)]
fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Whether a child has ended, or was reaped behind our back. It is not reaped.
fn has_exited(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None) | Err(Errno::INTR))
}

/// Whether a process that is no child of ours executes something. It is not reaped without our
/// word, so its id is still its own.
fn is_alive(pid: Pid) -> bool {
    procfs::stat(pid.as_raw_nonzero().get()).is_ok_and(|stat| stat.is_alive())
}

/// Waits until no member of the group executes anything.
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
pub(super) async fn group_ended(group: i32) {
    /// First pause between two looks: nothing announces the end of a group.
    const PAUSE_MIN: Duration = Duration::from_millis(2);
    /// Longest pause between two looks.
    const PAUSE_MAX: Duration = Duration::from_millis(100);
    let mut pause = PAUSE_MIN;
    loop {
        let alive = tokio::task::spawn_blocking(move || procfs::group_is_alive(group));
        if !alive.await.unwrap_or(false) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[tokio::test]
    async fn end_is_seen_without_descriptors_of_processes() {
        for code in 0..8 {
            let mut child = std::process::Command::new("/bin/sh");
            child.args(["-c", &format!("exit {code}")]);
            let marker = Marker::new("test", "leader").unwrap();
            let mut leader = Leader::new(child.process_group(0).spawn().unwrap(), marker);
            leader.watch = Some(Watch::Signal(signal(SignalKind::child()).unwrap()));
            leader.exited().await;
            assert!(has_exited(leader.pid), "it is not reaped yet");
            assert_eq!(leader.reap().unwrap().unwrap().code(), Some(code));
        }
    }
}

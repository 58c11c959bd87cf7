//! A child's three pipes, served together while something else is waited for.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::Child;

use bytes::{Buf, Bytes};
use rustix::fs::{OFlags, fcntl_setfl};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::capture::{Capture, Captured, Listener, Output};
use super::spawn::{Spawn, Stdin};

/// The pipes of one child.
#[derive(Debug)]
pub(super) struct Streams {
    /// Our end of its standard input, and what is still to be written.
    stdin: Option<(Sender, Bytes)>,
    /// Its standard output.
    stdout: Capture,
    /// Its standard error.
    stderr: Capture,
}

/// A pipe that can be served without waiting.
enum Ready {
    /// Something can be written.
    Stdin,
    /// Something can be read.
    Stdout,
    /// Something can be read.
    Stderr,
}

impl Streams {
    /// Takes the pipes over from the child.
    pub(super) fn take(child: &mut Child, spawn: &Spawn) -> io::Result<Self> {
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let stdin = match (child.stdin.take(), &spawn.stdin) {
            (None, _) | (Some(_), Stdin::Null | Stdin::Given(_)) => None,
            (Some(pipe), Stdin::Bytes(bytes)) => Some((pipe, bytes.clone())),
            (Some(pipe), Stdin::Open) => Some((pipe, Bytes::new())),
        };
        let stdin = match stdin {
            Some((pipe, bytes)) => {
                let pipe = OwnedFd::from(pipe);
                fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
                Some((Sender::from_owned_fd_unchecked(pipe)?, bytes))
            }
            None => None,
        };
        let outputs = Self::reading(stdout.into(), stderr.into(), spawn)?;
        Ok(Self { stdin, ..outputs })
    }

    /// Reads what a child writes to the other ends of these pipes, and feeds it nothing.
    pub(super) fn reading(stdout: OwnedFd, stderr: OwnedFd, spawn: &Spawn) -> io::Result<Self> {
        // We made these pipes: that they are pipes, and which end is whose, needs no check.
        let capture = |output, pipe: OwnedFd| {
            fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
            let pipe = Receiver::from_owned_fd_unchecked(pipe)?;
            io::Result::Ok(Capture::new(output, pipe, spawn.output_max_bytes))
        };
        let stdout = capture(Output::Stdout, stdout)?;
        let stderr = capture(Output::Stderr, stderr)?;
        Ok(Self { stdin: None, stdout, stderr })
    }

    /// Hands standard input over to somebody else.
    pub(super) fn take_stdin(&mut self) -> Option<Sender> {
        self.stdin.take().map(|(pipe, _)| pipe)
    }

    /// Hands one output over to somebody else; nothing of it is captured then.
    pub(super) fn take_output(&mut self, output: Output) -> Option<Receiver> {
        match output {
            Output::Stdout => self.stdout.take(),
            Output::Stderr => self.stderr.take(),
        }
    }

    /// Whether no more output can come.
    pub(super) fn are_closed(&self) -> bool {
        self.stdout.is_closed() && self.stderr.is_closed()
    }

    /// Serves the pipes until `until` is there.
    pub(super) async fn serve<T>(
        &mut self,
        listener: Option<&Listener>,
        until: impl Future<Output = T>,
    ) -> T {
        let mut until = pin!(until);
        loop {
            // Both branches only look; a dropped one has lost nothing.
            let ready = tokio::select! {
                biased;
                done = &mut until => return done,
                ready = self.ready() => ready,
            };
            self.transfer(&ready, listener);
        }
    }

    /// Serves the pipes until no more output can come.
    pub(super) async fn drain(&mut self, listener: Option<&Listener>) {
        while !self.are_closed() {
            let ready = self.ready().await;
            self.transfer(&ready, listener);
        }
    }

    /// Reads what is there without waiting for more.
    pub(super) fn read(&mut self, listener: Option<&Listener>) {
        self.stdout.read(listener);
        self.stderr.read(listener);
    }

    /// What was captured.
    pub(super) fn finish(self) -> (Captured, Captured) {
        (self.stdout.finish(), self.stderr.finish())
    }

    /// Waits until a pipe can be served; for ever when all are closed. Chooses at random among
    /// several, so that a flood in one does not starve the others.
    async fn ready(&self) -> Ready {
        tokio::select! {
            () = writable(self.stdin.as_ref()) => Ready::Stdin,
            () = self.stdout.readable() => Ready::Stdout,
            () = self.stderr.readable() => Ready::Stderr,
        }
    }

    /// Moves what can be moved.
    fn transfer(&mut self, ready: &Ready, listener: Option<&Listener>) {
        match ready {
            Ready::Stdin => self.write(),
            Ready::Stdout => self.stdout.read(listener),
            Ready::Stderr => self.stderr.read(listener),
        }
    }

    /// Writes what the pipe takes and closes it after the last byte. A child that does not want
    /// its input is no error.
    fn write(&mut self) {
        let Some((pipe, rest)) = &mut self.stdin else { return };
        while !rest.is_empty() {
            match pipe.try_write(rest) {
                Ok(count) => rest.advance(count.min(rest.len())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.stdin = None;
    }
}

/// Waits until `stdin` takes something; for ever when there is nothing to write.
async fn writable(stdin: Option<&(Sender, Bytes)>) {
    match stdin {
        // An error shows again in the write that follows.
        Some((pipe, _)) => drop(pipe.writable().await),
        None => std::future::pending().await,
    }
}

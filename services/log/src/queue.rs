//! The queue between callers and the writer.
//!
//! Bounded by count and bytes. `append` never waits: a caller that finds it full gets its message
//! back and may leave a callback for when there is room ([`Queue::when_room`]). The writer takes
//! everything at once, so a caller holds the lock for as long as it copies one message.

use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearken_proto::Message;

use crate::command::{Command, Done, Texts};
use crate::stream::{Condition, Receipt};

/// Commands waiting; at 400,000 entries/s a twenty-fifth of a second.
pub(crate) const COMMANDS_MAX: usize = 16 * 1024;
/// Bytes waiting. Small, because the whole program lives in 40 MiB.
pub(crate) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Callbacks waiting for room; those beyond are called at once and will find the queue full again.
const WAITING_MAX: usize = 64 * 1024;

/// Called once when there is room.
pub(crate) type Wake = Box<dyn FnOnce() + Send>;

/// Commands, the texts they speak of, and the bytes of both.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) commands: Vec<Command>,
    pub(crate) texts: Texts,
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct State {
    work: Work,
    waiting: Vec<Wake>,
    /// Whether the writer sleeps.
    idle: bool,
    closed: bool,
    /// The writer should look around although there is no command.
    nudged: bool,
}

impl State {
    fn has_room(&self, bytes: usize) -> bool {
        let Work { commands, bytes: queued, .. } = &self.work;
        commands.len() < COMMANDS_MAX && (*queued == 0 || *queued + bytes <= BYTES_MAX)
    }

    /// Room for the largest command there is, so that nobody is woken in vain.
    fn has_room_for_any(&self) -> bool {
        self.has_room(crate::ENTRY_BYTES_MAX)
    }
}

/// Why a command was not taken.
pub(crate) enum Refused {
    /// No room; the command is handed back.
    Full(Command),
    /// The log is closed.
    Closed,
}

/// What the writer got.
pub(crate) enum Taken {
    /// At least one command.
    Commands,
    /// Nothing came within the time.
    Nothing,
    /// Somebody nudged.
    Nudge,
    /// Nothing is left and nothing will come.
    Closed,
}

/// Commands from callers to the writer.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command when there is room.
    pub(crate) fn push(&self, command: Command) -> Result<(), Refused> {
        let bytes = command.bytes();
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if !state.has_room(bytes) {
            return Err(Refused::Full(command));
        }
        state.work.bytes += bytes;
        state.work.commands.push(command);
        self.wake(state);
        Ok(())
    }

    /// Adds an append when there is room; whether there was. Hands `done` back when the log is
    /// closed.
    pub(crate) fn push_append(
        &self,
        stream: usize,
        message: &Message,
        condition: Condition,
        done: Done<Receipt>,
    ) -> Result<bool, Done<Receipt>> {
        let mut state = self.lock();
        if state.closed {
            return Err(done);
        }
        if !state.has_room(message.subject.len() + message.body.len()) {
            return Ok(false);
        }
        let lengths = state.work.texts.push(message);
        let command = Command::Append { stream, lengths, condition, done };
        state.work.bytes += command.bytes();
        state.work.commands.push(command);
        self.wake(state);
        Ok(true)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        if idle {
            self.filled.notify_one();
        }
    }

    /// Calls `wake` as soon as there is room: at once, or from the writer.
    pub(crate) fn when_room(&self, wake: Wake) {
        let mut state = self.lock();
        if state.closed || state.has_room_for_any() || state.waiting.len() >= WAITING_MAX {
            drop(state);
            wake();
        } else {
            state.waiting.push(wake);
        }
    }

    /// Waits until there is room, or the queue is closed.
    pub(crate) fn wait_for_room(&self) {
        let (tx, rx) = sync_channel::<()>(1);
        self.when_room(Box::new(move || {
            // The waiter is still there: it is this function.
            let _ = tx.send(());
        }));
        let _ = rx.recv();
    }

    /// Waits for commands and puts all of them into `into`, which is empty.
    pub(crate) fn take(&self, into: &mut Work, wait: Option<Duration>) -> Taken {
        let mut state = self.lock();
        let mut late = false;
        while state.work.commands.is_empty() && !state.closed && !state.nudged && !late {
            state.idle = true;
            state = match wait {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let waited = self.filled.wait_timeout(state, wait);
                    let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    late = timeout.timed_out();
                    state
                }
            };
        }
        state.idle = false;
        let nudged = std::mem::take(&mut state.nudged);
        if state.work.commands.is_empty() {
            return match (state.closed, nudged) {
                (true, _) => Taken::Closed,
                (false, true) => Taken::Nudge,
                (false, false) => Taken::Nothing,
            };
        }
        std::mem::swap(&mut state.work, into);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for wake in waiting {
            wake();
        }
        Taken::Commands
    }

    /// Makes a sleeping writer look around.
    pub(crate) fn nudge(&self) {
        let mut state = self.lock();
        state.nudged = true;
        state.idle = false;
        drop(state);
        self.filled.notify_one();
    }

    /// Takes no more commands; the writer ends when it has done those that are there.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.filled.notify_one();
        for wake in waiting {
            wake();
        }
    }

    /// How many commands wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().work.commands.len()
    }
}

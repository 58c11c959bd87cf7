//! The window: cpu, memory, swap and disks, read together several times.
//!
//! The least and the most of something can only be seen over time, and waiting for it four times
//! over would be waste. So the four are sampled together, once for a run, on a thread that passes
//! behind whatever else the caller does; the first fact that is made from it waits for its end.
//!
//! `samples` values are made from `samples + 1` readings, for a rate lies between two. With none
//! nobody waits: there is one reading, and rates are those since the machine was started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sources::cpu::{self, Times};
use crate::sources::disks::{self, Work};
use crate::sources::load;
use crate::sources::memory::{self, Memory, Paging};
use crate::{Bounds, Roots, Unavailable};

/// Samples of one window: five minutes at one a second. What runs longer is a check, not a fact.
const SAMPLES_MAX: u32 = 300;
/// The longest time between two readings.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// How a window is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many values are seen, at most 300. With one the least, the most and the average are the
    /// same; with none nothing is waited for, and rates are those since the start of the machine.
    pub samples: u32,
    /// How long each takes, at most a minute. The kernel counts in hundredths of a second, so below
    /// 200 ms the percentages become coarse.
    pub interval: Duration,
}

impl Sampling {
    /// No waiting.
    pub const NONE: Self = Self { samples: 0, interval: Duration::ZERO };

    /// How long the window is.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.interval.min(INTERVAL_MAX) * self.samples.min(SAMPLES_MAX)
    }
}

impl Default for Sampling {
    /// Five times 200 ms.
    fn default() -> Self {
        Self { samples: 5, interval: Duration::from_millis(200) }
    }
}

/// What a window has seen.
#[derive(Debug)]
pub(crate) struct Samples {
    /// How it was sampled.
    pub(crate) sampling: Sampling,
    /// How long the machine ran before the first reading, in seconds; `None` when it doesn't say.
    pub(crate) uptime: Option<f64>,
    /// What was read, each with the time since the first.
    pub(crate) readings: Vec<Reading>,
}

/// What stood in the four files at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) at: Duration,
    pub(crate) cpu: Result<Times, Unavailable>,
    pub(crate) memory: Result<Memory, Unavailable>,
    pub(crate) paging: Result<Paging, Unavailable>,
    pub(crate) disks: Result<BTreeMap<String, Work>, Unavailable>,
}

impl Samples {
    /// One part of all readings, or why one of them could not be had.
    pub(crate) fn of<'a, T>(
        &'a self,
        part: impl Fn(&'a Reading) -> &'a Result<T, Unavailable>,
    ) -> Result<Vec<&'a T>, Unavailable> {
        self.readings.iter().map(|reading| part(reading).as_ref().map_err(Clone::clone)).collect()
    }
}

/// The one window of a run; clones are the same window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Running(JoinHandle<Samples>),
    Done(Result<Arc<Samples>, Unavailable>),
}

impl Window {
    /// Starts it, unless it was started before.
    pub(crate) fn start(&self, roots: &Roots, sampling: Sampling, bounds: Bounds) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Idle) {
            return;
        }
        let roots = roots.clone();
        let started = std::thread::Builder::new()
            .name("facts-window".to_owned())
            .spawn(move || sample(&roots, sampling, &bounds));
        *state = match started {
            Ok(thread) => State::Running(thread),
            Err(cause) => {
                let what = "a thread for the window".to_owned();
                State::Done(Err(Unavailable::Failed { what, cause: Arc::new(cause) }))
            }
        };
    }

    /// Waits for its end. Whoever else asks meanwhile waits for the same.
    pub(crate) fn finish(&self) -> Result<Arc<Samples>, Unavailable> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match std::mem::take(&mut *state) {
            State::Idle => return Err(Unavailable::Broken),
            State::Running(thread) => {
                thread.join().map(Arc::new).map_err(|_panic| Unavailable::Broken)
            }
            State::Done(outcome) => outcome,
        };
        *state = State::Done(outcome.clone());
        outcome
    }
}

fn sample(roots: &Roots, sampling: Sampling, bounds: &Bounds) -> Samples {
    let uptime = load::uptime(roots, bounds).ok();
    let begun = Instant::now();
    let samples = sampling.samples.min(SAMPLES_MAX);
    let interval = if samples == 0 { Duration::ZERO } else { sampling.interval.min(INTERVAL_MAX) };
    let mut readings = vec![read(roots, bounds, begun)];
    for number in 1..=samples {
        // By the clock and not one after another, so that reading takes nothing from the window.
        let due = interval * number;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        readings.push(read(roots, bounds, begun));
    }
    Samples { sampling: Sampling { samples, interval }, uptime, readings }
}

fn read(roots: &Roots, bounds: &Bounds, begun: Instant) -> Reading {
    Reading {
        at: begun.elapsed(),
        cpu: cpu::times(roots, bounds),
        memory: memory::memory(roots, bounds),
        paging: memory::paging(roots, bounds),
        disks: disks::disks(roots, bounds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn a_window_is_shared_by_clones_and_sampled_once() {
        let machine = Machine::with(&[("proc/stat", "cpu 1 2 3 4\n")]);
        let mut context = machine.context();
        context.sampling = Sampling { samples: 2, interval: Duration::from_millis(1) };
        context.start_window();
        let first = context.clone().samples().unwrap();
        assert_eq!(first.readings.len(), 3);
        assert!(Arc::ptr_eq(&first, &context.samples().unwrap()));
        assert_eq!(first.of(|reading| &reading.cpu).unwrap().len(), 3);
        let missing = first.of(|reading| &reading.memory).unwrap_err();
        assert_eq!(missing.code(), "missing");
    }

    #[test]
    fn a_window_is_bounded() {
        let endless = Sampling { samples: u32::MAX, interval: Duration::MAX };
        assert_eq!(endless.duration(), INTERVAL_MAX * SAMPLES_MAX);
    }
}

//! Finds processes that left their group by the marker in their environment, and kills them.
//!
//! A process that calls `setsid` or forks twice is out of reach of a signal to its group, but it
//! still carries the environment it began with. What cleared its environment as well is not found:
//! that takes a control group, which not every host gives us.
//!
//! Invariants: this process and its ancestors are never killed, even when Hearken was itself
//! started by one of its own actions; a process is held by a descriptor between the look and the
//! blow, so that a recycled id is not hit.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

use super::procfs;
use super::spawn::{MARKER, Marker};

/// Passes over `/proc` before a sweep gives up on something that forks as fast as it is killed, or
/// that sleeps in the kernel and cannot die.
const PASSES_MAX: u32 = 10;
/// Pause after the first pass that found something; later ones double: a second in all.
const PASS_PAUSE: Duration = Duration::from_millis(1);

/// Kills every process whose marker satisfies `is_ours` until a pass finds none. Answers the ids of
/// those that were killed.
///
/// Blocks for a few milliseconds per thousand processes, and for a second when something does
/// not die.
pub(super) fn kill_marked(is_ours: impl Fn(&[u8]) -> bool) -> BTreeSet<i32> {
    let mut killed = BTreeSet::new();
    let mut buffer = Vec::new();
    let spared = procfs::lineage(getpid().as_raw_nonzero().get());
    for pass in 0..PASSES_MAX {
        let mut found = false;
        for pid in procfs::processes().filter(|pid| !spared.contains(pid)) {
            if procfs::environment_has(pid, MARKER, &mut buffer, &is_ours) {
                found = true;
                if kill_if_still(pid, &mut buffer, &is_ours) {
                    killed.insert(pid);
                }
            }
        }
        if !found {
            break;
        }
        thread::sleep(PASS_PAUSE * (1 << pass));
    }
    killed
}

/// Kills what is left of a run whose own process is gone. Answers how many there were.
///
/// Blocks for a few milliseconds per thousand processes, and for a second when something does
/// not die.
pub fn end_left_over(marker: &Marker) -> usize {
    kill_marked(|value| value == marker.value().as_bytes()).len()
}

/// Kills `pid` if it still is the process that was looked at.
fn kill_if_still(pid: i32, buffer: &mut Vec<u8>, is_ours: &impl Fn(&[u8]) -> bool) -> bool {
    let Some(target) = Pid::from_raw(pid) else { return false };
    match pidfd_open(target, PidfdFlags::empty()) {
        Ok(descriptor) => {
            procfs::environment_has(pid, MARKER, buffer, is_ours)
                && pidfd_send_signal(&descriptor, Signal::KILL).is_ok()
        }
        // A kernel before 5.3: the id was looked at microseconds ago.
        Err(rustix::io::Errno::NOSYS) => kill_process(target, Signal::KILL).is_ok(),
        Err(_) => false,
    }
}

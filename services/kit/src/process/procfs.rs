//! What `/proc` says about processes: one line of numbers, and the environment they began with.
//!
//! Everything here may be gone by the time it is read: a process that has ended is an error or an
//! absence, never a panic. A process of another user has no readable environment.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use rustix::time::{ClockId, clock_gettime};

/// Clock ticks per second in `/proc`: `USER_HZ`, which Linux keeps at 100 for every architecture
/// that Rust supports.
const TICKS_PER_SECOND: u64 = 100;
/// Longest `/proc/<pid>/stat`: 52 numbers of at most 20 digits and a name of 64 bytes.
const STAT_BYTES_MAX: usize = 2_048;
/// Longest environment read: the kernel lets arguments and environment together take 6 MiB.
const ENVIRONMENT_BYTES_MAX: u64 = 6 << 20;
/// Ancestors followed before giving up; real trees are a few dozen deep.
const LINEAGE_MAX: usize = 1_024;

/// One reading of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// The state's letter; `Z` and `X` are processes that have ended.
    pub state: u8,
    /// Id of the parent.
    pub parent: i32,
    /// Id of the process group.
    pub group: i32,
    /// When it started, in clock ticks since the machine did.
    pub started_ticks: u64,
}

impl Stat {
    /// Whether the process still executes something.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The present moment as `started_ticks` would have it: time since the machine started, sleep
/// included.
pub(super) fn now_ticks() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * TICKS_PER_SECOND + nanos / (1_000_000_000 / TICKS_PER_SECOND)
}

/// Reads `/proc/<pid>/stat`.
pub(super) fn stat(pid: i32) -> io::Result<Stat> {
    let mut text = [0; STAT_BYTES_MAX];
    let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
    let text = text.get(..length).unwrap_or_default();
    parse(text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown form of stat"))
}

/// The wait status of a process that has ended and was not reaped, for somebody who is not its
/// parent.
///
/// The kernel shows a status to those alone who might trace the process, and to others a zero,
/// which would be a success. So it counts only when the process is of our own user.
pub(super) fn wait_status(pid: i32) -> io::Result<i32> {
    let owner = fs::metadata(format!("/proc/{pid}"))?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let line = fs::read(format!("/proc/{pid}/stat"))?;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "no exit status in stat");
    let stat = parse(&line).ok_or_else(unknown)?;
    if stat.is_alive() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // Field 52, the last one.
    let last = line.trim_ascii_end().rsplit(|byte| *byte == b' ').next();
    let last = last.and_then(|last| std::str::from_utf8(last).ok());
    last.and_then(|last| last.parse().ok()).ok_or_else(unknown)
}

/// Reads a stat line. The name, in parentheses, may itself contain blanks and parentheses.
fn parse(line: &[u8]) -> Option<Stat> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // Field 3 of proc(5) is the first one after the name; `nth` counts from where it stands.
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started_ticks = fields.nth(16)?.parse().ok()?; // Field 22.
    Some(Stat { state, parent, group, started_ticks })
}

/// The ids of all processes that can be seen.
pub(super) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether a process group has a member that still executes something.
pub(super) fn group_is_alive(group: i32) -> bool {
    processes().any(|pid| stat(pid).is_ok_and(|stat| stat.group == group && stat.is_alive()))
}

/// `pid` and all its ancestors.
pub(super) fn lineage(pid: i32) -> Vec<i32> {
    let mut lineage = vec![pid];
    let mut current = pid;
    while lineage.len() < LINEAGE_MAX
        && let Ok(stat) = stat(current)
        && stat.parent > 0
    {
        lineage.push(stat.parent);
        current = stat.parent;
    }
    lineage
}

/// Looks up `name` in the environment a process began with and shows its value to `matches`.
///
/// `buffer` is the caller's, because a sweep reads hundreds of them.
pub(super) fn environment_has(
    pid: i32,
    name: &str,
    buffer: &mut Vec<u8>,
    matches: &impl Fn(&[u8]) -> bool,
) -> bool {
    buffer.clear();
    let Ok(file) = File::open(format!("/proc/{pid}/environ")) else { return false };
    if file.take(ENVIRONMENT_BYTES_MAX).read_to_end(buffer).is_err() {
        return false;
    }
    buffer.split(|byte| *byte == 0).any(|entry| {
        let value = entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(matches)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_line_is_read_behind_any_name() {
        let line = b"42 (a) R 9 (b) S 1 40 40 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 98765 0 0";
        let expected = Stat { state: b'S', parent: 1, group: 40, started_ticks: 98_765 };
        assert_eq!(parse(line), Some(expected));
        for torn in [&b""[..], b"42 (a)", b"42 (a) S 1", b"42 (a) S x y z"] {
            assert_eq!(parse(torn), None);
        }
    }

    #[test]
    fn this_process_is_found_with_its_group_and_lineage() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stat = stat(own).unwrap();
        assert!(stat.is_alive() && group_is_alive(stat.group) && processes().any(|p| p == own));
        let lineage = lineage(own);
        assert_eq!(lineage[0], own);
        assert_eq!(lineage[1], i32::try_from(std::os::unix::process::parent_id()).unwrap());
    }
}

//! `/proc/PID`: the processes, in one pass over `stat`, `status` and `cmdline` of each.
//!
//! Read by us: sysinfo lists threads among the processes, and reads more than is shown. A process
//! that ends while it is looked at, or that this user may not see, is not listed; everything else
//! that cannot be understood is an error. Command lines pass through the mask before anyone sees
//! them, and only so many bytes of each are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{cpu, names};
use crate::number::{float, rounded};
use crate::{Context, Unavailable};

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub ppid: u32,
    /// Its name, which the kernel cuts after 15 bytes.
    pub name: String,
    /// The name of the user, or the number of one who has no name here.
    pub user: String,
    /// The number of the real user.
    pub uid: u32,
    /// The kernel's letter: `R` runs, `S` sleeps, `D` waits for a device, `Z` is dead.
    pub state: char,
    /// Its arguments, masked, joined by blanks; empty for threads of the kernel.
    pub cmdline: String,
    /// Memory in use, in bytes.
    pub rss: u64,
    /// Address space, in bytes.
    pub vms: u64,
    /// Its threads.
    pub threads: u64,
    /// Time on processors so far.
    pub cpu_seconds: f64,
    /// When it was started, in seconds since the Unix epoch.
    pub start_time: f64,
    /// When it was started, in ticks since the machine was: with the pid it names a process, since
    /// it doesn't move when the clock is set.
    pub start_ticks: u64,
}

/// What is the same for all processes.
#[derive(Debug)]
struct Units {
    ticks: f64,
    page: u64,
    started: f64,
}

/// All processes, by their numbers.
pub(crate) fn processes(context: &Context) -> Result<Vec<Process>, Unavailable> {
    let units = Units {
        ticks: float(rustix::param::clock_ticks_per_second().max(1)),
        page: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
        started: float(cpu::times(&context.roots, &context.bounds)?.started),
    };
    let users = names::users_by_uid(context);
    let mut buffer = Vec::new();
    let mut processes = Vec::new();
    for pid in pids(context)? {
        let folder = context.roots.proc.join(pid.to_string());
        match process(context, &folder, &mut buffer, &units, &users) {
            Ok(Some(process)) => processes.push(process),
            Ok(None) => {}
            Err(unavailable) => return Err(unavailable),
        }
    }
    Ok(processes)
}

/// The numbers of all processes, in order.
pub(crate) fn pids(context: &Context) -> Result<Vec<u32>, Unavailable> {
    let folder = &context.roots.proc;
    let limit = context.bounds.processes;
    let failed = |cause| Unavailable::from_io(folder, cause);
    let mut pids = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if pids.len() == limit {
            let what = "the list of processes".to_owned();
            return Err(Unavailable::TooLarge { what, limit, unit: "processes" });
        }
        pids.push(pid);
    }
    pids.sort_unstable();
    Ok(pids)
}

fn process(
    context: &Context,
    folder: &Path,
    buffer: &mut Vec<u8>,
    units: &Units,
    users: &BTreeMap<u32, String>,
) -> Result<Option<Process>, Unavailable> {
    let path = folder.join("stat");
    if !read(&path, buffer, context.bounds.file_bytes)? {
        return Ok(None);
    }
    let malformed =
        |path: &Path, why: String| Unavailable::Malformed { path: path.to_owned(), line: 1, why };
    let stat = String::from_utf8_lossy(buffer);
    let mut process = stated(&stat, units).map_err(|why| malformed(&path, why))?;
    let path = folder.join("status");
    if !read(&path, buffer, context.bounds.file_bytes)? {
        return Ok(None);
    }
    process.uid = real_user(&String::from_utf8_lossy(buffer))
        .ok_or_else(|| malformed(&path, "no user".to_owned()))?;
    process.user = users.get(&process.uid).cloned().unwrap_or_else(|| process.uid.to_string());
    // Threads of the kernel have no arguments, and hidden ones none for us.
    if read(&folder.join("cmdline"), buffer, context.bounds.cmdline_bytes)? {
        process.cmdline = (context.mask)(&joined(buffer));
    }
    Ok(Some(process))
}

/// Reads at most `limit` bytes. False where there is nothing: the process is gone or hidden.
fn read(path: &Path, buffer: &mut Vec<u8>, limit: usize) -> Result<bool, Unavailable> {
    buffer.clear();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    match File::open(path).and_then(|file| file.take(limit).read_to_end(buffer)) {
        // A process that ends while its file is open leaves nothing in it.
        Ok(length) => Ok(length > 0),
        Err(cause) if is_gone(&cause) => Ok(false),
        Err(cause) => Err(Unavailable::from_io(path, cause)),
    }
}

fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || cause.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// What `stat` says. The name stands in parentheses and may hold any, so the last one ends it.
fn stated(text: &str, units: &Units) -> Result<Process, String> {
    let (pid, rest) = text.split_once(" (").ok_or("no name in parentheses")?;
    let (name, rest) = rest.rsplit_once(')').ok_or("no name in parentheses")?;
    // The fields are counted from 3, as the manual does.
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| -> Result<u64, String> {
        let text = field.checked_sub(3).and_then(|index| fields.get(index)).copied();
        let text = text.ok_or_else(|| format!("field {field} is missing"))?;
        text.parse().map_err(|_unparsable| format!("field {field} is {text:?}"))
    };
    let state = fields.first().and_then(|state| state.chars().next()).ok_or("no state")?;
    let start_ticks = number(22)?;
    Ok(Process {
        pid: pid.parse().map_err(|_unparsable| format!("the number is {pid:?}"))?,
        ppid: u32::try_from(number(4)?).map_err(|error| error.to_string())?,
        name: name.to_owned(),
        user: String::new(),
        uid: 0,
        state,
        cmdline: String::new(),
        // The kernel can count a little below zero for a moment; then nothing is in use.
        rss: number(24).unwrap_or(0).saturating_mul(units.page),
        vms: number(23)?,
        threads: number(20)?,
        cpu_seconds: rounded(float(number(14)?.saturating_add(number(15)?)) / units.ticks),
        start_time: rounded(units.started + float(start_ticks) / units.ticks),
        start_ticks,
    })
}

/// The first number of the line `Uid:`.
fn real_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Arguments end with a zero byte; some programs write blanks over the rest of theirs.
fn joined(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['\0', ' ']).replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use std::sync::Arc;

    const STAT: &str = "cpu 1 2 3 4\nbtime 1000\n";
    const SHELL: &str = "7 (a (b) c) S 1 7 7 0 -1 4194560 9 9 9 9 150 50 0 0 20 0 3 0 250 4096 2 \
                         18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";

    fn machine() -> Machine {
        Machine::with(&[
            ("proc/stat", STAT),
            ("etc/passwd", "app:x:1000:1000::/:/bin/sh\n"),
            ("proc/7/stat", SHELL),
            ("proc/7/status", "Name:\ta\nUid:\t1000\t0\t0\t0\n"),
            ("proc/7/cmdline", "/bin/a\0--password\0hunter2\0"),
            ("proc/9/status", "Name:\tgone\n"),
            ("proc/self/stat", "not a process"),
        ])
    }

    #[test]
    fn a_process_is_told_whatever_its_name_and_one_that_is_gone_is_not() {
        let machine = machine();
        let processes = processes(&machine.context()).unwrap();
        assert_eq!(processes.len(), 1, "{processes:?}");
        let process = &processes[0];
        assert_eq!((process.pid, process.ppid, process.name.as_str()), (7, 1, "a (b) c"));
        assert_eq!((process.uid, process.user.as_str(), process.state), (1000, "app", 'S'));
        assert_eq!((process.threads, process.vms, process.start_ticks), (3, 4096, 250));
        let ticks = float(rustix::param::clock_ticks_per_second());
        assert!((process.cpu_seconds - rounded(200.0 / ticks)).abs() < 1e-9);
        assert!((process.start_time - rounded(1000.0 + 250.0 / ticks)).abs() < 1e-9);
        assert_eq!(process.cmdline, "/bin/a --password hunter2");
    }

    #[test]
    fn command_lines_are_masked_and_cut() {
        let machine = machine();
        let mut context = machine.context();
        context.mask = Arc::new(|text: &str| text.replace("hunter2", "*******"));
        assert_eq!(processes(&context).unwrap()[0].cmdline, "/bin/a --password *******");
        context.bounds.cmdline_bytes = 6;
        assert_eq!(processes(&context).unwrap()[0].cmdline, "/bin/a");
    }

    #[test]
    fn what_cannot_be_understood_has_a_place_and_too_many_are_refused() {
        let machine = machine();
        machine.write("proc/8/stat", "8 (x) S 1 2 3\n");
        let error = processes(&machine.context()).unwrap_err();
        assert!(error.reason().ends_with("proc/8/stat:1: field 22 is missing"), "{error}");
        let mut context = machine.context();
        context.bounds.processes = 1;
        assert_eq!(processes(&context).unwrap_err().code(), "too_large");
    }
}

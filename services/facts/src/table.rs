//! The table of facts: every fact that there is, in one place.
//!
//! To add one: write `fn(&Context) -> Result<Value, Unavailable>` in the file of its theme, and
//! name it here with what it is, what it needs and what of it counts as a change.

use serde_json::Value;

use crate::facts::{
    container, cpu, disk, fqdn, io, limits, load, memory, network, packages, process, sensors,
    services, sockets, system, time, users,
};
use crate::{Context, Unavailable};

/// Something that can be known about a machine.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// The name it is asked for by.
    pub name: &'static str,
    /// What it tells, in one line.
    pub about: &'static str,
    /// What has to be there.
    pub needs: &'static [Need],
    /// What of it counts as a change.
    pub kept: Kept,
    /// Finds it out.
    pub gather: fn(&Context) -> Result<Value, Unavailable>,
}

impl Fact {
    /// Whether it is made from the window.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.needs.contains(&Need::Window)
    }
}

/// What a fact needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A file or folder, as it is called on the machine itself.
    File(&'static str),
    /// The sampled window.
    Window,
    /// Each file system's own answer, within its time.
    Mounts,
    /// The machine that this runs on; a recorded one has only a part of it.
    Here,
    /// Root, for all of it; others learn a part.
    Root,
}

/// What of a fact counts as a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: it is another at every look.
    Nothing,
    /// All of it.
    Whole,
    /// These fields of an object.
    Fields(&'static [&'static str]),
    /// Rows of lists, by key.
    Rows(&'static [Table]),
}

/// A list of rows within a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The field with the list; empty where the fact itself is the list.
    pub at: &'static str,
    /// The columns that name a row.
    pub key: &'static [&'static str],
    /// The other columns that count; the rest are volatile.
    pub columns: &'static [&'static str],
}

use Need::{File, Here, Mounts, Root, Window};

/// Every fact, by theme.
pub static FACTS: &[Fact] = &[
    fact(
        "uptime",
        "seconds since the start",
        &[File("/proc/uptime")],
        Kept::Nothing,
        system::uptime,
    ),
    fact(
        "host",
        "the short name of the machine",
        &[File("/proc/sys/kernel/hostname")],
        Kept::Whole,
        system::host,
    ),
    fact(
        "fqdn",
        "its full name, if need be from the name servers",
        &[File("/etc/hosts"), Here],
        Kept::Whole,
        fqdn::fqdn,
    ),
    fact(
        "os",
        "distribution, version and code name",
        &[File("/etc/os-release")],
        Kept::Whole,
        system::os,
    ),
    fact(
        "version",
        "kernel, architecture and distribution in one line",
        &[File("/proc/sys/kernel/osrelease"), File("/etc/os-release")],
        Kept::Whole,
        system::version,
    ),
    fact(
        "kernel",
        "the kernel's release",
        &[File("/proc/sys/kernel/osrelease")],
        Kept::Whole,
        system::kernel,
    ),
    fact(
        "arch",
        "the processor's architecture",
        &[File("/proc/sys/kernel/arch")],
        Kept::Whole,
        system::arch,
    ),
    fact(
        "machine_id",
        "the number of this installation",
        &[File("/etc/machine-id")],
        Kept::Whole,
        system::machine_id,
    ),
    fact(
        "boot_id",
        "the number of this start",
        &[File("/proc/sys/kernel/random/boot_id")],
        Kept::Whole,
        system::boot_id,
    ),
    fact("date", "local time with its distance from UTC", &[], Kept::Nothing, time::date),
    fact("time_sync", "who keeps the clock right", &[File("/proc")], Kept::Whole, time::time_sync),
    fact(
        "loadavg",
        "load, scheduling entities, the process started last",
        &[File("/proc/loadavg")],
        Kept::Nothing,
        load::loadavg,
    ),
    fact(
        "psi",
        "time in which something waited for a processor, memory or a disk",
        &[File("/proc/pressure")],
        Kept::Nothing,
        load::psi,
    ),
    fact(
        "cpu",
        "percent busy: average, minimum and maximum",
        &[File("/proc/stat"), Window],
        Kept::Nothing,
        cpu::cpu,
    ),
    fact(
        "vmem",
        "percent of the memory in use: average, minimum and maximum",
        &[File("/proc/meminfo"), Window],
        Kept::Fields(&["total"]),
        memory::vmem,
    ),
    fact(
        "smem",
        "percent of the swap in use: average, minimum and maximum",
        &[File("/proc/meminfo"), Window],
        Kept::Fields(&["total"]),
        memory::smem,
    ),
    fact(
        "iostat",
        "what the disks do: average, minimum and maximum",
        &[File("/proc/diskstats"), Window],
        Kept::Nothing,
        io::iostat,
    ),
    fact(
        "disk",
        "every local partition and its space",
        &[File("/proc/self/mountinfo"), Mounts],
        Kept::Rows(DISKS),
        disk::disk,
    ),
    fact(
        "mounts",
        "everything that is mounted",
        &[File("/proc/self/mountinfo")],
        Kept::Rows(MOUNTS),
        disk::mounts,
    ),
    fact("ps", "every process", &[File("/proc/PID"), Root], Kept::Rows(PROCESSES), process::ps),
    fact(
        "limits",
        "limits of the kernel and of this process",
        &[File("/proc/sys"), File("/proc/self/limits")],
        Kept::Fields(&["kernel"]),
        limits::limits,
    ),
    fact(
        "files_open",
        "file handles in use",
        &[File("/proc/sys/fs/file-nr")],
        Kept::Fields(&["maximum"]),
        limits::files_open,
    ),
    fact(
        "network",
        "interfaces, addresses, routes, name servers",
        &[File("/proc/net/dev"), File("/sys/class/net"), Here],
        Kept::Rows(NETWORK),
        network::network,
    ),
    fact(
        "sockets",
        "who listens, and connections by state",
        &[File("/proc/net/tcp")],
        Kept::Rows(SOCKETS),
        sockets::sockets,
    ),
    fact(
        "users",
        "who may be somebody here",
        &[File("/etc/passwd"), File("/etc/group")],
        Kept::Rows(USERS),
        users::users,
    ),
    fact(
        "packages",
        "what is installed",
        &[File("/var/lib/dpkg/status")],
        Kept::Rows(PACKAGES),
        packages::packages,
    ),
    fact(
        "services",
        "services that run or are meant to",
        &[File("/run/systemd/system"), File("/sys/fs/cgroup")],
        Kept::Rows(SERVICES),
        services::services,
    ),
    fact(
        "virtualization",
        "the container or virtual machine that this is",
        &[File("/proc/cpuinfo"), File("/sys/class/dmi/id"), Root],
        Kept::Whole,
        container::virtualization,
    ),
    fact(
        "cgroup",
        "limits of the control group that this runs in",
        &[File("/proc/self/cgroup")],
        Kept::Fields(&["path", "memory_max", "cpus_max", "pids_max"]),
        container::cgroup,
    ),
    fact(
        "sensors",
        "temperatures",
        &[File("/sys/class/hwmon"), Here],
        Kept::Nothing,
        sensors::sensors,
    ),
];

/// Sizes are not among the columns: ZFS and XFS make them up as space is used.
const DISKS: &[Table] =
    &[Table { at: "", key: &["mountpoint"], columns: &["device", "fstype", "opts", "read_only"] }];
const MOUNTS: &[Table] = &[Table {
    at: "",
    key: &["mountpoint"],
    columns: &["device", "fstype", "opts", "kind", "read_only", "root"],
}];
const PROCESSES: &[Table] =
    &[Table { at: "", key: &["pid", "start_ticks"], columns: &["name", "user", "uid", "cmdline"] }];
const NETWORK: &[Table] = &[
    Table {
        at: "interfaces",
        key: &["name"],
        columns: &["mac", "mtu", "state", "speed_mbit", "addresses"],
    },
    Table { at: "gateways", key: &["interface", "address"], columns: &["metric"] },
];
const SOCKETS: &[Table] =
    &[Table { at: "listening", key: &["proto", "address", "port"], columns: &["uid"] }];
const USERS: &[Table] = &[Table {
    at: "",
    key: &["name"],
    columns: &["uid", "gid", "comment", "home", "shell", "groups"],
}];
const PACKAGES: &[Table] =
    &[Table { at: "", key: &["name", "architecture"], columns: &["version", "manager"] }];
const SERVICES: &[Table] = &[Table { at: "", key: &["unit"], columns: &["running", "enabled"] }];

const fn fact(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    kept: Kept,
    gather: fn(&Context) -> Result<Value, Unavailable>,
) -> Fact {
    Fact { name, about, needs, kept, gather }
}

/// The fact of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Fact> {
    FACTS.iter().find(|fact| fact.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_all_that_were_promised() {
        let names: BTreeSet<&str> = FACTS.iter().map(|fact| fact.name).collect();
        assert_eq!(names.len(), FACTS.len());
        let promised = "uptime loadavg disk ps cpu vmem smem iostat host os version \
            fqdn date kernel arch machine_id boot_id virtualization mounts network sockets psi \
            cgroup limits users services packages sensors files_open time_sync";
        let promised: BTreeSet<&str> = promised.split_ascii_whitespace().collect();
        assert_eq!(names, promised);
        assert!(find("cpu").unwrap().is_sampled() && !find("ps").unwrap().is_sampled());
        assert!(find("nothing").is_none());
    }
}

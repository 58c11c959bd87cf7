//! A whole recorded machine and the document that its eleven oldest facts make, byte for byte.
//!
//! Others read these keys, so a difference here is a change of a contract and not a test to adapt.
//! The same machine, with files that say anything, also shows that bad input is never a panic.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use crate::machine::Machine;
use crate::measure::Space;
use crate::{FACTS, Unavailable, document, gather, to_line};

const FILES: &[(&str, &str)] = &[
    ("proc/uptime", "1000.25 1900.00\n"),
    ("proc/loadavg", "0.30 0.46 0.49 1/390 8912\n"),
    (
        "proc/stat",
        "cpu  600 0 200 1000 200 0 0 0 0 0\ncpu0 400 0 100 400 100 0 0 0 0 0\n\
         cpu1 200 0 100 600 100 0 0 0 0 0\nintr 5 1 2\nctxt 9\nbtime 1414169313\nprocesses 8912\n",
    ),
    (
        "proc/meminfo",
        "MemTotal:  8000 kB\nMemFree:  1000 kB\nMemAvailable:  6000 kB\nBuffers:  500 kB\n\
         Cached:  4000 kB\nSwapTotal:  2000 kB\nSwapFree:  1500 kB\n",
    ),
    ("proc/vmstat", "nr_free_pages 250\npswpin 0\npswpout 0\n"),
    (
        "proc/diskstats",
        "   8  0 sda 1000 5 20000 4000 3000 7 40000 8000 0 100025 12000\n   \
         8  1 sda1 900 5 19000 3900 2900 7 39000 7900 0 99000 11900\n   \
         7  0 loop0 1 0 8 0 0 0 0 0 0 0 0\n",
    ),
    (
        "proc/self/mountinfo",
        "22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
         27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n\
         31 27 0:51 / /run rw - tmpfs tmpfs rw\n",
    ),
    ("proc/sys/kernel/hostname", "workstation-zdibe\n"),
    ("proc/sys/kernel/ostype", "Linux\n"),
    ("proc/sys/kernel/osrelease", "3.16-2-amd64\n"),
    ("proc/sys/kernel/arch", "x86_64\n"),
    ("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux jessie/sid\"\nID=debian\n"),
    ("etc/debian_version", "jessie/sid\n"),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/:/bin/sh\n"),
    (
        "proc/812/stat",
        "812 (db (main)) S 1 812 812 0 -1 4194560 9 9 9 9 0 0 0 0 20 0 3 0 0 4096 0 9\n",
    ),
    ("proc/812/status", "Name:\tdb (main)\nUid:\t1000\t1000\t1000\t1000\n"),
    ("proc/812/cmdline", "/usr/bin/db\0--password\0hunter2\0"),
];

const GROUPS: [(&str, &[&str]); 2] = [
    ("resources", &["uptime", "loadavg", "disk", "ps", "cpu", "vmem", "smem", "iostat"]),
    ("system", &["host", "os", "version"]),
];

const EXPECTED: &str = concat!(
    r#"{"resources": {"#,
    r#""cpu": {"average": 40.0, "interval_ms": 0, "maximum": 40.0, "minimum": 40.0, "#,
    r#""modes": {"guest": 0.0, "idle": 50.0, "iowait": 10.0, "irq": 0.0, "nice": 0.0, "#,
    r#""softirq": 0.0, "steal": 0.0, "system": 10.0, "user": 30.0}, "#,
    r#""per_cpu": [{"average": 50.0, "maximum": 50.0, "minimum": 50.0}, "#,
    r#"{"average": 30.0, "maximum": 30.0, "minimum": 30.0}], "samples": 0}, "#,
    r#""disk": [{"available": 500, "device": "/dev/sda1", "error": null, "free": 600, "#,
    r#""fstype": "ext4", "inodes_free": 30, "inodes_total": 40, "mountpoint": "/", "#,
    r#""opts": "rw,relatime,errors=remount-ro", "percent": 44.44, "read_only": false, "#,
    r#""total": 1000, "used": 400}], "#,
    r#""iostat": {"average": RATES, "devices": {"sda": {"average": RATES, "maximum": RATES, "#,
    r#""minimum": RATES, "totals": {"busy_seconds": 100.03, "read_bytes": 10240000, "#,
    r#""read_seconds": 4.0, "reads": 1000, "write_bytes": 20480000, "write_seconds": 8.0, "#,
    r#""writes": 3000}}}, "maximum": RATES, "minimum": RATES}, "#,
    r#""loadavg": {"average": {"1": 0.3, "15": 0.49, "5": 0.46}, "#,
    r#""entities": {"current": 1, "total": 390}, "last_pid": 8912}, "#,
    r#""ps": [{"cmdline": "/usr/bin/db --password *******", "cpu_seconds": 0.0, "#,
    r#""name": "db (main)", "pid": 812, "ppid": 1, "rss": 0, "start_ticks": 0, "#,
    r#""start_time": 1414169313.0, "state": "S", "threads": 3, "uid": 1000, "user": "app", "#,
    r#""vms": 4096}], "#,
    r#""smem": {"average": 25.0, "free": 1536000, "in": 0, "maximum": 25.0, "minimum": 25.0, "#,
    r#""out": 0, "total": 2048000, "used": 512000}, "#,
    r#""uptime": 1000.25, "#,
    r#""vmem": {"available": 6144000, "average": 25.0, "buffers": 512000, "cached": 4096000, "#,
    r#""free": 1024000, "maximum": 25.0, "minimum": 25.0, "total": 8192000, "used": 2048000}}, "#,
    r#""system": {"host": "workstation-zdibe", "os": "debian-jessie/sid-", "#,
    r#""version": "Linux-3.16-2-amd64-x86_64-with-debian-jessie/sid"}, "#,
    r#""timestamp": "17:05:13 24-10-2014"}"#,
);

/// Of a thousand seconds and a quarter.
const RATES: &str = concat!(
    r#"{"await_ms": 3.0, "read_bytes_s": 10237.44, "reads_s": 1.0, "util": 10.0, "#,
    r#""write_bytes_s": 20474.88, "writes_s": 3.0}"#,
);

#[test]
fn the_eleven_oldest_facts_have_their_keys_and_units() {
    let machine = Machine::with(FILES);
    let mut context = machine.context();
    context.mask = Arc::new(|text: &str| text.replace("hunter2", "*******"));
    context.space = |path: &Path| {
        assert_eq!(path, Path::new("/"));
        let (total, free, available) = (1000, 600, 500);
        Ok(Space { total, free, available, inodes_total: 40, inodes_free: 30 })
    };
    let names: Vec<&str> =
        GROUPS.iter().flat_map(|(_group, names)| names.iter().copied()).collect();
    let groups: Vec<(String, Vec<String>)> = GROUPS
        .iter()
        .map(|(group, names)| {
            ((*group).to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
        })
        .collect();
    let told = to_line(&document(&groups, &gather(&names, &context), &context));
    assert_eq!(told, EXPECTED.replace("RATES", RATES));
}

/// Files beyond those of the eleven.
const MORE: &[(&str, &str)] = &[
    ("proc/pressure/cpu", "some avg10=1.50 avg60=0.07 avg300=0.01 total=2500000\n"),
    ("proc/sys/fs/file-nr", "1344 0 800000\n"),
    ("proc/sys/kernel/pid_max", "4194304\n"),
    ("proc/self/limits", "Limit\nMax open files            1024   524288    files\n"),
    ("proc/self/cgroup", "0::/app\n"),
    ("sys/fs/cgroup/app/cpu.max", "150000 100000\n"),
    ("proc/net/dev", "x\nx\n eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"),
    ("proc/net/route", "x\neth0 00000000 0100000A 0003 0 0 100 00000000 0 0 0\n"),
    ("proc/net/tcp", " sl\n 0: 0100007F:0016 00000000:0000 0A 0:0 0:0 0 0 0 1 1\n"),
    ("proc/net/sockstat", "sockets: used 25\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/resolv.conf", "nameserver 10.0.0.2\n"),
    ("etc/group", "sudo:x:27:app\n"),
    ("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n"),
    ("proc/cpuinfo", "flags : fpu hypervisor\n"),
    ("etc/machine-id", "3d1219c7\n"),
    ("proc/sys/kernel/random/boot_id", "17fd1218\n"),
];

/// Text that is nearly right, or anything at all.
fn content(original: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bytes = original.as_bytes().to_vec();
    let length = bytes.len();
    let cut = (0..=length).prop_map(move |end| original.as_bytes()[..end].to_vec());
    let changed = (0..length.max(1), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = bytes.clone();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes
    });
    let huge = original.replace(|letter: char| letter.is_ascii_digit(), "99999999999999999");
    prop_oneof![cut, changed, Just(huge.into_bytes()), prop::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_machine_whose_files_say_anything_breaks_no_fact(
        contents in FILES.iter().chain(MORE).map(|(_path, text)| content(text)).collect::<Vec<_>>(),
        which in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let files: Vec<&(&str, &str)> = FILES.iter().chain(MORE).collect();
        let machine = Machine::with(FILES);
        for (path, text) in MORE {
            machine.write(path, text);
        }
        for index in which {
            let place = index.index(files.len());
            std::fs::write(machine.path().join(files[place].0), &contents[place]).unwrap();
        }
        let mut context = machine.context();
        context.space = |_path| Ok(Space::default());
        for fact in FACTS {
            let outcome = (fact.gather)(&context);
            prop_assert!(!matches!(outcome, Err(Unavailable::Broken)), "{}", fact.name);
        }
    }
}

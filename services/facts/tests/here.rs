//! Facts of the machine that the tests run on, against what its own tools and files say.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hearken_facts::measure::{self, Wanted};
use hearken_facts::{Bounds, Context, FACTS, Gathered, Kept, Sampling, Unavailable, gather};
use hearken_proto::Timestamp;
use serde_json::Value;

/// 2026-01-01, as good as any: no fact but `date` hangs on it.
const NOW: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// What is listed for the README's sections: the eleven that CaLink had.
const CALINK: [&str; 11] =
    ["uptime", "loadavg", "disk", "ps", "cpu", "vmem", "smem", "iostat", "host", "os", "version"];

fn context() -> Context {
    let mut context = Context::new(NOW);
    context.bounds = Bounds::full();
    context.sampling = Sampling { samples: 2, interval: Duration::from_millis(20) };
    context
}

fn told(name: &str, context: &Context) -> Value {
    let first = gather(&[name], context).into_iter().next().expect("one was asked for");
    first.outcome.expect("this machine tells it")
}

/// What a program prints, or `None` where it is not installed.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().ok()?;
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("this fact is an object").keys().map(String::as_str).collect()
}

#[test]
fn every_fact_is_told_or_says_why_not() {
    let names: Vec<&str> = FACTS.iter().map(|fact| fact.name).collect();
    let gathered = gather(&names, &context());
    assert_eq!(gathered.len(), FACTS.len());
    for Gathered { name, outcome } in gathered {
        match outcome {
            Ok(value) => assert!(!value.is_null(), "{name}"),
            Err(Unavailable::Malformed { .. } | Unavailable::Broken) => {
                panic!("{name}: {outcome:?}")
            }
            Err(unavailable) => {
                assert!(!CALINK.contains(&name.as_str()), "{name}: {}", unavailable.reason());
            }
        }
    }
}

#[test]
fn the_names_that_everyone_knows_have_their_keys() {
    let context = context();
    let facts: BTreeMap<String, Value> =
        gather(&CALINK, &context).into_iter().map(|one| (one.name, one.outcome.unwrap())).collect();
    assert!(facts["uptime"].is_f64());
    for name in ["host", "os", "version"] {
        assert!(facts[name].is_string(), "{name}");
    }
    assert_eq!(keys(&facts["loadavg"]), ["average", "entities", "last_pid"]);
    let disk = "device mountpoint fstype opts total used free percent available inodes_total \
                inodes_free read_only error";
    let ps = "pid ppid name user uid state cmdline rss vms threads cpu_seconds start_time \
              start_ticks";
    for (name, expected) in [("disk", disk), ("ps", ps)] {
        let expected: Vec<&str> = expected.split_ascii_whitespace().collect();
        assert_eq!(keys(&facts[name][0]), expected);
    }
    let cpu = "average minimum maximum samples interval_ms per_cpu modes";
    let vmem = "average minimum maximum total used available free buffers cached";
    let smem = "average minimum maximum total used free in out";
    let iostat = "average minimum maximum devices";
    for (name, expected) in [("cpu", cpu), ("vmem", vmem), ("smem", smem), ("iostat", iostat)] {
        let expected: Vec<&str> = expected.split_ascii_whitespace().collect();
        assert_eq!(keys(&facts[name]), expected);
    }
    assert_eq!(keys(&facts["cpu"]["per_cpu"][0]), ["average", "minimum", "maximum"]);
    let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest"];
    assert_eq!(keys(&facts["cpu"]["modes"]), modes);
    let rates = ["read_bytes_s", "write_bytes_s", "reads_s", "writes_s", "await_ms", "util"];
    assert_eq!(keys(&facts["iostat"]["average"]), rates);
    assert_eq!(facts["cpu"]["samples"], 2);
    assert_eq!(facts["cpu"]["interval_ms"], 20);
}

#[test]
fn what_counts_as_a_change_is_what_the_facts_tell() {
    let context = context();
    for fact in FACTS {
        let Some(Ok(value)) = gather(&[fact.name], &context).pop().map(|one| one.outcome) else {
            continue;
        };
        match fact.kept {
            Kept::Nothing | Kept::Whole => {}
            Kept::Fields(fields) => {
                for field in fields {
                    assert!(value.get(field).is_some(), "{} has no {field}", fact.name);
                }
            }
            Kept::Rows(tables) => {
                for table in tables {
                    let list = if table.at.is_empty() { &value } else { &value[table.at] };
                    for row in list.as_array().unwrap() {
                        for column in table.key.iter().chain(table.columns) {
                            assert!(row.get(column).is_some(), "{} has no {column}", fact.name);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn one_sample_is_average_minimum_and_maximum() {
    let mut context = context();
    context.sampling.samples = 1;
    for name in ["cpu", "vmem", "smem"] {
        let value = told(name, &context);
        assert_eq!(value["average"], value["minimum"], "{name}");
        assert_eq!(value["average"], value["maximum"], "{name}");
    }
    let iostat = told("iostat", &context);
    assert_eq!(iostat["average"], iostat["minimum"]);
    assert_eq!(iostat["average"], iostat["maximum"]);
}

#[test]
fn names_of_the_system_are_those_that_uname_tells() {
    let context = context();
    for (option, fact) in [("-r", "kernel"), ("-m", "arch")] {
        let expected = output("uname", &[option]).unwrap();
        assert_eq!(told(fact, &context), expected.as_str());
    }
    let node = output("uname", &["-n"]).unwrap();
    assert_eq!(told("host", &context), node.split('.').next().unwrap());
    let version = told("version", &context);
    let expected = output("uname", &["-s", "-r", "-m"]).unwrap().replace(' ', "-");
    assert!(version.as_str().unwrap().starts_with(&format!("{expected}-with-")), "{version}");
}

#[test]
fn partitions_have_the_sizes_that_df_tells() {
    let context = context();
    let disks = measure::disks(&context).unwrap();
    let listed = output("df", &["-P", "-B1", "/"]).unwrap();
    let fields: Vec<&str> = listed.lines().last().unwrap().split_ascii_whitespace().collect();
    let root = disks.iter().find(|disk| disk.mount.mountpoint == fields[5]).unwrap();
    let space = root.space.as_ref().unwrap();
    assert_eq!(space.total.to_string(), fields[1]);
    // Others write meanwhile; a percent is far more than they can.
    let close = |one: u64, other: &str| one.abs_diff(other.parse().unwrap()) < space.total / 100;
    assert!(close(space.used(), fields[2]), "{space:?} {fields:?}");
    assert!(close(space.available, fields[3]), "{space:?} {fields:?}");
    let percent: f64 = fields[4].trim_end_matches('%').parse().unwrap();
    assert!((percent - space.used_percent()).abs() <= 2.0, "{space:?} {fields:?}");
    let of_tests = measure::disk_of(&context, Path::new("/")).unwrap();
    assert_eq!(of_tests.mount, root.mount);
}

#[test]
fn memory_is_what_free_tells() {
    let memory = measure::memory(&context()).unwrap();
    assert!(memory.total > 0 && memory.available <= memory.total);
    assert!((0.0..=100.0).contains(&memory.used_percent()));
    let Some(listed) = output("free", &["-b"]) else { return };
    let row = |name: &str| -> Vec<u64> {
        let line = listed.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().map(|word| word.parse().unwrap()).collect()
    };
    assert_eq!(memory.total, row("Mem:")[0]);
    assert_eq!(memory.swap_total, row("Swap:")[0]);
}

#[test]
fn the_time_since_the_start_only_grows_and_the_load_is_the_kernels() {
    let context = context();
    let read = || -> f64 {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let before = read();
    let told = measure::uptime(&context).unwrap().as_secs_f64();
    assert!(before <= told + 0.01 && told <= read() + 0.01, "{before} {told}");
    let load = measure::load(&context).unwrap();
    let processors = output("nproc", &["--all"]).unwrap();
    assert!(load.cpus >= 1 && load.cpus <= processors.parse().unwrap());
    assert!(load.load.entities_current <= load.load.entities_total);
}

#[test]
fn this_process_is_among_the_processes_and_its_threads_are_not() {
    let mut child = Command::new("sleep").arg("1000.25").spawn().unwrap();
    let wanted =
        Wanted { name: Some("sleep".to_owned()), user: None, cmdline: Some("1000.25".to_owned()) };
    let found = measure::processes(&context(), &wanted);
    let all = measure::processes(&context(), &Wanted::default());
    child.kill().unwrap();
    child.wait().unwrap();
    let found = found.unwrap();
    assert!(found.iter().any(|process| process.pid == child.id()), "{found:?}");
    let sleeping = found.iter().find(|process| process.pid == child.id()).unwrap();
    assert_eq!(sleeping.ppid, std::process::id());
    assert_eq!(sleeping.cmdline, "sleep 1000.25");
    let own: Vec<_> =
        all.unwrap().into_iter().filter(|process| process.pid == std::process::id()).collect();
    assert_eq!(own.len(), 1);
    assert!(own[0].threads > 1, "{own:?}");
}

#[test]
fn users_and_mounts_are_those_of_the_files() {
    let context = context();
    let users = told("users", &context);
    assert!(
        users.as_array().unwrap().iter().any(|user| user["name"] == "root" && user["uid"] == 0)
    );
    let mounts = told("mounts", &context);
    let expected = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    assert_eq!(mounts.as_array().unwrap().len(), expected);
}

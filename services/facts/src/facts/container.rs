//! What this machine is inside of: a virtual machine, a container, a control group with limits.
//!
//! In a container most numbers are those of the host; `virtualization` says so, and `cgroup` tells
//! the limits that count instead.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::number::{float, rounded};
use crate::read::Text;
use crate::{Context, Unavailable};

/// From here on a limit of version 1 means none: it is the largest multiple of the page below 2^63.
const UNLIMITED: u64 = 1 << 62;

/// Words in the vendor or the product of a machine, and what they stand for.
const MACHINES: [(&str, &str); 10] = [
    ("amazon ec2", "amazon"),
    ("google", "google"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("xen", "xen"),
    ("parallels", "parallels"),
    ("bochs", "bochs"),
    ("qemu", "kvm"),
    ("kvm", "kvm"),
    ("openstack", "kvm"),
];

/// `{"kind": "container", "vm" or "none", "name": …, "host_numbers": …}`.
pub(crate) fn virtualization(context: &Context) -> Result<Value, Unavailable> {
    let container = container(context);
    let machine = machine(context);
    let (kind, name) = match (&container, &machine) {
        (Some(name), _machine) => ("container", Some(name)),
        (None, Some(name)) => ("vm", Some(name)),
        (None, None) => ("none", None),
    };
    // Without a processor's description nothing was looked at, and "none" would be a guess.
    if name.is_none() && !context.roots.proc.join("cpuinfo").exists() {
        return Err(Unavailable::Missing { path: context.roots.proc.join("cpuinfo") });
    }
    Ok(json!({
        "kind": kind,
        "name": name,
        "machine": machine,
        // Load, memory, processors and disks are those of the host, not of the container.
        "numbers_of_host": container.is_some(),
    }))
}

fn text(path: PathBuf, context: &Context) -> Option<String> {
    // What cannot be read proves nothing; other signs remain.
    Text::read(path, context.bounds.file_bytes).ok().map(|text| text.trimmed().to_owned())
}

fn container(context: &Context) -> Option<String> {
    let roots = &context.roots;
    if let Some(name) = text(roots.run.join("systemd/container"), context) {
        return Some(name);
    }
    // Beside /run, in the root of the container.
    let root = roots.run.parent().unwrap_or(Path::new("/"));
    if root.join(".dockerenv").exists() {
        return Some("docker".to_owned());
    }
    if roots.run.join(".containerenv").exists() {
        return Some("podman".to_owned());
    }
    let environment = text(roots.proc.join("1/environ"), context).unwrap_or_default();
    let variable = environment.split('\0').find_map(|variable| variable.strip_prefix("container="));
    if let Some(name) = variable.filter(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    let groups = text(roots.proc.join("1/cgroup"), context).unwrap_or_default();
    let signs = [("kubepods", "kubernetes"), ("docker", "docker"), ("lxc", "lxc")];
    signs.iter().find(|(sign, _name)| groups.contains(sign)).map(|(_sign, name)| (*name).to_owned())
}

fn machine(context: &Context) -> Option<String> {
    let roots = &context.roots;
    if let Some(kind) = text(roots.sys.join("hypervisor/type"), context) {
        return Some(kind);
    }
    let told = |file: &str| {
        text(roots.sys.join("class/dmi/id").join(file), context).unwrap_or_default().to_lowercase()
    };
    let (vendor, product) = (told("sys_vendor"), told("product_name"));
    let named = MACHINES
        .iter()
        .find(|(sign, _name)| vendor.contains(sign) || product.contains(sign))
        .map(|(_sign, name)| (*name).to_owned());
    if named.is_some() {
        return named;
    }
    if vendor.contains("microsoft") && product.contains("virtual machine") {
        return Some("hyperv".to_owned());
    }
    // The processor says that it is not one, whoever made it up.
    let cpu = text(roots.proc.join("cpuinfo"), context).unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags"))?;
    flags.split_ascii_whitespace().any(|flag| flag == "hypervisor").then(|| "unknown".to_owned())
}

/// The limits of the control group that this process is in; null for none.
pub(crate) fn cgroup(context: &Context) -> Result<Value, Unavailable> {
    let path = context.roots.proc.join("self/cgroup");
    let text = Text::read(path, context.bounds.file_bytes)?;
    let mut unified = None;
    let mut controllers = Vec::new();
    for row in text.rows() {
        let mut fields = row.text.splitn(3, ':');
        let (Some(number), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(row.malformed("less than 3 fields"));
        };
        if number == "0" && names.is_empty() {
            unified = Some(path);
        } else {
            controllers.extend(names.split(',').map(|name| (name, path)));
        }
    }
    let of = |name: &str| {
        controllers
            .iter()
            .find(|(controller, _path)| *controller == name)
            .map(|(_name, path)| *path)
    };
    match (of("memory"), unified) {
        (Some(memory), _unified) => first_version(context, memory, of("cpu"), of("pids")),
        (None, Some(path)) => second_version(context, path),
        (None, None) => Err(Unavailable::unsupported("this process is in no control group")),
    }
}

fn second_version(context: &Context, path: &str) -> Result<Value, Unavailable> {
    let folder = folder(&context.roots.sys.join("fs/cgroup"), path);
    let cpus = match Text::read_if_there(folder.join("cpu.max"), context.bounds.file_bytes)? {
        None => None,
        Some(text) => {
            let mut words = text.first()?.words();
            match words.text("the quota")? {
                "max" => None,
                quota => {
                    let quota: u64 = text.first()?.parse("the quota", quota)?;
                    share(quota, words.number("the period")?)
                }
            }
        }
    };
    Ok(json!({
        "version": 2,
        "path": path,
        "memory_max": limit(context, &folder.join("memory.max"))?,
        "memory_current": limit(context, &folder.join("memory.current"))?,
        "cpus_max": cpus,
        "pids_max": limit(context, &folder.join("pids.max"))?,
        "pids_current": limit(context, &folder.join("pids.current"))?,
    }))
}

fn first_version(
    context: &Context,
    memory: &str,
    cpu: Option<&str>,
    pids: Option<&str>,
) -> Result<Value, Unavailable> {
    let root = context.roots.sys.join("fs/cgroup");
    let place = |name: &str, path: Option<&str>| folder(&root.join(name), path.unwrap_or("/"));
    let (memory_folder, cpu, pids) =
        (place("memory", Some(memory)), place("cpu", cpu), place("pids", pids));
    let quota = limit(context, &cpu.join("cpu.cfs_quota_us"))?;
    let period = limit(context, &cpu.join("cpu.cfs_period_us"))?;
    Ok(json!({
        "version": 1,
        "path": memory,
        "memory_max": limit(context, &memory_folder.join("memory.limit_in_bytes"))?,
        "memory_current": limit(context, &memory_folder.join("memory.usage_in_bytes"))?,
        "cpus_max": quota.zip(period).and_then(|(quota, period)| share(quota, period)),
        "pids_max": limit(context, &pids.join("pids.max"))?,
        "pids_current": limit(context, &pids.join("pids.current"))?,
    }))
}

/// The group's folder; in a container the path is the host's and the group is the root.
fn folder(root: &Path, path: &str) -> PathBuf {
    let folder = root.join(path.trim_start_matches('/'));
    if folder.is_dir() { folder } else { root.to_owned() }
}

fn share(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| rounded(float(quota) / float(period)))
}

/// A number; none where it says `max`, -1, more than there can be, or where there is no such file.
fn limit(context: &Context, path: &Path) -> Result<Option<u64>, Unavailable> {
    let Some(text) = Text::read_if_there(path, context.bounds.file_bytes)? else {
        return Ok(None);
    };
    match text.trimmed() {
        "max" | "-1" => Ok(None),
        number => {
            let number: u64 = text.first()?.parse("the limit", number)?;
            Ok(Some(number).filter(|number| *number < UNLIMITED))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn kind(files: &[(&str, &str)]) -> String {
        let told = virtualization(&Machine::with(files).context()).unwrap();
        format!("{} {}", told["kind"], told["name"])
    }

    #[test]
    fn signs_of_containers_come_before_those_of_machines() {
        let kvm = ("sys/class/dmi/id/sys_vendor", "QEMU\n");
        assert_eq!(kind(&[kvm]), "\"vm\" \"kvm\"");
        assert_eq!(kind(&[kvm, ("run/.containerenv", "")]), "\"container\" \"podman\"");
        assert_eq!(kind(&[(".dockerenv", "")]), "\"container\" \"docker\"");
        let environ = ("proc/1/environ", "PATH=/bin\0container=lxc\0");
        assert_eq!(kind(&[environ]), "\"container\" \"lxc\"");
        assert_eq!(kind(&[("proc/cpuinfo", "flags\t: fpu\n")]), "\"none\" null");
        assert_eq!(kind(&[("proc/cpuinfo", "flags : fpu hypervisor\n")]), "\"vm\" \"unknown\"");
    }

    #[test]
    fn limits_of_both_versions_have_one_form() {
        let second = Machine::with(&[
            ("proc/self/cgroup", "0::/app\n"),
            ("sys/fs/cgroup/app/memory.max", "1048576\n"),
            ("sys/fs/cgroup/app/memory.current", "4096\n"),
            ("sys/fs/cgroup/app/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/app/pids.max", "max\n"),
        ]);
        let expected = json!({
            "version": 2, "path": "/app", "memory_max": 1_048_576, "memory_current": 4096,
            "cpus_max": 1.5, "pids_max": null, "pids_current": null,
        });
        assert_eq!(cgroup(&second.context()).unwrap(), expected);
        let first = Machine::with(&[
            ("proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        let told = cgroup(&first.context()).unwrap();
        assert_eq!((&told["version"], &told["memory_max"]), (&json!(1), &Value::Null));
        assert_eq!(told["cpus_max"], Value::Null);
    }
}

//! Which services run and which are meant to, from what systemd and OpenRC leave in files.
//!
//! A unit of systemd runs while its control group holds processes, and is enabled while something
//! wants it. What only the manager knows (why a unit failed) is not here: whoever may start
//! programs asks `systemctl show` and reads its answer with [`crate::measure::units`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::read::{self, Text};
use crate::{Context, Unavailable};

/// Slices lie in slices; deeper than this nobody puts services.
const DEPTH_MAX: usize = 6;

/// Every service that runs or is enabled.
pub(crate) fn services(context: &Context) -> Result<Value, Unavailable> {
    let roots = &context.roots;
    let (running, enabled) = if roots.run.join("systemd/system").exists() {
        (in_control_groups(context)?, wanted(context)?)
    } else if roots.run.join("openrc/started").exists() {
        let started = listed(&roots.run.join("openrc/started"), context)?;
        (started, in_runlevels(context)?)
    } else {
        return Err(Unavailable::unsupported(
            "neither systemd nor OpenRC looks after services here",
        ));
    };
    let units: BTreeSet<&String> = running.union(&enabled).collect();
    let row = |unit: &String| {
        json!({
            "unit": unit, "running": running.contains(unit), "enabled": enabled.contains(unit),
        })
    };
    Ok(Value::Array(units.into_iter().map(row).collect()))
}

/// Units whose control group holds processes: in the unified hierarchy, else in systemd's own.
fn in_control_groups(context: &Context) -> Result<BTreeSet<String>, Unavailable> {
    let root = context.roots.sys.join("fs/cgroup");
    let hierarchies = [root.join("unified"), root.join("systemd"), root];
    let slices = hierarchies.into_iter().map(|folder| folder.join("system.slice"));
    let Some(slice) = slices.into_iter().find(|slice| slice.is_dir()) else {
        return Err(Unavailable::unsupported("no control groups of systemd are visible"));
    };
    let mut found = BTreeSet::new();
    let mut folders: Vec<(PathBuf, usize)> = vec![(slice, 0)];
    let mut looked = 0;
    while let Some((folder, depth)) = folders.pop() {
        for name in listed(&folder, context)? {
            looked += 1;
            if looked > context.bounds.rows {
                let what = "the list of control groups".to_owned();
                let limit = context.bounds.rows;
                return Err(Unavailable::TooLarge { what, limit, unit: "entries" });
            }
            let path = folder.join(&name);
            if name.ends_with(".service") {
                if holds_processes(&path, context) {
                    found.insert(unescaped(&name));
                }
            } else if name.ends_with(".slice") && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            }
        }
    }
    Ok(found)
}

/// Whether any process is in the group or below it. A group that ended meanwhile holds none.
fn holds_processes(group: &Path, context: &Context) -> bool {
    let limit = context.bounds.file_bytes;
    match Text::read(group.join("cgroup.events"), limit) {
        Ok(text) => text.rows().any(|row| row.text == "populated 1"),
        Err(_missing) => Text::read(group.join("cgroup.procs"), limit)
            .is_ok_and(|text| !text.trimmed().is_empty()),
    }
}

/// systemd writes a leading underscore before names that would look like files of the kernel.
fn unescaped(name: &str) -> String {
    name.strip_prefix('_').unwrap_or(name).to_owned()
}

/// Units that a target or another unit wants.
fn wanted(context: &Context) -> Result<BTreeSet<String>, Unavailable> {
    let folder = context.roots.etc.join("systemd/system");
    let mut found = BTreeSet::new();
    for name in listed(&folder, context)? {
        if name.ends_with(".wants") || name.ends_with(".requires") {
            let units = listed(&folder.join(&name), context)?;
            found.extend(units.into_iter().filter(|unit| unit.ends_with(".service")));
        }
    }
    Ok(found)
}

fn in_runlevels(context: &Context) -> Result<BTreeSet<String>, Unavailable> {
    let folder = context.roots.etc.join("runlevels");
    let mut found = BTreeSet::new();
    for level in listed(&folder, context)? {
        found.extend(listed(&folder.join(level), context)?);
    }
    Ok(found)
}

/// The names in a folder; none where there is no such folder.
fn listed(folder: &Path, context: &Context) -> Result<BTreeSet<String>, Unavailable> {
    match read::names(folder, context.bounds.rows) {
        Ok(names) => Ok(names.into_iter().collect()),
        Err(Unavailable::Missing { .. }) => Ok(BTreeSet::new()),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn row(unit: &str, running: bool, enabled: bool) -> Value {
        json!({"unit": unit, "running": running, "enabled": enabled})
    }

    #[test]
    fn units_of_systemd_run_while_their_group_holds_processes() {
        let slice = "sys/fs/cgroup/system.slice";
        let getty = format!("{slice}/system-getty.slice/getty@tty1.service/cgroup.events");
        let machine = Machine::with(&[
            ("run/systemd/system/x", ""),
            (&format!("{slice}/cron.service/cgroup.events"), "populated 1\nfrozen 0\n"),
            (&format!("{slice}/gone.service/cgroup.events"), "populated 0\nfrozen 0\n"),
            (&format!("{slice}/cgroup.procs"), ""),
            (&getty, "populated 1\n"),
            ("etc/systemd/system/multi-user.target.wants/cron.service", ""),
            ("etc/systemd/system/multi-user.target.wants/ssh.service", ""),
            ("etc/systemd/system/multi-user.target.wants/x.timer", ""),
        ]);
        let expected = json!([
            row("cron.service", true, true),
            row("getty@tty1.service", true, false),
            row("ssh.service", false, true),
        ]);
        assert_eq!(services(&machine.context()).unwrap(), expected);
    }

    #[test]
    fn openrc_leaves_links() {
        let machine = Machine::with(&[
            ("run/openrc/started/sshd", ""),
            ("etc/runlevels/default/crond", ""),
            ("etc/runlevels/boot/sshd", ""),
        ]);
        let expected = json!([row("crond", false, true), row("sshd", true, true)]);
        assert_eq!(services(&machine.context()).unwrap(), expected);
        let none = Machine::with(&[]);
        assert_eq!(services(&none.context()).unwrap_err().code(), "unsupported");
    }
}

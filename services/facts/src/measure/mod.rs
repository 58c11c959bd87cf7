//! Typed numbers for checks of the machine: quick looks at one thing, without JSON.
//!
//! They only measure. Which number is too high is judged by whoever asks.

mod processes;
mod units;

use std::path::Path;
use std::time::Duration;

use crate::number::{Spread, float};
use crate::sources::{self, cpu, mounts, space};
use crate::{Context, Unavailable};

pub use crate::sources::load::Load;
pub use crate::sources::memory::Memory;
pub use crate::sources::mounts::{Kind, Mount};
pub use crate::sources::process::Process;
pub use crate::sources::space::Space;
pub use processes::{Wanted, processes};
pub use units::{Unit, units};

/// A mount and its space.
#[derive(Clone, Debug)]
pub struct Disk {
    /// What is mounted where.
    pub mount: Mount,
    /// Its space, or why nobody knows: a mount that does not answer is a finding of its own.
    pub space: Result<Space, Unavailable>,
}

/// The load, and how many processors share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedLoad {
    /// The load.
    pub load: Load,
    /// Processors that are online.
    pub cpus: u32,
}

impl SharedLoad {
    /// The load of one, five and fifteen minutes, for each processor.
    #[must_use]
    pub fn per_cpu(&self) -> [f64; 3] {
        [self.load.one, self.load.five, self.load.fifteen]
            .map(|load| load / f64::from(self.cpus.max(1)))
    }
}

/// How busy all processors were over the window, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Busy {
    /// Over the whole window.
    pub average: f64,
    /// In its idlest sample.
    pub minimum: f64,
    /// In its busiest sample.
    pub maximum: f64,
}

/// Every mount that has space: partitions, network and memory file systems, each where it is seen.
///
/// # Errors
/// When the list of mounts cannot be read. A mount that does not answer is no error here.
pub fn disks(context: &Context) -> Result<Vec<Disk>, Unavailable> {
    let mut mounts = mounts::visible(mounts::mounts(context)?);
    mounts.retain(|mount| mount.kind != Kind::Kernel);
    Ok(with_space(context, mounts))
}

/// The mount on which an absolute path lies. Symbolic links are not followed: on a mount that is
/// gone that would hang.
///
/// # Errors
/// When the list of mounts cannot be read, or the path is not absolute.
pub fn disk_of(context: &Context, path: &Path) -> Result<Disk, Unavailable> {
    let mounts = mounts::visible(mounts::mounts(context)?);
    let depth = |mount: &Mount| Path::new(&mount.mountpoint).components().count();
    let nearest = mounts
        .into_iter()
        .filter(|mount| path.is_absolute() && path.starts_with(&mount.mountpoint))
        .max_by_key(depth);
    let found = nearest.and_then(|mount| with_space(context, vec![mount]).pop());
    let why = || Unavailable::unsupported(format!("{} lies on no mount", path.display()));
    found.ok_or_else(why)
}

fn with_space(context: &Context, mounts: Vec<Mount>) -> Vec<Disk> {
    let spaces = space::of_mounts(context, &mounts);
    mounts.into_iter().zip(spaces).map(|(mount, space)| Disk { mount, space }).collect()
}

/// The load and the processors that share it.
///
/// # Errors
/// When `/proc/loadavg` or `/proc/stat` cannot be read or understood.
pub fn load(context: &Context) -> Result<SharedLoad, Unavailable> {
    let load = sources::load::load(context)?;
    let cpus = cpu::times(&context.roots, &context.bounds)?.each.len();
    Ok(SharedLoad { load, cpus: u32::try_from(cpus).unwrap_or(u32::MAX) })
}

/// Memory and swap.
///
/// # Errors
/// When `/proc/meminfo` cannot be read or understood.
pub fn memory(context: &Context) -> Result<Memory, Unavailable> {
    sources::memory::memory(&context.roots, &context.bounds)
}

/// How long the machine has been up.
///
/// # Errors
/// When `/proc/uptime` cannot be read or understood.
pub fn uptime(context: &Context) -> Result<Duration, Unavailable> {
    let seconds = sources::load::uptime(&context.roots, &context.bounds)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| Unavailable::Malformed {
        path: context.roots.proc.join("uptime"),
        line: 1,
        why: error.to_string(),
    })
}

/// How busy the processors are, over the window of this context, which it waits for; since the
/// start of the machine where the window has no samples.
///
/// # Errors
/// When `/proc/stat` cannot be read or understood.
pub fn busy(context: &Context) -> Result<Busy, Unavailable> {
    let samples = context.samples()?;
    let readings = samples.of(|reading| &reading.cpu)?;
    let Spread { average, minimum, maximum } =
        crate::facts::cpu::spread(&readings, |times| Some(&times.all));
    Ok(Busy { average, minimum, maximum })
}

/// Percent of all file handles in use; none where there is no limit to speak of.
///
/// # Errors
/// When `/proc/sys/fs/file-nr` cannot be read or understood.
pub fn files_open_percent(context: &Context) -> Result<f64, Unavailable> {
    let (open, maximum) = crate::facts::limits::file_handles(context)?;
    Ok(if maximum == 0 { 0.0 } else { float(open) / float(maximum) * 100.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    const MOUNTINFO: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                             2 1 0:5 / /proc rw - proc proc rw\n\
                             3 1 0:6 / /run rw - tmpfs tmpfs rw\n\
                             4 1 8:2 / /srv rw - xfs /dev/sda2 rw\n\
                             5 4 0:7 / /srv/data rw - nfs4 nas:/ rw\n";

    fn context(machine: &Machine) -> Context {
        let mut context = machine.context();
        context.space = |path| {
            let total = u64::try_from(path.as_os_str().len()).unwrap();
            Ok(Space { total, ..Space::default() })
        };
        context
    }

    #[test]
    fn a_path_lies_on_the_nearest_mount() {
        let machine = Machine::with(&[("proc/self/mountinfo", MOUNTINFO)]);
        let context = context(&machine);
        for (path, expected) in [
            ("/srv/data/x", "/srv/data"),
            ("/srv/database", "/srv"),
            ("/srv", "/srv"),
            ("/etc/passwd", "/"),
        ] {
            let disk = disk_of(&context, Path::new(path)).unwrap();
            assert_eq!(disk.mount.mountpoint, expected, "{path}");
            assert_eq!(disk.space.unwrap().total, u64::try_from(expected.len()).unwrap());
        }
        assert_eq!(disk_of(&context, Path::new("etc")).unwrap_err().code(), "unsupported");
        let kernel = disk_of(&context, Path::new("/proc/1")).unwrap();
        assert_eq!(kernel.space.unwrap_err().code(), "unsupported");
    }

    #[test]
    fn every_mount_with_space_is_measured() {
        let machine = Machine::with(&[("proc/self/mountinfo", MOUNTINFO)]);
        let disks = disks(&context(&machine)).unwrap();
        let places: Vec<_> = disks.iter().map(|disk| disk.mount.mountpoint.as_str()).collect();
        assert_eq!(places, ["/", "/run", "/srv", "/srv/data"]);
        assert_eq!(disks[3].mount.kind, Kind::Network);
    }

    #[test]
    fn the_load_is_shared_by_processors() {
        let machine = Machine::with(&[
            ("proc/loadavg", "4.00 2.00 1.00 1/2 3\n"),
            ("proc/stat", "cpu 4 0 0 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\n"),
            ("proc/uptime", "90061.25 1\n"),
            ("proc/sys/fs/file-nr", "50 0 200\n"),
        ]);
        let context = machine.context();
        assert_eq!(load(&context).unwrap().per_cpu(), [2.0, 1.0, 0.5]);
        assert_eq!(uptime(&context).unwrap(), Duration::from_millis(90_061_250));
        let busy = busy(&context).unwrap();
        assert_eq!(busy, Busy { average: 50.0, minimum: 50.0, maximum: 50.0 });
        assert!((files_open_percent(&context).unwrap() - 25.0).abs() < 1e-9);
        machine.write("proc/uptime", "-5 1\n");
        assert_eq!(uptime(&context).unwrap_err().code(), "malformed");
    }
}

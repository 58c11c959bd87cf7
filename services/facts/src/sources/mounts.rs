//! `/proc/self/mountinfo`: what is mounted where.
//!
//! Four kinds, because each is looked at differently: `Local` partitions are what the fact `disk`
//! lists, `Network` ones may hang, `Memory` ones have space but no disk, and the kernel's own have
//! neither. FUSE counts as network: who answers is a process that may be gone.
//!
//! Some file systems show the password they were mounted with, so devices and options pass through
//! the mask as command lines do.

use std::collections::BTreeMap;

use crate::read::{Row, Text};
use crate::{Context, Unavailable};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub mountpoint: String,
    /// What is mounted.
    pub device: String,
    /// The type of the file system.
    pub fstype: String,
    /// Options of the mount and then of the file system, without repetition.
    pub options: String,
    /// Whether nothing can be written through it.
    pub read_only: bool,
    /// What part of the file system is mounted: `/` but for bind mounts and subvolumes.
    pub root: String,
    /// The device's numbers, `8:1`: the same for all mounts of one file system.
    pub numbers: String,
    /// How it has to be looked at.
    pub kind: Kind,
}

/// How a mount has to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A partition of this machine.
    Local,
    /// Another machine, or a process: whoever has to answer may be gone.
    Network,
    /// Memory.
    Memory,
    /// A view into the kernel, without a size of its own.
    Kernel,
}

impl Kind {
    /// Its word in facts: `local`, `network`, `memory` or `kernel`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Network => "network",
            Self::Memory => "memory",
            Self::Kernel => "kernel",
        }
    }

    fn of(fstype: &str, device: &str, mountpoint: &str) -> Self {
        let family = fstype.split('.').next().unwrap_or_default();
        match family {
            "tmpfs" | "ramfs" | "devtmpfs" | "hugetlbfs" | "zram" => Self::Memory,
            "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "afs" | "ceph" | "coda" | "ncpfs"
            | "9p" | "virtiofs" | "glusterfs" | "lustre" | "gpfs" | "ocfs2" | "gfs2" | "beegfs"
            | "orangefs" | "davfs" | "fuse" => Self::Network,
            // A disk through a program of this machine, as NTFS often is.
            "fuseblk" | "zfs" | "bcachefs" => Self::Local,
            // The root of a container, and nothing else of this type: its parts are mounted too.
            "overlay" | "aufs" if mountpoint == "/" => Self::Local,
            // Images that are always full: a disk in them would be a false alarm.
            "squashfs" | "iso9660" | "udf" | "erofs" | "cramfs" | "romfs" => Self::Kernel,
            _other if device.starts_with('/') => Self::Local,
            _other => Self::Kernel,
        }
    }
}

/// Everything that is mounted, in the order in which it was.
pub(crate) fn mounts(context: &Context) -> Result<Vec<Mount>, Unavailable> {
    let path = context.roots.proc.join("self/mountinfo");
    let mut mounts = parse(&Text::read(path, context.bounds.file_bytes)?, context.bounds.mounts)?;
    for mount in &mut mounts {
        mount.device = (context.mask)(&mount.device);
        mount.options = (context.mask)(&mount.options);
    }
    Ok(mounts)
}

/// The partitions of this machine, each once and in the order of their places: where one is mounted
/// several times, by the mount of its root, else by the one with the shortest name.
pub(crate) fn local(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut best: BTreeMap<String, Mount> = BTreeMap::new();
    for mount in mounts.into_iter().filter(|mount| mount.kind == Kind::Local) {
        let rank = |mount: &Mount| (mount.root != "/", mount.mountpoint.len());
        match best.get(&mount.numbers) {
            Some(known) if rank(known) <= rank(&mount) => {}
            Some(_) | None => {
                best.insert(mount.numbers.clone(), mount);
            }
        }
    }
    let mut local: Vec<Mount> = best.into_values().collect();
    local.sort_by(|one, other| one.mountpoint.cmp(&other.mountpoint));
    local
}

/// What one sees: where two are mounted at one place, the later.
pub(crate) fn visible(mounts: Vec<Mount>) -> Vec<Mount> {
    let by_place = mounts.into_iter().map(|mount| (mount.mountpoint.clone(), mount));
    by_place.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn parse(text: &Text, limit: usize) -> Result<Vec<Mount>, Unavailable> {
    let mut mounts = Vec::new();
    for row in text.rows() {
        if mounts.len() == limit {
            let what = "the list of mounts".to_owned();
            return Err(Unavailable::TooLarge { what, limit, unit: "mounts" });
        }
        mounts.push(mount(row)?);
    }
    Ok(mounts)
}

fn mount(row: Row<'_>) -> Result<Mount, Unavailable> {
    let Some((place, system)) = row.text.split_once(" - ") else {
        return Err(row.malformed("no \" - \" between the mount and the file system"));
    };
    let mut place = place.split_ascii_whitespace().skip(2);
    let mut system = system.split_ascii_whitespace();
    let (Some(numbers), Some(root), Some(mountpoint), Some(options)) =
        (place.next(), place.next(), place.next(), place.next())
    else {
        return Err(row.malformed("less than 6 words before \" - \""));
    };
    let (Some(fstype), Some(device)) = (system.next(), system.next()) else {
        return Err(row.malformed("less than 2 words after \" - \""));
    };
    let mut all: Vec<&str> = options.split(',').collect();
    for option in system.next().unwrap_or_default().split(',') {
        if !option.is_empty() && !all.contains(&option) && !matches!(option, "rw" | "ro") {
            all.push(option);
        }
    }
    let superblock_read_only =
        row.text.rsplit(' ').next().is_some_and(|all| all.split(',').any(|one| one == "ro"));
    let (mountpoint, device) = (unescaped(mountpoint), unescaped(device));
    Ok(Mount {
        read_only: superblock_read_only || all.contains(&"ro"),
        options: all.join(","),
        kind: Kind::of(fstype, &device, &mountpoint),
        fstype: fstype.to_owned(),
        root: unescaped(root),
        numbers: numbers.to_owned(),
        mountpoint,
        device,
    })
}

/// The kernel writes blanks and backslashes in names as `\040` and the like.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if *first == b'\\' => {
                bytes.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            Some(_) | None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
        28 27 254:0 /srv /export rw,relatime shared:2 master:1 - ext4 /dev/vda rw,discard\n\
        29 27 8:17 / /mnt/old\\040disk ro,nosuid - xfs /dev/sdb1 ro,attr2\n\
        30 27 0:50 / /home rw - nfs4 nas:/home rw,vers=4.2,addr=10.0.0.9\n\
        31 27 0:51 / /run rw,nosuid - tmpfs tmpfs rw,size=100k\n\
        32 27 0:52 / /net rw - autofs systemd-1 rw,fd=43\n\
        33 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro\n\
        34 27 0:53 / /mnt/remote rw - fuse.sshfs host:/ rw\n";

    fn parsed() -> Vec<Mount> {
        parse(&Text::of("/proc/self/mountinfo", MOUNTINFO), 100).unwrap()
    }

    #[test]
    fn kinds_follow_from_types() {
        let kinds: Vec<_> =
            parsed().into_iter().map(|mount| (mount.mountpoint, mount.kind.name())).collect();
        let expected = [
            ("/proc", "kernel"),
            ("/", "local"),
            ("/export", "local"),
            ("/mnt/old disk", "local"),
            ("/home", "network"),
            ("/run", "memory"),
            ("/net", "kernel"),
            ("/snap/core/1", "kernel"),
            ("/mnt/remote", "network"),
        ];
        let expected: Vec<_> = expected.map(|(place, kind)| (place.to_owned(), kind)).to_vec();
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_partition_that_is_mounted_twice_is_listed_once_by_its_root() {
        let local = local(parsed());
        let places: Vec<_> = local.iter().map(|mount| mount.mountpoint.as_str()).collect();
        assert_eq!(places, ["/", "/mnt/old disk"]);
        assert_eq!(local[0].options, "rw,relatime,discard");
        assert!(local[1].read_only && !local[0].read_only);
    }

    #[test]
    fn passwords_of_mounts_are_masked() {
        let line = "1 0 0:9 / /ftp rw - fuse.ftpfs ftp://me:hunter2@host rw,password=hunter2\n";
        let machine = crate::machine::Machine::with(&[("proc/self/mountinfo", line)]);
        let mut context = machine.context();
        context.mask = std::sync::Arc::new(|text: &str| text.replace("hunter2", "*"));
        let mounts = mounts(&context).unwrap();
        assert_eq!(mounts[0].device, "ftp://me:*@host");
        assert_eq!(mounts[0].options, "rw,password=*");
    }

    #[test]
    fn a_mount_over_another_hides_it() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / / rw - xfs /dev/sda2 rw\n";
        let mounts = visible(parse(&Text::of("m", text), 10).unwrap());
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].device, "/dev/sda2");
    }

    #[test]
    fn wrong_text_and_too_much_of_it_are_told() {
        let rows = [
            ("22 27 0:21 / /proc rw\n", 9, "m:1: no \" - \" between the mount and the file system"),
            ("22 27 0:21 / - proc proc rw\n", 9, "m:1: less than 6 words before \" - \""),
            ("22 27 0:21 / /proc rw - proc\n", 9, "m:1: less than 2 words after \" - \""),
            (MOUNTINFO, 3, "the list of mounts is more than 3 mounts"),
        ];
        for (text, limit, expected) in rows {
            assert_eq!(parse(&Text::of("m", text), limit).unwrap_err().reason(), expected);
        }
    }

    #[test]
    fn names_come_out_as_they_are() {
        for (text, expected) in [
            ("/a\\040b", "/a b"),
            ("/a\\134b", "/a\\b"),
            ("/a\\9", "/a\\9"),
            ("\\", "\\"),
            ("/\\303\\244", "/ä"),
        ] {
            assert_eq!(unescaped(text), expected);
        }
    }
}

//! The partitions with their space, and everything that is mounted.

use serde_json::{Value, json};

use crate::number::rounded;
use crate::sources::{mounts, space};
use crate::{Context, Unavailable};

/// Every partition of this machine with its space. One that does not answer says so and costs the
/// others nothing.
pub(crate) fn disk(context: &Context) -> Result<Value, Unavailable> {
    let mounts = mounts::local(mounts::mounts(context)?);
    let spaces = space::of_mounts(context, &mounts);
    let rows = mounts.iter().zip(spaces).map(|(mount, space)| {
        let error = space.as_ref().err().map(Unavailable::reason);
        let space = space.ok();
        json!({
            "device": mount.device,
            "mountpoint": mount.mountpoint,
            "fstype": mount.fstype,
            "opts": mount.options,
            "total": space.map(|space| space.total),
            "used": space.map(|space| space.used()),
            "free": space.map(|space| space.free),
            "percent": space.map(|space| rounded(space.used_percent())),
            "available": space.map(|space| space.available),
            "inodes_total": space.map(|space| space.inodes_total),
            "inodes_free": space.map(|space| space.inodes_free),
            "read_only": mount.read_only,
            "error": error,
        })
    });
    Ok(Value::Array(rows.collect()))
}

/// Everything that is mounted; nothing is asked, so nothing hangs.
pub(crate) fn mounts(context: &Context) -> Result<Value, Unavailable> {
    let rows = mounts::mounts(context)?.into_iter().map(|mount| {
        json!({
            "mountpoint": mount.mountpoint,
            "device": mount.device,
            "fstype": mount.fstype,
            "opts": mount.options,
            "kind": mount.kind.name(),
            "read_only": mount.read_only,
            "root": mount.root,
        })
    });
    Ok(Value::Array(rows.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::sources::space::Space;
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    const MOUNTINFO: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                             2 1 8:2 / /facts-disk-dead ro - ext4 /dev/sda2 rw\n\
                             3 1 8:3 / /facts-disk-denied rw - xfs /dev/sda3 rw\n";

    fn told(path: &Path) -> io::Result<Space> {
        match path.to_str() {
            Some("/facts-disk-dead") => loop {
                std::thread::park();
            },
            Some("/facts-disk-denied") => Err(io::ErrorKind::PermissionDenied.into()),
            Some(_) | None => Ok(Space {
                total: 1000,
                free: 400,
                available: 300,
                inodes_total: 50,
                inodes_free: 20,
            }),
        }
    }

    #[test]
    fn a_partition_that_hangs_is_a_row_with_its_reason() {
        let machine = Machine::with(&[("proc/self/mountinfo", MOUNTINFO)]);
        let mut context = machine.context();
        context.space = told;
        // Long enough for those that answer, however busy the machine is.
        context.bounds.mount_time = Duration::from_secs(2);
        let rows = disk(&context).unwrap();
        let expected = json!({
            "device": "/dev/sda1", "mountpoint": "/", "fstype": "ext4", "opts": "rw",
            "total": 1000, "used": 600, "free": 400, "percent": 66.67, "available": 300,
            "inodes_total": 50, "inodes_free": 20, "read_only": false, "error": null,
        });
        assert_eq!(rows[0], expected);
        assert!(rows[1]["error"].as_str().unwrap().starts_with("no answer within"), "{rows}");
        assert_eq!((&rows[1]["total"], &rows[1]["read_only"]), (&Value::Null, &Value::Bool(true)));
        assert_eq!(rows[2]["error"], "/facts-disk-denied may not be read by this user");
        // The second look does not lose another thread on it.
        assert_eq!(disk(&context).unwrap()[1]["error"], "an earlier attempt still hangs");
    }
}

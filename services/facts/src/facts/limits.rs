//! How much there may be: limits of the kernel and of this process, and how many files are open.

use serde_json::{Map, Value, json};

use crate::read::{Row, Text};
use crate::{Context, Unavailable};

/// Settings of the kernel that limit everybody, by the names they have here.
const SETTINGS: [(&str, &str); 8] = [
    ("pids_max", "kernel/pid_max"),
    ("threads_max", "kernel/threads-max"),
    ("files_max", "fs/file-max"),
    ("files_per_process_max", "fs/nr_open"),
    ("inotify_watches_max", "fs/inotify/max_user_watches"),
    ("maps_per_process_max", "vm/max_map_count"),
    ("connections_waiting_max", "net/core/somaxconn"),
    ("overcommit", "vm/overcommit_memory"),
];

/// Limits of the kernel, and those of this process: soft and hard, null for none.
pub(crate) fn limits(context: &Context) -> Result<Value, Unavailable> {
    let limit = context.bounds.file_bytes;
    let mut kernel = Map::new();
    for (name, file) in SETTINGS {
        let path = context.roots.proc.join("sys").join(file);
        if let Some(text) = Text::read_if_there(path, limit)? {
            kernel.insert(name.to_owned(), text.first()?.words().number::<u64>(name)?.into());
        }
    }
    let text = Text::read(context.roots.proc.join("self/limits"), limit)?;
    let mut process = Map::new();
    for row in text.rows().skip(1) {
        let (name, limits) = own(row)?;
        process.insert(name, limits);
    }
    Ok(json!({"kernel": kernel, "process": process}))
}

/// `Max open files            1024                 524288               files`
fn own(row: Row<'_>) -> Result<(String, Value), Unavailable> {
    // The name is as wide as the widest, and has single blanks.
    let Some((name, values)) = row.text.split_once("  ") else {
        return Err(row.malformed("no limits behind the name"));
    };
    let name = name.trim_start_matches("Max ").replace(' ', "_");
    let mut words = values.split_ascii_whitespace();
    let mut limit = |what: &str| match words.next() {
        Some("unlimited") => Ok(None),
        Some(number) => row.parse::<u64>(what, number).map(Some),
        None => Err(row.malformed(format!("{what} is missing"))),
    };
    Ok((name, json!({"soft": limit("the soft limit")?, "hard": limit("the hard limit")?})))
}

/// File handles in use by all, and how many there may be.
pub(crate) fn files_open(context: &Context) -> Result<Value, Unavailable> {
    let (open, maximum) = file_handles(context)?;
    Ok(json!({"open": open, "maximum": maximum}))
}

/// How many file handles are open, and how many there may be.
pub(crate) fn file_handles(context: &Context) -> Result<(u64, u64), Unavailable> {
    let path = context.roots.proc.join("sys/fs/file-nr");
    let text = Text::read(path, context.bounds.file_bytes)?;
    let mut words = text.first()?.words();
    let allocated: u64 = words.number("the number of open files")?;
    let unused: u64 = words.number("the number of unused handles")?;
    let maximum: u64 = words.number("the most there may be")?;
    Ok((allocated.saturating_sub(unused), maximum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
        Max cpu time              unlimited            unlimited            seconds\n\
        Max open files            1024                 524288               files\n";

    #[test]
    fn limits_are_numbers_or_none() {
        let machine = Machine::with(&[
            ("proc/self/limits", LIMITS),
            ("proc/sys/kernel/pid_max", "4194304\n"),
            ("proc/sys/fs/file-nr", "1344\t44\t9223372036854775807\n"),
        ]);
        let expected = json!({
            "kernel": {"pids_max": 4_194_304},
            "process": {
                "cpu_time": {"soft": null, "hard": null},
                "open_files": {"soft": 1024, "hard": 524_288},
            },
        });
        assert_eq!(limits(&machine.context()).unwrap(), expected);
        let expected = json!({"open": 1300, "maximum": 9_223_372_036_854_775_807_u64});
        assert_eq!(files_open(&machine.context()).unwrap(), expected);
        machine.write("proc/self/limits", "Limit\nMax open files  many\n");
        let error = limits(&machine.context()).unwrap_err().reason();
        assert!(error.ends_with("self/limits:2: the soft limit is \"many\""), "{error}");
    }
}

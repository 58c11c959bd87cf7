//! Our own form into a plan: everything that CaLink's says, and bounds, patterns, times, masking.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_facts::RESERVED;
use serde::Deserialize;
use serde_json::Value;

use super::{Command, Compression, Error, Files, Line, Output, Pick, Plan};
use crate::glob::Glob;
use crate::limits::Limits;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    facts: serde_json::Map<String, Value>,
    #[serde(default)]
    files: Vec<FilesOf>,
    #[serde(default)]
    commands: Vec<CommandOf>,
    #[serde(default)]
    output: OutputOf,
    #[serde(default)]
    limits: BTreeMap<String, Value>,
    #[serde(default = "yes")]
    mask: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Profile {
    Quick,
    #[default]
    Normal,
    Full,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesOf {
    path: PathBuf,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    since: Option<Value>,
    #[serde(default)]
    max_file: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandOf {
    #[serde(default)]
    name: Option<String>,
    run: RunOf,
    #[serde(default)]
    timeout: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RunOf {
    Line(String),
    Program(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputOf {
    #[serde(default)]
    dir: Option<PathBuf>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    compress: Option<CompressOf>,
    #[serde(default)]
    keep_plain: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompressOf {
    #[serde(rename = "type")]
    kind: CompressKind,
    #[serde(default)]
    level: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CompressKind {
    Gzip,
    Zstd,
}

const fn yes() -> bool {
    true
}

pub(super) fn plan(value: &Value, folder: &Path) -> Result<Plan, Error> {
    let document: Document = serde_json::from_value(value.clone())
        .map_err(|error| Error::at("the document", error.to_string()))?;
    let mut limits = match document.profile {
        Profile::Quick => Limits::quick(),
        Profile::Normal => Limits::normal(),
        Profile::Full => Limits::full(),
    };
    for (name, value) in &document.limits {
        limit(&mut limits, name, value)?;
    }
    let files = document.files.into_iter().enumerate();
    let files = files.map(|(at, files)| files_of(at, files)).collect::<Result<_, _>>()?;
    let commands = document.commands.into_iter().enumerate();
    let commands = commands.map(|(at, command)| command_of(at, command));
    Ok(Plan {
        facts: groups(&document.facts)?,
        files,
        commands: commands.collect::<Result<_, _>>()?,
        output: output(document.output, folder)?,
        limits,
        mask: document.mask,
        notices: Vec::new(),
    })
}

fn groups(facts: &serde_json::Map<String, Value>) -> Result<Vec<(String, Vec<String>)>, Error> {
    let mut groups = Vec::new();
    for (group, names) in facts {
        let at = format!("/facts/{group}");
        if RESERVED.contains(&group.as_str()) {
            return Err(Error::at(at, "this name is a key of the document itself"));
        }
        let list = names.as_array().ok_or_else(|| Error::at(&at, "it is no list of facts"))?;
        let names = list.iter().map(|name| name.as_str().map(ToOwned::to_owned));
        let names: Option<Vec<String>> = names.collect();
        groups
            .push((group.clone(), names.ok_or_else(|| Error::at(&at, "it is no list of facts"))?));
    }
    Ok(groups)
}

fn files_of(at: usize, files: FilesOf) -> Result<Files, Error> {
    let at = format!("/files/{at}");
    if !files.path.is_absolute() {
        return Err(Error::at(format!("{at}/path"), "the path must begin with /"));
    }
    let globs = |name: &str, patterns: &[String]| {
        let parse = |pattern: &String| {
            Glob::parse(pattern).map_err(|e| Error::at(format!("{at}/{name}"), e.to_string()))
        };
        patterns.iter().map(parse).collect::<Result<Vec<_>, _>>()
    };
    let (include, exclude) = (globs("include", &files.include)?, globs("exclude", &files.exclude)?);
    let since = files.since.map(|value| duration(&format!("{at}/since"), &value));
    let file_bytes = files.max_file.map(|value| bytes(&format!("{at}/max_file"), &value));
    Ok(Files {
        label: files.path.display().to_string(),
        folder: files.path,
        pick: Pick::Matching { include, exclude },
        file_bytes: file_bytes.transpose()?,
        since: since.transpose()?,
    })
}

fn command_of(at: usize, command: CommandOf) -> Result<Command, Error> {
    let at = format!("/commands/{at}");
    let line = match command.run {
        RunOf::Line(line) => Line::Shell(line),
        RunOf::Program(words) => Line::Program(words),
    };
    if line.shown().trim().is_empty() {
        return Err(Error::at(format!("{at}/run"), "there is nothing to run"));
    }
    let timeout = command.timeout.map(|value| duration(&format!("{at}/timeout"), &value));
    let label = command.name.unwrap_or_else(|| line.shown());
    Ok(Command { label, line, timeout: timeout.transpose()? })
}

fn output(output: OutputOf, folder: &Path) -> Result<Output, Error> {
    if output.name.as_ref().is_some_and(|name| name.contains('/') || name.starts_with('.')) {
        return Err(Error::at("/output/name", "it is no name of a file: the folder is dir"));
    }
    let compression = match output.compress {
        None => Compression::GZIP,
        Some(CompressOf { kind: CompressKind::Gzip, level }) => {
            Compression::Gzip { level: level.unwrap_or(6).min(9) }
        }
        Some(CompressOf { kind: CompressKind::Zstd, level }) => {
            let level = i32::try_from(level.unwrap_or(3)).unwrap_or(3).clamp(1, 19);
            Compression::Zstd { level }
        }
    };
    Ok(Output {
        folder: output.dir.unwrap_or_else(|| folder.to_owned()),
        stem: "collect",
        archive: output.name,
        json: None,
        commands: None,
        keeps_plain: output.keep_plain,
        compression,
    })
}

fn limit(limits: &mut Limits, name: &str, value: &Value) -> Result<(), Error> {
    let at = format!("/limits/{name}");
    let count = || {
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| Error::at(&at, "it is no number"))
    };
    match name {
        "run" => limits.run = duration(&at, value)?,
        "file" => limits.file_bytes = bytes(&at, value)?,
        "key" => limits.key_bytes = bytes(&at, value)?,
        "total" => limits.total_bytes = bytes(&at, value)?,
        "entries" => limits.entries = count()?,
        "depth" => limits.depth = count()?,
        "command_time" => limits.command_time = duration(&at, value)?,
        "command_output" => {
            limits.command_bytes = usize::try_from(bytes(&at, value)?).unwrap_or(usize::MAX);
        }
        _ => {
            let known = "run, file, key, total, entries, depth, command_time, command_output";
            return Err(Error::at(at, format!("there is no such limit: one of {known}")));
        }
    }
    Ok(())
}

/// A number of seconds, or a number with `s`, `m`, `h` or `d`.
fn duration(at: &str, value: &Value) -> Result<Duration, Error> {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1), ("", 1)];
    let seconds = measured(value, &units);
    let why = "it is no time: a number with s, m, h or d behind it";
    seconds.map(Duration::from_secs).ok_or_else(|| Error::at(at, why))
}

/// A number of bytes, or a number with `KiB`, `MiB` or `GiB`.
fn bytes(at: &str, value: &Value) -> Result<u64, Error> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1), ("", 1)];
    let why = "it is no size: a number with KiB, MiB or GiB behind it";
    measured(value, &units).ok_or_else(|| Error::at(at, why))
}

fn measured(value: &Value, units: &[(&str, u64)]) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let text = value.as_str()?.trim();
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(*unit)
}

/// What is gathered when nobody says what.
pub(super) fn built_in(folder: &Path) -> Plan {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let command = |label: &str, words: &[&str]| Command {
        label: label.to_owned(),
        line: Line::Program(names(words)),
        timeout: Some(Duration::from_secs(20)),
    };
    let system = ["host", "fqdn", "os", "version", "kernel", "arch", "uptime", "virtualization"];
    let resources = ["loadavg", "cpu", "vmem", "smem", "disk", "iostat", "psi"];
    let more = ["ps", "network", "sockets", "mounts", "users", "services", "packages", "limits"];
    let logs = ["syslog", "messages", "kern.log", "auth.log", "dpkg.log", "dmesg"];
    let glob = |name: &&str| Glob::parse(name).ok();
    Plan {
        facts: vec![
            ("system".to_owned(), names(&system)),
            ("resources".to_owned(), names(&resources)),
            ("more".to_owned(), names(&more)),
        ],
        files: vec![Files {
            label: "/var/log".to_owned(),
            folder: PathBuf::from("/var/log"),
            pick: Pick::Matching {
                include: logs.iter().filter_map(glob).collect(),
                exclude: Vec::new(),
            },
            file_bytes: None,
            since: None,
        }],
        commands: vec![
            command("failed_units", &["systemctl", "list-units", "--failed", "--no-pager"]),
            command("journal", &["journalctl", "-b", "-p", "warning", "-n", "500", "--no-pager"]),
            command("kernel_messages", &["dmesg"]),
            command("disks", &["lsblk", "-a"]),
            command("addresses", &["ip", "addr"]),
            command("routes", &["ip", "route"]),
        ],
        output: Output {
            folder: folder.to_owned(),
            stem: "collect",
            archive: None,
            json: None,
            commands: None,
            keeps_plain: false,
            compression: Compression::GZIP,
        },
        limits: Limits::normal(),
        mask: true,
        notices: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Plan, Error> {
        Plan::from_value(value, Path::new("/"), Path::new("/out"))
    }

    #[test]
    fn everything_can_be_said() {
        let plan = read(&json!({
            "profile": "quick",
            "facts": {"system": ["host"]},
            "files": [{"path": "/var/log", "include": ["*.log"], "exclude": ["*.gz"],
                       "since": "3d", "max_file": "10MiB"}],
            "commands": [{"name": "units", "run": ["systemctl"], "timeout": "10s"}, {"run": "id"}],
            "output": {"dir": "/o", "name": "n", "compress": {"type": "zstd"}, "keep_plain": true},
            "limits": {"run": "1m", "total": "1GiB", "entries": 5},
            "mask": false,
        }))
        .unwrap();
        assert_eq!(plan.files[0].since, Some(Duration::from_secs(3 * 86_400)));
        assert_eq!(plan.files[0].file_bytes, Some(10 << 20));
        assert_eq!(plan.commands[1].label, "id");
        assert_eq!(plan.output.compression, Compression::ZSTD);
        assert_eq!((plan.limits.run.as_secs(), plan.limits.total_bytes), (60, 1 << 30));
        assert!(!plan.mask);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (value, expected) in [
            (json!({"fact": {}}), "unknown field `fact`"),
            (json!({"facts": {"errors": []}}), "/facts/errors: this name"),
            (json!({"files": [{"path": "log"}]}), "/files/0/path: the path must begin with /"),
            (json!({"files": [{"path": "/", "since": "soon"}]}), "/files/0/since: it is no time"),
            (json!({"limits": {"size": 1}}), "/limits/size: there is no such limit"),
            (json!({"commands": [{"run": []}]}), "/commands/0/run: there is nothing to run"),
            (json!({"output": {"name": "../x"}}), "/output/name: it is no name"),
        ] {
            let error = read(&value).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

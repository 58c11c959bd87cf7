//! `hearken doctor`: what this installation is, what it finds, and what is wrong with it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::Context;
use crate::client::Client;
use crate::config;
use crate::error::{EXIT_NO, EXIT_OK, Failure};

/// Below this the log refuses writes soon.
const DISK_LOW_BYTES: u64 = 1 << 30;
/// Flushes measured; their middle one is shown.
const FLUSHES: usize = 9;

/// One finding.
struct Finding {
    what: &'static str,
    /// `ok`, `note`, or `bad`.
    verdict: &'static str,
    found: String,
}

/// Looks at everything, and fails when something is bad.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let mut findings = vec![
        configuration(context),
        folder(&context.data),
        disk(&context.data),
        flush(&context.data),
    ];
    findings.extend(programs());
    findings.extend(server(context));
    let rows: Vec<Value> = findings
        .iter()
        .map(|f| json!({ "what": f.what, "verdict": f.verdict, "found": f.found }))
        .collect();
    context.output.list(&rows, &[("WHAT", "/what"), ("", "/verdict"), ("FOUND", "/found")]);
    let bad = findings.iter().any(|finding| finding.verdict == "bad");
    Ok(if bad { EXIT_NO } else { EXIT_OK })
}

const fn finding(what: &'static str, verdict: &'static str, found: String) -> Finding {
    Finding { what, verdict, found }
}

fn configuration(context: &Context) -> Finding {
    match context.loader().and_then(config::Loader::finish) {
        Ok(loaded) => {
            let durability = &loaded.settings.bus.durability;
            let bus = match loaded.settings.bus.nats.as_str() {
                "" => format!("bus in the process, durability {durability}"),
                url => format!("bus on {url}"),
            };
            finding("configuration", "ok", bus)
        }
        Err(failure) => finding("configuration", "bad", failure.what),
    }
}

fn folder(data: &Path) -> Finding {
    let found = data.display().to_string();
    match std::fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => finding("data folder", "ok", found),
        Ok(_) => finding("data folder", "bad", format!("{found} is not a folder")),
        Err(_) => finding("data folder", "note", format!("{found} does not exist yet")),
    }
}

/// The nearest folder above `path` that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|p| p.is_dir()).unwrap_or_else(|| Path::new("/"))
}

fn disk(data: &Path) -> Finding {
    match rustix::fs::statvfs(existing(data)) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let verdict = if free < DISK_LOW_BYTES { "bad" } else { "ok" };
            finding("free space", verdict, format!("{} MiB", free >> 20))
        }
        Err(error) => finding("free space", "note", error.to_string()),
    }
}

fn flush(data: &Path) -> Finding {
    match measure_flush(existing(data)) {
        Ok(micros) => finding("disk flush", "ok", format!("{micros} us (median of {FLUSHES})")),
        Err(error) => finding("disk flush", "note", error.to_string()),
    }
}

fn measure_flush(folder: &Path) -> std::io::Result<u128> {
    let path = folder.join(format!(".hearken-doctor-{}", std::process::id()));
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(FLUSHES);
    let measured = (|| {
        for _ in 0..FLUSHES {
            let start = Instant::now();
            file.write_all(&[0; 512])?;
            file.sync_data()?;
            times.push(start.elapsed().as_micros());
        }
        Ok(())
    })();
    std::fs::remove_file(&path)?;
    measured.map(|()| {
        times.sort_unstable();
        times.get(FLUSHES / 2).copied().unwrap_or(0)
    })
}

fn programs() -> Vec<Finding> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    [("sh", "needed by shell actions"), ("sudo", "needed by actions that say sudo: true")]
        .into_iter()
        .map(|(name, why)| match find(name) {
            Some(file) => finding("program", "ok", file.display().to_string()),
            None => finding("program", "note", format!("{name} is not there: {why}")),
        })
        .collect()
}

fn server(context: &Context) -> Vec<Finding> {
    let client = context.client();
    let status = match client.get("/hearken/v1/status") {
        Ok(status) => status,
        Err(failure) => return vec![finding("server", "note", failure.what)],
    };
    let known = client.url().unwrap_or_default().to_owned();
    let mut findings = vec![finding("server", "ok", known)];
    if let Some(Value::Object(about)) = status.get("about") {
        for (name, value) in about {
            findings.push(finding("server", "ok", format!("{name}: {value}")));
        }
    }
    if let Some(Value::Object(packs)) = status.get("packs") {
        for (name, counts) in packs {
            let problems = counts.get("problems").and_then(Value::as_u64).unwrap_or(0);
            let verdict = if problems > 0 { "note" } else { "ok" };
            findings.push(finding(
                "pack",
                verdict,
                format!("{name}: {problems} problems or notices"),
            ));
        }
    }
    findings.extend(
        unregistered(&client).unwrap_or_else(|failure| vec![finding("rule", "note", failure.what)]),
    );
    findings
}

/// Rules whose trigger no pack and no sensor declares: only events that somebody publishes under
/// that name fire them, which is as often meant as it is a slip of the pen.
fn unregistered(client: &Client) -> Result<Vec<Finding>, Failure> {
    let refs = |path: &str, at: &'static str| -> Result<Vec<(String, String)>, Failure> {
        let found = client.get(path)?;
        let rows = found.as_array().into_iter().flatten();
        let text = |row: &Value, at: &str| {
            row.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Ok(rows.map(|row| (text(row, "/ref"), text(row, at))).collect())
    };
    let known: BTreeSet<String> =
        refs("/v1/triggertypes", "/name")?.into_iter().map(|(reference, _)| reference).collect();
    let rules = refs("/v1/rules", "/trigger/type")?;
    let lost = rules.into_iter().filter(|(_, trigger)| {
        !known.contains(trigger) && !hearken_engine::definition::trigger::is_built_in(trigger)
    });
    Ok(lost
        .map(|(rule, trigger)| {
            finding("rule", "note", format!("{rule}: nobody has registered trigger {trigger:?}"))
        })
        .collect())
}

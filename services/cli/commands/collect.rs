//! `hearken collect`: the state of this machine in one archive. Needs no server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearken_collect::estimate::estimate;
use hearken_collect::limits::Limits;
use hearken_collect::plan::{Compression, Plan};
use hearken_collect::show;
use hearken_collect::step::{self, Step};
use hearken_collect::{Means, Report, ini};
use hearken_kit::process::Marker;
use hearken_kit::{Clock, Shutdown, random};
use hearken_packs::yaml::{self, Format};
use serde_json::{Value, json};

use super::Context;
use crate::args::{self, Collect, CollectVerb, Gather};
use crate::compose;
use crate::error::{EXIT_NO, EXIT_OK, EXIT_USAGE, Failure, chain};

/// Nothing was written: of `collect` alone.
const EXIT_NOTHING: u8 = 4;
/// CaLink's own place for its configuration, below the prefix.
const USUAL_FILE: &str = "etc/calink-config.ini";

/// Does what was asked.
pub(crate) fn run(context: &Context, collect: Collect) -> Result<u8, Failure> {
    match collect.verb {
        Some(CollectVerb::Show { archive }) => show(context, &archive),
        Some(CollectVerb::Verify { archive }) => verify(context, &archive),
        None => gather(context, collect.gather),
    }
}

fn gather(context: &Context, gather: Gather) -> Result<u8, Failure> {
    let mut plan = plan(&gather)?;
    change(&mut plan, &gather);
    for notice in &plan.notices {
        context.output.note(&format!("notice: {notice}"));
    }
    if gather.dry_run {
        return Ok(tell_estimate(context, &plan));
    }
    let means = means()?;
    let cancel = means.cancel.clone();
    let ran = compose::block_on(async {
        let mut ran = std::pin::pin!(hearken_collect::run(plan, means));
        tokio::select! {
            ran = &mut ran => return ran,
            // Whoever asks for the end gets a whole archive of what there is by then.
            () = compose::asked_to_end() => cancel.request(),
        }
        ran.await
    })?;
    match ran {
        Ok(report) => Ok(tell(context, &report)),
        Err(failed) => {
            let failure = Failure::coded(EXIT_NOTHING, chain(&failed));
            Err(failure.hint("choose a folder that can be written to: --out FOLDER"))
        }
    }
}

fn means() -> Result<Means, Failure> {
    let run =
        random::hex(12).map_err(|error| Failure::no(format!("no name for a run: {error}")))?;
    let marker = Marker::new("collect", &run).ok_or_else(|| Failure::no("no name for a run"))?;
    let zone = step::local_zone();
    let clock = Clock::System;
    let now = clock.clone();
    let tell = move |step: Step| {
        // A log line that nobody reads stops nothing.
        let line = step.line(now.now(), &zone);
        io::Write::write_all(&mut io::stderr(), format!("{line}\n").as_bytes()).unwrap_or(());
    };
    Ok(Means {
        clock,
        marker,
        cancel: Shutdown::new(),
        tell: Arc::new(tell),
        tool: format!("hearken {}", env!("CARGO_PKG_VERSION")),
    })
}

/// What is to be gathered.
fn plan(gather: &Gather) -> Result<Plan, Failure> {
    let usual = gather.prefix.join(USUAL_FILE);
    let file = match &gather.file {
        Some(file) => file.clone(),
        None if usual.is_file() => usual,
        None => return Ok(Plan::built_in(&gather.out)),
    };
    let place = file.display().to_string();
    let bytes = std::fs::read(&file).map_err(|error| {
        Failure::usage(format!("the configuration cannot be read: {error}")).at(place.clone())
    })?;
    if bytes.len() > ini::TEXT_BYTES_MAX {
        return Err(Failure::usage("the configuration is longer than 1 MiB").at(place));
    }
    let read = read(&file, &bytes, gather);
    read.map_err(|why| {
        Failure::usage(format!("this configuration cannot be used: {why}")).at(place)
    })
}

fn read(file: &Path, bytes: &[u8], gather: &Gather) -> Result<Plan, String> {
    let format = match file.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml") => Format::Yaml,
        Some("json" | "conf") if bytes.trim_ascii_start().starts_with(b"{") => Format::Json,
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let plan = Plan::from_ini(&text, &gather.prefix, &gather.out);
            return plan.map_err(|error| error.to_string());
        }
    };
    let document = yaml::read_bytes(bytes, format).map_err(|error| error.to_string())?;
    let plan = Plan::from_value(&document.value, &gather.prefix, &gather.out);
    plan.map_err(|error| error.to_string())
}

/// What the command line says besides.
fn change(plan: &mut Plan, gather: &Gather) {
    if let Some(profile) = gather.profile {
        plan.limits = match profile {
            args::Profile::Quick => Limits::quick(),
            args::Profile::Normal => Limits::normal(),
            args::Profile::Full => Limits::full(),
        };
    }
    if let Some(compress) = gather.compress {
        plan.output.compression = match compress {
            args::Compress::Gzip => Compression::GZIP,
            args::Compress::Zstd => Compression::ZSTD,
        };
    }
    plan.mask &= !gather.no_mask;
}

fn tell_estimate(context: &Context, plan: &Plan) -> u8 {
    let found = estimate(plan);
    let rows: Vec<Value> =
        found.iter().map(|one| serde_json::to_value(one).unwrap_or(Value::Null)).collect();
    let columns =
        [("KEY", "/label"), ("FOLDER", "/folder"), ("FILES", "/files"), ("BYTES", "/bytes")];
    context.output.list(&rows, &columns);
    for gap in found.iter().flat_map(|one| &one.gaps) {
        context.output.note(gap);
    }
    for command in &plan.commands {
        context.output.note(&format!("would run: {}", command.line.shown()));
    }
    EXIT_OK
}

fn tell(context: &Context, report: &Report) -> u8 {
    context.output.value(&serde_json::to_value(report).unwrap_or(Value::Null));
    if report.complete { EXIT_OK } else { EXIT_NO }
}

fn opened(archive: &Path) -> Result<show::Shown, Failure> {
    show::read(archive).map_err(|error| Failure::coded(EXIT_USAGE, chain(&error)))
}

fn show(context: &Context, archive: &Path) -> Result<u8, Failure> {
    let shown = opened(archive)?;
    let head = serde_json::to_value(&shown.manifest.head).unwrap_or(Value::Null);
    let items: Vec<Value> = shown
        .manifest
        .items
        .iter()
        .map(|item| serde_json::to_value(item).unwrap_or(Value::Null))
        .collect();
    if context.output.format() == args::Format::Table {
        context.output.value(&head);
        let columns = [
            ("KIND", "/kind"),
            ("SOURCE", "/source"),
            ("STORED", "/stored"),
            ("EXIT", "/exit"),
            ("FLAGS", "/flags"),
            ("REASON", "/reason"),
        ];
        context.output.list(&items, &columns);
    } else {
        context.output.value(&json!({"manifest": head, "items": items}));
    }
    Ok(EXIT_OK)
}

fn verify(context: &Context, archive: &PathBuf) -> Result<u8, Failure> {
    let shown = opened(archive)?;
    let members = shown.manifest.items.iter().filter(|item| item.member.is_some()).count();
    context.output.value(&json!({
        "archive": archive, "members": members, "faults": shown.faults,
        "intact": shown.faults.is_empty(),
    }));
    Ok(if shown.faults.is_empty() { EXIT_OK } else { EXIT_NO })
}

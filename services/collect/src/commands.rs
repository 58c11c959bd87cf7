//! Running commands one after another, and the log of what they print.
//!
//! Each gets a clean environment, no input, a process group of its own and a time limit; what it
//! prints stands in the log below a line with its name, as CaLink had it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;

use hearken_kit::Shutdown;
use hearken_kit::process::{self, Ending, Marker, Outcome, Spawn, Stragglers, environment};

use crate::limits::Limits;
use crate::manifest::Item;
use crate::mask::{Counts, Masker};
use crate::plan::{Command, Line};

/// How long a command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// Where administrators' programs are, behind the caller's own places.
const PLACES: &str = ":/usr/local/sbin:/usr/sbin:/sbin";

/// Runs one command and writes what it prints to `log`.
pub(crate) async fn run(
    command: &Command,
    limits: &Limits,
    marker: &Marker,
    masker: Option<&Masker>,
    log: &mut File,
    cancel: &Shutdown,
) -> io::Result<(Item, Counts)> {
    let label = command.label.replace('_', " ");
    let shown = command.line.shown();
    let mut counts = Counts::new();
    let line = masker.map_or_else(|| shown.clone(), |masker| masker.masked(&shown));
    // Written before it starts: whoever looks meanwhile sees what is waited for.
    write!(log, "\n{label}: {line}:\n")?;
    let ended = process::run(&spawn(command, limits, marker), cancel.requested(), None).await;
    let Outcome { ending, stdout, stderr, elapsed, .. } = ended;
    let mut item = Item {
        kind: "command".to_owned(),
        source: line,
        label: Some(command.label.clone()),
        ms: u64::try_from(elapsed.as_millis()).ok(),
        ..Item::default()
    };
    let mut stored = 0;
    for captured in [stdout, stderr] {
        let mut bytes = captured.bytes;
        if let Some(masker) = masker {
            masker.mask(&mut bytes, &mut counts);
        }
        log.write_all(&bytes)?;
        stored += bytes.len() as u64;
        if captured.truncated {
            let left = captured.total_bytes.saturating_sub(bytes.len() as u64);
            writeln!(log, "\n[{left} bytes more were left out]")?;
            item.flags.push("truncated".to_owned());
        }
    }
    item.stored = Some(stored);
    tell(&ending, &mut item, log)?;
    Ok((item, counts))
}

fn tell(ending: &Ending, item: &mut Item, log: &mut File) -> io::Result<()> {
    let flag = match ending {
        Ending::Exited(code) => {
            item.exit = Some(*code);
            return Ok(());
        }
        Ending::Signaled(signal) => {
            item.signal = Some(*signal);
            return Ok(());
        }
        Ending::TimedOut => ("timed_out", "it took too long and was ended".to_owned()),
        Ending::Canceled => ("canceled", "the run was ended before it".to_owned()),
        Ending::FailedToStart(error) => ("failed_to_start", error.to_string()),
        Ending::Unknown(error) => ("unknown", error.to_string()),
    };
    writeln!(log, "[{}]", flag.1)?;
    item.flags.push(flag.0.to_owned());
    item.reason = Some(flag.1);
    Ok(())
}

fn spawn(command: &Command, limits: &Limits, marker: &Marker) -> Spawn {
    let (program, arguments) = match &command.line {
        Line::Shell(line) => ("/bin/sh".to_owned(), vec!["-c".to_owned(), line.clone()]),
        Line::Program(words) => {
            let (program, arguments) = words.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
            (program.to_owned(), arguments.to_vec())
        }
    };
    let mut spawn = Spawn::new(program, marker.clone());
    spawn.arguments = arguments.into_iter().map(OsString::from).collect();
    let mut variables = environment::inherited(["HOME", "TZ"]);
    let mut path = environment::path();
    path.push(PLACES);
    variables.push(("PATH".into(), path));
    variables.push(("LANG".into(), "C.UTF-8".into()));
    variables.push(("LC_ALL".into(), "C.UTF-8".into()));
    spawn.environment = variables;
    spawn.timeout = limits.command_time;
    spawn.grace = GRACE;
    spawn.stragglers = Stragglers::End;
    spawn.output_max_bytes = limits.command_bytes;
    spawn
}

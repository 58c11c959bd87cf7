//! One run: facts, commands, files, in CaLink's order, into one archive.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hearken_facts::{Context, Gathered, document, gather, to_line};
use hearken_kit::process::Marker;
use hearken_kit::{Clock, Shutdown};
use hearken_proto::Timestamp;
use rustix::fs::fstat;
use serde_json::Value;

use crate::archive::Archive;
use crate::commands;
use crate::manifest::{FORMAT, Head, Item, NAME, Spool, Totals, unnamed};
use crate::mask::{Counts, Masker};
use crate::names::{Names, Partial};
use crate::packer::{Packed, Packer};
use crate::plan::Plan;
use crate::step::Step;
use crate::tarball::{Marks, Tarball};

/// How CaLink called the facts it told about.
const CALLED: [(&str, &str); 11] = [
    ("host", "host"),
    ("os", "OS"),
    ("version", "version"),
    ("iostat", "I/O stat"),
    ("smem", "swap memory"),
    ("vmem", "virtual memory"),
    ("ps", "process"),
    ("cpu", "CPU"),
    ("disk", "disk"),
    ("loadavg", "load average"),
    ("uptime", "uptime"),
];

/// What a run is done with.
#[derive(Clone)]
pub struct Means {
    /// What time it is.
    pub clock: Clock,
    /// Names the run, also to the programs it starts.
    pub marker: Marker,
    /// Requested when it should come to an end; the archive is closed properly then.
    pub cancel: Shutdown,
    /// Hears what is done.
    pub tell: Arc<dyn Fn(Step) + Send + Sync>,
    /// The version of the program.
    pub tool: String,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("marker", &self.marker).finish_non_exhaustive()
    }
}

/// Nothing was written, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failed {
    /// What could not be done, and where.
    pub what: String,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// What was written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// The archive.
    pub archive: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: String,
    /// The document of the facts, where it was left beside the archive.
    pub json: Option<PathBuf>,
    /// The log of the commands, where it was left beside the archive.
    pub commands: Option<PathBuf>,
    /// Sums.
    pub totals: Totals,
    /// Whether everything that was asked for is there.
    pub complete: bool,
}

/// Gathers everything that `plan` says.
///
/// # Errors
/// When nothing can be written where the archive goes. Everything else is a gap in it.
pub async fn run(plan: Plan, means: Means) -> Result<Report, Failed> {
    let deadline = Instant::now() + plan.limits.run;
    let masker = masker(&plan)?;
    let started = means.clock.now();
    (means.tell)(Step::Done("Getting host informations".to_owned()));
    let (facts, host) = facts(&plan, &means, masker.as_ref()).await?;
    let seconds = u64::try_from(started.nanos() / 1_000_000_000).unwrap_or_default();
    let names = Names::new(&plan.output, &host, seconds);
    let folder = names.folder().to_owned();
    let failed = |what: &str| {
        let what = format!("cannot write {what} in {}", folder.display());
        move |source| Failed { what, source }
    };
    (means.tell)(Step::Phase(format!("Creating json file {}", names.json())));
    let mut plain = Plain::create(&plan, &names).map_err(failed("anything"))?;
    plain.json.write_all(format!("{facts}\n").as_bytes()).map_err(failed("the facts"))?;
    (means.tell)(Step::Phase(format!("Creating commands file {}", names.commands())));
    let ran = ran(&plan, &means, masker.as_ref(), deadline, &mut plain.commands).await;
    let ran = ran.map_err(failed("the commands' log"))?;
    let job = Job { plan, means, names, host, started, seconds, deadline, masker, plain, ran };
    let archived = tokio::task::spawn_blocking(move || job.archive()).await;
    archived.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed("the archive"))
}

fn masker(plan: &Plan) -> Result<Option<Masker>, Failed> {
    let made = plan.mask.then(Masker::new).transpose();
    made.map_err(|error| Failed {
        what: "the rules for secrets cannot be used".to_owned(),
        source: io::Error::other(error.to_string()),
    })
}

/// The document of the facts on one line, and the host's name.
async fn facts(
    plan: &Plan,
    means: &Means,
    masker: Option<&Masker>,
) -> Result<(String, String), Failed> {
    let mut context = Context::new(means.clock.now());
    if let Some(masker) = masker {
        let masker = masker.clone();
        context.mask = Arc::new(move |text| masker.masked(text));
    }
    (means.tell)(Step::Phase("Retrieving informations..".to_owned()));
    let groups = plan.facts.clone();
    let named: Vec<String> = groups.iter().flat_map(|(_, names)| names.clone()).collect();
    for name in &named {
        let called = CALLED.iter().find(|(fact, _)| fact == name);
        let called = called.map_or(name.as_str(), |(_, called)| called);
        (means.tell)(Step::Done(format!("Getting {called} informations")));
    }
    let gathered = tokio::task::spawn_blocking(move || {
        let mut names: Vec<&str> = vec!["host"];
        names.extend(named.iter().map(String::as_str));
        let gathered = gather(&names, &context);
        let host = host(&gathered);
        // The host's name is for the name of the archive; it is a fact only where it is asked for.
        let asked: Vec<Gathered> =
            gathered.into_iter().filter(|one| named.contains(&one.name)).collect();
        (to_line(&document(&groups, &asked, &context)), host)
    });
    gathered.await.map_err(|error| Failed {
        what: "the facts could not be gathered".to_owned(),
        source: io::Error::other(error),
    })
}

fn host(gathered: &[Gathered]) -> String {
    let host = gathered.iter().find(|one| one.name == "host");
    let host = host.and_then(|one| one.outcome.as_ref().ok()).and_then(Value::as_str);
    host.unwrap_or("host").to_owned()
}

/// Runs every command, as long as there is time.
async fn ran(
    plan: &Plan,
    means: &Means,
    masker: Option<&Masker>,
    deadline: Instant,
    log: &mut File,
) -> io::Result<Vec<(Item, Counts)>> {
    let mut items = Vec::new();
    for command in &plan.commands {
        let shown = command.line.shown();
        let shown = masker.map_or_else(|| shown.clone(), |masker| masker.masked(&shown));
        (means.tell)(Step::Done(format!("Executing command {shown}")));
        let mut limits = plan.limits.clone();
        let left = deadline.saturating_duration_since(Instant::now());
        limits.command_time = command.timeout.unwrap_or(limits.command_time).min(left);
        let cancel = &means.cancel;
        items.push(commands::run(command, &limits, &means.marker, masker, log, cancel).await?);
    }
    Ok(items)
}

/// The two plain files: kept beside the archive, or without a name.
struct Plain {
    json: File,
    commands: File,
    kept: Option<[Partial; 2]>,
}

impl Plain {
    fn create(plan: &Plan, names: &Names) -> io::Result<Self> {
        let folder = names.folder();
        if !plan.output.keeps_plain {
            return Ok(Self { json: unnamed(folder)?, commands: unnamed(folder)?, kept: None });
        }
        let (json_partial, json) = Partial::create(folder)?;
        let (commands_partial, commands) = Partial::create(folder)?;
        Ok(Self { json, commands, kept: Some([json_partial, commands_partial]) })
    }
}

/// What is left to do when the commands have run.
struct Job {
    plan: Plan,
    means: Means,
    names: Names,
    host: String,
    started: Timestamp,
    seconds: u64,
    deadline: Instant,
    masker: Option<Masker>,
    plain: Plain,
    ran: Vec<(Item, Counts)>,
}

impl Job {
    fn archive(mut self) -> io::Result<Report> {
        let folder = self.names.folder().to_owned();
        let tell = Arc::clone(&self.means.tell);
        tell(Step::Phase("Getting filepaths".to_owned()));
        let (partial, file) = Partial::create(&folder)?;
        let own = [&file, &self.plain.json, &self.plain.commands];
        let own = own.iter().filter_map(|file| fstat(file).ok());
        let own = own.map(|stat| (stat.st_dev, stat.st_ino)).collect();
        tell(Step::Phase(format!("Creating archive file {}", self.names.archive())));
        let mut archive = Archive {
            tarball: Tarball::new(Packer::new(file, self.plan.output.compression)?),
            spool: Spool::new(&folder)?,
            limits: &self.plan.limits,
            masker: self.masker.as_ref(),
            seen: HashSet::new(),
            own,
            left: self.plan.limits.total_bytes,
            entries: self.plan.limits.entries,
            deadline: self.deadline,
            cancel: &self.means.cancel,
            tell: &*tell,
            started: self.seconds,
            output: File::open(&folder)?,
            until_look: 0,
            failed: None,
            is_cut: false,
        };
        archive.add(&self.names.json(), "fact", &mut self.plain.json)?;
        archive.add(&self.names.commands(), "command", &mut self.plain.commands)?;
        for (item, counts) in &self.ran {
            archive.spool.add(item)?;
            archive.count(counts);
        }
        for files in &self.plan.files {
            archive.take(files);
        }
        if let Some(error) = archive.failed {
            return Err(error);
        }
        let (spool, mut tarball) = (archive.spool, archive.tarball);
        let (totals, complete) = (spool.totals.clone(), spool.totals.gaps == 0);
        let head = self.head(&totals, complete);
        let (mut manifest, length) = spool.finish(&head, &folder)?;
        manifest.seek(SeekFrom::Start(0))?;
        let marks = Marks::own(self.seconds);
        tarball.append(NAME.as_ref(), marks, length, &mut manifest)?;
        let Packed { bytes, sha256 } = tarball.finish()?;
        let path = partial.publish(&folder, &self.names.archive())?;
        let (json, commands) = self.publish_plain()?;
        Ok(Report { archive: path, bytes, sha256, json, commands, totals, complete })
    }

    fn head(&self, totals: &Totals, complete: bool) -> Head {
        Head {
            format: FORMAT.to_owned(),
            run: self.means.marker.value().to_owned(),
            tool: self.means.tool.clone(),
            host: self.host.clone(),
            started: self.started.to_string(),
            ended: self.means.clock.now().to_string(),
            complete,
            masked: self.masker.is_some(),
            totals: totals.clone(),
        }
    }

    fn publish_plain(&mut self) -> io::Result<(Option<PathBuf>, Option<PathBuf>)> {
        let Some([json, commands]) = self.plain.kept.take() else { return Ok((None, None)) };
        let folder = self.names.folder();
        let json = json.publish(folder, &self.names.json())?;
        let commands = commands.publish(folder, &self.names.commands())?;
        Ok((Some(json), Some(commands)))
    }
}

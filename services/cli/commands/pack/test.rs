//! `hearken pack test`: how the cases of a pack went, and its own Python tests.
//!
//! Cases need nothing but the pack. Tests in `tests/` need the data folder, where their Python is;
//! a pack without such tests is tested without one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_kit::Clock;
use hearken_packs::python::trial::{self, Trial, Tried, Verdict, Wanted};
use hearken_packs::{Located, cases, source};
use hearken_proto::definition::is_pack_name;
use serde_json::{Value, json};

use super::super::Context;
use crate::error::{EXIT_NO, EXIT_OK, Failure, chain};
use crate::output::Tone;
use crate::{args, compose, data};

/// A pack that is to be tested.
struct Tested {
    name: String,
    folder: PathBuf,
    /// Whether it is one of the data folder's.
    is_installed: bool,
}

/// What came of it.
struct Report {
    cases: Vec<cases::Tried>,
    problems: Vec<Located>,
    /// Nothing when the pack has no Python tests.
    trial: Option<Trial>,
}

/// Runs the cases and the tests of `pack`.
pub(super) fn test(context: &Context, pack: &str, how: args::Trial) -> Result<u8, Failure> {
    let tested = find(context, pack)?;
    let (cases, problems) = cases::run(&tested.folder, Clock::System.now()).map_err(|error| {
        Failure::usage(chain(&error)).hint("pack test takes the folder or the name of one pack")
    })?;
    let has_tests = !trial::files(&tested.folder).is_empty();
    if cases.is_empty() && !has_tests {
        return Err(Failure::usage(format!("{} has nothing to test", tested.name))
            .at(tested.folder.display().to_string())
            .hint("write cases/NAME.yaml, or tests/test_NAME.py"));
    }
    let trial = if has_tests { Some(try_out(context, &tested, how)?) } else { None };
    let report = Report { cases, problems, trial };
    match context.output.format() {
        args::Format::Table => report.print(context),
        args::Format::Json | args::Format::Yaml => context.output.value(&report.json()),
    }
    Ok(if report.is_good() { EXIT_OK } else { EXIT_NO })
}

/// The pack that is meant: a folder, else an installed one.
fn find(context: &Context, pack: &str) -> Result<Tested, Failure> {
    let folder = Path::new(pack);
    let is_path = pack.contains('/') || folder.is_dir() || !is_pack_name(pack);
    if is_path {
        let name = source::read_pack(folder).map(|found| found.bundle.name);
        let name = name.map_err(|error| {
            Failure::usage(chain(&error)).hint("pack test takes the folder or the name of one pack")
        })?;
        return Ok(Tested { name, folder: folder.to_owned(), is_installed: false });
    }
    let folder = data(context).join("packs").join(pack);
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder and no installed pack {pack:?}"))
            .at(folder.display().to_string())
            .hint("give the folder of a pack, or install one: hearken pack install"));
    }
    Ok(Tested { name: pack.to_owned(), folder, is_installed: true })
}

/// The data folder that is meant: that of the server that is found from here.
fn data(context: &Context) -> PathBuf {
    context.server().map_or_else(|| context.data.clone(), |server| server.data)
}

fn try_out(context: &Context, tested: &Tested, how: args::Trial) -> Result<Trial, Failure> {
    let wanted = Wanted {
        data: data::prepare(&data(context))?,
        pack: tested.name.clone(),
        folder: tested.folder.clone(),
        is_installed: tested.is_installed,
        only: how.only,
        python: how.python.python,
        installs: !how.no_requirements,
        timeout: Duration::from_secs(how.timeout),
        now: Clock::System.now(),
    };
    let mut say = |line: &str| context.output.note(&format!("hearken: {line}"));
    let ran = async { trial::run(&wanted, compose::asked_to_end(), &mut say).await };
    compose::block_on(ran)?.map_err(|error| Failure::no(chain(&error)))
}

impl Report {
    fn faults(&self) -> impl Iterator<Item = &Located> {
        self.problems.iter().filter(|problem| problem.fatal)
    }

    fn is_good(&self) -> bool {
        let mut cases = self.cases.iter();
        cases.all(|case| case.faults.is_empty())
            && self.faults().next().is_none()
            && self.trial.as_ref().is_none_or(Trial::is_good)
    }

    fn json(&self) -> Value {
        let row = |case: &cases::Tried| {
            json!({
                "file": case.file,
                "name": case.name,
                "ok": case.faults.is_empty(),
                "faults": case.faults,
            })
        };
        json!({
            "ok": self.is_good(),
            "cases": self.cases.iter().map(row).collect::<Vec<_>>(),
            "tests": self.trial.as_ref().map_or(&[][..], |trial| &trial.results),
            "notes": self.trial.as_ref().map_or(&[][..], |trial| &trial.notes),
            "problems": self.faults().collect::<Vec<_>>(),
        })
    }

    fn print(&self, context: &Context) {
        let output = context.output;
        for problem in self.faults() {
            output.note(&format!("hearken: not in force: {problem}"));
        }
        for case in &self.cases {
            line(context, case.faults.is_empty(), &format!("{}: {}", case.file, case.name));
            for fault in &case.faults {
                output.line(&format!("    {fault}"));
            }
        }
        if !self.cases.is_empty() {
            let failed = self.cases.iter().filter(|case| !case.faults.is_empty()).count();
            output.line(&format!("{} cases, {failed} failed", self.cases.len()));
        }
        let Some(trial) = &self.trial else { return };
        for tried in &trial.results {
            print(context, tried);
        }
        for note in &trial.notes {
            output.note(&format!("hearken: {note}"));
        }
        let (failed, errors) = (trial.count(Verdict::Failed), trial.count(Verdict::Error));
        let (all, skipped) = (trial.results.len(), trial.count(Verdict::Skipped));
        output.line(&format!("{all} tests, {} failed, {skipped} skipped", failed + errors));
    }
}

fn line(context: &Context, is_good: bool, place: &str) {
    let (verdict, tone) = if is_good { ("ok", Tone::Good) } else { ("FAILED", Tone::Bad) };
    context.output.line(&format!("{}  {place}", context.output.toned(verdict, tone)));
}

fn print(context: &Context, tried: &Tried) {
    let place = match (tried.file.as_str(), tried.name.as_str()) {
        ("", "") => "tests".to_owned(),
        (file, "") => file.to_owned(),
        (file, name) => format!("{file}: {name}"),
    };
    match tried.outcome {
        Verdict::Passed => line(context, true, &place),
        Verdict::Failed | Verdict::Error => line(context, false, &place),
        Verdict::Skipped => {
            let why = tried.message.lines().next().unwrap_or_default();
            let text = format!("skipped  {place}  {why}");
            context.output.line(&context.output.toned(text.trim_end(), Tone::Dim));
            return;
        }
    }
    for line in tried.message.lines() {
        // Tests print what they like: it must not steer a terminal.
        let shown: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        context.output.line(format!("    {shown}").trim_end());
    }
}

//! `hearken pack install`, `load`, `remove` and their kin: what is done to the data folder.
//!
//! No server is asked: packs are files, and a server that runs there sees them change. It is the
//! data folder of this command line, or that of the server which left its address there.

use std::path::PathBuf;

use hearken_kit::Clock;
use hearken_packs::install::{Environment, Error, Installed, Installer, Register, Spec, Wanted};
use serde_json::{Value, json};

use super::super::Context;
use crate::args::{Fetch, Format};
use crate::compose;
use crate::data;
use crate::error::{EXIT_NO, EXIT_OK, Failure, chain};

/// What came of one thing that was asked for.
struct Row {
    /// As it is printed for programs.
    value: Value,
    /// As it is printed for eyes.
    text: String,
    /// Whether it was done.
    is_done: bool,
}

/// What is to become of packs that are fetched.
pub(super) struct What<'a> {
    /// What of them is put in force; nothing without it.
    pub(super) register: Option<&'a str>,
    /// Whether the packs that they need are left out.
    pub(super) is_alone: bool,
}

/// Fetches what `fetch` names.
pub(super) fn install(
    context: &Context,
    fetch: &Fetch,
    what: What<'_>,
    python: Option<PathBuf>,
) -> Result<u8, Failure> {
    // Nothing is fetched when one of them cannot be meant.
    let parsed: Result<Vec<Spec>, Error> =
        fetch.specs.iter().map(|text| Spec::parse(text)).collect();
    let specs = parsed.map_err(|error| with_hint(Failure::usage(chain(&error)), &error))?;
    let register = what.register.map_or(Register::None, Register::from_text);
    let (is_forced, is_alone) = (fetch.force, what.is_alone);
    with_installer(context, python, async |installer| {
        let mut rows = Vec::new();
        for (spec, text) in specs.iter().zip(&fetch.specs) {
            let wanted = Wanted { spec, only: &fetch.packs, register, is_forced, is_alone };
            match installer.install(wanted).await {
                Ok(installed) => rows.extend(installed.iter().map(done)),
                Err(error) => rows.push(failed(text, &error)),
            }
        }
        rows
    })
}

/// Changes what is in force of installed packs. Without `register` it is nothing.
pub(super) fn register(
    context: &Context,
    names: &[String],
    register: Option<&str>,
    python: Option<PathBuf>,
) -> Result<u8, Failure> {
    let register = register.map_or(Register::None, Register::from_text);
    with_installer(context, python, async |installer| {
        let mut rows = Vec::new();
        for name in names {
            match installer.register(name, register).await {
                Ok(installed) => rows.push(done(&installed)),
                Err(error) => rows.push(failed(name, &error)),
            }
        }
        rows
    })
}

/// Takes packs away.
pub(super) fn remove(context: &Context, names: &[String]) -> Result<u8, Failure> {
    with_installer(context, None, async |installer| {
        let mut rows = Vec::new();
        for name in names {
            rows.push(match installer.remove(name) {
                Ok(()) => Row {
                    value: json!({"pack": name, "removed": true}),
                    text: format!("{name} is removed"),
                    is_done: true,
                },
                Err(error) => failed(name, &error),
            });
        }
        rows
    })
}

/// Builds the base layer, and the environments of `packs`.
pub(super) fn set_up(
    context: &Context,
    packs: &[String],
    python: Option<PathBuf>,
) -> Result<u8, Failure> {
    with_installer(context, python, async |installer| {
        let mut rows = vec![match installer.set_up_base().await {
            Ok(place) => {
                let text = format!("what packs import is in {}", place.display());
                let value = json!({"pack": null, "environment": Environment::Ready(place).json()});
                Row { value, text, is_done: true }
            }
            Err(error) => failed("the base layer", &error),
        }];
        for pack in packs {
            rows.push(match installer.set_up(pack).await {
                Ok((name, environment)) => {
                    let is_done = !matches!(environment, Environment::Failed(_));
                    let text = format!("{name}: {}", said(&environment));
                    let value = json!({"pack": name, "environment": environment.json()});
                    Row { value, text, is_done }
                }
                Err(error) => failed(pack, &error),
            });
        }
        rows
    })
}

/// Does `work` in the data folder, alone, and prints what came of it.
fn with_installer(
    context: &Context,
    python: Option<PathBuf>,
    work: impl AsyncFnOnce(&mut Installer<'_>) -> Vec<Row>,
) -> Result<u8, Failure> {
    let index = context.loader()?.finish()?.settings.packs.index;
    let data = data::prepare(&folder(context))?;
    let mut say = |line: &str| context.output.note(&format!("hearken: {line}"));
    let rows = compose::block_on(async {
        let opened = Installer::open(&data, &index, python, Clock::System.now(), &mut say);
        let mut installer =
            opened.map_err(|error| with_hint(Failure::no(chain(&error)), &error))?;
        Ok::<_, Failure>(work(&mut installer).await)
    })??;
    let is_done = rows.iter().all(|row| row.is_done);
    match context.output.format() {
        Format::Table => {
            for row in &rows {
                if row.is_done {
                    context.output.line(&row.text);
                } else {
                    context.output.note(&format!("hearken: {}", row.text));
                }
            }
        }
        Format::Json | Format::Yaml => {
            context.output.value(&rows.into_iter().map(|row| row.value).collect());
        }
    }
    Ok(if is_done { EXIT_OK } else { EXIT_NO })
}

/// The data folder that is meant: that of the server that is found from here.
pub(super) fn folder(context: &Context) -> PathBuf {
    context.server().map_or_else(|| context.data.clone(), |server| server.data)
}

fn done(installed: &Installed) -> Row {
    let Installed { record, version, is_replaced, environment } = installed;
    let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let verb = if *is_replaced { "replaced" } else { "installed" };
    let force = match record.register {
        Register::None => "not loaded",
        Register::Content => "loaded without its rules",
        Register::All => "loaded with its rules",
    };
    let python = match environment {
        Environment::NotNeeded => String::new(),
        Environment::Ready(_) | Environment::Failed(_) => format!("; {}", said(environment)),
    };
    Row {
        value: installed.json(),
        text: format!("{}{version} is {verb}, {force}{python}", record.pack),
        is_done: true,
    }
}

fn said(environment: &Environment) -> String {
    match environment {
        Environment::NotNeeded => "it has no Python".to_owned(),
        Environment::Ready(_) => "its Python is ready".to_owned(),
        Environment::Failed(why) => {
            format!("its Python is not ready, and what needs nothing of it works: {why}")
        }
    }
}

fn failed(what: &str, error: &Error) -> Row {
    let why = chain(error);
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    Row {
        value: json!({"spec": what, "error": why, "hint": error.hint()}),
        text: format!("{why}{hint}"),
        is_done: false,
    }
}

fn with_hint(failure: Failure, error: &Error) -> Failure {
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

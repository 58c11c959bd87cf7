//! `hearken pack`: what is in force, what is wrong with a folder, and packs from elsewhere.

mod begin;
mod bring;
mod test;

use std::path::Path;

use hearken_kit::Clock;
use hearken_packs::check::{self, Surroundings};

use super::{Context, definition};
use crate::args::{Format, Listing, Pack};
use crate::error::{EXIT_NO, EXIT_OK, Failure, chain};

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Pack) -> Result<u8, Failure> {
    let columns = [
        ("PACK", "/name"),
        ("VERSION", "/version"),
        ("ACTIONS", "/actions"),
        ("RULES", "/rules"),
        ("DIGEST", "/digest"),
    ];
    let listing = match verb {
        Pack::List => Listing::List { pack: None },
        Pack::Get { name } => Listing::Get { reference: name },
        Pack::Check { folder } => return check(context, &folder),
        Pack::Install { fetch, register, skip_dependencies, python } => {
            let what = bring::What { register: Some(&register), is_alone: skip_dependencies };
            return bring::install(context, &fetch, what, python.python);
        }
        Pack::Download { fetch } => {
            let what = bring::What { register: None, is_alone: true };
            return bring::install(context, &fetch, what, None);
        }
        Pack::Load { names, register, python } => {
            return bring::register(context, &names, Some(&register), python.python);
        }
        Pack::Unload { names } => return bring::register(context, &names, None, None),
        Pack::Remove { names } => return bring::remove(context, &names),
        Pack::Setup { packs, python } => return bring::set_up(context, &packs, python.python),
        Pack::New { folder } => return begin::begin(context, &folder),
        Pack::Test { pack, how } => return test::test(context, &pack, how),
    };
    definition::show(context, "/v1/packs", listing, &columns)
}

fn check(context: &Context, folder: &Path) -> Result<u8, Failure> {
    let surroundings = Surroundings {
        now: Clock::System.now(),
        configs: Some(bring::folder(context).join("configs")),
    };
    let report = check::check(folder, &surroundings).map_err(|error| {
        Failure::usage(chain(&error)).hint("pack check takes a pack, or a folder of packs")
    })?;
    match context.output.format() {
        Format::Table => context.output.raw(&report.text()),
        Format::Json | Format::Yaml => context.output.value(&report.json()),
    }
    Ok(if report.is_clean() { EXIT_OK } else { EXIT_NO })
}

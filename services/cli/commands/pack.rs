//! `hearken pack`: what is in force, and what is wrong with a folder.

use hearken_packs::check;

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
    };
    definition::show(context, "/v1/packs", listing, &columns)
}

fn check(context: &Context, folder: &std::path::Path) -> Result<u8, Failure> {
    let report = check::check(folder).map_err(|error| {
        Failure::usage(chain(&error)).hint("pack check takes a pack, or a folder of packs")
    })?;
    match context.output.format() {
        Format::Table => context.output.raw(&report.text()),
        Format::Json | Format::Yaml => context.output.value(&report.json()),
    }
    Ok(if report.is_clean() { EXIT_OK } else { EXIT_NO })
}

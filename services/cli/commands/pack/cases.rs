//! `hearken pack test`: how the cases of a pack went.

use std::path::Path;

use hearken_kit::Clock;
use hearken_packs::cases;
use serde_json::json;

use super::super::Context;
use crate::args::Format;
use crate::error::{EXIT_NO, EXIT_OK, Failure, chain};

/// Runs the cases of the pack in `folder`.
pub(super) fn test(context: &Context, folder: &Path) -> Result<u8, Failure> {
    let (tried, problems) = cases::run(folder, Clock::System.now()).map_err(|error| {
        Failure::usage(chain(&error)).hint("pack test takes the folder of one pack")
    })?;
    let faults: Vec<_> = problems.iter().filter(|problem| problem.fatal).collect();
    let failed = tried.iter().filter(|case| !case.faults.is_empty()).count();
    let is_good = failed == 0 && faults.is_empty();
    if context.output.format() == Format::Table {
        for problem in &faults {
            context.output.note(&format!("hearken: not in force: {problem}"));
        }
        for case in &tried {
            let verdict = if case.faults.is_empty() { "ok" } else { "FAILED" };
            context.output.line(&format!("{verdict}  {}: {}", case.file, case.name));
            for fault in &case.faults {
                context.output.line(&format!("    {fault}"));
            }
        }
        context.output.line(&format!("{} cases, {failed} failed", tried.len()));
    } else {
        let row = |case: &cases::Tried| {
            json!({
                "file": case.file,
                "name": case.name,
                "ok": case.faults.is_empty(),
                "faults": case.faults,
            })
        };
        let cases: Vec<_> = tried.iter().map(row).collect();
        context.output.value(&json!({"ok": is_good, "cases": cases, "problems": faults}));
    }
    if tried.is_empty() {
        context.output.note("hearken: there is no case: write cases/NAME.yaml");
    }
    Ok(if is_good { EXIT_OK } else { EXIT_NO })
}

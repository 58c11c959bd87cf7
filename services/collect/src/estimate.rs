//! How much there would be to gather, by looking at names and lengths alone.

use serde::Serialize;

use crate::plan::Plan;
use crate::walk::{self, Bounds, Found, Next};

/// What one key of a plan means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The key.
    pub label: String,
    /// The folder it means.
    pub folder: String,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is missing or would be left out.
    pub gaps: Vec<String>,
}

/// Gaps that are told one by one.
const GAPS_MAX: usize = 1000;

/// Looks at everything that `plan` would take, and takes nothing.
#[must_use]
pub fn estimate(plan: &Plan) -> Vec<Estimate> {
    let mut bounds = Bounds { depth: plan.limits.depth, entries: plan.limits.entries };
    let mut all = Vec::new();
    for files in &plan.files {
        let mut found = Estimate {
            label: files.label.clone(),
            folder: files.folder.display().to_string(),
            ..Estimate::default()
        };
        walk::walk(files, &mut bounds, &mut |one| {
            match one {
                Found::File { stat, .. } => {
                    found.files += 1;
                    found.bytes += u64::try_from(stat.st_size).unwrap_or_default();
                }
                Found::Gap { path, flag, reason } => {
                    if found.gaps.len() < GAPS_MAX {
                        found.gaps.push(format!("{}: {flag}: {reason}", path.display()));
                    }
                }
            }
            Next::On
        });
        all.push(found);
    }
    all
}

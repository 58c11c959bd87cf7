//! What to say of an action that found a library missing: where libraries of packs come from.
//!
//! A pack that was installed has a virtual environment. One that lies under a folder of packs has
//! none until somebody makes it, and runs with the libraries that all packs share, or with those of
//! the host. So the traceback alone would send people to the wrong place.

use hearken_proto::Status;
use serde_json::{Value, json};

use crate::runner::Outcome;

/// How the last line of a traceback begins when a library is missing, or is too old.
const MISSING: [&str; 2] = ["ModuleNotFoundError: ", "ImportError: "];

/// Adds what helps to the outcome of an action of `pack`, which has no environment of its own.
pub(super) fn explain(outcome: &mut Outcome, pack: &str) {
    if outcome.status != Status::Failed {
        return;
    }
    let said = outcome.result.get("stderr").and_then(Value::as_str).unwrap_or_default();
    let last = said.trim_end().lines().next_back().unwrap_or_default();
    if !MISSING.iter().any(|start| last.starts_with(start)) {
        return;
    }
    let error = format!(
        "{last}; the pack {pack} has no virtual environment on this host (try: hearken pack setup \
         {pack}, or with the pack's folder where it is not installed)"
    );
    if let Value::Object(result) = &mut outcome.result {
        result.entry("error").or_insert(json!(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status, stderr: &str, expected: Option<&str>) {
        let mut outcome = Outcome { status, result: json!({"stderr": stderr, "exit_code": 1}) };
        explain(&mut outcome, "shop");
        let error = outcome.result.get("error").and_then(Value::as_str);
        assert_eq!(error, expected, "{stderr:?}");
    }

    #[test]
    fn a_missing_library_is_told_with_the_way_to_have_it() {
        let traceback = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n\
                         ModuleNotFoundError: No module named 'prices'\n";
        let expected = "ModuleNotFoundError: No module named 'prices'; the pack shop has no \
                        virtual environment on this host (try: hearken pack setup shop, or with \
                        the pack's folder where it is not installed)";
        check(Status::Failed, traceback, Some(expected));
        check(Status::Succeeded, traceback, None);
        check(Status::Failed, "ModuleNotFoundError: caught\nValueError: 7\n", None);
        check(Status::Failed, "", None);
    }
}

//! Python itself as the judge: generated patterns and templates mean here what they mean there.
//!
//! `oracles/cases.py` makes cases and what Python's `re` and `fnmatch` and the real Jinja2 say of
//! them; `hearken rule test --batch` answers the same. `HEARKEN_ORACLE_CASES` makes more of them,
//! `HEARKEN_ORACLE_SEED` others.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::HEARKEN;

/// Cases of a usual run.
const CASES: &str = "2000";

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_unset| default.to_owned())
}

#[test]
fn patterns_and_templates_mean_what_they_mean_in_python() -> anyhow::Result<()> {
    if std::env::var_os("HEARKEN_TEST_OFFLINE").is_some() {
        println!("left out: HEARKEN_TEST_OFFLINE is set, and Jinja2 is installed by tests/run");
        return Ok(());
    }
    let python = variable("HEARKEN_TEST_PYTHON", "python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracles/cases.py");
    let seed = variable("HEARKEN_ORACLE_SEED", "1");
    let made = Command::new(python)
        .args([script, &seed, &variable("HEARKEN_ORACLE_CASES", CASES)])
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let cases: Vec<Value> = String::from_utf8(made.stdout)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let folder = tempfile::tempdir()?;
    let mut hearken = Command::new(HEARKEN)
        .arg("--data")
        .arg(folder.path())
        .args(["rule", "test", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = hearken.stdin.take().context("an input")?;
    let lines: String = cases
        .iter()
        .map(|case| {
            json!({ "rule": case.get("rule"), "event": case.get("event") }).to_string() + "\n"
        })
        .collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let answered = hearken.wait_with_output()?;
    writing.join().map_err(|_panic| anyhow::anyhow!("writing broke"))??;
    let answers: Vec<Value> = String::from_utf8(answered.stdout)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(answers.len() == cases.len(), "{} answers", answers.len());
    let differing: Vec<String> =
        cases.iter().zip(&answers).filter_map(|(case, answer)| difference(case, answer)).collect();
    let (count, all) = (differing.len(), cases.len());
    let shown = differing.get(..count.min(20)).unwrap_or_default().join("\n");
    ensure!(differing.is_empty(), "{count} of {all} differ (seed {seed}):\n{shown}");
    Ok(())
}

/// How an answer differs from what Python says.
fn difference(case: &Value, answer: &Value) -> Option<String> {
    let expected = case.get("expected")?;
    let found = match expected.get("m") {
        Some(_) => json!({ "m": answer.pointer("/parameters/m") }),
        None => json!({ "verdict": answer.pointer("/criteria/0/verdict") }),
    };
    (found != *expected).then(|| {
        let rule = case.get("rule");
        let asked = rule.and_then(|rule| rule.get("criteria")).filter(|c| **c != json!({}));
        let asked = asked.or_else(|| rule?.pointer("/action/parameters"));
        let payload = case.pointer("/event/payload");
        let why = answer.pointer("/criteria/0/why").or_else(|| answer.get("error"));
        format!("{asked:?} on {payload:?}: {found}, and Python says {expected} ({why:?})")
    })
}

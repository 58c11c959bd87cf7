//! What `hearken pack test DIR` does: the cases of a pack, event in and expected requests out.
//!
//! `cases/*.yaml` hold one case or a list of them: `{name, event: {trigger, payload}, requests:
//! [{action, rule, parameters}]}`. All rules of the pack are asked, and what they request must be
//! what is expected, in any order: no more and no less. Of parameters only those named are looked
//! at. Packs beside this one and the bundled ones are known, so that their actions can be asked
//! for; their rules are not.
//!
//! Not here: rules that remember, whose requests need a history (`hearken log replay`), and keys of
//! the datastore, of which a case has none.

use std::collections::BTreeMap;
use std::path::Path;

use hearken_engine::judge::{Context, Event, Judgement, Outcome, judge};
use hearken_engine::registry::Registry;
use hearken_proto::Timestamp;
use hearken_proto::definition::BundleFile;
use serde_json::{Map, Value, json};

use crate::bundle::Sealed;
use crate::load::load;
use crate::source::{self, Roots, read_pack};
use crate::yaml::{self, Format};
use crate::{Error, Located};

/// Cases of one pack; whoever has more wrote a program.
const CASES_MAX: usize = 10_000;

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The file, inside the pack.
    pub file: String,
    /// What the case says it is about.
    pub name: String,
    /// What is not as expected; empty when all is well.
    pub faults: Vec<String>,
}

/// Runs every case of the pack in `folder`, at the time `now`.
///
/// # Errors
/// As [`read_pack`]. What is wrong with one file is a fault of a case.
pub fn run(folder: &Path, now: Timestamp) -> Result<(Vec<Tried>, Vec<Located>), Error> {
    let found = read_pack(folder)?;
    let files = found.bundle.files.clone();
    let own = load(&Sealed::new(found.bundle)?);
    let pack = own.definitions.name.clone();
    let mut packs = BTreeMap::new();
    for other in source::discover(&around(folder)).packs {
        let name = other.bundle.name.clone();
        packs.insert(name, load(&Sealed::new(other.bundle)?).definitions);
    }
    packs.insert(pack.clone(), own.definitions);
    let (registry, _findings) = Registry::new(packs.into_values(), &BTreeMap::new());
    let mut tried = Vec::new();
    for file in &files {
        let name = file.path.strip_prefix("cases/").filter(|name| !name.contains('/'));
        let Some(format) = name.and_then(Format::of) else { continue };
        tried.extend(in_file(&registry, &pack, file, format, now));
    }
    tried.truncate(CASES_MAX);
    Ok((tried, own.problems))
}

/// The bundled packs and those beside this one.
fn around(folder: &Path) -> Roots {
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let beside = full.parent().filter(|parent| !source::is_pack(parent));
    Roots { bundled: true, folders: beside.map(Path::to_owned).into_iter().collect() }
}

fn in_file(
    registry: &Registry,
    pack: &str,
    file: &BundleFile,
    format: Format,
    now: Timestamp,
) -> Vec<Tried> {
    let broken = |name: &str, why: String| {
        let (file, name) = (file.path.clone(), name.to_owned());
        vec![Tried { file, name, faults: vec![why] }]
    };
    let cases = match yaml::read_bytes(&file.content, format) {
        Ok(document) => document.value,
        Err(error) => return broken("", format!("line {}: {}", error.place.line, error.message)),
    };
    let cases = if let Value::Array(cases) = cases { cases } else { vec![cases] };
    let mut tried = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let known = case.get("name").and_then(Value::as_str).map(str::to_owned);
        let name = known.unwrap_or_else(|| format!("case {}", at + 1));
        match one(registry, pack, case, now) {
            Ok(faults) => tried.push(Tried { file: file.path.clone(), name, faults }),
            Err(why) => tried.extend(broken(&name, why)),
        }
    }
    tried
}

/// What is not as one case expects.
fn one(
    registry: &Registry,
    pack: &str,
    case: &Value,
    now: Timestamp,
) -> Result<Vec<String>, String> {
    let members = only(case, "a case", &["name", "event", "requests"])?;
    let event = members.get("event").ok_or("it says no event")?;
    let said = only(event, "event", &["trigger", "payload"])?;
    let trigger = said.get("trigger").and_then(Value::as_str).ok_or("its event has no trigger")?;
    let payload = said.get("payload").cloned().unwrap_or_else(|| json!({}));
    let expected = match members.get("requests") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(expected)) => expected.clone(),
        Some(other) => vec![other.clone()],
    };
    for request in &expected {
        only(request, "a request", &["action", "rule", "parameters"])?;
    }
    let event =
        Event { id: "case", trigger, parameters_digest: None, payload: &payload, time: now };
    let prefix = format!("{pack}.");
    let mut made = judge(registry, &event, &Context::default());
    made.retain(|judgement| judgement.rule.starts_with(&prefix));
    Ok(compare(expected, made))
}

/// What is expected and was not made, and what was made and is not expected.
fn compare(expected: Vec<Value>, mut made: Vec<Judgement>) -> Vec<String> {
    let mut faults = Vec::new();
    for request in expected {
        match made.iter().position(|judgement| is_expected(&request, judgement)) {
            Some(at) => drop(made.remove(at)),
            None => faults.push(format!("expected and not made: {request}")),
        }
    }
    for Judgement { rule, outcome } in made {
        faults.push(match outcome {
            Outcome::Request(draft) => {
                let made = json!({"action": draft.action, "parameters": draft.parameters});
                format!("made by {rule} and not expected: {made}")
            }
            Outcome::Failed { reason, .. } => format!("{rule} failed: {reason}"),
            Outcome::Held { reason, .. } => format!("{rule} held back: {reason}"),
        });
    }
    faults
}

fn is_expected(request: &Value, judgement: &Judgement) -> bool {
    let Outcome::Request(draft) = &judgement.outcome else { return false };
    let is = |key: &str, found: &str| {
        request.get(key).is_none_or(|wanted| wanted.as_str() == Some(found))
    };
    let wanted = request.get("parameters").and_then(Value::as_object);
    let same = |(name, value): (&String, &Value)| draft.parameters.get(name) == Some(value);
    is("action", &draft.action)
        && is("rule", &judgement.rule)
        && wanted.is_none_or(|wanted| wanted.iter().all(same))
}

/// The members of a mapping, when it has no others than these.
fn only<'a>(
    value: &'a Value,
    what: &str,
    known: &[&str],
) -> Result<&'a Map<String, Value>, String> {
    let members = value.as_object().ok_or_else(|| format!("{what} is no mapping"))?;
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has {key:?}: there are {}", known.join(", "))),
        None => Ok(members),
    }
}

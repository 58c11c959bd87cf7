//! Actions: something that can be run, with a schema of what it takes.

use hearken_proto::request::POOL_ANY;
use serde_json::{Value, json};

use super::parameter::{Parameter, Parameters};
use super::problem::{Problem, pointer_token};
use super::reader::Reader;
use super::runner::RunnerKind;

/// Starts of an action that says it may be repeated but not how often.
const ATTEMPTS_DEFAULT: u32 = 3;
/// Most starts an action may ask for.
const ATTEMPTS_MAX: u32 = 100;

/// Attributes of a runner's parameter that an action may change.
const OVERRIDABLE: &[&str] = &["default", "description", "enum", "immutable", "required"];

const FIELDS: &[&str] = &[
    "name",
    "pack",
    "ref",
    "id",
    "uid",
    "runner_type",
    "description",
    "enabled",
    "entry_point",
    "parameters",
    "output_schema",
    "tags",
    "notify",
    "metadata_file",
    "pool",
    "idempotent",
    "attempts_max",
];

/// An action as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The pack it belongs to.
    pub pack: String,
    /// Its name within the pack; may hold dots.
    pub name: String,
    /// `pack.name`.
    pub reference: String,
    /// How it runs.
    pub runner: RunnerKind,
    /// The file it runs, relative to the pack's `actions/`; empty where the runner needs none.
    pub entry_point: String,
    /// The parameters its file declares.
    pub parameters: Parameters,
    /// Those of its runner with its own on top: what a request is checked against.
    pub effective: Parameters,
    /// Whether it may be requested.
    pub enabled: bool,
    /// What it is for.
    pub description: String,
    /// Tags as they are written.
    pub tags: Value,
    /// Whom to tell of its end, as it is written.
    pub notify: Value,
    /// What its result looks like, as it is written.
    pub output_schema: Value,
    /// The runners that may take it.
    pub pool: String,
    /// Whether it may be started again when nobody knows how the last start ended.
    pub idempotent: bool,
    /// Most starts; 1 unless it is idempotent.
    pub attempts_max: u32,
}

impl Action {
    /// Reads an action of `pack`.
    #[must_use]
    pub fn from_value(pack: &str, value: &Value) -> (Option<Self>, Vec<Problem>) {
        let mut reader = match Reader::new(value, "") {
            Ok(reader) => reader,
            Err(problem) => return (None, vec![problem]),
        };
        reader.unknown(FIELDS);
        reader.pack(pack);
        let action = Self::read(pack, &mut reader);
        let fatal = reader.is_fatal();
        (action.filter(|_| !fatal), reader.problems)
    }

    fn read(pack: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let name = reader.required_text("name");
        let runner_type = reader.required_text("runner_type");
        let entry_point = reader.text("entry_point").unwrap_or_default();
        let (parameters, problems) =
            Parameters::from_map(&reader.mapping("parameters"), &reader.at("parameters"));
        reader.problems.extend(problems);
        let idempotent = reader.boolean("idempotent", false);
        let attempts_max =
            reader.count("attempts_max", if idempotent { ATTEMPTS_DEFAULT } else { 1 });
        let (name, runner_type) = (name?, runner_type?);
        let runner = RunnerKind::parse(&runner_type, !entry_point.is_empty());
        check_runner(&runner, &runner_type, &entry_point, reader);
        check_attempts(idempotent, attempts_max, reader);
        let effective = runner.parameters().overlaid(&parameters);
        // Names of the first generation; it had no rule for a parameter that nobody can give.
        let is_old = runner_type.starts_with("run-") || runner_type.starts_with("run_");
        check_overrides(&runner, &parameters, &effective, is_old, reader);
        check_positions(&effective, reader);
        let raw = |field: &str| reader.get(field).cloned().unwrap_or(Value::Null);
        let (tags, notify, output_schema) = (raw("tags"), raw("notify"), raw("output_schema"));
        Some(Self {
            pack: pack.to_owned(),
            reference: format!("{pack}.{name}"),
            name,
            runner,
            entry_point,
            parameters,
            effective,
            enabled: reader.boolean("enabled", true),
            description: reader.text("description").unwrap_or_default(),
            tags,
            notify,
            output_schema,
            pool: reader.text("pool").unwrap_or_else(|| POOL_ANY.to_owned()),
            idempotent,
            attempts_max: attempts_max.clamp(1, ATTEMPTS_MAX),
        })
    }

    /// Whether `name` is a parameter of the runner, whatever the action redeclares.
    #[must_use]
    pub fn is_runner_parameter(&self, name: &str) -> bool {
        self.runner.parameters().get(name).is_some()
    }

    /// Names of the parameters whose values, or parts of them, must not be shown.
    #[must_use]
    pub fn secret_parameters(&self) -> Vec<&str> {
        let secret = self.effective.iter().filter(|parameter| parameter.secret);
        secret.map(|parameter| parameter.name.as_str()).collect()
    }

    /// The action in the shape of StackStorm's API.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "ref": self.reference,
            "name": self.name,
            "pack": self.pack,
            "description": self.description,
            "enabled": self.enabled,
            "runner_type": self.runner.name(),
            "entry_point": self.entry_point,
            "parameters": self.parameters.to_value(),
            "tags": if self.tags.is_null() { json!([]) } else { self.tags.clone() },
            "notify": if self.notify.is_null() { json!({}) } else { self.notify.clone() },
            "output_schema": self.output_schema,
            "pool": self.pool,
            "idempotent": self.idempotent,
            "attempts_max": self.attempts_max,
        })
    }
}

fn check_runner(
    runner: &RunnerKind,
    runner_type: &str,
    entry_point: &str,
    reader: &mut Reader<'_>,
) {
    let at = reader.at("runner_type");
    if let RunnerKind::Unsupported(name) = runner {
        let message = format!("runner {name:?} is not supported: the action is listed, not run");
        let mut problem = Problem::notice(at, message);
        if name.starts_with("mistral") {
            problem = problem.hint("convert the workflow with orquestaconvert");
        }
        reader.problems.push(problem);
        return;
    }
    if *runner == RunnerKind::LocalShellScript && runner_type.replace('_', "-") == "run-local" {
        let message = "run-local with an entry point runs the script, as it did in 2014";
        reader.problems.push(
            Problem::notice(at.clone(), message).hint("write runner_type: local-shell-script"),
        );
    }
    let file_needed = runner.is_script()
        || matches!(
            runner,
            RunnerKind::PythonScript | RunnerKind::ActionChain | RunnerKind::Orquesta
        );
    if file_needed && entry_point.is_empty() {
        let message = format!("{} needs an entry_point", runner.name());
        reader.problems.push(Problem::fatal(reader.at("entry_point"), message));
    }
    let command = matches!(runner, RunnerKind::LocalShellCommand | RunnerKind::RemoteShellCommand);
    if command && !entry_point.is_empty() {
        let message = format!("{} runs cmd and takes no entry_point", runner.name());
        reader.problems.push(
            Problem::fatal(reader.at("entry_point"), message)
                .hint("use the -script runner for a script"),
        );
    }
}

fn check_attempts(idempotent: bool, attempts_max: u32, reader: &mut Reader<'_>) {
    if attempts_max > 1 && !idempotent {
        let message = "attempts_max has no effect: only an idempotent action is started again";
        reader
            .problems
            .push(Problem::notice(reader.at("attempts_max"), message).hint("say idempotent: true"));
    }
    if attempts_max > ATTEMPTS_MAX {
        let message = format!("attempts_max is at most {ATTEMPTS_MAX}");
        reader.problems.push(Problem::notice(reader.at("attempts_max"), message));
    }
}

fn check_overrides(
    runner: &RunnerKind,
    own: &Parameters,
    effective: &Parameters,
    is_old: bool,
    reader: &mut Reader<'_>,
) {
    for parameter in own.iter() {
        let at = format!("/parameters/{}", pointer_token(&parameter.name));
        let below = runner.parameters().get(&parameter.name);
        let merged = effective.get(&parameter.name);
        // A default of null is one.
        let has_default = |merged: &Parameter| merged.schema.contains_key("default");
        if parameter.immutable && !merged.is_some_and(has_default) {
            let message = format!("immutable parameter {:?} has no default", parameter.name);
            let problem =
                if is_old { Problem::notice(&*at, message) } else { Problem::fatal(&*at, message) };
            reader.problems.push(problem.hint("give it a default"));
        }
        if let Some(below) = below {
            check_override(parameter, below, &at, reader);
        }
    }
}

fn check_override(own: &Parameter, below: &Parameter, at: &str, reader: &mut Reader<'_>) {
    if below.immutable && own.immutable {
        let message = format!("the runner made {:?} immutable already", own.name);
        reader.problems.push(Problem::fatal(at, message).hint("remove immutable"));
    }
    for (attribute, value) in &own.schema {
        let same = below.schema.get(attribute).is_some_and(|known| known == value);
        // What the runner takes in several types an action may take in one.
        let narrower = attribute == "type" && below.kind.is_none();
        if !OVERRIDABLE.contains(&attribute.as_str()) && !same && !narrower {
            let message =
                format!("attribute {attribute:?} of runner parameter {:?} changes", own.name);
            reader.problems.push(
                Problem::notice(format!("{at}/{}", pointer_token(attribute)), message)
                    .hint(format!("StackStorm allows only {}", OVERRIDABLE.join(", "))),
            );
        }
    }
}

/// Positions are unique and leave no gap, from any start.
fn check_positions(effective: &Parameters, reader: &mut Reader<'_>) {
    let mut positions: Vec<(u32, &str)> = effective
        .iter()
        .filter_map(|parameter| parameter.position.map(|position| (position, &*parameter.name)))
        .collect();
    positions.sort_unstable();
    for pair in positions.windows(2) {
        let [(before, _), (after, name)] = pair else {
            continue;
        };
        let at = format!("/parameters/{}/position", pointer_token(name));
        if before == after {
            let message = format!("position {after} is taken twice");
            reader.problems.push(Problem::fatal(at, message));
        } else if before.saturating_add(1) != *after {
            let message = format!("position {} is left out", before.saturating_add(1));
            reader.problems.push(Problem::fatal(at, message));
        }
    }
}

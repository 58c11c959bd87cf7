//! Runs the tables of `tests/conformance/`: what StackStorm's content relies on, row by row.
//!
//! The rows are written from the reference and checked against the Python originals; this file only
//! feeds them to the engine. All rows of a table run, and all that fail are shown at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hearken_engine::definition::{Action, Rule};
use hearken_engine::judge::{Context, Event, Outcome, explain, judge};
use hearken_engine::parameters::{self, Done, Plan, Surroundings, finish};
use hearken_engine::registry::{PackDefinitions, Registry};
use hearken_engine::schedule::Schedule;
use hearken_engine::template::{Datastore, KeyScope, Scope, Template};
use hearken_proto::Timestamp;
use serde_json::{Value, json};

/// Log time of every row.
const NOW: &str = "2026-01-02T03:04:05Z";

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// One row: its name and its cells.
struct Row {
    name: String,
    cells: toml::Table,
}

impl Row {
    fn text(&self, cell: &str) -> String {
        let value = self.cells.get(cell).and_then(toml::Value::as_str);
        value.unwrap_or_else(|| panic!("row {:?} has no {cell}", self.name)).to_owned()
    }

    fn json(&self, cell: &str) -> Value {
        let text = self.text(cell);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("row {:?}: {cell}: {error}", self.name))
    }
}

fn rows(name: &str) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    table(name).map(|(_, rows)| rows)
}

fn table(name: &str) -> Result<(toml::Table, Vec<Row>), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let text = fs::read_to_string(folder.join(name))?;
    let parsed: toml::Table = text.parse()?;
    let rows = parsed.get("rows").and_then(toml::Value::as_array).ok_or("no rows")?;
    let rows = rows
        .iter()
        .map(|row| {
            let cells = row.as_table().ok_or("a row is a table")?.clone();
            let name = cells.get("name").and_then(toml::Value::as_str).ok_or("no name")?;
            Ok(Row { name: name.to_owned(), cells })
        })
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    Ok((parsed, rows))
}

/// Shows every row that came out otherwise than it says.
fn report<T: PartialEq + Debug>(
    table: &str,
    rows: &[Row],
    outcome: impl Fn(&Row) -> (T, T),
) -> TestResult {
    let mut wrong = Vec::new();
    for row in rows {
        let (actual, expected) = outcome(row);
        if actual != expected {
            wrong.push(format!("{}\n      is {actual:?}\n  not {expected:?}", row.name));
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{table}: {count} of {} rows\n{}", rows.len(), wrong.join("\n"));
    Ok(())
}

/// A datastore with the few keys that rows refer to.
#[derive(Debug)]
struct Keys;

impl Datastore for Keys {
    fn value(&self, scope: &KeyScope, key: &str) -> Option<String> {
        let value = match (scope, key) {
            (KeyScope::System, "x") => "abc",
            (KeyScope::System, "n") => "5",
            (KeyScope::System, "a.b") => "deep",
            (KeyScope::System, "pack:key") => "colon",
            (KeyScope::System, "when") => "2026-01-02T03:00:00Z",
            (KeyScope::System, "j") => "{\"k\": [1, 2]}",
            (KeyScope::User(user), "mine") if user == "stanley" => "of stanley",
            (KeyScope::System | KeyScope::User(_), _) => return None,
        };
        Some(value.to_owned())
    }

    fn decrypt(&self, value: &str) -> Result<String, String> {
        Ok(format!("clear:{value}"))
    }
}

fn context() -> Context {
    let datastore: Arc<dyn Datastore> = Arc::new(Keys);
    let configs = BTreeMap::from([("demo".to_owned(), json!({"region": "eu", "n": 7}))]);
    let reader = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
    Context::new("stanley", &datastore, Arc::new(configs)).reading_yaml(reader)
}

fn noop() -> Action {
    let value = json!({"name": "noop", "runner_type": "noop"});
    Action::from_value("core", &value).0.expect("the action is well-formed")
}

#[test]
fn criteria_mean_what_stackstorm_says() -> TestResult {
    let rows = rows("criteria.toml")?;
    let now = Timestamp::parse(NOW).ok_or("the time is well-formed")?;
    report("criteria", &rows, |row| {
        let rule = json!({
            "name": "row", "enabled": true, "trigger": {"type": "demo.event"},
            "criteria": row.json("criteria"), "action": {"ref": "core.noop"},
        });
        let (rule, problems) = Rule::for_trial("demo", &rule);
        let rule = rule.unwrap_or_else(|| panic!("{}: {problems:?}", row.name));
        let core = PackDefinitions {
            name: "core".into(),
            actions: vec![noop().into()],
            rules: vec![rule.clone()],
            ..PackDefinitions::default()
        };
        let (registry, _) = Registry::new([core], &BTreeMap::new());
        let payload = row.json("payload");
        let event = Event {
            id: "1",
            trigger: "demo.event",
            parameters_digest: None,
            payload: &payload,
            time: now,
        };
        let context = context();
        let verdict = match judge(&registry, &event, &context).first() {
            None => "false",
            Some(judgement) => match judgement.outcome {
                Outcome::Request(_) => "true",
                Outcome::Failed { .. } => "error",
                Outcome::Held { by, .. } => by.word(),
            },
        };
        let explained = explain(&rule, None, &event, &context);
        assert_eq!(explained.matches, verdict == "true", "{}: {explained:?}", row.name);
        (verdict.to_owned(), row.text("then"))
    })
}

/// Most ticks that a row lists.
const TICKS_MAX: usize = 8;

#[test]
fn timers_tick_as_apscheduler_lets_them() -> TestResult {
    let rows = rows("cron.toml")?;
    report("cron", &rows, |row| {
        let expected = row.cells.get("then").cloned().unwrap_or_else(|| panic!("{}", row.name));
        let count = expected.as_array().map_or(1, Vec::len).max(1);
        let after = Timestamp::parse(&row.text("after")).expect("a moment");
        let actual = match Schedule::parse(&row.text("trigger"), &row.json("parameters"), "UTC") {
            Err(_) => toml::Value::String("error".to_owned()),
            Ok(schedule) => {
                let mut at = after;
                let mut ticks = Vec::new();
                while let Some(next) = schedule.next(at, after)
                    && ticks.len() < count.min(TICKS_MAX)
                {
                    ticks.push(toml::Value::String(next.to_string().replace(".000000Z", "Z")));
                    at = next;
                }
                toml::Value::Array(ticks)
            }
        };
        (actual, expected)
    })
}

#[test]
fn templates_render_as_jinja_renders_them() -> TestResult {
    let (table, rows) = table("templates.toml")?;
    let payload = table.get("payload").and_then(toml::Value::as_str).ok_or("no payload")?;
    let payload: Value = serde_json::from_str(payload)?;
    let context = context();
    report("templates", &rows, |row| {
        let mut scope = Scope::viewing(context.views());
        scope.put("trigger", &payload);
        let rendered =
            Template::parse(&row.text("given")).and_then(|template| template.render(&scope));
        let wanted = row.cells.get("then").and_then(toml::Value::as_str).map(str::to_owned);
        if wanted.is_none() && rendered.is_err() {
            return (None, None);
        }
        (Some(rendered.map_err(|error| error.to_string())), wanted.map(Ok))
    })
}

/// Where a request fails, in the word of the table.
fn stage(error: &parameters::Error) -> &'static str {
    match error {
        parameters::Error::Unsatisfied { .. }
        | parameters::Error::Cycle { .. }
        | parameters::Error::Render { .. } => "render",
        parameters::Error::Cast { .. } => "cast",
        parameters::Error::Schema { .. } => "schema",
        parameters::Error::Immutable { .. } => "immutable",
        parameters::Error::Disabled { .. } | parameters::Error::Text { .. } => "other",
    }
}

#[test]
fn parameters_become_what_stackstorm_makes_of_them() -> TestResult {
    let (table, rows) = table("parameters.toml")?;
    let payload = table.get("payload").and_then(toml::Value::as_str).ok_or("no payload")?;
    let payload: Value = serde_json::from_str(payload)?;
    let context = context();
    let surroundings = Surroundings {
        action_context: json!({
            "user": "stanley", "pack": "demo", "rule": {"id": "demo.row", "name": "row"},
            "trigger_instance": {"id": "1", "name": null},
        }),
        config_context: context.config("demo"),
    };
    report("parameters", &rows, |row| {
        let runner = row.text("runner");
        let script = runner == "python-script";
        let action = json!({
            "name": "row", "runner_type": runner, "parameters": row.json("parameters"),
            "entry_point": if script { "row.py" } else { "" },
        });
        let (action, problems) = Action::from_value("demo", &action);
        let action = action.unwrap_or_else(|| panic!("{}: {problems:?}", row.name));
        let given = row.json("given").as_object().cloned().unwrap_or_default();
        let mut scope = Scope::viewing(context.views());
        scope.put("trigger", &payload);
        let live = Plan::live(&action, &given, &["trigger"])
            .and_then(|plan| plan.live_parameters(&action, &scope, &surroundings));
        let actual = match live {
            Err(error) => (stage(&error).to_owned(), String::new()),
            Ok(live) => {
                let below = Scope::viewing(context.views());
                let done = Done { values: live.parameters, secret: live.secret };
                let finished = finish(&action, &done, &below, &surroundings);
                let finished =
                    finished.map_or("error".to_owned(), |all| sorted(all.parameters.into()));
                (sorted(Value::Object(done.values)), finished)
            }
        };
        let expected = match row.cells.get("error").and_then(toml::Value::as_str) {
            Some(stage) => (stage.to_owned(), String::new()),
            None => {
                let finished = row.text("final");
                let finished =
                    if finished == "error" { finished } else { sorted(row.json("final")) };
                (sorted(row.json("live")), finished)
            }
        };
        (actual, expected)
    })
}

/// JSON text that does not depend on the order of keys.
fn sorted(value: Value) -> String {
    hearken_engine::value::json::canonical(&value)
}

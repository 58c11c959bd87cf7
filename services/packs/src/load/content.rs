//! The bundled packs do what their descriptions and the README say.

use std::collections::BTreeMap;

use hearken_engine::judge::{Context, Event, Outcome, judge};
use hearken_engine::parameters::{Surroundings, resolve};
use hearken_engine::registry::Registry;
use hearken_engine::script;
use hearken_engine::template::Scope;
use hearken_proto::Timestamp;
use serde_json::{Map, Value, json};

use super::load;
use crate::bundle::Sealed;
use crate::source::bundled;

fn registry() -> (Registry, Vec<String>) {
    let packs =
        bundled().into_iter().map(|found| load(&Sealed::new(found.bundle).unwrap()).definitions);
    let (registry, findings) = Registry::new(packs, &BTreeMap::new());
    let told = findings.into_iter().map(|found| format!("{}: {}", found.reference, found.problem));
    (registry, told.collect())
}

/// Action and parameters of every request that an event leads to.
fn requests(trigger: &str, payload: &Value) -> Vec<(String, Map<String, Value>)> {
    let event =
        Event { id: "1", trigger, parameters_digest: None, payload, time: Timestamp::EPOCH };
    let judgements = judge(&registry().0, &event, &Context::default());
    let request = |outcome| match outcome {
        Outcome::Request(draft) => (draft.action, draft.parameters),
        Outcome::Failed { reason, .. } | Outcome::Held { reason, .. } => {
            panic!("{trigger}: {reason}")
        }
    };
    judgements.into_iter().map(|judgement| request(judgement.outcome)).collect()
}

/// All parameters of a run, defaults included.
fn run(action: &str, given: &Value) -> Map<String, Value> {
    let (registry, _) = registry();
    let action = registry.action(action).unwrap();
    let given = given.as_object().cloned().unwrap_or_default();
    resolve(action, &given, &Scope::default(), &Surroundings::default()).unwrap().parameters
}

fn arguments(action: &str, given: &Value) -> Vec<String> {
    let parameters = run(action, given);
    let (registry, _) = registry();
    script::arguments(registry.action(action).unwrap(), &parameters)
}

#[test]
fn the_packs_fit_together() {
    let (registry, told) = registry();
    // That nobody registers shop.order_late is the point of the example.
    assert!(told.iter().all(|told| told.contains("shop.order_late")), "{told:?}");
    let timers: Vec<_> = registry.timers().into_iter().map(|timer| timer.parameters).collect();
    assert_eq!(timers, [json!({"unit": "seconds", "delta": 10})]);
}

#[test]
fn one_line_from_any_client_fires_the_example() {
    let found = requests("shop.order_late", &json!({"order": 7}));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "examples.print_order");
    let given = Value::Object(found[0].1.clone());
    assert_eq!(arguments("examples.print_order", &given), ["7"]);
}

#[test]
fn greetings_in_english_are_answered() {
    let found =
        requests("examples.greeting", &json!({"name": "Ada", "language": "EN", "times": 3}));
    assert_eq!(found.len(), 1);
    let given = Value::Object(found[0].1.clone());
    assert_eq!(arguments("examples.greet", &given), ["Ada", "3", "1"]);
    let once = requests("examples.greeting", &json!({"name": "Ada", "language": "en"}));
    let given = Value::Object(once[0].1.clone());
    assert_eq!(arguments("examples.greet", &given), ["Ada", "1", "1"]);
    for silent in [json!({"name": "Ada", "language": "fr"}), json!({"name": "-", "language": "en"})]
    {
        assert!(requests("examples.greeting", &silent).is_empty(), "{silent}");
    }
}

#[test]
fn a_message_is_no_command() {
    let message = json!({"message": "it's \"$(id)\" `id` $HOME \\n"});
    let quoted = r#"'it'"'"'s "$(id)" `id` $HOME \n'"#;
    assert_eq!(run("core.echo", &message)["cmd"], format!(r"printf '%s\n' {quoted}"));
    assert_eq!(run("core.error", &message)["cmd"], format!(r">&2 printf '%s\n' {quoted}"));
    assert_eq!(run("core.echo", &message)["sudo"], false);
}

#[test]
fn scripts_of_core_get_what_they_expect() {
    assert_eq!(arguments("core.pause", &json!({"max_pause": 5})), ["5", "0"]);
    assert_eq!(arguments("core.pause", &json!({"max_pause": 5, "random": true})), ["5", "1"]);
    assert_eq!(run("core.pause", &json!({"max_pause": 5}))["timeout"], 86400);
    assert_eq!(arguments("core.uuid", &json!({})), ["--uuid_type=uuid4"]);
    assert_eq!(run("core.local", &json!({"cmd": "true"}))["sudo"], false);
    assert_eq!(run("core.local_sudo", &json!({"cmd": "true"}))["sudo"], true);
}

//! The runner inquirer: a question to people, by which an execution waits for their answer.
//!
//! Nothing runs. The execution enters `pending` with the question as its result, and whoever
//! answers ends it; what follows that state is in [`crate::inquiry`].

use hearken_proto::Status;
use serde_json::{Map, Value, json};

use super::Outcome;

/// What the question is made of: runner parameters, and members of the result.
const MEMBERS: [&str; 5] = ["schema", "roles", "users", "route", "ttl"];

/// Asks.
pub(crate) fn run(parameters: &Map<String, Value>) -> Outcome {
    if !parameters.get("schema").is_some_and(Value::is_object) {
        return Outcome::failed("the parameter \"schema\" says what an answer looks like: a map");
    }
    let member = |name: &str| parameters.get(name).cloned().unwrap_or(Value::Null);
    let question = MEMBERS.map(|name| (name.to_owned(), member(name)));
    Outcome { status: Status::Pending, result: json!(Map::from_iter(question)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_the_result_and_nothing_else_is() {
        let schema = json!({"type": "object"});
        let parameters = json!({
            "schema": schema, "route": "ops", "ttl": 5, "users": ["ann"], "cmd": "x",
        });
        let asked = run(parameters.as_object().unwrap());
        assert_eq!(asked.status, Status::Pending);
        let expected = json!({
            "schema": schema, "roles": null, "users": ["ann"], "route": "ops", "ttl": 5,
        });
        assert_eq!(asked.result, expected);
        assert_eq!(run(&Map::new()).status, Status::Failed);
    }
}

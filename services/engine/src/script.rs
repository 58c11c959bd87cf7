//! Arguments of scripts: parameters as a command line.
//!
//! Named arguments come first, in the order of the parameters, then the positional ones. Lists and
//! maps among the named ones appear as Python prints them; packs parse that.

use serde_json::{Map, Value};

use crate::definition::{Action, ParameterKind};
use crate::value::compare::is_true;
use crate::value::text::text;

/// What stands before the name of a named argument when nothing else is said.
const NAME_PREFIX: &str = "--";

/// The arguments of `action`'s script for these parameters, one by one, not quoted.
#[must_use]
pub fn arguments(action: &Action, parameters: &Map<String, Value>) -> Vec<String> {
    let prefix = parameters.get("kwarg_op").and_then(Value::as_str).unwrap_or(NAME_PREFIX);
    let own =
        || action.effective.iter().filter(|parameter| !action.is_runner_parameter(&parameter.name));
    let mut arguments = Vec::new();
    for parameter in own().filter(|parameter| parameter.position.is_none()) {
        match parameters.get(&parameter.name) {
            None | Some(Value::Null | Value::Bool(false)) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::Bool(true)) => arguments.push(format!("{prefix}{}", parameter.name)),
            Some(value) => arguments.push(format!("{prefix}{}={}", parameter.name, text(value))),
        }
    }
    let mut positional: Vec<_> = own()
        .filter_map(|parameter| parameter.position.map(|position| (position, parameter)))
        .collect();
    positional.sort_by_key(|(position, _)| *position);
    for (_, parameter) in positional {
        let value = parameters.get(&parameter.name).unwrap_or(&Value::Null);
        arguments.push(positional_text(parameter.kind, value));
    }
    arguments
}

/// The arguments as the text of a command line, each quoted for a shell.
#[must_use]
pub fn command_line(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|argument| quote(argument)).collect();
    quoted.join(" ")
}

fn positional_text(kind: Option<ParameterKind>, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Some(ParameterKind::Boolean), value) => if is_true(value) { "1" } else { "0" }.to_owned(),
        (Some(ParameterKind::Array), Value::Array(items)) => {
            items.iter().map(text).collect::<Vec<_>>().join(",")
        }
        (Some(ParameterKind::Object), Value::Object(_)) => value.to_string(),
        (Some(ParameterKind::String | ParameterKind::Number), value) => text(value),
        // For whole numbers and untyped ones StackStorm takes 0 for nothing.
        (_, value) if !is_true(value) => String::new(),
        (_, value) => text(value),
    }
}

/// A word for a POSIX shell: as it is when harmless, else in single quotes.
#[must_use]
pub fn quote(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script() -> Action {
        let (action, problems) = Action::from_value(
            "demo",
            &json!({
                "name": "deploy", "runner_type": "local-shell-script", "entry_point": "deploy.sh",
                "parameters": {
                    "host": {"type": "string", "position": 0},
                    "count": {"type": "integer", "position": 1},
                    "hard": {"type": "boolean", "position": 2},
                    "tags": {"type": "array", "position": 3},
                    "map": {"type": "object", "position": 4},
                    "note": {"type": "string"},
                    "force": {"type": "boolean"},
                    "names": {"type": "array"},
                },
            }),
        );
        action.unwrap_or_else(|| panic!("{problems:?}"))
    }

    #[test]
    fn arguments_are_written_as_stackstorm_writes_them() {
        let rows = [
            (json!({}), vec!["", "", "", "", ""]),
            (
                json!({"host": "a b", "count": 0, "hard": true, "tags": ["x", 1], "map": {"k": 1}}),
                vec!["a b", "", "1", "x,1", "{\"k\":1}"],
            ),
            (
                json!({"note": "it's", "force": true, "names": ["a"], "sudo": true, "hard": false}),
                vec!["--note=it's", "--force", "--names=['a']", "", "", "0", "", ""],
            ),
            (json!({"force": false, "note": "", "kwarg_op": "-"}), vec!["", "", "", "", ""]),
            (json!({"note": "x", "kwarg_op": "-"}), vec!["-note=x", "", "", "", "", ""]),
        ];
        for (parameters, expected) in rows {
            let parameters = parameters.as_object().unwrap();
            assert_eq!(arguments(&script(), parameters), expected, "{parameters:?}");
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let words = ["a".to_owned(), String::new(), "it's".to_owned(), "$x".to_owned()];
        assert_eq!(command_line(&words), r#"a '' 'it'"'"'s' '$x'"#);
    }
}

//! How a run ended, in StackStorm's terms.

use std::time::Duration;

use hearken_kit::process::{self, Captured, Ending};
use hearken_proto::Status;
use serde_json::{Map, Value, json};

use super::channel::{Answer, Returned};
use crate::runner::Outcome;

/// Exit code of a run that was ended by its time limit, as StackStorm has it.
const EXIT_CODE_TIMEOUT: i32 = -9;
/// Exit code of a run that somebody else asked to end.
const EXIT_CODE_TERMINATED: i32 = -15;
/// Exit code of our program for a status that is neither true nor false: StackStorm's.
const EXIT_CODE_STATUS: i32 = 220;
/// What stands for the result where there is none.
const NO_RESULT: &str = "None";

/// The outcome of a run.
pub(super) fn outcome(ended: process::Outcome, answer: Answer, limit: Duration) -> Outcome {
    let (mut status, exit_code, mut error) = end(&ended.ending, limit);
    let result = match answer {
        Answer::Returned(Returned { result, status: said }) => {
            if said == Some(false) && status == Status::Succeeded {
                status = Status::Failed;
            }
            result
        }
        Answer::Nothing => json!(NO_RESULT),
        Answer::Useless(why) => {
            if status == Status::Succeeded {
                status = Status::Failed;
            }
            error = error.or(Some(why));
            json!(NO_RESULT)
        }
    };
    let mut all = Map::new();
    for (name, captured) in [("stdout", ended.stdout), ("stderr", ended.stderr)] {
        if captured.truncated {
            all.insert(format!("{name}_truncated"), json!(true));
            all.insert(format!("{name}_bytes"), json!(captured.total_bytes));
        }
        all.insert(name.to_owned(), text(captured).into());
    }
    all.insert("exit_code".to_owned(), json!(exit_code));
    all.insert("result".to_owned(), result);
    if let Some(error) = error {
        all.insert("error".to_owned(), json!(error));
    }
    Outcome { status, result: Value::Object(all) }
}

/// The outcome of a run that was canceled before it began.
pub(super) fn canceled() -> Outcome {
    let error = "canceled before it ran";
    let result = json!({
        "stdout": "", "stderr": "", "exit_code": EXIT_CODE_TIMEOUT, "result": NO_RESULT,
        "error": error,
    });
    Outcome { status: Status::Canceled, result }
}

/// State, exit code, and what there is to say.
fn end(ending: &Ending, limit: Duration) -> (Status, i32, Option<String>) {
    match ending {
        Ending::Exited(0) => (Status::Succeeded, 0, None),
        Ending::Exited(EXIT_CODE_STATUS) => {
            let error = "the status that the action returned is neither true nor false".to_owned();
            (Status::Failed, EXIT_CODE_STATUS, Some(error))
        }
        Ending::Exited(code) => (Status::Failed, *code, None),
        Ending::Signaled(15) => {
            let error = "somebody ended it by SIGTERM: nobody knows how far it got".to_owned();
            (Status::Abandoned, EXIT_CODE_TERMINATED, Some(error))
        }
        Ending::Signaled(signal) => {
            (Status::Failed, -signal, Some(format!("ended by signal {signal}")))
        }
        Ending::TimedOut => {
            let error =
                format!("the action took longer than {} s and was ended", limit.as_secs_f64());
            (Status::Timeout, EXIT_CODE_TIMEOUT, Some(error))
        }
        Ending::Canceled => {
            (Status::Canceled, EXIT_CODE_TIMEOUT, Some("canceled while it ran".to_owned()))
        }
        Ending::FailedToStart(error) => (Status::Failed, 127, Some(error.to_string())),
        Ending::Unknown(error) => (Status::Abandoned, -1, Some(error.to_string())),
    }
}

fn text(captured: Captured) -> String {
    String::from_utf8(captured.bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ending: Ending, answer: Answer, status: Status, expected: &Value) {
        let captured = |text: &str| Captured {
            bytes: text.into(),
            truncated: false,
            total_bytes: text.len() as u64,
        };
        let ended = process::Outcome {
            ending,
            stdout: captured("12\n"),
            stderr: captured(""),
            elapsed: Duration::ZERO,
            held_open: false,
            forced: false,
            escaped: 0,
            stuck: false,
            limits_refused: 0,
        };
        let Outcome { status: found, result } = outcome(ended, answer, Duration::from_secs(2));
        let mut whole = json!({"stdout": "12\n", "stderr": ""});
        for (key, value) in expected.as_object().unwrap() {
            whole[key] = value.clone();
        }
        assert_eq!((found, result), (status, whole));
    }

    fn returned(result: Value, status: Option<bool>) -> Answer {
        Answer::Returned(Returned { result, status })
    }

    #[test]
    fn results_have_the_shape_of_stackstorm() {
        use Ending::{Canceled, Exited, Signaled, TimedOut};
        let ok = Status::Succeeded;
        let one = json!({"exit_code": 0, "result": 1});
        check(Exited(0), returned(json!(1), None), ok, &one);
        check(Exited(0), returned(json!(1), Some(true)), ok, &one);
        check(Exited(0), returned(json!(1), Some(false)), Status::Failed, &one);
        check(Exited(0), returned(Value::Null, None), ok, &json!({"exit_code": 0, "result": null}));
        check(Exited(0), Answer::Nothing, ok, &json!({"exit_code": 0, "result": "None"}));
        let three = json!({"exit_code": 3, "result": "None"});
        check(Exited(3), Answer::Nothing, Status::Failed, &three);
        let useless = Answer::Useless("too long".to_owned());
        let expected = json!({"exit_code": 0, "result": "None", "error": "too long"});
        check(Exited(0), useless, Status::Failed, &expected);
        let expected = json!({
            "exit_code": -9, "result": "None",
            "error": "the action took longer than 2 s and was ended",
        });
        check(TimedOut, Answer::Nothing, Status::Timeout, &expected);
        let expected = json!({
            "exit_code": -9, "result": "None", "error": "canceled while it ran",
        });
        check(Canceled, Answer::Nothing, Status::Canceled, &expected);
        let expected = json!({"exit_code": -11, "result": "None", "error": "ended by signal 11"});
        check(Signaled(11), Answer::Nothing, Status::Failed, &expected);
    }
}

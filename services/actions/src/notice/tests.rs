//! What becomes of `notify`: whom it tells, of which ends, in which words.

use hearken_proto::Timestamp;

use super::*;

/// An execution of an action whose file says `notify`, and which was asked for with `asked`.
fn told(status: Status, notify: Value, asked: Value) -> Vec<Value> {
    let action = json!({
        "name": "deploy", "runner_type": "local-shell-cmd", "notify": notify,
        "parameters": {"host": {"type": "string"}, "key": {"type": "string", "secret": true}},
    });
    let (action, problems) = Action::from_value("demo", &action);
    assert!(problems.is_empty(), "{problems:?}");
    let request: ActionRequest = serde_json::from_value(json!({
        "execution": "6957353500112233445566aa", "action": "demo.deploy", "digest": "",
        "parameters": {"host": "web1", "key": "hush"}, "secret": ["key"], "user": "ann",
        "rule": "demo.late", "requested_at": "2026-01-02T03:04:05Z",
        "context": if asked.is_null() { json!({}) } else { json!({"notify": asked}) },
    }))
    .unwrap();
    let mut ended = Execution::requested(request).entering(status, Timestamp::EPOCH);
    ended.result = json!({"stdout": {"free": 7}, "return_code": 0});
    notices(action.as_ref(), &ended, &ended.result, &Context::default())
}

#[test]
fn an_event_has_stackstorms_members() {
    let notify = json!({"on-complete": {
        "message": "{{ action_parameters.host }}: {{ action_results.stdout.free }} \
                    {{ action_parameters.key }} {{ action_context.rule.name }}",
        "data": {"who": "{{ action_context.user }}", "list": ["{{ action_parameters.host }}", 1]},
        "routes": ["ops"],
    }});
    let expected = json!({
        "execution_id": "6957353500112233445566aa",
        "status": "succeeded",
        "start_timestamp": "2026-01-02T03:04:05.000000Z",
        "end_timestamp": Timestamp::EPOCH,
        "action_ref": "demo.deploy",
        "runner_ref": "local-shell-cmd",
        "channel": "ops",
        "route": "ops",
        "message": "web1: 7 ******** late",
        "data": {
            "who": "ann",
            "list": ["web1", 1],
            "result": "{\"stdout\":{\"free\":7},\"return_code\":0}",
        },
    });
    assert_eq!(told(Status::Succeeded, notify, Value::Null), [expected]);
}

/// Route and message of each event.
fn heard(status: Status, notify: Value, asked: Value) -> Vec<(String, String)> {
    let text = |notice: &Value, name: &str| notice[name].as_str().unwrap().to_owned();
    let all = told(status, notify, asked);
    all.iter().map(|notice| (text(notice, "route"), text(notice, "message"))).collect()
}

#[test]
fn sections_apply_by_the_end_and_each_route_is_one_event() {
    use Status::{Abandoned, Canceled, Failed, Succeeded, Timeout};
    let all = json!({
        "on-complete": {"routes": ["all", "more"]},
        "on-success": {"routes": ["good"], "message": "well"},
        "on-failure": {"channels": ["bad"]},
    });
    let completed = ["all", "more"].map(|route| (route, "Action demo.deploy completed."));
    let good = ("good", "well");
    let bad = ("bad", "Action demo.deploy failed.");
    for (status, also) in [
        (Succeeded, Some(good)),
        (Failed, Some(bad)),
        (Timeout, Some(bad)),
        (Abandoned, Some(bad)),
        (Canceled, None),
    ] {
        let expected: Vec<_> = completed
            .into_iter()
            .chain(also)
            .map(|(route, message)| (route.to_owned(), message.to_owned()))
            .collect();
        assert_eq!(heard(status, all.clone(), Value::Null), expected, "{status}");
    }
}

#[test]
fn what_cannot_be_rendered_is_told_as_it_is_written() {
    let one = |message: &str| vec![("r".to_owned(), message.to_owned())];
    let section = |message: &str| json!({"message": message, "routes": ["r"]});
    for (notify, asked, expected) in [
        (
            json!({"on_complete": section("{{ nothing.here }}")}),
            json!(null),
            one("{{ nothing.here }}"),
        ),
        (json!({"on-complete": section("{{ half")}), json!(null), one("{{ half")),
        (
            json!({"on-complete": section("{{ 'abc' | decrypt_kv }}")}),
            json!(null),
            one("{{ 'abc' | decrypt_kv }}"),
        ),
        // The action's file counts more; where it says nothing, who asked does.
        (
            json!({"on-complete": section("file")}),
            json!({"on-complete": section("asked")}),
            one("file"),
        ),
        (json!({}), json!({"on-complete": section("asked")}), one("asked")),
        (json!({"on-failure": section("file")}), json!({"on-complete": section("asked")}), vec![]),
        (json!({"on-complete": {"message": "to nobody"}}), json!(null), vec![]),
        (json!("odd"), json!(null), vec![]),
        (json!({"on-complete": ["odd"]}), json!(null), vec![]),
    ] {
        let what = format!("{notify} {asked}");
        assert_eq!(heard(Status::Succeeded, notify, asked), expected, "{what}");
    }
}

#[test]
fn what_is_told_is_bounded() {
    let long = "ä".repeat(MESSAGE_BYTES_MAX);
    let notify = json!({"on-complete": {
        "message": long,
        "routes": vec!["r"; ROUTES_MAX + 1],
        "data": {"more": "x".repeat(DATA_BYTES_MAX)},
    }});
    let all = told(Status::Succeeded, notify, Value::Null);
    assert_eq!(all.len(), ROUTES_MAX);
    assert_eq!(all[0]["message"].as_str().unwrap().len(), MESSAGE_BYTES_MAX);
    assert_eq!(all[0]["data"], json!({"result": "{\"stdout\":{\"free\":7},\"return_code\":0}"}));
}

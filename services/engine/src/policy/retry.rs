//! Whether an execution that ended badly is asked for again, and how.

use hearken_proto::{ActionRequest, Execution, Status, id};
use serde_json::{Map, Value, json};

use crate::definition::policy::RetryOn;
use crate::definition::{Policy, PolicyKind};

/// The request that follows `ended` by the first of `policies` that applies.
///
/// It is a function of the execution alone: whoever asks again gives the same ids.
pub fn retry<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    ended: &Execution,
) -> Option<ActionRequest> {
    let before = retries(&ended.request.context);
    let applies = |policy: &&Policy| match policy.kind {
        PolicyKind::Retry { on, count_max, .. } => {
            let meant = match on {
                RetryOn::Failure => ended.status == Status::Failed,
                RetryOn::Timeout => ended.status == Status::Timeout,
            };
            meant && before < u64::from(count_max)
        }
        PolicyKind::Concurrency { .. } | PolicyKind::Rate { .. } | PolicyKind::Unknown(_) => false,
    };
    let policy = policies.into_iter().find(applies)?;
    let PolicyKind::Retry { delay, .. } = policy.kind else { return None };
    let request = &ended.request;
    let end = ended.end?;
    let count = before + 1;
    let index = u32::try_from(count).unwrap_or(u32::MAX);
    let key = id::work_key(id::execution_key(&request.execution), "retry", index);
    let retry = json!({
        "retry_count": count,
        "applied_policy": policy.reference,
        "retried_liveaction_id": request.execution,
    });
    let mut context = request.context.clone();
    let mut applied = match context.remove("policies") {
        Some(Value::Object(applied)) => applied,
        Some(_) | None => Map::new(),
    };
    applied.insert("retry".to_owned(), retry);
    context.insert("policies".to_owned(), Value::Object(applied));
    Some(ActionRequest {
        execution: id::execution(end, &key),
        requested_at: end,
        rerun_of: Some(request.execution.clone()),
        context,
        not_before: (!delay.is_zero()).then(|| end.plus(delay)),
        ..request.clone()
    })
}

/// How often this was tried again already.
fn retries(context: &Map<String, Value>) -> u64 {
    let count = context.get("policies").and_then(|policies| policies.pointer("/retry/retry_count"));
    count.and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use hearken_proto::Timestamp;

    use super::*;

    fn policy(on: &str) -> Policy {
        let value = json!({
            "name": on, "resource_ref": "p.a", "policy_type": "action.retry",
            "parameters": {"retry_on": on, "max_retry_count": 2, "delay": 3},
        });
        Policy::from_value("p", &value).0.expect("well-formed")
    }

    fn ended(status: Status, end: i64) -> Execution {
        let request = ActionRequest {
            execution: "6957353500112233445566aa".into(),
            action: "p.a".into(),
            digest: "d".into(),
            parameters: Map::from_iter([("x".to_owned(), json!(1))]),
            secret: Vec::new(),
            rule: Some("p.r".into()),
            trigger_instance: None,
            pool: hearken_proto::request::POOL_ANY.into(),
            requested_at: Timestamp::EPOCH,
            user: "hearken".into(),
            rerun_of: None,
            context: Map::from_iter([("kept".to_owned(), json!(true))]),
            not_before: None,
        };
        Execution::requested(request).entering(status, Timestamp::from_nanos(end))
    }

    #[test]
    fn a_failure_is_tried_again_as_often_as_the_policy_says() {
        let policies = [policy("timeout"), policy("failure")];
        let mut last = ended(Status::Failed, 5_000_000_000);
        let mut seen = vec![last.request.execution.clone()];
        for count in 1..=2 {
            let again = retry(&policies, &last).expect("another one");
            assert_eq!(Some(&again), retry(&policies, &last).as_ref(), "asked twice, the same");
            assert_eq!(again.parameters, last.request.parameters);
            assert_eq!(again.not_before.map(Timestamp::seconds), Some(8));
            let told = &again.context["policies"]["retry"];
            assert_eq!(told["retry_count"], json!(count));
            assert_eq!(told["applied_policy"], "p.failure");
            assert_eq!(told["retried_liveaction_id"], json!(last.request.execution));
            assert_eq!(again.context["kept"], json!(true));
            assert!(!seen.contains(&again.execution), "{seen:?}");
            seen.push(again.execution.clone());
            let end = Timestamp::from_nanos(5_000_000_000);
            last = Execution::requested(again).entering(Status::Failed, end);
        }
        assert_eq!(retry(&policies, &last), None);
    }

    #[test]
    fn other_ends_are_not_tried_again() {
        let policies = [policy("failure")];
        for status in [Status::Succeeded, Status::Timeout, Status::Canceled, Status::Abandoned] {
            assert_eq!(retry(&policies, &ended(status, 1)), None, "{status}");
        }
    }
}

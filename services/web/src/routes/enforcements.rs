//! What rules made of the events that they matched, as StackStorm's rule enforcements.

use axum::Json;
use axum::extract::{Query, State};
use hearken_proto::question::{Answer, Enforced, EnforcementFilter, Question};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LIMIT_DEFAULT, offset};
use crate::fault::Fault;
use crate::{App, ledger};

/// What a listing can be narrowed by, in StackStorm's words.
#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
    offset: Option<usize>,
    rule_ref: Option<String>,
    trigger_instance: Option<String>,
}

/// The newest enforcements.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Value>>, Fault> {
    let question = Question::Enforcements(EnforcementFilter {
        limit: query.limit.unwrap_or(LIMIT_DEFAULT),
        offset: offset(query.offset)?,
        rule: query.rule_ref,
        trigger_instance: query.trigger_instance,
    });
    let Answer::Enforcements(found) = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok(Json(found.iter().map(view).collect()))
}

/// The status speaks of the request: what became of the action is the execution's.
fn view(enforced: &Enforced) -> Value {
    let status = match (&enforced.execution, &enforced.held_by) {
        (Some(_), _) => "succeeded",
        (None, Some(_)) => "held",
        (None, None) => "failed",
    };
    json!({
        "id": enforced.id,
        "rule": { "ref": enforced.rule },
        "trigger_instance_id": enforced.trigger_instance,
        "execution_id": enforced.execution,
        "failure_reason": enforced.reason,
        "held_by": enforced.held_by,
        "enforced_at": enforced.enforced_at,
        "status": status,
    })
}

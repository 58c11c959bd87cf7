//! What rules made of the events that they matched, as StackStorm's rule enforcements.

use axum::extract::State;
use axum::response::Response;
use hearken_proto::question::{Answer, Enforced, EnforcementFilter, Question};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::listing::Listing;
use crate::{App, ledger};

/// The newest enforcements.
pub(crate) async fn list(State(app): State<App>, listing: Listing) -> Result<Response, Fault> {
    let rule = listing.said("rule_ref").or_else(|| listing.said("rule"));
    let question = Question::Enforcements(EnforcementFilter {
        limit: listing.limit(),
        offset: listing.offset,
        rule: rule.map(str::to_owned),
        trigger_instance: listing.said("trigger_instance").map(str::to_owned),
    });
    let Answer::Enforcements(found) = ledger::ask(&app.0.bus, &question).await? else {
        return Err(Fault::bad("the ledger answered something else"));
    };
    Ok(listing.gathered(found.iter().map(view).collect()))
}

/// The status speaks of the request: what became of the action is the execution's.
fn view(enforced: &Enforced) -> Value {
    let status = match (&enforced.reason, &enforced.held_by) {
        (None, _) => "succeeded",
        (Some(_), Some(_)) => "held",
        // It may have left a failed execution all the same.
        (Some(_), None) => "failed",
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

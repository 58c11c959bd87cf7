//! Webhooks: what others post becomes an event of `core.st2.webhook`, or of any trigger.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hearken_proto::{entry, id};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fact::{self, Fact, random_name};
use crate::fault::Fault;
use crate::webhook::{self, Sender};
use crate::{App, auth, body, form};

/// The trigger of a posted webhook.
const TRIGGER: &str = "core.st2.webhook";
/// StackStorm's header with a name that goes along with what follows from an event.
const TRACE_TAG: &str = "St2-Trace-Tag";
/// The webhook that takes any trigger.
const ANY: &str = "st2";
/// Header of the answer with the id of the event.
const EVENT_HEADER: &str = "hearken-event";

/// Takes a posted body for the hook at `url`.
pub(crate) async fn post(
    State(app): State<App>,
    Path(url): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let url = url.trim_matches('/').to_owned();
    let query = form::pairs(request.uri().query().unwrap_or_default().as_bytes());
    let hook = app.0.webhooks.get(&url);
    if hook.is_none() {
        auth::require_somewhere(&app, request.headers(), &query, request.uri().path()).await?;
    }
    let (request, raw) = body::whole(request, body::WEBHOOK_BYTES_MAX).await?;
    let headers = request.headers();
    if let Some(hook) = hook {
        webhook::verify(hook, headers, &query, &raw, app.0.clock.now()).map_err(|why| {
            let sender = hook.sender().word();
            Fault::new(StatusCode::UNAUTHORIZED, why)
                .hint(format!("the configuration says that the sender of {url:?} is {sender}"))
        })?;
    }
    let content = webhook::read(headers, &raw)?;
    let sender = hook.map(webhook::Hook::sender);
    if sender == Some(Sender::Slack)
        && content.get("type") == Some(&json!("url_verification"))
        && let Some(challenge) = content.get("challenge")
    {
        // Slack asks once whether the url is ours; that is no fact.
        return Ok(Json(json!({ "challenge": challenge })).into_response());
    }
    let named = webhook::delivery(&url, sender, headers, &raw, &content);
    let id = match named {
        Some(id) => id,
        None => random_name(&format!("webhook-{url}"))?,
    };
    if url == ANY {
        any(&app, headers, &content, &id).await?;
    } else {
        hooked(&app, &url, headers, &content, &id).await?;
    }
    let mut response = (StatusCode::ACCEPTED, Json(content)).into_response();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(EVENT_HEADER, id);
    }
    Ok(response)
}

/// The headers of the entry that come from the request.
fn kept(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let tag = headers.get(TRACE_TAG).and_then(|tag| tag.to_str().ok());
    let tag = tag.map(|tag| (TRACE_TAG, tag.to_owned()));
    std::iter::once((entry::SOURCE, "webhook".to_owned())).chain(tag).collect()
}

/// Tells an event for each trigger that waits for this url: one, unless rules write its parameters
/// in different ways.
async fn hooked(
    app: &App,
    url: &str,
    headers: &HeaderMap,
    content: &Value,
    id: &str,
) -> Result<(), Fault> {
    let hooks = hooks(app);
    let wanted: Vec<_> = hooks.iter().filter(|hook| hook.url == url).collect();
    if wanted.is_empty() {
        let rule = format!("trigger: {{type: {TRIGGER}, parameters: {{url: {url}}}}}");
        return Err(Fault::missing(format!("no webhook is called {url:?}"))
            .hint(format!("a webhook is there while an enabled rule has {rule}")));
    }
    let payload = webhook::payload(headers, content);
    for (index, hook) in wanted.into_iter().enumerate() {
        let mut headers = kept(headers);
        headers.push((entry::TRIGGER_PARAMETERS, hook.digest.clone()));
        let id = match index {
            0 => id.to_owned(),
            _ => format!("webhook-{}", id::derived(&[id, &index.to_string()])),
        };
        let fact = Fact {
            trigger: TRIGGER.to_owned(),
            payload: payload.clone(),
            id: Some(id),
            cause: None,
            headers,
        };
        fact::store(app, fact).await?;
    }
    Ok(())
}

/// What is posted to the webhook that takes any trigger.
#[derive(Debug, Deserialize)]
struct Dispatch {
    trigger: String,
    #[serde(default)]
    payload: Value,
}

async fn any(app: &App, headers: &HeaderMap, content: &Value, id: &str) -> Result<(), Fault> {
    let wanted = Dispatch::deserialize(content).map_err(|error| {
        Fault::bad(format!("the body is not {{\"trigger\": …, \"payload\": …}}: {error}"))
            .hint("for example {\"trigger\": \"shop.order_late\", \"payload\": {\"order\": 7}}")
    })?;
    let fact = Fact {
        trigger: wanted.trigger,
        payload: wanted.payload,
        id: Some(id.to_owned()),
        cause: None,
        headers: kept(headers),
    };
    fact::tell(app, fact).await.map(|_ack| ())
}

/// A webhook that a rule asks for.
struct Wanted {
    url: String,
    digest: String,
    parameters: Value,
}

fn hooks(app: &App) -> Vec<Wanted> {
    let needed = app.0.definitions.current().registry.needed_triggers();
    needed
        .into_iter()
        .filter(|needed| needed.trigger == TRIGGER)
        .filter_map(|needed| {
            let url = needed.parameters.get("url")?.as_str()?.trim_matches('/').to_owned();
            Some(Wanted { url, digest: needed.digest, parameters: needed.parameters })
        })
        .collect()
}

fn view(app: &App, hook: &Wanted) -> Value {
    let definitions = app.0.definitions.current();
    let rules = definitions.registry.rules_of(TRIGGER, Some(&hook.digest));
    let rules: Vec<_> = rules.iter().map(|live| &live.rule.reference).collect();
    let sender = app.0.webhooks.get(&hook.url).map(|hook| hook.sender().word());
    json!({
        "id": hook.digest,
        "name": hook.digest,
        "pack": "core",
        "ref": format!("core.{}", hook.digest),
        "type": TRIGGER,
        "parameters": hook.parameters,
        "url": hook.url,
        "sender": sender,
        "rules": rules,
    })
}

/// Every webhook that is there.
pub(crate) async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    Json(hooks(&app).iter().map(|hook| view(&app, hook)).collect())
}

//! Notifications: what an action wants told of its end, as events for the rules that deliver it.
//!
//! An action's file (or who asks for the execution) says in `notify` whom to tell `on-complete`,
//! `on-success` and `on-failure`. For each route of a section that applies rules get one event
//! `core.st2.generic.notifytrigger`. The message and the data are templates, which see what was
//! asked for and what came of it; one that fails is told as it is written, as StackStorm does.
//!
//! Secrets are masked here as everywhere, and no template of a notification can open one: its text
//! is stored, and whoever reads the events would read it.

use hearken_engine::definition::Action;
use hearken_engine::judge::{Context, USER_DEFAULT};
use hearken_engine::parameters::{Given, Wanted};
use hearken_engine::template::Scope;
use hearken_kit::bus::Error;
use hearken_kit::{payload, seal};
use hearken_proto::{ActionRequest, Execution, Status, Subject, id};
use serde_json::{Map, Value, json};
use tracing::warn;

use crate::run::Runner;

/// The trigger by which rules hear of notifications.
const TRIGGER: &str = "core.st2.generic.notifytrigger";
/// Most routes of one section: each is an event of its own.
const ROUTES_MAX: usize = 64;
/// The longest message: one for people, and an event has to fit into the bus.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The most that the data, result included, takes; what is longer is told without being whole.
const DATA_BYTES_MAX: usize = 384 << 10;

/// A part of `notify`: which ends it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// Every end.
    Complete,
    /// A good one.
    Success,
    /// A bad one.
    Failure,
}

impl Section {
    const ALL: [Self; 3] = [Self::Complete, Self::Success, Self::Failure];

    /// Its names: the one in files, and the one in Python.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Complete => ["on-complete", "on_complete"],
            Self::Success => ["on-success", "on_success"],
            Self::Failure => ["on-failure", "on_failure"],
        }
    }

    /// How the message ends where none is given.
    const fn words(self) -> &'static str {
        match self {
            Self::Complete => "completed.",
            Self::Success => "succeeded.",
            Self::Failure => "failed.",
        }
    }

    const fn applies(self, status: Status) -> bool {
        match self {
            Self::Complete => true,
            Self::Success => matches!(status, Status::Succeeded),
            Self::Failure => {
                matches!(status, Status::Failed | Status::Timeout | Status::Abandoned)
            }
        }
    }

    /// What `notify` says of it, unless that is nothing.
    fn of(self, notify: &Value) -> Option<&Map<String, Value>> {
        let section = self.names().into_iter().find_map(|name| notify.get(name))?;
        section.as_object().filter(|section| !section.is_empty())
    }
}

impl Runner {
    /// Whether rules are to be told of this end.
    pub(crate) fn has_notices(&self, ended: &Execution) -> bool {
        let definitions = self.definitions();
        let registry = &definitions.registry;
        let action = registry.action(&ended.request.action);
        registry.hears(TRIGGER) && !sections(action.map(AsRef::as_ref), ended).is_empty()
    }

    /// Tells rules of an end as its action, or who asked for it, wants. Twice told is one event.
    pub(crate) async fn notify(&self, ended: &Execution) -> Result<(), Error> {
        if !self.has_notices(ended) {
            return Ok(());
        }
        let result = payload::inlined(&self.bus, ended.result.clone()).await;
        let result = result.unwrap_or_else(|_gone| ended.result.clone());
        let definitions = self.definitions();
        let action = definitions.registry.action(&ended.request.action);
        let context = self.datastore().context(USER_DEFAULT);
        let notices = notices(action.map(AsRef::as_ref), ended, &result, &context);
        for (place, notice) in notices.into_iter().enumerate() {
            let mut message =
                payload::message(self.bus.subject(&Subject::event(TRIGGER)), &notice)?;
            message.id = Some(format!("notifytrigger-{}-{place}", ended.request.execution));
            message.cause = Some(id::request(&ended.request.execution));
            match self.bus.publish(message).await {
                Ok(_ack) => {}
                Err(error @ Error::TooLarge { .. }) => {
                    let execution = &ended.request.execution;
                    warn!(%execution, %error, "a notification is too large to be told");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The sections that apply to this end. What the action's file says counts more than what was said
/// when the execution was asked for, as with StackStorm.
fn sections<'a>(
    action: Option<&'a Action>,
    ended: &'a Execution,
) -> Vec<(Section, &'a Map<String, Value>)> {
    let own = action.map(|action| &action.notify);
    let asked = ended.request.context.get("notify");
    let says = |notify: &&Value| Section::ALL.iter().any(|section| section.of(notify).is_some());
    let Some(notify) = [own, asked].into_iter().flatten().find(says) else { return Vec::new() };
    let applying = Section::ALL.into_iter().filter(|section| section.applies(ended.status));
    applying.filter_map(|section| Some((section, section.of(notify)?))).collect()
}

/// The payloads of the events, one for each route.
fn notices(
    action: Option<&Action>,
    ended: &Execution,
    result: &Value,
    context: &Context,
) -> Vec<Value> {
    let request = &ended.request;
    let below = Scope::viewing(context.views());
    let mut scope = Scope::closed(&below);
    scope.put_owned("action_parameters", Value::Object(seal::shown(request)));
    scope.put_owned("action_context", action_context(request));
    scope.put("action_results", result);
    let mut notices = Vec::new();
    for (section, said) in sections(action, ended) {
        let message = message(section, said, request, &scope);
        let data = data(said, ended, result, &scope);
        for route in routes(said) {
            notices.push(json!({
                "execution_id": request.execution,
                "status": ended.status,
                "start_timestamp": ended.start.unwrap_or(request.requested_at),
                "end_timestamp": ended.end,
                "action_ref": request.action,
                "runner_ref": action.map(|action| action.runner.name()),
                "channel": route,
                "route": route,
                "message": message,
                "data": data,
            }));
        }
    }
    notices
}

/// Where a section goes; its older name is `channels`.
fn routes(said: &Map<String, Value>) -> Vec<&str> {
    let list = |name: &str| said.get(name).and_then(Value::as_array).filter(|all| !all.is_empty());
    let all = list("routes").or_else(|| list("channels"));
    let texts = all.into_iter().flatten().filter_map(Value::as_str);
    texts.take(ROUTES_MAX).collect()
}

fn message(
    section: Section,
    said: &Map<String, Value>,
    request: &ActionRequest,
    scope: &Scope<'_>,
) -> Value {
    let given = said.get("message").filter(|message| message.as_str() != Some(""));
    let written = given
        .filter(|message| !message.is_null())
        .cloned()
        .unwrap_or_else(|| json!(format!("Action {} {}", request.action, section.words())));
    let rendered = Given::compile(&written).render(scope, Wanted::Text);
    match rendered {
        Ok(Value::String(text)) => Value::String(cut(text, MESSAGE_BYTES_MAX)),
        Ok(other) => other,
        Err(error) => {
            warn!(action = request.action, %error, "the message of a notification is not rendered");
            written
        }
    }
}

/// What goes along, and the result as JSON text.
fn data(said: &Map<String, Value>, ended: &Execution, result: &Value, scope: &Scope<'_>) -> Value {
    let written = said.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    let rendered: Result<Map<String, Value>, _> = written
        .iter()
        .map(|(name, value)| {
            let value = Given::compile(value).render(scope, Wanted::Text)?;
            Ok((name.clone(), value))
        })
        .collect();
    let mut data = rendered.unwrap_or_else(|error: hearken_engine::template::Error| {
        let action = &ended.request.action;
        warn!(action, %error, "the data of a notification is not rendered");
        written
    });
    data.insert("result".to_owned(), json!(result.to_string()));
    if json!(data).to_string().len() > DATA_BYTES_MAX {
        // The execution has all of it.
        data.clear();
        data.insert("result".to_owned(), json!(payload_in_short(&ended.result)));
    }
    Value::Object(data)
}

/// A result that is too long to be told: as the log has it, unless that is too long as well.
fn payload_in_short(stored: &Value) -> String {
    let text = stored.to_string();
    if text.len() <= DATA_BYTES_MAX { text } else { json!({ "bytes": text.len() }).to_string() }
}

/// Why and for whom it ran, as templates call it.
fn action_context(request: &ActionRequest) -> Value {
    let mut context = request.context.clone();
    context.remove("notify");
    let (pack, _name) = request.action.split_once('.').unwrap_or(("default", &request.action));
    context.insert("pack".to_owned(), json!(pack));
    context.insert("user".to_owned(), json!(request.user));
    if let Some(rule) = &request.rule {
        let name = rule.split_once('.').map_or(rule.as_str(), |(_pack, name)| name);
        context.insert("rule".to_owned(), json!({ "id": rule, "name": name }));
    }
    if let Some(instance) = &request.trigger_instance {
        let instance = json!({ "id": instance.id, "name": instance.trigger });
        context.insert("trigger_instance".to_owned(), instance);
    }
    Value::Object(context)
}

/// At most so many bytes of a text, whole letters.
fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests;

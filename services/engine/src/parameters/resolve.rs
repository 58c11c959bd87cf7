//! Renders, casts and checks the parameters of one request or one run, and tells which are secret.
//!
//! Not judged by the text of a template, which can spell a filter in many ways, but by what happens
//! while it is rendered.

use serde_json::{Map, Value};

use super::cast::cast;
use super::plan::Plan;
use super::{Error, schema};
use crate::definition::Action;
use crate::template::{self, Scope};

/// What templates of parameters may look at besides other parameters.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `action_context`: who asks, and why.
    pub action_context: Value,
    /// `config_context`: the configuration of the action's pack.
    pub config_context: Value,
}

/// Values that were rendered once, for a request before or for the request of a run. They are data:
/// whoever renders them again runs what an event says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// The values.
    pub values: Map<String, Value>,
    /// Names of those that must not be shown.
    pub secret: Vec<String>,
}

/// Parameters, and which of them must not be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The parameters.
    pub parameters: Map<String, Value>,
    /// Names of those that are secret: declared so, made of one that is, or rendered by a template
    /// that opened a secret of the datastore. Not all of them need be among the parameters.
    pub secret: Vec<String>,
}

/// The parameters of a request for `action`, as StackStorm would store them: what was given and
/// what defaults had to be rendered, cast and checked.
///
/// `scope` sees the datastore and whatever else the caller offers.
///
/// # Errors
/// Every variant but [`Error::Text`].
pub fn live(
    action: &Action,
    given: &Map<String, Value>,
    scope: &Scope<'_>,
    surroundings: &Surroundings,
) -> Result<Resolved, Error> {
    again(action, given, &Done::default(), scope, surroundings)
}

/// The parameters of a request for `action` that takes over what is `done`: only what is `given`
/// anew is rendered. What is given counts more.
///
/// # Errors
/// As [`live`].
pub fn again(
    action: &Action,
    given: &Map<String, Value>,
    done: &Done,
    scope: &Scope<'_>,
    surroundings: &Surroundings,
) -> Result<Resolved, Error> {
    let plan = Plan::again(action, given, done, &[])?;
    plan.live_parameters(action, scope, surroundings)
}

/// All parameters for a run of `action` whose request carries `live`. Only defaults of the action
/// are rendered.
///
/// # Errors
/// Every variant but [`Error::Text`] and [`Error::Disabled`].
pub fn finish(
    action: &Action,
    live: &Done,
    scope: &Scope<'_>,
    surroundings: &Surroundings,
) -> Result<Resolved, Error> {
    Plan::finish(action, live)?.render(scope, surroundings)
}

/// All parameters of a run that is asked for with `given` values, at once.
///
/// # Errors
/// Every variant but [`Error::Text`].
pub fn resolve(
    action: &Action,
    given: &Map<String, Value>,
    scope: &Scope<'_>,
    surroundings: &Surroundings,
) -> Result<Resolved, Error> {
    let live = live(action, given, scope, surroundings)?;
    let done = Done { values: live.parameters, secret: live.secret };
    finish(action, &done, scope, surroundings)
}

/// An error without the value of a `secret` parameter: reasons tend to quote what they are about.
fn discreet(secret: &[String], error: Error) -> Error {
    let reason = "its value, which is secret, is not what is declared".to_owned();
    if let Error::Cast { parameter, kind, .. } = &error
        && secret.contains(parameter)
    {
        return Error::Cast { parameter: parameter.clone(), kind, reason };
    }
    if let Error::Schema { parameter: Some(parameter), .. } = &error
        && secret.contains(parameter)
    {
        let reason = format!("{parameter:?}: {reason}");
        return Error::Schema { parameter: Some(parameter.clone()), reason };
    }
    error
}

/// Why a template that uses a secret has no text, without what it met.
fn untold(error: &template::Error) -> String {
    let what = match error {
        template::Error::Undefined { .. } => "something that is not there is used in it",
        template::Error::Syntax { .. } | template::Error::Render { .. } => "it fails",
    };
    format!("{what}; no more is told of a template that uses a secret")
}

/// Whether a request with these parameters is acceptable: the action is on, the schema holds,
/// nothing immutable is given.
///
/// # Errors
/// [`Error::Disabled`], [`Error::Schema`], [`Error::Immutable`].
pub(crate) fn check(action: &Action, parameters: &Map<String, Value>) -> Result<(), Error> {
    if !action.enabled {
        return Err(Error::Disabled { action: action.reference.clone() });
    }
    schema::check(&action.effective, parameters)?;
    let immutable: Vec<&str> = action
        .effective
        .iter()
        .filter(|parameter| parameter.immutable && parameters.contains_key(&parameter.name))
        .map(|parameter| parameter.name.as_str())
        .collect();
    if immutable.is_empty() {
        return Ok(());
    }
    Err(Error::Immutable { names: format!("{immutable:?}") })
}

impl Plan {
    /// Renders, casts and checks the parameters of a request.
    ///
    /// # Errors
    /// As [`live`].
    pub fn live_parameters(
        &self,
        action: &Action,
        scope: &Scope<'_>,
        surroundings: &Surroundings,
    ) -> Result<Resolved, Error> {
        let resolved = self.render(scope, surroundings)?;
        check(action, &resolved.parameters).map_err(|error| discreet(&resolved.secret, error))?;
        Ok(resolved)
    }

    /// Whether rendering looks at the surroundings at all: they need not be made otherwise.
    #[must_use]
    pub fn needs_contexts(&self) -> bool {
        self.needs_contexts
    }

    /// Renders and casts, and notes what becomes secret by it.
    pub(super) fn render(
        &self,
        below: &Scope<'_>,
        surroundings: &Surroundings,
    ) -> Result<Resolved, Error> {
        let mut scope = Scope::watching(below);
        let mut secret = self.secret.clone();
        if self.needs_contexts {
            scope.put("action_context", &surroundings.action_context);
            scope.put("config_context", &surroundings.config_context);
        }
        for (name, value) in &self.literals {
            scope.put(name.as_str(), value);
        }
        for (name, given, wanted) in &self.templates {
            let value = given.render(&scope, *wanted);
            let uses =
                scope.take_opened() || given.roots().iter().any(|root| secret.contains(root));
            let value = value.map_err(|error| Error::Render {
                parameter: name.clone(),
                reason: if uses { untold(&error) } else { error.to_string() },
            })?;
            if uses && !secret.contains(name) {
                secret.push(name.clone());
            }
            scope.put_owned(name.as_str(), value);
        }
        let mut parameters = Map::with_capacity(self.outcome.len());
        for (name, kind) in &self.outcome {
            let value = scope.value(name).cloned().unwrap_or(Value::Null);
            let value = match kind {
                Some(kind) => cast(*kind, value).map_err(|reason| {
                    let (parameter, kind) = (name.clone(), kind.word());
                    discreet(&secret, Error::Cast { parameter, kind, reason })
                })?,
                None => value,
            };
            parameters.insert(name.clone(), value);
        }
        Ok(Resolved { parameters, secret })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::template::{Datastore, KeyScope, Views};

    /// One key, and what it opens to.
    #[derive(Debug)]
    struct Keys;

    impl Datastore for Keys {
        fn value(&self, _scope: &KeyScope, key: &str) -> Option<String> {
            (key == "pw").then(|| "sealed".to_owned())
        }

        fn decrypt(&self, _value: &str) -> Result<String, String> {
            Ok("hunter2".to_owned())
        }
    }

    fn action(parameters: Value) -> Action {
        let action = json!({"name": "a", "runner_type": "noop", "parameters": parameters});
        Action::from_value("demo", &action).0.unwrap()
    }

    fn views() -> Views {
        let keys: Arc<dyn Datastore> = Arc::new(Keys);
        Views::new(&keys, None)
    }

    #[test]
    fn no_error_quotes_a_secret() {
        let action = json!({"name": "a", "runner_type": "noop", "parameters": {
            "pin": {"type": "integer", "secret": true},
            "word": {"type": "string", "secret": true, "maxLength": 3},
            "open": {"type": "integer"},
        }});
        let action = Action::from_value("demo", &action).0.unwrap();
        let refused = |given: Value| {
            let given = given.as_object().unwrap();
            let scope = Scope::new();
            live(&action, given, &scope, &Surroundings::default()).unwrap_err().to_string()
        };
        for given in [json!({"pin": "hunter2"}), json!({"word": "hunter2"})] {
            let why = refused(given);
            assert!(!why.contains("hunter2") && why.contains("which is secret"), "{why}");
        }
        assert!(refused(json!({"open": "hunter2"})).contains("hunter2"));
    }

    #[test]
    fn what_is_done_is_never_a_template_again() {
        let views = views();
        let scope = Scope::viewing(&views);
        let action = action(json!({
            "o": {"type": "object"}, "l": {"type": "array"}, "s": {"type": "string"},
            "late": {"type": "string", "default": "{{ s }}"}, "new": {"type": "string"},
        }));
        let text = "{% endraw %}{{ 6 * 7 }} {{ st2kv.system.pw | decrypt_kv }}";
        let values = json!({"o": {"x": text, text: 1}, "l": [[text]], "s": text, "new": "old"});
        let done = Done { values: values.as_object().unwrap().clone(), secret: vec!["l".into()] };
        let given = json!({"new": "{{ 1 + 1 }} {{ s }}"});
        let given = given.as_object().unwrap();
        let around = Surroundings::default();
        let live = again(&action, given, &done, &scope, &around).unwrap();
        let new = format!("2 {text}");
        let expected = json!({
            "o": {"x": text, text: 1}, "l": [[text]], "s": text, "new": new, "late": text,
        });
        assert_eq!(Value::Object(live.parameters.clone()), expected);
        assert_eq!(live.secret, ["l"]);
        let live = Done { values: live.parameters, secret: live.secret };
        let all = finish(&action, &live, &scope, &around).unwrap();
        assert_eq!(Value::Object(all.parameters), expected);
        assert_eq!(all.secret, ["l"]);
    }

    #[test]
    fn what_is_made_of_a_secret_is_one() {
        let action = action(json!({
            "password": {"type": "string", "secret": true},
            "auth": {"type": "string", "default": "{{ password | upper }}"},
            "url": {"type": "string", "default": "https://u:{{ auth | urlencode }}@h/"},
            "plain": {"type": "string", "default": "{{ user }}"},
            "user": {"type": "string"}, "list": {"type": "array"},
            "n": {"type": "integer"},
        }));
        let scope = Scope::new();
        let all = |given: Value| {
            let given = given.as_object().unwrap();
            resolve(&action, given, &scope, &Surroundings::default())
        };
        let given = json!({"password": "ab", "user": "me", "list": ["{{ url }}"]});
        let resolved = all(given).unwrap();
        assert_eq!(resolved.parameters["list"], json!(["https://u:AB@h/"]));
        let mut secret = resolved.secret;
        secret.sort();
        assert_eq!(secret, ["auth", "list", "password", "url"]);
        // Neither a value nor a template tells it when it fails.
        for template in ["{{ auth }}", "{{ auth.missing }}", "{{ {}[auth] }}"] {
            let given = json!({"password": "hunter2", "n": template});
            let why = all(given).unwrap_err().to_string();
            assert!(!why.contains("HUNTER2"), "{why}");
        }
    }

    #[test]
    fn what_opens_a_secret_is_one_however_it_is_spelt() {
        let action = action(json!({
            "a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "object"},
            "d": {"type": "string"}, "n": {"type": "integer"},
            "late": {"type": "array", "default": ["{{ a | upper }}"]},
        }));
        let views = views();
        let scope = Scope::viewing(&views);
        let odd = "{{ [st2kv.system.pw] | map('decrypt' ~ '_kv') | first | upper }}";
        let given = json!({
            "a": odd, "b": "{{ a }}", "c": {"x": [odd]}, "d": "{{ st2kv.system.pw }}",
        });
        let given = given.as_object().unwrap();
        let resolved = resolve(&action, given, &scope, &Surroundings::default()).unwrap();
        assert_eq!(resolved.parameters["late"], json!(["HUNTER2"]));
        let mut secret = resolved.secret;
        secret.sort();
        assert_eq!(secret, ["a", "b", "c", "late"]);
        let given = json!({"n": odd});
        let around = Surroundings::default();
        let why = live(&action, given.as_object().unwrap(), &scope, &around).unwrap_err();
        assert!(!why.to_string().contains("HUNTER2"), "{why}");
    }
}

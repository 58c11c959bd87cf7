//! Renders, casts and checks the parameters of one request or one run.

use serde_json::{Map, Value};

use super::cast::cast;
use super::plan::Plan;
use super::{Error, schema};
use crate::definition::Action;
use crate::template::Scope;

/// What templates of parameters may look at besides other parameters.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `action_context`: who asks, and why.
    pub action_context: Value,
    /// `config_context`: the configuration of the action's pack.
    pub config_context: Value,
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
) -> Result<Map<String, Value>, Error> {
    let plan = Plan::live(action, given, &[])?;
    plan.live_parameters(action, scope, surroundings)
}

/// All parameters for a run of `action` whose request carries `live`.
///
/// # Errors
/// Every variant but [`Error::Text`] and [`Error::Disabled`].
pub fn finish(
    action: &Action,
    live: &Map<String, Value>,
    scope: &Scope<'_>,
    surroundings: &Surroundings,
) -> Result<Map<String, Value>, Error> {
    let parameters = Plan::finish(action, live)?.render(scope, surroundings);
    parameters.map_err(|error| discreet(action, error))
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
) -> Result<Map<String, Value>, Error> {
    let live = live(action, given, scope, surroundings)?;
    finish(action, &live, scope, surroundings)
}

/// An error without the value of a secret parameter: reasons tend to quote what they are about.
fn discreet(action: &Action, error: Error) -> Error {
    let is_secret = |name: &str| action.effective.get(name).is_some_and(|found| found.secret);
    let reason = "its value, which is secret, is not what is declared".to_owned();
    if let Error::Cast { parameter, kind, .. } = &error
        && is_secret(parameter)
    {
        return Error::Cast { parameter: parameter.clone(), kind, reason };
    }
    if let Error::Schema { parameter: Some(parameter), .. } = &error
        && is_secret(parameter)
    {
        let reason = format!("{parameter:?}: {reason}");
        return Error::Schema { parameter: Some(parameter.clone()), reason };
    }
    error
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
    ) -> Result<Map<String, Value>, Error> {
        let parameters = self.render(scope, surroundings);
        let checked = parameters.and_then(|all| check(action, &all).map(|()| all));
        checked.map_err(|error| discreet(action, error))
    }

    /// Whether rendering looks at the surroundings at all: they need not be made otherwise.
    #[must_use]
    pub fn needs_contexts(&self) -> bool {
        self.needs_contexts
    }

    /// Renders and casts.
    pub(super) fn render(
        &self,
        below: &Scope<'_>,
        surroundings: &Surroundings,
    ) -> Result<Map<String, Value>, Error> {
        let mut scope = Scope::on(below);
        if self.needs_contexts {
            scope.put("action_context", &surroundings.action_context);
            scope.put("config_context", &surroundings.config_context);
        }
        for (name, value) in &self.literals {
            scope.put(name.as_str(), value);
        }
        for (name, given, wanted) in &self.templates {
            let value = given.render(&scope, *wanted).map_err(|error| Error::Render {
                parameter: name.clone(),
                reason: error.to_string(),
            })?;
            scope.put_owned(name.as_str(), value);
        }
        let mut parameters = Map::with_capacity(self.outcome.len());
        for (name, kind) in &self.outcome {
            let value = scope.value(name).cloned().unwrap_or(Value::Null);
            let value = match kind {
                Some(kind) => cast(*kind, value).map_err(|reason| Error::Cast {
                    parameter: name.clone(),
                    kind: kind.word(),
                    reason,
                })?,
                None => value,
            };
            parameters.insert(name.clone(), value);
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}

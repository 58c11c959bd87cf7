//! What depends on what: parameters may refer to each other, and to names of the surroundings.
//!
//! Which values are templates and what they need is known before any event, so the order is worked
//! out once per rule, together with everything that can never work, and with what is secret because
//! it is made of something secret.

use serde_json::{Map, Value};

use super::Error;
use super::given::{Given, Wanted};
use super::resolve::Done;
use crate::definition::{Action, Parameter, ParameterKind};
use crate::template::looks_like_template;

/// Names that the surroundings always offer. `system` is an old one, kept for old rules.
const SURROUNDINGS: &[&str] = &["st2kv", "system", "action_context", "config_context"];

/// A value of each parameter, in an order in which they can be rendered.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Values that are what they are.
    pub(super) literals: Vec<(String, Value)>,
    /// Templates, each after those it needs, with what they are going to be.
    pub(super) templates: Vec<(String, Given, Wanted)>,
    /// Names that belong in the outcome, with the type each is cast to.
    pub(super) outcome: Vec<(String, Option<ParameterKind>)>,
    /// Names of what must not be shown: what is declared secret, and what is made of it.
    pub(super) secret: Vec<String>,
    /// Whether a template looks at `action_context` or `config_context`.
    pub(super) needs_contexts: bool,
}

/// One parameter while the plan is made.
struct Node {
    name: String,
    /// A template wins over a value, as in StackStorm.
    template: Option<Given>,
    value: Option<Value>,
}

#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    /// (what is needed, by whom)
    edges: Vec<(String, String)>,
}

impl Graph {
    fn node(&mut self, name: &str) -> &mut Node {
        let place = self.nodes.iter().position(|node| node.name == name);
        let place = place.unwrap_or_else(|| {
            self.nodes.push(Node { name: name.to_owned(), template: None, value: None });
            self.nodes.len() - 1
        });
        self.nodes.get_mut(place).expect("the place was just found or made")
    }

    fn add(&mut self, name: &str, given: Given) {
        for root in given.roots() {
            self.edges.push((root.clone(), name.to_owned()));
        }
        match given {
            Given::Literal(value) => self.node(name).value = Some(value),
            template @ (Given::Text(_) | Given::Structure { .. }) => {
                self.node(name).template = Some(template);
            }
        }
    }

    fn has_value(&self, name: &str) -> bool {
        let node = self.nodes.iter().find(|node| node.name == name);
        node.and_then(|node| node.value.as_ref()).is_some_and(|value| !value.is_null())
    }

    /// Defaults of `parameters` where nothing else is given, or nothing else may be.
    fn add_defaults<'p>(&mut self, parameters: impl Iterator<Item = &'p Parameter>) {
        for parameter in parameters {
            if parameter.immutable || !self.has_value(&parameter.name) {
                let default = parameter.default.as_ref().unwrap_or(&Value::Null);
                self.add(&parameter.name, Given::compile(default));
            }
        }
    }
}

impl Plan {
    /// The plan of a request: `given` values, and defaults that are templates.
    ///
    /// `offered` are names beyond the usual surroundings, such as `trigger`.
    ///
    /// # Errors
    /// [`Error::Unsatisfied`] and [`Error::Cycle`].
    pub fn live(
        action: &Action,
        given: &Map<String, Value>,
        offered: &[&str],
    ) -> Result<Self, Error> {
        Self::again(action, given, &Done::default(), offered)
    }

    /// The same of a request that takes over values which were rendered already: they are data,
    /// whatever they look like.
    ///
    /// # Errors
    /// As [`Plan::live`].
    pub(super) fn again(
        action: &Action,
        given: &Map<String, Value>,
        done: &Done,
        offered: &[&str],
    ) -> Result<Self, Error> {
        let mut graph = Graph::default();
        // What is given anew counts.
        let kept = done.values.iter().filter(|(name, _)| !given.contains_key(*name));
        for (name, value) in kept.clone() {
            graph.add(name, Given::Literal(value.clone()));
        }
        for (name, value) in given {
            graph.add(name, Given::compile(value));
        }
        graph.add_defaults(action.parameters.iter());
        graph.add_defaults(action.runner.parameters().iter());
        let mut outcome: Vec<String> =
            given.keys().chain(kept.map(|(name, _)| name)).cloned().collect();
        for parameter in action.effective.iter() {
            let template = parameter
                .default
                .as_ref()
                .and_then(Value::as_str)
                .is_some_and(|text| looks_like_template(text) && is_readable(text));
            if template && !parameter.immutable && !outcome.contains(&parameter.name) {
                outcome.push(parameter.name.clone());
            }
        }
        let secret = secret(action, done, &graph.edges);
        Self::order(action, graph, outcome, offered).map(|plan| Self { secret, ..plan })
    }

    /// The plan of a run: the values of its request as they are, and every default.
    ///
    /// # Errors
    /// [`Error::Unsatisfied`] and [`Error::Cycle`].
    pub fn finish(action: &Action, done: &Done) -> Result<Self, Error> {
        let mut graph = Graph::default();
        for (name, value) in &done.values {
            graph.add(name, Given::Literal(value.clone()));
        }
        graph.add_defaults(action.parameters.iter());
        graph.add_defaults(action.runner.parameters().iter());
        let outcome = action.effective.iter().map(|parameter| parameter.name.clone()).collect();
        let secret = secret(action, done, &graph.edges);
        Self::order(action, graph, outcome, &[]).map(|plan| Self { secret, ..plan })
    }

    fn order(
        action: &Action,
        graph: Graph,
        outcome: Vec<String>,
        offered: &[&str],
    ) -> Result<Self, Error> {
        let Graph { nodes, edges } = graph;
        for (root, _) in &edges {
            let known = nodes.iter().any(|node| node.name == *root)
                || SURROUNDINGS.contains(&root.as_str())
                || offered.contains(&root.as_str());
            if !known {
                return Err(Error::Unsatisfied { name: root.clone() });
            }
        }
        let needs_contexts =
            edges.iter().any(|(root, _)| root == "action_context" || root == "config_context");
        let outcome =
            outcome.into_iter().map(|name| (kind(action, &name), name)).map(|(k, n)| (n, k));
        let mut plan = Self {
            literals: Vec::new(),
            templates: Vec::new(),
            outcome: outcome.collect(),
            secret: Vec::new(),
            needs_contexts,
        };
        let mut waiting = Vec::new();
        for node in nodes {
            match (node.template, node.value) {
                (Some(template), _) => waiting.push((node.name, template)),
                (None, value) => plan.literals.push((node.name, value.unwrap_or(Value::Null))),
            }
        }
        // Each round places what waits for nobody; a round without progress is a circle.
        while !waiting.is_empty() {
            let names: Vec<String> = waiting.iter().map(|(name, _)| name.clone()).collect();
            let waits = |name: &String| {
                edges.iter().any(|(root, user)| user == name && names.contains(root))
            };
            let (later, ready): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(name, _)| waits(name));
            if ready.is_empty() {
                let mut names: Vec<String> = later.into_iter().map(|(name, _)| name).collect();
                names.sort();
                return Err(Error::Cycle { names: names.join(", ") });
            }
            plan.templates.extend(ready.into_iter().map(|(name, given)| {
                let wanted = wanted(action, &name);
                (name, given, wanted)
            }));
            waiting = later;
        }
        Ok(plan)
    }
}

/// What is declared secret or known to be, and what depends on it, directly or through others.
fn secret(action: &Action, done: &Done, edges: &[(String, String)]) -> Vec<String> {
    let mut secret: Vec<String> =
        action.secret_parameters().into_iter().map(str::to_owned).collect();
    let known = done.secret.iter().filter(|name| !secret.contains(name));
    let known: Vec<String> = known.cloned().collect();
    secret.extend(known);
    // Each round adds a name at least.
    while let Some((_, user)) =
        edges.iter().find(|(root, user)| secret.contains(root) && !secret.contains(user))
    {
        secret.push(user.clone());
    }
    secret
}

/// The type a parameter is cast to: the runner's word counts more than the action's, where it has
/// one. (The headers of http-request may be an object or a text.)
fn kind(action: &Action, name: &str) -> Option<ParameterKind> {
    let runners = action.runner.parameters().get(name).and_then(|parameter| parameter.kind);
    runners.or_else(|| action.parameters.get(name)?.kind)
}

fn wanted(action: &Action, name: &str) -> Wanted {
    match kind(action, name) {
        Some(ParameterKind::Array | ParameterKind::Object) => Wanted::Structure,
        Some(
            ParameterKind::Boolean
            | ParameterKind::Integer
            | ParameterKind::Null
            | ParameterKind::Number
            | ParameterKind::String,
        )
        | None => Wanted::Text,
    }
}

/// A text that only looks like a template is its own value, so nothing is to be rendered.
fn is_readable(text: &str) -> bool {
    Given::compile(&Value::String(text.to_owned())).is_template()
}

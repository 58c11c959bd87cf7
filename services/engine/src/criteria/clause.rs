//! Clauses: single criteria, and trees of them under `any`, `all` and `not`.
//!
//! A mapping of criteria means that all of its entries hold, in file order and up to the first that
//! does not. Under the keys `any`, `all` and `not` (with a `#` suffix where one is needed twice)
//! stand further mappings, which is how a rule says "or" and "not". A mapping with a `type` is an
//! ordinary criterion whatever its key.
//!
//! An error inside `any` counts only if no branch holds, as the branches are alternatives; anywhere
//! else it is the error of the whole. Reading is bounded in depth and in number, so evaluating is.

use serde_json::{Map, Value};

use super::criterion::{Criterion, Input};
use crate::definition::problem::{Problem, pointer_token};

/// How deep trees may nest: more than anybody can read.
const DEPTH_MAX: usize = 8;
/// How many criteria and trees one mapping may hold in all, so that one event stays cheap.
const NODES_MAX: usize = 1_000;

/// One entry of a mapping of criteria.
#[derive(Clone, Debug)]
pub enum Clause {
    /// An ordinary criterion.
    One(Box<Leaf>),
    /// Criteria put together.
    Tree(Tree),
}

/// A criterion in its place.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The keys that lead to it, as `any[0] trigger.name`.
    pub path: String,
    /// The criterion.
    pub criterion: Criterion,
}

/// Mappings of criteria, and what is asked of them together.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The keys that lead to it, as `any[0] not`.
    pub path: String,
    /// What is asked.
    pub junction: Junction,
    /// The mappings; all entries of one must hold for it to hold.
    pub branches: Vec<Vec<Clause>>,
}

/// What is asked of branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junction {
    /// At least one holds.
    Any,
    /// Every one holds.
    All,
    /// The only one does not hold.
    Not,
}

impl Junction {
    /// The key it is written as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::Not => "not",
        }
    }

    /// What the key asks for, unless its value is an ordinary criterion.
    fn of(key: &str, value: &Value) -> Option<Self> {
        if value.get("type").is_some() {
            return None;
        }
        let word = key.split('#').next().unwrap_or_default();
        [Self::Any, Self::All, Self::Not].into_iter().find(|junction| junction.word() == word)
    }
}

impl Clause {
    /// Reads a mapping of criteria that stands at `base` in its file.
    ///
    /// There is a clause for every entry that can be read at all; with a fatal problem the whole is
    /// only good for a trial.
    #[must_use]
    pub fn read(map: &Map<String, Value>, base: &str) -> (Vec<Self>, Vec<Problem>) {
        let mut reading = Reading { nodes: 0, problems: Vec::new() };
        let clauses = reading.mapping(map, base, "", 0);
        if reading.nodes > NODES_MAX {
            let message = format!("there are more than {NODES_MAX} criteria");
            reading.problems.push(
                Problem::fatal(base, message).hint("split the rule, or use the operator inside"),
            );
        }
        (clauses, reading.problems)
    }

    /// Makes its criteria compare everything as text, as StackStorm did in 2014.
    pub fn compare_as_text(&mut self) {
        match self {
            Self::One(leaf) => leaf.criterion.compare_as_text(),
            Self::Tree(tree) => {
                tree.branches.iter_mut().flatten().for_each(Self::compare_as_text);
            }
        }
    }

    /// Whether evaluating it can never be an error.
    #[must_use]
    pub fn is_infallible(&self) -> bool {
        match self {
            Self::One(leaf) => leaf.criterion.is_infallible(),
            Self::Tree(tree) => tree.branches.iter().flatten().all(Self::is_infallible),
        }
    }

    /// Whether the event meets it.
    ///
    /// # Errors
    /// The criterion that could not be decided, with what Python would raise.
    pub fn evaluate(&self, input: &Input<'_>) -> Result<bool, String> {
        match self {
            Self::One(leaf) => leaf
                .criterion
                .evaluate(input, None)
                .map_err(|reason| format!("criterion {:?}: {reason}", leaf.path)),
            Self::Tree(tree) => tree.evaluate(input),
        }
    }

    /// Whether the event meets all of `clauses`, looked at in order up to the first it does not.
    ///
    /// # Errors
    /// As [`Clause::evaluate`].
    pub fn all_hold(clauses: &[Self], input: &Input<'_>) -> Result<bool, String> {
        for clause in clauses {
            if !clause.evaluate(input)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Tree {
    fn evaluate(&self, input: &Input<'_>) -> Result<bool, String> {
        let mut verdicts = self.branches.iter().map(|branch| Clause::all_hold(branch, input));
        match self.junction {
            Junction::All => {
                for verdict in verdicts {
                    if !verdict? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Junction::Not => verdicts.next().unwrap_or(Ok(true)).map(|holds| !holds),
            Junction::Any => {
                let mut error = None;
                for verdict in verdicts {
                    match verdict {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(reason) => error = error.or(Some(reason)),
                    }
                }
                error.map_or(Ok(false), Err)
            }
        }
    }
}

/// A mapping of criteria while it is read.
struct Reading {
    nodes: usize,
    problems: Vec<Problem>,
}

impl Reading {
    /// `at` is the pointer to the mapping, `path` the keys that lead to it, `depth` how many trees
    /// are around it.
    fn mapping(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        path: &str,
        depth: usize,
    ) -> Vec<Clause> {
        let mut clauses = Vec::new();
        for (key, value) in map {
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                break;
            }
            let below = if path.is_empty() { key.clone() } else { format!("{path} {key}") };
            clauses.push(match Junction::of(key, value) {
                None => self.leaf(key, value, at, below),
                Some(junction) => {
                    let at = format!("{at}/{}", pointer_token(key));
                    Clause::Tree(self.tree(junction, value, &at, below, depth + 1))
                }
            });
        }
        clauses
    }

    fn leaf(&mut self, key: &str, value: &Value, at: &str, path: String) -> Clause {
        let (criterion, problems) = Criterion::from_value(key, value, at);
        self.problems.extend(problems);
        Clause::One(Box::new(Leaf { path, criterion }))
    }

    fn tree(
        &mut self,
        junction: Junction,
        value: &Value,
        at: &str,
        path: String,
        depth: usize,
    ) -> Tree {
        let mut branches = Vec::new();
        if depth > DEPTH_MAX {
            let message = format!("any, all and not nest deeper than {DEPTH_MAX}");
            self.problems.push(Problem::fatal(at, message).hint("split the rule"));
            return Tree { path, junction, branches };
        }
        match (junction, value) {
            (Junction::Not, Value::Object(map)) => {
                self.not_empty(map.is_empty(), junction, at);
                branches.push(self.mapping(map, at, &path, depth));
            }
            (Junction::Any | Junction::All, Value::Object(map)) => {
                self.not_empty(map.is_empty(), junction, at);
                // Each entry is a branch of its own.
                for (index, (key, value)) in map.iter().enumerate() {
                    let entry = Map::from_iter([(key.clone(), value.clone())]);
                    branches.push(self.mapping(&entry, at, &format!("{path}[{index}]"), depth));
                }
            }
            (Junction::Any | Junction::All, Value::Array(items)) => {
                self.not_empty(items.is_empty(), junction, at);
                for (index, item) in items.iter().enumerate() {
                    let at = format!("{at}/{index}");
                    branches.extend(self.branch(item, &at, &format!("{path}[{index}]"), depth));
                }
            }
            (Junction::Not, _) => {
                self.problems.push(
                    Problem::fatal(at, "not needs one mapping of criteria")
                        .hint("write not: {trigger.name: {type: equals, pattern: …}}"),
                );
            }
            (Junction::Any | Junction::All, _) => {
                let word = junction.word();
                self.problems.push(
                    Problem::fatal(at, format!("{word} needs a list of mappings of criteria"))
                        .hint(format!(
                            "write {word}: [{{trigger.name: {{type: equals, pattern: …}}}}, …]"
                        )),
                );
            }
        }
        Tree { path, junction, branches }
    }

    /// One item of a list.
    fn branch(&mut self, item: &Value, at: &str, path: &str, depth: usize) -> Option<Vec<Clause>> {
        match item.as_object() {
            Some(map) if !map.is_empty() => Some(self.mapping(map, at, path, depth)),
            Some(_) | None => {
                self.problems.push(
                    Problem::fatal(at, "a mapping of criteria is needed here")
                        .hint("write {trigger.name: {type: equals, pattern: …}}"),
                );
                None
            }
        }
    }

    /// Nothing to ask is an oversight: it would hold always or never.
    fn not_empty(&mut self, empty: bool, junction: Junction, at: &str) {
        if empty {
            let message = format!("{} holds no criteria", junction.word());
            self.problems.push(Problem::fatal(at, message).hint("remove it"));
        }
    }
}

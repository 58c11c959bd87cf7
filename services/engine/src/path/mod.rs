//! JSONPath in the dialect of `jsonpath_rw`: how a criterion names a value of the event.
//!
//! Almost every path is a chain of plain names (`trigger.body.status`): those are kept as a list of
//! names and walked without allocating. The rest of the dialect (`[0]`, `[*]`, slices, `..`, `|`,
//! `where`, `` `parent` ``) goes through the general finder, which fails where Python raises.

mod find;
mod parse;

use serde_json::Value;

use find::{Datum, Item};

/// Why a path cannot be used, or not on this value; the text says what Python would complain of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no path.
    #[error("{path:?} is no JSONPath: {reason}")]
    Syntax {
        /// The text.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A step does not apply to the value it met.
    #[error("path {path:?} cannot be followed: {reason}")]
    Step {
        /// The text.
        path: String,
        /// What the step met.
        reason: String,
    },
}

/// A path, read once and followed often.
#[derive(Clone, Debug)]
pub struct Path {
    source: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Names joined by dots, the first naming an entry of the root.
    Plain(Vec<String>),
    General(find::Node),
}

/// What a path starts from: named values, and the names that are views of the datastore.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a> {
    /// Named values, such as `trigger` or `item`.
    pub values: &'a [(&'a str, &'a Value)],
    /// Names that stand for the datastore: everything below them "exists".
    pub lookups: &'a [&'a str],
}

/// The first value that a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// Nothing is there.
    Missing,
    /// A value of the event.
    Value(&'a Value),
    /// A value that is not in the event as such: a letter of a text, the root itself.
    Made(Value),
    /// A view of the datastore, named by its key; it is never null and equals nothing.
    Lookup(String),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`Error::Syntax`] when the text is no path of this dialect.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let node = parse::parse(source)
            .map_err(|reason| Error::Syntax { path: source.to_owned(), reason })?;
        let kind = match node.names() {
            Some(names) => Kind::Plain(names),
            None => Kind::General(node),
        };
        Ok(Self { source: source.to_owned(), kind })
    }

    /// The text it was read from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names of a path that has nothing but names; such a path never fails.
    #[must_use]
    pub fn names(&self) -> Option<&[String]> {
        match &self.kind {
            Kind::Plain(names) => Some(names),
            Kind::General(_) => None,
        }
    }

    /// The first value that this path leads to from `root`.
    ///
    /// # Errors
    /// [`Error::Step`] when a step does not apply, as `[0]` to a number.
    pub fn first<'a>(&self, root: &Root<'a>) -> Result<Found<'a>, Error> {
        match &self.kind {
            Kind::Plain(names) => Ok(follow(names, root)),
            Kind::General(node) => {
                let data = self.find(node, Item::Root(*root))?;
                Ok(data.into_iter().next().map_or(Found::Missing, |datum| found(&datum)))
            }
        }
    }

    /// Every value that this path leads to within `value`, in order.
    ///
    /// # Errors
    /// [`Error::Step`] when a step does not apply.
    pub fn all(&self, value: &Value) -> Result<Vec<Value>, Error> {
        let node = match &self.kind {
            Kind::General(node) => node,
            Kind::Plain(names) => {
                let mut at = value;
                for name in names {
                    match at.as_object().and_then(|map| map.get(name)) {
                        Some(next) => at = next,
                        None => return Ok(Vec::new()),
                    }
                }
                return Ok(vec![at.clone()]);
            }
        };
        let data = self.find(node, Item::Value(value))?;
        Ok(data.iter().map(|datum| datum.item.to_value()).collect())
    }

    fn find<'a>(
        &self,
        node: &find::Node,
        item: Item<'a>,
    ) -> Result<Vec<std::rc::Rc<Datum<'a>>>, Error> {
        find::find(node, item).map_err(|reason| Error::Step { path: self.source.clone(), reason })
    }
}

fn follow<'a>(names: &[String], root: &Root<'a>) -> Found<'a> {
    let Some((first, rest)) = names.split_first() else {
        return Found::Missing;
    };
    if let Some((_, value)) = root.values.iter().find(|(name, _)| name == first) {
        let mut at = *value;
        for name in rest {
            match at.as_object().and_then(|map| map.get(name)) {
                Some(next) => at = next,
                None => return Found::Missing,
            }
        }
        return Found::Value(at);
    }
    if root.lookups.contains(&first.as_str()) {
        return Found::Lookup(rest.join("."));
    }
    Found::Missing
}

fn found<'a>(datum: &Datum<'a>) -> Found<'a> {
    match &datum.item {
        Item::Value(value) => Found::Value(value),
        Item::Made(value) => Found::Made(value.clone()),
        Item::Lookup(key) => Found::Lookup(key.clone()),
        Item::Root(_) => Found::Made(datum.item.to_value()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(path: &str) -> Option<Value> {
        let payload = json!({
            "s": "abc", "n": 5, "z": null, "f": 1.5, "m": {"k": 1, "l": 2}, "l": [1, 2, 3],
            "e": [], "X-H": "h", "1": "one", "deep": {"a": {"x": 1}, "b": [{"x": 2}]}, "t": "T",
        });
        let values = [("trigger", &payload)];
        let root = Root { values: &values, lookups: &["system"] };
        let found = Path::parse(path).and_then(|path| path.first(&root));
        found.ok().map(|found| match found {
            Found::Missing => json!("(missing)"),
            Found::Value(value) => value.clone(),
            Found::Made(value) => value,
            Found::Lookup(key) => json!({"(lookup)": key}),
        })
    }

    /// The rows of correction 8, and what jsonpath_rw 1.4 says of the rest.
    #[test]
    fn paths_are_followed_as_jsonpath_rw_follows_them() {
        let missing = || Some(json!("(missing)"));
        let rows = [
            ("trigger.n", Some(json!(5))),
            ("trigger.none", missing()),
            ("trigger.s.x", missing()),
            ("n", missing()),
            ("trigger.s[0]", Some(json!("a"))),
            ("trigger.s[-1]", Some(json!("c"))),
            ("trigger.z[0]", None),
            ("trigger.n[0]", None),
            ("trigger.m[0]", None),
            ("trigger.m[2]", missing()),
            ("trigger.l[5]", missing()),
            ("trigger.l[-1]", Some(json!(3))),
            ("trigger.e[-1]", None),
            ("trigger.m[*]", Some(json!({"k": 1, "l": 2}))),
            ("trigger.s[*]", Some(json!("abc"))),
            ("trigger.n[*]", Some(json!(5))),
            ("trigger.z[*]", None),
            ("trigger.f[*]", None),
            ("trigger.none[*]", missing()),
            ("trigger.l[*]", Some(json!(1))),
            ("trigger.l[-2:]", Some(json!(2))),
            ("trigger.l[:-1]", Some(json!(1))),
            ("trigger.l[::-1]", None),
            ("trigger.l[0,1]", None),
            ("trigger.l[?(@.x)]", None),
            ("..c", None),
            ("trigger.1", None),
            ("trigger.with space", None),
            ("trigger.日本", None),
            ("", None),
            ("trigger['1']", Some(json!("one"))),
            ("trigger.'X-H'", Some(json!("h"))),
            ("trigger.X-H", Some(json!("h"))),
            ("trigger[\"X-H\"]", Some(json!("h"))),
            ("trigger[n]", Some(json!(5))),
            ("trigger.missing,n", Some(json!(5))),
            ("trigger.m.`parent`.n", Some(json!(5))),
            ("trigger.`this`.n", Some(json!(5))),
            ("`parent`", None),
            ("`other`", None),
            ("$.trigger.n", Some(json!(5))),
            ("$..x", Some(json!(1))),
            ("trigger..x", Some(json!(1))),
            ("trigger.deep.b..x", Some(json!(2))),
            ("trigger.m.*", Some(json!(1))),
            ("trigger.l.*", missing()),
            ("trigger.(none|n)", Some(json!(5))),
            ("trigger.none|trigger.n", missing()),
            ("trigger.s & n", None),
            ("trigger.m where k", Some(json!({"k": 1, "l": 2}))),
            ("trigger.m where none", missing()),
            ("system.a.b", Some(json!({"(lookup)": "a.b"}))),
            ("system.*", None),
            ("trigger.n.", None),
            ("trigger.'X-H", None),
        ];
        let mut wrong = Vec::new();
        for (path, expected) in rows {
            let actual = first(path);
            if actual != expected {
                wrong.push(format!("{path}: {actual:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_query_gives_every_match() {
        let value = json!({"l": [{"x": 1}, {"x": 2}]});
        let all = |path: &str| Path::parse(path).and_then(|path| path.all(&value));
        assert_eq!(all("l[*].x"), Ok(vec![json!(1), json!(2)]));
        assert_eq!(all("l"), Ok(vec![json!([{"x": 1}, {"x": 2}])]));
        assert_eq!(all("none"), Ok(vec![]));
    }
}

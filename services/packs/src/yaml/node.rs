//! The tree between the parsers and the value: places kept, aliases shared, merges not yet done.
//!
//! YAML and JSON files meet here, so that duplicate keys, merge keys, limits and lines are handled
//! once. Aliases share their node; the copy happens in [`document`], against a budget, which is
//! what stops a file of a few lines from growing into gigabytes.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::scalar::Scalar;
use super::{Document, Notice, Place, SyntaxError};

/// The deepest nesting of lists and mappings; real packs stay below ten, and everything that walks
/// a value afterwards may recurse.
pub const DEPTH_MAX: usize = 64;

/// Values in one document with aliases expanded; the largest known metadata file has 3,000.
pub const VALUES_MAX: usize = 200_000;

/// Bytes of texts, keys and pointers in one document with aliases expanded.
pub const EXPANDED_BYTES_MAX: usize = 16 << 20;

/// Notices per document; a file that deserves more is not read more carefully for it.
const NOTICES_MAX: usize = 50;

/// One value with the place where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it starts.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) content: Content,
    /// Levels of containers, this one included: 0 for a scalar.
    height: usize,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Content {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// A mapping, in the order of the file, duplicates included.
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Node {
    /// A scalar at `place`.
    pub(crate) fn scalar(place: Place, scalar: Scalar) -> Rc<Self> {
        Rc::new(Self { place, content: Content::Scalar(scalar), height: 0 })
    }

    /// A list; an error when it makes the tree too deep, aliases counted.
    pub(crate) fn sequence(place: Place, items: Vec<Rc<Self>>) -> Result<Rc<Self>, SyntaxError> {
        let height = 1 + items.iter().map(|item| item.height).max().unwrap_or(0);
        Self::container(place, Content::Sequence(items), height)
    }

    /// A mapping; an error when it makes the tree too deep, aliases counted.
    pub(crate) fn mapping(
        place: Place,
        pairs: Vec<(Rc<Self>, Rc<Self>)>,
    ) -> Result<Rc<Self>, SyntaxError> {
        let height = 1 + pairs.iter().map(|(_, value)| value.height).max().unwrap_or(0);
        Self::container(place, Content::Mapping(pairs), height)
    }

    fn container(place: Place, content: Content, height: usize) -> Result<Rc<Self>, SyntaxError> {
        if height > DEPTH_MAX {
            return Err(too_deep(place));
        }
        Ok(Rc::new(Self { place, content, height }))
    }
}

/// The error for a tree deeper than [`DEPTH_MAX`].
pub(crate) fn too_deep(place: Place) -> SyntaxError {
    SyntaxError::at(place, format!("nested deeper than {DEPTH_MAX} levels"))
}

/// Turns a tree into the value it stands for.
pub(crate) fn document(root: &Rc<Node>) -> Result<Document, SyntaxError> {
    let mut builder = Builder {
        values_left: VALUES_MAX,
        bytes_left: EXPANDED_BYTES_MAX,
        lines: BTreeMap::new(),
        notices: Vec::new(),
    };
    builder.lines.insert(String::new(), root.place);
    let mut pointer = String::new();
    let value = builder.value(root, &mut pointer)?;
    Ok(Document { value, lines: builder.lines, notices: builder.notices })
}

/// The work in progress of [`document`].
struct Builder {
    /// How many more values there may be.
    values_left: usize,
    /// How many more bytes of text there may be.
    bytes_left: usize,
    /// Where each value stands.
    lines: BTreeMap<String, Place>,
    /// What the author should know.
    notices: Vec<Notice>,
}

impl Builder {
    fn value(&mut self, node: &Rc<Node>, pointer: &mut String) -> Result<Value, SyntaxError> {
        self.spend(node.place, 0)?;
        match &node.content {
            Content::Scalar(scalar) => self.scalar(scalar, node.place),
            Content::Sequence(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let length = pointer.len();
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                    self.place(pointer, item.place)?;
                    list.push(self.value(item, pointer)?);
                    pointer.truncate(length);
                }
                Ok(Value::Array(list))
            }
            Content::Mapping(pairs) => self.mapping(node.place, pairs, pointer),
        }
    }

    fn scalar(&mut self, scalar: &Scalar, place: Place) -> Result<Value, SyntaxError> {
        Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(*value),
            Scalar::Int(value) => Value::from(*value),
            Scalar::Unsigned(value) => Value::from(*value),
            Scalar::Float(value) => Value::from(*value),
            Scalar::Text(text) => {
                self.spend(place, text.len())?;
                Value::String(text.clone())
            }
            Scalar::Beyond(text) => {
                self.spend(place, text.len())?;
                self.notice(place, format!("{text} does not fit into JSON: it is kept as text"));
                Value::String(text.clone())
            }
            Scalar::Merge => Value::String("<<".to_owned()),
        })
    }

    fn mapping(
        &mut self,
        place: Place,
        pairs: &[(Rc<Node>, Rc<Node>)],
        pointer: &mut String,
    ) -> Result<Value, SyntaxError> {
        let (merged, own) = self.flatten(place, pairs)?;
        let mut map = Map::new();
        let mut seen = HashSet::new();
        // A pair of the mapping itself stands where the author looks, so its key is the place.
        for (index, (key_node, value_node)) in merged.iter().chain(&own).enumerate() {
            let key = self.key(key_node)?;
            let is_own = index >= merged.len();
            if is_own && !seen.insert(key.clone()) {
                self.notice(
                    key_node.place,
                    format!("key {key:?} is given twice: the last one counts"),
                );
            }
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            self.place(pointer, key_node.place)?;
            let value = self.value(value_node, pointer)?;
            pointer.truncate(length);
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    /// Splits a mapping into what it merges in and what is its own, as PyYAML orders them: later
    /// pairs win, and among merged mappings the first one named wins.
    fn flatten(
        &mut self,
        place: Place,
        pairs: &[Pair],
    ) -> Result<(Vec<Pair>, Vec<Pair>), SyntaxError> {
        let mut merged = Vec::new();
        let mut own = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            if !matches!(key.content, Content::Scalar(Scalar::Merge)) {
                own.push((Rc::clone(key), Rc::clone(value)));
                continue;
            }
            match &value.content {
                Content::Mapping(inner) => merged.extend(self.merged(value.place, inner)?),
                Content::Sequence(items) => {
                    for item in items.iter().rev() {
                        let Content::Mapping(inner) = &item.content else {
                            return Err(not_mergeable(item.place));
                        };
                        merged.extend(self.merged(item.place, inner)?);
                    }
                }
                Content::Scalar(_) => return Err(not_mergeable(value.place)),
            }
        }
        // What a merge copies is spent at once: a chain of merges doubles like a chain of aliases.
        for _ in &merged {
            self.spend(place, 0)?;
        }
        Ok((merged, own))
    }

    fn merged(&mut self, place: Place, pairs: &[Pair]) -> Result<Vec<Pair>, SyntaxError> {
        let (mut merged, own) = self.flatten(place, pairs)?;
        merged.extend(own);
        Ok(merged)
    }

    /// The text of a key: JSON's text for what is no text.
    fn key(&mut self, node: &Rc<Node>) -> Result<String, SyntaxError> {
        let Content::Scalar(scalar) = &node.content else {
            return Err(SyntaxError::at(node.place, "a list or mapping cannot be a key")
                .hint("a text that starts with { or [ needs quotes, as in \"{{ name }}\""));
        };
        let Scalar::Bool(value) = scalar else {
            let value = self.scalar(scalar, node.place)?;
            return Ok(match value {
                Value::String(text) => text,
                Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => String::new(),
            });
        };
        self.notice(
            node.place,
            format!("this key is read as {value} (YAML 1.1): quote it when a word is meant"),
        );
        Ok(value.to_string())
    }

    fn place(&mut self, pointer: &str, place: Place) -> Result<(), SyntaxError> {
        self.spend_bytes(place, pointer.len())?;
        self.lines.insert(pointer.to_owned(), place);
        Ok(())
    }

    fn spend(&mut self, place: Place, bytes: usize) -> Result<(), SyntaxError> {
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| {
            SyntaxError::at(place, format!("more than {VALUES_MAX} values, aliases expanded"))
        })?;
        self.spend_bytes(place, bytes)
    }

    fn spend_bytes(&mut self, place: Place, bytes: usize) -> Result<(), SyntaxError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
            let limit = EXPANDED_BYTES_MAX >> 20;
            SyntaxError::at(place, format!("more than {limit} MiB of text, aliases expanded"))
        })?;
        Ok(())
    }

    fn notice(&mut self, place: Place, message: String) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(Notice { place, message });
        }
    }
}

/// A key and its value.
type Pair = (Rc<Node>, Rc<Node>);

fn not_mergeable(place: Place) -> SyntaxError {
    SyntaxError::at(place, "<< merges a mapping or a list of mappings, and this is neither")
}

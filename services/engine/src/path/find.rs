//! Follows a general path: every value it leads to, in the order of `jsonpath_rw`.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::Root;

/// Most values one path may visit: `..` in a large payload would otherwise take for ever.
const VISITS_MAX: usize = 100_000;

/// One step of a path, or several joined.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Root,
    This,
    Parent,
    /// `*`: every value of a map.
    Every,
    Fields(Vec<String>),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    Child(Box<Node>, Box<Node>),
    Descendants(Box<Node>, Box<Node>),
    Where(Box<Node>, Box<Node>),
    Union(Box<Node>, Box<Node>),
    /// `&`, which jsonpath_rw reads but never implemented.
    Intersect,
}

impl Node {
    /// The names, when there is nothing else.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Fields(names) if names.len() == 1 && names.iter().all(|name| name != "*") => {
                Some(names.clone())
            }
            Self::Child(left, right) => {
                let mut names = left.names()?;
                names.extend(right.names()?);
                Some(names)
            }
            Self::Root
            | Self::This
            | Self::Parent
            | Self::Every
            | Self::Fields(_)
            | Self::Index(_)
            | Self::Slice(..)
            | Self::Descendants(..)
            | Self::Where(..)
            | Self::Union(..)
            | Self::Intersect => None,
        }
    }
}

/// What stands at a place of the walk.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    Value(&'a Value),
    Made(Value),
    Lookup(String),
    Root(Root<'a>),
}

/// An item and what it was found in.
#[derive(Debug)]
pub(super) struct Datum<'a> {
    /// The item.
    pub(super) item: Item<'a>,
    /// What it was found in; none for the root.
    context: Option<Rc<Datum<'a>>>,
}

impl<'a> Item<'a> {
    fn as_value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Made(value) => Some(value),
            Self::Lookup(_) | Self::Root(_) => None,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Value(value) => (*value).clone(),
            Self::Made(value) => value.clone(),
            Self::Lookup(key) => Value::String(key.clone()),
            Self::Root(root) => Value::Object(
                root.values
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).clone()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    fn field(&self, name: &str) -> Option<Item<'a>> {
        match self {
            Self::Value(value) => value.as_object()?.get(name).map(Item::Value),
            Self::Made(value) => value.as_object()?.get(name).cloned().map(Item::Made),
            Self::Lookup(key) if key.is_empty() => Some(Item::Lookup(name.to_owned())),
            Self::Lookup(key) => Some(Item::Lookup(format!("{key}.{name}"))),
            Self::Root(root) => {
                let value = root.values.iter().find(|(key, _)| *key == name);
                match value {
                    Some((_, value)) => Some(Item::Value(value)),
                    None => root.lookups.contains(&name).then(|| Item::Lookup(String::new())),
                }
            }
        }
    }

    /// Every value of a map; a list or a plain value has none.
    fn fields(&self) -> Result<Vec<Item<'a>>, String> {
        match self {
            Self::Value(value) => {
                Ok(value.as_object().into_iter().flat_map(Map::values).map(Item::Value).collect())
            }
            Self::Made(_) => Ok(Vec::new()),
            Self::Lookup(_) => Err("the datastore has no end of keys".to_owned()),
            Self::Root(root) => Ok(root
                .values
                .iter()
                .map(|(_, value)| Item::Value(value))
                .chain(root.lookups.iter().map(|_| Item::Lookup(String::new())))
                .collect()),
        }
    }
}

type Data<'a> = Vec<Rc<Datum<'a>>>;

/// Everything `node` leads to from `item`, which is the root of the walk.
pub(super) fn find<'a>(node: &Node, item: Item<'a>) -> Result<Data<'a>, String> {
    let mut finder = Finder { visits: 0 };
    finder.find(node, &Rc::new(Datum { item, context: None }))
}

struct Finder {
    visits: usize,
}

impl Finder {
    fn find<'a>(&mut self, node: &Node, datum: &Rc<Datum<'a>>) -> Result<Data<'a>, String> {
        self.visits += 1;
        if self.visits > VISITS_MAX {
            return Err(format!("it visits more than {VISITS_MAX} values"));
        }
        match node {
            Node::Root => Ok(vec![top(datum)]),
            Node::This => Ok(vec![Rc::clone(datum)]),
            Node::Parent => match &datum.context {
                Some(context) => Ok(vec![Rc::clone(context)]),
                None => Err("the root has no parent".to_owned()),
            },
            Node::Every => {
                Ok(datum.item.fields()?.into_iter().map(|item| below(datum, item)).collect())
            }
            Node::Fields(names) if names.iter().any(|name| name == "*") => {
                Ok(datum.item.fields()?.into_iter().map(|item| below(datum, item)).collect())
            }
            Node::Fields(names) => Ok(names
                .iter()
                .filter_map(|name| datum.item.field(name))
                .map(|item| below(datum, item))
                .collect()),
            Node::Index(index) => index_of(datum, *index),
            Node::Slice(start, end) => slice_of(datum, *start, *end),
            Node::Child(left, right) => {
                let mut data = Vec::new();
                for found in self.find(left, datum)? {
                    data.extend(self.find(right, &found)?);
                }
                Ok(data)
            }
            Node::Descendants(left, right) => {
                let mut data = Vec::new();
                for found in self.find(left, datum)? {
                    self.descend(right, &found, &mut data)?;
                }
                Ok(data)
            }
            Node::Where(left, right) => {
                let mut data = Vec::new();
                for found in self.find(left, datum)? {
                    if !self.find(right, &found)?.is_empty() {
                        data.push(found);
                    }
                }
                Ok(data)
            }
            Node::Union(left, right) => {
                let mut data = self.find(left, datum)?;
                data.extend(self.find(right, datum)?);
                Ok(data)
            }
            Node::Intersect => Err("`&` is not implemented".to_owned()),
        }
    }

    fn descend<'a>(
        &mut self,
        node: &Node,
        datum: &Rc<Datum<'a>>,
        data: &mut Data<'a>,
    ) -> Result<(), String> {
        data.extend(self.find(node, datum)?);
        let items = match &datum.item {
            Item::Value(Value::Array(items)) => items.iter().map(Item::Value).collect(),
            Item::Value(_) | Item::Root(_) => datum.item.fields()?,
            Item::Made(_) | Item::Lookup(_) => Vec::new(),
        };
        for item in items {
            self.descend(node, &below(datum, item), data)?;
        }
        Ok(())
    }
}

fn top<'a>(datum: &Rc<Datum<'a>>) -> Rc<Datum<'a>> {
    let mut at = datum;
    while let Some(context) = &at.context {
        at = context;
    }
    Rc::clone(at)
}

fn below<'a>(datum: &Rc<Datum<'a>>, item: Item<'a>) -> Rc<Datum<'a>> {
    Rc::new(Datum { item, context: Some(Rc::clone(datum)) })
}

fn index_of<'a>(datum: &Rc<Datum<'a>>, index: i64) -> Result<Data<'a>, String> {
    let out_of_range = || "the index is out of range".to_owned();
    if let Item::Value(Value::Array(items)) = &datum.item {
        let item = match place(index, items.len()) {
            Place::At(at) => items.get(at).ok_or_else(out_of_range)?,
            Place::Beyond => return Ok(Vec::new()),
            Place::Before => return Err(out_of_range()),
        };
        return Ok(vec![below(datum, Item::Value(item))]);
    }
    let Some(value) = datum.item.as_value() else {
        return Err("the datastore has no length".to_owned());
    };
    match value {
        Value::String(text) => match place(index, text.chars().count()) {
            Place::At(at) => {
                let letter = text.chars().nth(at).ok_or_else(out_of_range)?;
                Ok(vec![below(datum, Item::Made(Value::String(letter.to_string())))])
            }
            Place::Beyond => Ok(Vec::new()),
            Place::Before => Err(out_of_range()),
        },
        Value::Object(map) => match place(index, map.len()) {
            Place::Beyond => Ok(Vec::new()),
            Place::At(_) | Place::Before => Err(format!("a map has no index {index}")),
        },
        Value::Array(items) => match place(index, items.len()) {
            Place::At(at) => {
                let item = items.get(at).cloned().ok_or_else(out_of_range)?;
                Ok(vec![below(datum, Item::Made(item))])
            }
            Place::Beyond => Ok(Vec::new()),
            Place::Before => Err(out_of_range()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let name = crate::value::compare::type_name(value);
            Err(format!("object of type '{name}' has no len()"))
        }
    }
}

enum Place {
    At(usize),
    /// Behind the last item: no match.
    Beyond,
    /// Before the first item, counted from the end: an error.
    Before,
}

fn place(index: i64, length: usize) -> Place {
    match usize::try_from(index) {
        Ok(at) if at < length => Place::At(at),
        Ok(_) => Place::Beyond,
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
            length.checked_sub(back).map_or(Place::Before, Place::At)
        }
    }
}

fn slice_of<'a>(
    datum: &Rc<Datum<'a>>,
    start: Option<i64>,
    end: Option<i64>,
) -> Result<Data<'a>, String> {
    if let Item::Value(Value::Array(items)) = &datum.item {
        let (from, to) = bounds(start, end, items.len());
        return Ok((from..to)
            .filter_map(|at| items.get(at))
            .map(|item| below(datum, Item::Value(item)))
            .collect());
    }
    let alone = match datum.item.as_value() {
        Some(Value::Object(_) | Value::String(_) | Value::Bool(_)) => true,
        Some(Value::Number(number)) => !number.is_f64(),
        Some(Value::Null | Value::Array(_)) => false,
        // The root is a map; a view of the datastore is not.
        None => matches!(datum.item, Item::Root(_)),
    };
    if !alone {
        return Err("a slice is of a list, and this has no length".to_owned());
    }
    // What is no list counts as a list of itself, also for whoever asks for the parent.
    let (from, to) = bounds(start, end, 1);
    if from >= to {
        return Ok(Vec::new());
    }
    let around = Value::Array(vec![datum.item.to_value()]);
    let around = Datum { item: Item::Made(around), context: datum.context.clone() };
    Ok(vec![below(&Rc::new(around), datum.item.clone())])
}

fn bounds(start: Option<i64>, end: Option<i64>, length: usize) -> (usize, usize) {
    let clamp = |index: i64| match usize::try_from(index) {
        Ok(at) => at.min(length),
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
            length.saturating_sub(back)
        }
    };
    (start.map_or(0, clamp), end.map_or(length, clamp))
}

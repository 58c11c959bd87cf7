//! Values of a mapping whose forms were examined before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::form::limit;
use crate::definition::period;

/// Fields as they are written.
#[derive(Clone, Copy)]
pub(super) struct Values<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Values<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Option<String> {
        self.get(name).and_then(limit)
    }

    pub(super) fn texts(self, name: &str) -> Vec<String> {
        self.get(name).map(texts).unwrap_or_default()
    }

    pub(super) fn flag(self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(super) fn whole(self, name: &str) -> Option<u64> {
        self.get(name).and_then(Value::as_u64)
    }

    pub(super) fn small(self, name: &str) -> Option<u32> {
        self.whole(name).and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn number(self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }

    pub(super) fn span(self, name: &str) -> Option<Duration> {
        period::read(self.get(name)?).ok()
    }

    pub(super) fn spans(self, name: &str) -> Vec<Duration> {
        match self.get(name) {
            Some(Value::Array(items)) => {
                items.iter().filter_map(|item| period::read(item).ok()).collect()
            }
            Some(one) => period::read(one).ok().into_iter().collect(),
            None => Vec::new(),
        }
    }

    pub(super) fn labels(self, name: &str) -> BTreeMap<String, String> {
        let map = self.get(name).and_then(Value::as_object);
        let pairs = map.into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), limit(value)?))).collect()
    }

    /// Names, or lists of names of which one is enough.
    pub(super) fn parents(self, name: &str) -> Vec<Vec<String>> {
        match self.get(name) {
            Some(Value::Array(items)) => items.iter().map(texts).collect(),
            Some(one) => vec![texts(one)],
            None => Vec::new(),
        }
    }

    /// A mapping of fields; a lone value stands for the field `main`.
    pub(super) fn section(self, name: &str, main: &str) -> Option<Map<String, Value>> {
        let value = self.get(name)?;
        let alone = || Map::from_iter([(main.to_owned(), value.clone())]);
        Some(value.as_object().cloned().unwrap_or_else(alone))
    }

    pub(super) fn sections(self, name: &str) -> Vec<Map<String, Value>> {
        let items = self.get(name).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|item| item.as_object().cloned()).collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(limit).collect()
}

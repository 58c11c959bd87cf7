//! The datastore as templates see it: `st2kv.system.a.b`, `st2kv.user['k']`, `system.x`.
//!
//! Every name below a view is a view again, because a key may hold dots and only printing says
//! where it ends. A key that is missing prints as nothing and is never an error.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};

/// Whose keys a view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyScope {
    /// Everybody's.
    System,
    /// One user's.
    User(String),
}

/// Where values of keys come from; whoever holds the datastore implements it.
pub trait Datastore: fmt::Debug + Send + Sync {
    /// The text kept under `key`.
    fn value(&self, scope: &KeyScope, key: &str) -> Option<String>;

    /// The clear text of an encrypted value.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn decrypt(&self, value: &str) -> Result<String, String>;
}

/// A datastore without keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Datastore for Empty {
    fn value(&self, _scope: &KeyScope, _key: &str) -> Option<String> {
        None
    }

    fn decrypt(&self, _value: &str) -> Result<String, String> {
        Err("there is no datastore here".to_owned())
    }
}

/// A view of the datastore: a key, or the beginning of one.
#[derive(Clone, Debug)]
pub struct Lookup {
    datastore: Arc<dyn Datastore>,
    scope: KeyScope,
    key: String,
}

impl Lookup {
    /// All keys of a scope.
    #[must_use]
    pub fn new(datastore: Arc<dyn Datastore>, scope: KeyScope) -> Self {
        Self { datastore, scope, key: String::new() }
    }

    /// Where the values come from.
    #[must_use]
    pub fn datastore(&self) -> &Arc<dyn Datastore> {
        &self.datastore
    }

    /// The view below this one.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let key =
            if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Self { datastore: Arc::clone(&self.datastore), scope: self.scope.clone(), key }
    }

    /// The text under the key; nothing when the key is missing.
    #[must_use]
    pub fn text(&self) -> String {
        self.datastore.value(&self.scope, &self.key).unwrap_or_default()
    }

    /// The whole name, as a template would write it.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.scope {
            KeyScope::System => format!("st2kv.system.{}", self.key),
            KeyScope::User(_) => format!("st2kv.user.{}", self.key),
        }
    }
}

impl Object for Lookup {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from_object(self.below(&key.to_string())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// `st2kv`: the scopes themselves; any other name below it is undefined.
#[derive(Debug)]
pub(super) struct Scopes {
    /// Everybody's keys.
    pub(super) system: Lookup,
    /// The keys of the user who asks; none in a criterion.
    pub(super) user: Option<Lookup>,
}

impl Object for Scopes {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "system" => Some(Value::from_object(self.system.clone())),
            "user" => self.user.clone().map(Value::from_object),
            _ => None,
        }
    }
}

/// Reads YAML: lent by whoever can, since this crate parses none.
pub type YamlReader = fn(&str) -> Result<serde_json::Value, String>;

/// What filters need that is no value, hidden in every rendering.
#[derive(Debug)]
pub(super) struct Keeper {
    /// For the filter that decrypts.
    pub(super) datastore: Arc<dyn Datastore>,
    /// For the filter that reads YAML.
    pub(super) yaml: Option<YamlReader>,
    /// What is told when a secret is opened.
    pub(super) opening: Opening,
}

/// What becomes of opening a secret, beside its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    /// Whether it is refused.
    pub(super) is_refused: bool,
    /// Who is told that it was done.
    pub(super) noted: Vec<Arc<AtomicBool>>,
}

impl Keeper {
    /// The clear text of an encrypted value.
    pub(super) fn decrypt(&self, value: &str) -> Result<String, String> {
        if self.opening.is_refused {
            return Err("secrets cannot be used here".to_owned());
        }
        let text = self.datastore.decrypt(value)?;
        self.opening.noted.iter().for_each(|noted| noted.store(true, Ordering::Relaxed));
        Ok(text)
    }
}

impl Object for Keeper {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

//! The names a template can see.
//!
//! A scope may stand on another one, so that the event is put in once and each rule adds its own
//! parameters. Values are handed to the template engine only when a template really needs it, and
//! then once.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::Value as Native;
use serde_json::Value;

use super::convert::to_native;
use super::datastore::{Datastore, Keeper, KeyScope, Lookup, Opening, Scopes, YamlReader};

/// Names and what they stand for; later names hide earlier ones.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    below: Option<&'a Scope<'a>>,
    slots: Vec<Slot<'a>>,
    views: Option<&'a Views>,
    guard: Option<Guard>,
}

/// Watches over the secrets that templates of one scope open.
#[derive(Debug)]
struct Guard {
    is_closed: bool,
    /// Whether one was opened, once that could be.
    opened: OnceCell<Arc<AtomicBool>>,
    /// The keeper of the scope below, with an eye on it, once it was wanted.
    keeper: OnceCell<Option<Native>>,
}

impl Guard {
    fn new(is_closed: bool) -> Self {
        Self { is_closed, opened: OnceCell::new(), keeper: OnceCell::new() }
    }

    fn keeper(&self, below: Option<Native>) -> Option<Native> {
        let below = below?;
        let keeper = below.downcast_object_ref::<Keeper>()?;
        let mut noted = keeper.opening.noted.clone();
        noted.push(Arc::clone(self.opened.get_or_init(Arc::default)));
        let is_refused = self.is_closed || keeper.opening.is_refused;
        Some(Native::from_object(Keeper {
            datastore: Arc::clone(&keeper.datastore),
            yaml: keeper.yaml,
            opening: Opening { is_refused, noted },
        }))
    }
}

/// The datastore as templates see it, prepared once for many scopes.
#[derive(Clone, Debug)]
pub struct Views {
    st2kv: Native,
    system: Native,
    keeper: Native,
    lookup: Lookup,
}

impl Views {
    /// Views of `datastore`: everybody's keys, and those of `user`.
    #[must_use]
    pub fn new(datastore: &Arc<dyn Datastore>, user: Option<&str>) -> Self {
        let lookup = Lookup::new(Arc::clone(datastore), KeyScope::System);
        let user =
            user.map(|user| Lookup::new(Arc::clone(datastore), KeyScope::User(user.to_owned())));
        Self {
            st2kv: Native::from_object(Scopes { system: lookup.clone(), user }),
            system: Native::from_object(lookup.clone()),
            keeper: Native::from_object(Keeper {
                datastore: Arc::clone(datastore),
                yaml: None,
                opening: Opening::default(),
            }),
            lookup,
        }
    }

    /// The same views with somebody who reads YAML.
    #[must_use]
    pub fn reading_yaml(mut self, reader: YamlReader) -> Self {
        let datastore = Arc::clone(self.lookup.datastore());
        self.keeper = Native::from_object(Keeper {
            datastore,
            yaml: Some(reader),
            opening: Opening::default(),
        });
        self
    }

    /// Everybody's keys.
    #[must_use]
    pub fn system(&self) -> &Lookup {
        &self.lookup
    }

    fn native(&self, name: &str) -> Option<&Native> {
        match name {
            "st2kv" => Some(&self.st2kv),
            // The old name, from before there were scopes.
            "system" => Some(&self.system),
            KEEPER => Some(&self.keeper),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Slot<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, Value>,
    /// The value as the template engine wants it, once it was wanted.
    native: OnceCell<Native>,
}

/// The name under which the datastore hides from authors: no identifier of theirs has a blank.
pub(super) const KEEPER: &str = "the datastore";

impl<'a> Scope<'a> {
    /// A scope with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A scope on top of `below`.
    #[must_use]
    pub fn on(below: &'a Scope<'a>) -> Self {
        Self { below: Some(below), ..Self::default() }
    }

    /// A scope on top of `below` that sees more of the datastore.
    #[must_use]
    pub fn on_with(below: &'a Scope<'a>, views: &'a Views) -> Self {
        Self { below: Some(below), views: Some(views), ..Self::default() }
    }

    /// A scope that sees the datastore.
    #[must_use]
    pub fn viewing(views: &'a Views) -> Self {
        Self { views: Some(views), ..Self::default() }
    }

    /// A scope on top of `below` that knows whether a secret was opened in it.
    #[must_use]
    pub fn watching(below: &'a Scope<'a>) -> Self {
        Self { below: Some(below), guard: Some(Guard::new(false)), ..Self::default() }
    }

    /// A scope on top of `below` in which no secret can be opened.
    #[must_use]
    pub fn closed(below: &'a Scope<'a>) -> Self {
        Self { below: Some(below), guard: Some(Guard::new(true)), ..Self::default() }
    }

    /// A scope that sees the datastore and no name of `other`, which still knows of its secrets.
    #[must_use]
    pub(crate) fn viewing_within(other: &Scope<'_>, views: &'a Views) -> Self {
        let keeper = OnceCell::from(other.native(KEEPER));
        let guard = Guard { keeper, ..Guard::new(false) };
        Self { views: Some(views), guard: Some(guard), ..Self::default() }
    }

    /// Whether a secret was opened since it was last asked, in a scope that is watching: here or in
    /// a scope on top.
    #[must_use]
    pub fn take_opened(&self) -> bool {
        let opened = self.guard.as_ref().and_then(|guard| guard.opened.get());
        opened.is_some_and(|opened| opened.swap(false, Ordering::Relaxed))
    }

    /// Adds a value that outlives the scope.
    pub fn put(&mut self, name: impl Into<Cow<'a, str>>, value: &'a Value) {
        self.push(name.into(), Cow::Borrowed(value));
    }

    /// Adds a value of its own.
    pub fn put_owned(&mut self, name: impl Into<Cow<'a, str>>, value: Value) {
        self.push(name.into(), Cow::Owned(value));
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, Value>) {
        self.slots.push(Slot { name, value, native: OnceCell::new() });
    }

    fn slot(&self, name: &str) -> Option<&Slot<'a>> {
        self.slots.iter().rev().find(|slot| slot.name == name)
    }

    /// Whether `name` stands for anything.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.slot(name).is_some()
            || self.views.is_some_and(|views| views.native(name).is_some())
            || self.below.is_some_and(|below| below.has(name))
    }

    /// The JSON value of `name`; a view of the datastore has none.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        match self.slot(name) {
            Some(slot) => Some(&slot.value),
            None => self.below?.value(name),
        }
    }

    /// The value of `name` as the template engine wants it.
    pub(super) fn native(&self, name: &str) -> Option<Native> {
        if let Some(slot) = self.slot(name) {
            return Some(slot.native.get_or_init(|| to_native(&slot.value)).clone());
        }
        if name == KEEPER
            && let Some(guard) = &self.guard
        {
            return guard.keeper.get_or_init(|| guard.keeper(self.beyond(name))).clone();
        }
        self.beyond(name)
    }

    /// The value of `name`, its own slots aside.
    fn beyond(&self, name: &str) -> Option<Native> {
        match self.views.and_then(|views| views.native(name)) {
            Some(native) => Some(native.clone()),
            None => self.below?.native(name),
        }
    }
}

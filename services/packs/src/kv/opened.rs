//! A view of the datastore that remembers which secrets it has opened, so that what was made with
//! them can be kept from whoever is not meant to see them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearken_engine::judge::{Context, Outcome};
use hearken_engine::template;
use hearken_engine::template::KeyScope;
use hearken_kit::seal::Secrets;
use serde_json::{Map, Value};

use super::{Datastore, views};

/// Secrets that are remembered between two looks: a rule opens a few. What is opened beyond them is
/// refused.
const TEXTS_MAX: usize = 1000;

/// The datastore, and what was opened of it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Opened(Arc<Inner>);

struct Inner {
    datastore: Arc<dyn template::Datastore>,
    texts: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("datastore", &self.datastore).finish_non_exhaustive()
    }
}

impl Opened {
    /// A view of `datastore` of which nothing was opened yet.
    #[must_use]
    pub fn of(datastore: &Datastore) -> Self {
        Self::over(Arc::new(datastore.clone()))
    }

    /// The same of anything that holds keys.
    #[must_use]
    pub fn over(datastore: Arc<dyn template::Datastore>) -> Self {
        Self(Arc::new(Inner { datastore, texts: Mutex::default() }))
    }

    /// What rules and parameters may look at beside an event, for templates of `user`.
    #[must_use]
    pub fn context(&self, user: &str) -> Context {
        views::context(Arc::new(self.clone()), user)
    }

    /// What was opened since it was last asked; none when nothing was.
    #[must_use]
    pub fn take(&self) -> Option<Secrets> {
        let texts = std::mem::take(&mut *self.texts());
        if texts.is_empty() {
            return None;
        }
        let texts: Map<String, Value> =
            texts.into_iter().enumerate().map(|(at, text)| (at.to_string(), text.into())).collect();
        let names: Vec<String> = texts.keys().cloned().collect();
        Some(Secrets::of(&names, &texts))
    }

    /// `value` with asterisks in place of everything that was opened.
    #[must_use]
    pub fn hide(&self, value: Value) -> Value {
        match self.take() {
            Some(secrets) => secrets.hide_value(value),
            None => value,
        }
    }

    /// Keeps what was opened for an event out of the reasons why there is no request. Parameters
    /// that were made with it are secret by themselves.
    pub fn hide_reasons<'a>(&self, outcomes: impl Iterator<Item = &'a mut Outcome>) {
        let Some(secrets) = self.take() else { return };
        for outcome in outcomes {
            // What holds a match back is told by the same words.
            if let Outcome::Failed { reason, .. } | Outcome::Held { reason, .. } = outcome {
                *reason = secrets.hide(reason);
            }
        }
    }

    fn texts(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl template::Datastore for Opened {
    fn value(&self, scope: &KeyScope, key: &str) -> Option<String> {
        self.0.datastore.value(scope, key)
    }

    fn decrypt(&self, value: &str) -> Result<String, String> {
        let text = self.0.datastore.decrypt(value)?;
        let mut texts = self.texts();
        if texts.len() >= TEXTS_MAX {
            return Err(format!("more than {TEXTS_MAX} secrets are opened for one event"));
        }
        if !texts.contains(&text) {
            texts.push(text.clone());
        }
        drop(texts);
        Ok(text)
    }
}

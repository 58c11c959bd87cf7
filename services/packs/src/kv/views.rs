//! The datastore as templates see it.

use std::sync::Arc;

use hearken_engine::judge::Context;
use hearken_engine::template;
use hearken_engine::template::KeyScope;

use super::{Datastore, Key, Scope};
use crate::yaml;

impl Datastore {
    /// What rules and parameters may look at beside an event, for templates of `user`.
    #[must_use]
    pub fn context(&self, user: &str) -> Context {
        context(Arc::new(self.clone()), user)
    }
}

/// What rules and parameters may look at beside an event: keys of `datastore`, and YAML.
pub(super) fn context(datastore: Arc<dyn template::Datastore>, user: &str) -> Context {
    Context::new(user, &datastore, Arc::default()).reading_yaml(|text| {
        let document = yaml::read(text, yaml::Format::Yaml);
        document.map(|document| document.value).map_err(|error| error.message)
    })
}

impl template::Datastore for Datastore {
    fn value(&self, scope: &KeyScope, key: &str) -> Option<String> {
        let key = match scope {
            KeyScope::System => Key::new(Scope::System, "", key),
            KeyScope::User(user) => Key::new(Scope::User, user, key),
        };
        // What cannot be the name of a key is missing.
        self.get(&key.ok()?).map(|item| item.value)
    }

    fn decrypt(&self, value: &str) -> Result<String, String> {
        self.open_text(value).map_err(|error| error.to_string())
    }
}

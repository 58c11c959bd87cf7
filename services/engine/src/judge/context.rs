//! What is judged, and what may be looked at besides.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearken_proto::Timestamp;
use serde_json::{Value, json};

use crate::template::{Datastore, Empty, Views, YamlReader};

/// The user that rules act for when nobody says otherwise: StackStorm's.
pub const USER_DEFAULT: &str = "stanley";

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its id, or the name of its place.
    pub id: &'a str,
    /// Its trigger, `pack.name`.
    pub trigger: &'a str,
    /// Digest of its trigger's parameters, from its header.
    pub parameters_digest: Option<&'a str>,
    /// What it carries.
    pub payload: &'a Value,
    /// When it was stored: "now" for its judges.
    pub time: Timestamp,
}

/// What rules and parameters may look at besides the event.
#[derive(Clone, Debug)]
pub struct Context {
    user: String,
    /// What parameters see of the datastore.
    views: Views,
    /// What criteria see of it: everybody's keys only.
    public_views: Views,
    configs: Arc<BTreeMap<String, Value>>,
}

impl Context {
    /// A context with a datastore and the configuration of each pack.
    #[must_use]
    pub fn new(
        user: &str,
        datastore: &Arc<dyn Datastore>,
        configs: Arc<BTreeMap<String, Value>>,
    ) -> Self {
        Self {
            user: user.to_owned(),
            views: Views::new(datastore, Some(user)),
            public_views: Views::new(datastore, None),
            configs,
        }
    }

    /// The same context with somebody who reads YAML for the filter that needs it.
    #[must_use]
    pub fn reading_yaml(mut self, reader: YamlReader) -> Self {
        self.views = self.views.reading_yaml(reader);
        self.public_views = self.public_views.reading_yaml(reader);
        self
    }

    /// Who asks.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The datastore as templates of parameters see it.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The datastore as criteria see it: without any user's own keys.
    #[must_use]
    pub fn public_views(&self) -> &Views {
        &self.public_views
    }

    /// The configuration of `pack`; an empty mapping when it has none.
    #[must_use]
    pub fn config(&self, pack: &str) -> Value {
        self.configs.get(pack).cloned().unwrap_or_else(|| json!({}))
    }
}

impl Default for Context {
    /// No datastore, no configuration, the usual user.
    fn default() -> Self {
        let datastore: Arc<dyn Datastore> = Arc::new(Empty);
        Self::new(USER_DEFAULT, &datastore, Arc::default())
    }
}

//! Names of keys: valid by construction.

use hearken_proto::id;
use hearken_proto::kv::Scope;
use hearken_proto::subject::encode;

use super::Error;

/// The longest name, as it is written on the wire: with the prefix of an installation it has to fit
/// into a subject.
const NAME_BYTES_MAX: usize = 384;
/// How much of a name that cannot be one is repeated.
const SHOWN_CHARS_MAX: usize = 40;
/// What stands between a user and the name of the user's key.
const SEPARATOR: char = ':';
/// Digits of StackStorm's ids.
const OBJECT_ID_DIGITS: usize = 24;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    scope: Scope,
    /// As it is stored: `<user>:<name>` for a user's own.
    stored: String,
}

impl Key {
    /// The key `name` of everybody, or of `user`.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(scope: Scope, user: &str, name: &str) -> Result<Self, Error> {
        let wrong = |name: &str, why| {
            Err(Error::Name { name: name.chars().take(SHOWN_CHARS_MAX).collect(), why })
        };
        if name.is_empty() {
            return wrong(name, "it is empty");
        }
        let stored = match scope {
            Scope::System => name.to_owned(),
            Scope::User if user.is_empty() => return wrong(name, "it says no user"),
            Scope::User if user.contains(SEPARATOR) => {
                return wrong(user, "the name of a user has no colon");
            }
            Scope::User => format!("{user}{SEPARATOR}{name}"),
        };
        if encode(&stored).len() > NAME_BYTES_MAX {
            return wrong(name, "it takes more than 384 bytes");
        }
        Ok(Self { scope, stored })
    }

    /// A key as it is stored.
    pub(super) fn stored_as(scope: Scope, stored: &str) -> Self {
        Self { scope, stored: stored.to_owned() }
    }

    /// Whose it is.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Its name as it is stored: `<user>:<name>` for a user's own.
    #[must_use]
    pub fn stored(&self) -> &str {
        &self.stored
    }

    /// Its name without its user.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.scope {
            Scope::System => &self.stored,
            Scope::User => self.stored.split_once(SEPARATOR).map_or("", |(_user, name)| name),
        }
    }

    /// Its user; none for everybody's.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self.scope {
            Scope::System => None,
            Scope::User => self.stored.split_once(SEPARATOR).map(|(user, _name)| user),
        }
    }

    /// Its scope as StackStorm spells it.
    #[must_use]
    pub const fn full_scope(&self) -> &'static str {
        match self.scope {
            Scope::System => "st2kv.system",
            Scope::User => "st2kv.user",
        }
    }

    /// A name that looks as StackStorm's ids do, and stays the same.
    #[must_use]
    pub fn object_id(&self) -> String {
        let mut all = id::derived(&["kv", self.scope.token(), &self.stored]);
        all.truncate(OBJECT_ID_DIGITS);
        all
    }

    /// StackStorm's name of it among all resources.
    #[must_use]
    pub fn uid(&self) -> String {
        format!("key_value_pair:{}:{}", self.full_scope(), self.stored)
    }
}

/// The scope that `text` names, in each of StackStorm's spellings.
#[must_use]
pub fn scope_of(text: &str) -> Option<Scope> {
    Scope::parse(text.strip_prefix("st2kv.").unwrap_or(text))
}

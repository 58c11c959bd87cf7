//! One key of the datastore, as STATE keeps it: `state.kv.<scope>.<name>`.
//!
//! What a key is called is in the subject alone. A key that was deleted leaves an entry without a
//! value, because whoever compares and sets must see that it was there.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::subject::{Kind, Subject};

/// Whose keys they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everybody's.
    System,
    /// One user's: names begin with the user and a colon.
    User,
}

impl Scope {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::System, Self::User];

    /// The token on the wire.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }

    /// The scope with this token.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.token() == token)
    }
}

/// What is kept of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// Its text, sealed when it is secret; none when it was deleted.
    pub value: Option<String>,
    /// Whether the text is sealed: `v1:<key id>:<base64>`.
    #[serde(default)]
    pub secret: bool,
    /// From when on it reads as missing.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Who wrote it.
    #[serde(default)]
    pub user: String,
}

/// The subject of the key `name` of `scope`.
#[must_use]
pub fn subject(scope: Scope, name: &str) -> Subject {
    Subject::state(Kind::Kv, &format!("{}.{name}", scope.token()))
}

/// The key that a subject names.
#[must_use]
pub fn key_of(subject: &Subject) -> Option<(Scope, &str)> {
    let Subject::State { kind: Kind::Kv, id } = subject else { return None };
    let (scope, name) = id.split_once('.')?;
    Some((Scope::parse(scope)?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_subject_and_a_subject_names_its_key() {
        for (scope, name, expected) in [
            (Scope::System, "a", "hearken.state.kv.system.a"),
            (Scope::System, "a.b c", "hearken.state.kv.system.a%2Eb%20c"),
            (Scope::User, "ann:x>*%", "hearken.state.kv.user.ann:x%3E%2A%25"),
        ] {
            let text = subject(scope, name).under("hearken");
            assert_eq!(text, expected);
            let parsed = Subject::parse("hearken", &text).unwrap();
            assert_eq!(key_of(&parsed), Some((scope, name)));
        }
        assert_eq!(key_of(&Subject::state(Kind::Lease, "system.a")), None);
        assert_eq!(key_of(&Subject::state(Kind::Kv, "other.a")), None);
    }
}

//! Sealing: secrets cross the bus and rest in the log as something only this installation reads.
//!
//! A secret parameter of a request is replaced by `{"$sealed": "v1:<key id>:<base64>"}` when the
//! request is made, and opened by the runner, last, just before the action starts. Everybody in
//! between (streams, ledger, exports, backups, whoever may read them) sees the sealed form; people
//! are shown eight asterisks.
//!
//! The cipher is ChaCha20-Poly1305 with a random nonce of 96 bits, good for 2^32 secrets of one
//! key. Authenticated with each value is its place: the action and the parameter. So a sealed value
//! that is copied out of the log into a request of an action that prints it opens nowhere. The
//! execution is no part of it: whoever repeats an execution copies its request as it is.
//!
//! Invariants: only parameters that a request names as secret are opened, never what merely looks
//! sealed; what is sealed twice is opened once, so nobody can have a value opened by passing it in;
//! no error carries a value.
//!
//! Keeping opened secrets out of what is said is `secrets.rs`.

use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearken_proto::ActionRequest;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Map, Value, json};

use crate::random;

mod secrets;

pub use secrets::{Secrets, Veil};

/// What is shown in place of a secret.
pub const MASK: &str = "********";
/// Bytes of an installation key.
pub const KEY_BYTES: usize = 32;

/// The member that a sealed value is told by.
const MEMBER: &str = "$sealed";
/// The form described above.
const VERSION: &str = "v1";
/// Contexts of key derivation: the key on disk encrypts nothing itself, so that it can serve other
/// ends later without one weakening the other.
const CIPHER_CONTEXT: &str = "hearken seal v1 cipher";
const NAME_CONTEXT: &str = "hearken seal v1 key id";
const DERIVE_CONTEXT: &str = "hearken seal v1 derived keys";
/// Bytes of a key's name: enough to tell the keys of one company apart.
const NAME_BYTES: usize = 4;

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not an installation key.
    #[error("an installation key is {} hex digits", 2 * KEY_BYTES)]
    Key,
    /// No random nonce.
    #[error("cannot get random bytes to seal with")]
    Random(#[source] io::Error),
    /// The value cannot be sealed at all.
    #[error("the value cannot be sealed")]
    Unsealable,
    /// Another key sealed it.
    #[error(
        "sealed by another installation's key (id {sealed}; ours is {ours}): copy <data>/key from \
         there, or set [secrets] key_file"
    )]
    OtherKey {
        /// Name of the key that sealed it.
        sealed: String,
        /// Name of ours.
        ours: String,
    },
    /// It is not of a form that is known here.
    #[error("sealed in a form that is not known here: a newer version of Hearken may read it")]
    Form,
    /// It does not open with our key, though it names it.
    #[error("the sealed value was changed, or was made for another action or parameter")]
    Forged,
    /// A parameter of a request.
    #[error("the secret parameter {parameter:?} cannot be used: {error}")]
    Parameter {
        /// Its name.
        parameter: String,
        /// What is wrong with it.
        error: Box<Error>,
    },
}

/// Seals and opens with one installation's key. Cloning it is cheap.
#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    key: LessSafeKey,
    name: String,
    /// Where keys for other ends come from.
    derived: [u8; KEY_BYTES],
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.0.name)
    }
}

impl Sealer {
    /// The sealer of an installation key, written as hex digits.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let key = bytes_of(text.trim()).ok_or(Error::Key)?;
        let cipher = blake3::derive_key(CIPHER_CONTEXT, &key);
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, &cipher).map_err(|_length| Error::Key)?;
        let name = blake3::derive_key(NAME_CONTEXT, &key);
        let name = name.iter().take(NAME_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let derived = blake3::derive_key(DERIVE_CONTEXT, &key);
        Ok(Self(Arc::new(Inner { key: LessSafeKey::new(cipher), name, derived })))
    }

    /// A key for another end than sealing. One `context` always gives the same key, and no key
    /// tells anything about another.
    #[must_use]
    pub(crate) fn derive(&self, context: &str) -> [u8; KEY_BYTES] {
        blake3::derive_key(context, &self.0.derived)
    }

    /// The key's name: eight hex digits that tell nothing about it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.0.name
    }

    /// `value` sealed for `place`, as it may be stored.
    ///
    /// # Errors
    /// [`Error::Random`], [`Error::Unsealable`].
    pub fn seal(&self, value: &Value, place: &str) -> Result<Value, Error> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce).map_err(Error::Random)?;
        let mut sealed = serde_json::to_vec(value).map_err(|_no_json| Error::Unsealable)?;
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.key.seal_in_place_separate_tag(unique, Aad::from(place), &mut sealed);
        let tag = tag.map_err(|_too_long| Error::Unsealable)?;
        let all = [nonce.as_slice(), &sealed, tag.as_ref()].concat();
        let text = format!("{VERSION}:{}:{}", self.0.name, STANDARD.encode(all));
        Ok(json!({ MEMBER: text }))
    }

    /// The value that was sealed for `place`.
    ///
    /// # Errors
    /// [`Error::Form`], [`Error::OtherKey`], [`Error::Forged`].
    pub fn open(&self, sealed: &Value, place: &str) -> Result<Value, Error> {
        let text = text_of(sealed).ok_or(Error::Form)?;
        let mut parts = text.splitn(3, ':');
        let (Some(VERSION), Some(name), Some(body)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Form);
        };
        if name != self.0.name {
            // It comes from outside: no more of it is repeated than a name has.
            let sealed = name.chars().take(2 * NAME_BYTES).collect();
            return Err(Error::OtherKey { sealed, ours: self.0.name.clone() });
        }
        let all = STANDARD.decode(body).map_err(|_no_base64| Error::Forged)?;
        let (nonce, rest) = all.split_first_chunk::<NONCE_LEN>().ok_or(Error::Forged)?;
        let mut rest = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.key.open_in_place(nonce, Aad::from(place), &mut rest);
        let opened = opened.map_err(|_forged| Error::Forged)?;
        serde_json::from_slice(opened).map_err(|_no_json| Error::Forged)
    }

    /// Seals the secret parameters of a request that is about to be stored. Once: what is sealed
    /// already would be sealed again, as data.
    ///
    /// Parameters that repeat the text of a secret (a command line that a template put a password
    /// into) become secret with it.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn seal_request(&self, request: &mut ActionRequest) -> Result<(), Error> {
        if request.secret.is_empty() {
            return Ok(());
        }
        let texts = Secrets::of(&request.secret, &request.parameters);
        for (name, value) in &request.parameters {
            if !request.secret.contains(name) && texts.appear_in(value) {
                request.secret.push(name.clone());
            }
        }
        for name in &request.secret {
            let Some(value) = request.parameters.get_mut(name).filter(|value| !value.is_null())
            else {
                continue;
            };
            let place = place(&request.action, name);
            *value = self.seal(value, &place).map_err(|error| of(name, error))?;
        }
        Ok(())
    }

    /// All parameters of a request, the sealed ones opened. A secret in clear, from before there
    /// was sealing, is taken as it is.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn open_request(&self, request: &ActionRequest) -> Result<Map<String, Value>, Error> {
        let mut parameters = request.parameters.clone();
        for name in &request.secret {
            let Some(value) = parameters.get_mut(name).filter(|value| text_of(value).is_some())
            else {
                continue;
            };
            let place = place(&request.action, name);
            *value = self.open(value, &place).map_err(|error| of(name, error))?;
        }
        Ok(parameters)
    }
}

/// The parameters of a request as anybody may see them: the secret ones as asterisks.
#[must_use]
pub fn shown(request: &ActionRequest) -> Map<String, Value> {
    masked(&request.parameters, &request.secret)
}

/// `parameters` with those called `secret` as asterisks.
#[must_use]
pub fn masked(parameters: &Map<String, Value>, secret: &[String]) -> Map<String, Value> {
    let mask = |(name, value): (&String, &Value)| {
        let hidden = secret.contains(name) && !value.is_null();
        (name.clone(), if hidden { Value::from(MASK) } else { value.clone() })
    };
    parameters.iter().map(mask).collect()
}

/// What a sealed parameter belongs to.
fn place(action: &str, parameter: &str) -> String {
    format!("{action}\n{parameter}")
}

fn of(parameter: &str, error: Error) -> Error {
    Error::Parameter { parameter: parameter.to_owned(), error: Box::new(error) }
}

/// The text in a value of the sealed form.
fn text_of(value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get(MEMBER)?.as_str()
}

fn bytes_of(hex: &str) -> Option<[u8; KEY_BYTES]> {
    if hex.len() != 2 * KEY_BYTES || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests;

//! The content of a pack, taken from a folder and put into one.
//!
//! What is in force is content, not a folder: a folder is read whole into a canonical
//! [`Bundle`], the bundle's encoding is hashed, and what runs is an unpacked copy named by that
//! digest. Editing a folder never changes what already runs, and what running content writes beside
//! itself never becomes part of a definition.

mod folder;
mod unpack;
mod upkeep;

use hearken_proto::definition;
pub use hearken_proto::definition::{Bundle, BundleFile};

use crate::Error;

pub use folder::{FILE_BYTES_MAX, is_ignored, read_folder};
pub use unpack::{prune, unpack};
pub(crate) use upkeep::Upkeep;

/// A bundle with its canonical bytes and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The content.
    bundle: Bundle,
    /// Its canonical bytes.
    encoded: Vec<u8>,
    /// Their name.
    digest: String,
}

impl Sealed {
    /// Encodes and names a bundle.
    ///
    /// # Errors
    /// [`Error::Content`] when it is not canonical.
    pub fn new(bundle: Bundle) -> Result<Self, Error> {
        let encoded = bundle.encode();
        let encoded =
            encoded.map_err(|source| Error::Content { pack: bundle.name.clone(), source })?;
        let digest = definition::digest(&encoded);
        Ok(Self { bundle, encoded, digest })
    }

    /// Opens bytes that were fetched by their digest.
    ///
    /// # Errors
    /// [`Error::Digest`] when they are not what was asked for, [`Error::Content`] when they are but
    /// are no bundle.
    pub fn open(encoded: Vec<u8>, digest: &str) -> Result<Self, Error> {
        let found = definition::digest(&encoded);
        if found != digest {
            return Err(Error::Digest { expected: digest.to_owned(), found });
        }
        let bundle = definition::decode(&encoded)
            .map_err(|source| Error::Content { pack: digest.to_owned(), source })?;
        Ok(Self { bundle, encoded, digest: found })
    }

    /// The content.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The name of the content: 64 hex digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

#[cfg(test)]
mod tests;

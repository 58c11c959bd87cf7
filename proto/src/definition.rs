//! The content of one pack as it travels between hosts: one blob, named by its digest.
//!
//! A pack is in force as content, not as a folder, so that every host judges by the same bytes.
//! The encoding is canonical: files are sorted by path, a path occurs once, and equal content has
//! equal bytes, hence one digest.
//!
//! Invariants: [`decode`] gives only bundles that are within the limits and whose paths stay inside
//! the folder they are unpacked into; [`Bundle::encode`] refuses to write any other.

use serde::{Deserialize, Serialize};

/// Bytes of all files of one pack; the largest known pack has 24 MiB.
pub const CONTENT_BYTES_MAX: u64 = 64 << 20;

/// Files of one pack; the largest known pack has 4,600.
pub const FILES_MAX: usize = 20_000;

/// Folders around one file.
pub const PATH_DEPTH_MAX: usize = 24;

/// Bytes of one path: what common file systems take for one name, with room for folders.
pub const PATH_BYTES_MAX: usize = 512;

/// Bytes of a pack's name; it is a folder name and a token of subjects.
pub const NAME_BYTES_MAX: usize = 100;

/// Bytes of one encoded bundle: content, and paths with what frames them.
const ENCODED_BYTES_MAX: u64 =
    CONTENT_BYTES_MAX + (FILES_MAX * (PATH_BYTES_MAX + 64) + 1024) as u64;

/// The content of one pack folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Name of the pack.
    pub name: String,
    /// Its files, sorted by path.
    pub files: Vec<BundleFile>,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFile {
    /// Where it stands in the pack folder: relative, joined by `/`, without `.` and `..`.
    pub path: String,
    /// Whether its owner may execute it.
    #[serde(default)]
    pub executable: bool,
    /// Its bytes.
    #[serde(with = "bytes_as_binary")]
    pub content: Vec<u8>,
}

/// Why a bundle can be neither written nor read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no bundle.
    #[error("these bytes are no pack content")]
    Decode(#[source] rmp_serde::decode::Error),
    /// The bundle has no encoding.
    #[error("the pack content cannot be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
    /// A name that is no pack's.
    #[error("{0:?} is no name of a pack: letters, digits, - and _ only")]
    Name(String),
    /// A path that may lead out of the folder, or cannot be written everywhere.
    #[error("{0:?} is no path inside a pack")]
    Path(String),
    /// Files are unsorted, or one path occurs twice.
    #[error("the files are not in canonical order at {0:?}")]
    Order(String),
    /// A file stands where another path has a folder.
    #[error("{0:?} is both a file and a folder")]
    Overlap(String),
    /// More than the limits allow.
    #[error("the pack has more than {0}")]
    TooLarge(String),
}

impl Bundle {
    /// The canonical bytes.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Decode`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        rmp_serde::to_vec_named(self).map_err(Error::Encode)
    }

    /// The file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&BundleFile> {
        let found = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(found)
    }

    /// Whether this bundle is canonical and within the limits.
    fn check(&self) -> Result<(), Error> {
        if !is_pack_name(&self.name) {
            return Err(Error::Name(self.name.clone()));
        }
        if self.files.len() > FILES_MAX {
            return Err(Error::TooLarge(format!("{FILES_MAX} files")));
        }
        let bytes: u64 = self.files.iter().map(|file| file.content.len() as u64).sum();
        if bytes > CONTENT_BYTES_MAX {
            return Err(Error::TooLarge(format!("{} MiB", CONTENT_BYTES_MAX >> 20)));
        }
        let mut before: Option<&str> = None;
        for file in &self.files {
            if !is_safe_path(&file.path) {
                return Err(Error::Path(file.path.clone()));
            }
            if before.is_some_and(|before| before >= file.path.as_str()) {
                return Err(Error::Order(file.path.clone()));
            }
            before = Some(&file.path);
        }
        self.check_overlap()
    }

    /// A path that is a file cannot also be the folder of another.
    fn check_overlap(&self) -> Result<(), Error> {
        for file in &self.files {
            for (at, _) in file.path.match_indices('/') {
                let folder = file.path.get(..at).unwrap_or_default();
                if self.file(folder).is_some() {
                    return Err(Error::Overlap(folder.to_owned()));
                }
            }
        }
        Ok(())
    }
}

/// Reads canonical bytes.
///
/// # Errors
/// Any [`Error`] but [`Error::Encode`].
pub fn decode(bytes: &[u8]) -> Result<Bundle, Error> {
    if bytes.len() as u64 > ENCODED_BYTES_MAX {
        return Err(Error::TooLarge(format!("{} MiB", CONTENT_BYTES_MAX >> 20)));
    }
    let bundle: Bundle = rmp_serde::from_slice(bytes).map_err(Error::Decode)?;
    bundle.check()?;
    Ok(bundle)
}

/// The name of encoded content: the BLAKE3 hash as 64 hex digits.
#[must_use]
pub fn digest(encoded: &[u8]) -> String {
    blake3::hash(encoded).to_hex().to_string()
}

/// Whether `text` looks like what [`digest`] gives; such a text is safe as a file name.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `name` can be a pack: it becomes a folder, a token of subjects and the part of a
/// reference before the first dot.
#[must_use]
pub fn is_pack_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    starts_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(known)
}

/// Whether `path` stays inside the folder it is joined to, on every file system.
#[must_use]
pub fn is_safe_path(path: &str) -> bool {
    let parts = path.split('/');
    path.len() <= PATH_BYTES_MAX
        && parts.clone().count() <= PATH_DEPTH_MAX
        && !path.chars().any(|found| found.is_control() || found == '\\')
        && parts.into_iter().all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

/// Bytes as MessagePack's binary, a quarter of what a list of numbers takes.
mod bytes_as_binary {
    use std::fmt;

    use serde::de::{SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
            Ok(text.as_bytes().to_vec())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = items.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &[u8]) -> BundleFile {
        BundleFile { path: path.to_owned(), executable: false, content: content.to_vec() }
    }

    fn bundle(files: Vec<BundleFile>) -> Bundle {
        Bundle { name: "shop".to_owned(), files }
    }

    /// The first encoding ever written. It must decode for ever: add goldens, never edit one.
    const GOLDEN: &[u8] = b"\x82\xa4name\xa4shop\xa5files\x92\
        \x83\xa4path\xb0actions/greet.sh\xaaexecutable\xc3\xa7content\xc4\x02\x00\xff\
        \x83\xa4path\xa9pack.yaml\xaaexecutable\xc2\xa7content\xc4\x00";

    #[test]
    fn the_encoding_is_pinned() {
        let mut script = file("actions/greet.sh", b"\x00\xff");
        script.executable = true;
        let shop = bundle(vec![script, file("pack.yaml", b"")]);
        assert_eq!(shop.encode().unwrap(), GOLDEN);
        assert_eq!(decode(GOLDEN).unwrap(), shop);
        assert_eq!(shop.file("pack.yaml").unwrap().content, b"");
        assert!(shop.file("pack").is_none());
        assert!(is_digest(&digest(GOLDEN)));
    }

    #[test]
    fn an_unknown_field_is_left_out() {
        let newer = b"\x83\xa4name\xa4shop\xa5files\x90\xa3new\x01";
        assert_eq!(decode(newer).unwrap(), bundle(Vec::new()));
    }

    #[test]
    fn content_that_is_not_canonical_is_neither_written_nor_read() {
        let unsorted = bundle(vec![file("b", b""), file("a", b"")]);
        let twice = bundle(vec![file("a", b""), file("a", b"")]);
        // Another path sorts between the file and what claims to be in it.
        let overlap = bundle(vec![file("a", b""), file("a-b", b""), file("a/b", b"")]);
        let named = Bundle { name: "../x".to_owned(), files: Vec::new() };
        for refused in [unsorted, twice, overlap, named] {
            assert!(refused.encode().is_err(), "{refused:?}");
            let bytes = rmp_serde::to_vec_named(&refused).unwrap();
            assert!(decode(&bytes).is_err(), "{refused:?}");
        }
        assert!(decode(b"").is_err());
        assert!(decode(GOLDEN.get(..40).unwrap()).is_err());
    }

    #[test]
    fn paths_stay_inside() {
        for inside in ["a", "a/b.c", "a b", "ä/ö", "..a", "a..", "-"] {
            assert!(is_safe_path(inside), "{inside:?}");
        }
        let deep = vec!["a"; PATH_DEPTH_MAX + 1].join("/");
        let long = "a".repeat(256);
        for outside in [
            "", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\nb", "a\0", &deep, &long,
        ] {
            assert!(!is_safe_path(outside), "{outside:?}");
        }
    }

    #[test]
    fn pack_names_are_tokens() {
        for name in ["core", "hello-st2", "_x", "9to5", "A_b"] {
            assert!(is_pack_name(name), "{name:?}");
        }
        for name in ["", "-x", ".git", "a.b", "a b", "a/b", "a*", "ä", &"a".repeat(101)] {
            assert!(!is_pack_name(name), "{name:?}");
        }
    }
}

//! Members of a tar archive, each exactly as long as its header says.
//!
//! The length of a member stands before it, and a file that is being written has none that stays.
//! So as much is taken as was promised: what comes later is left, and what is missing is filled
//! with zeros; both are told. Names are relative and lead nowhere else; permissions have no special
//! bits.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::packer::{Packed, Packer, hex};

/// What a header says besides name and length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
}

impl Marks {
    /// Of what we make ourselves.
    pub(crate) fn own(mtime: u64) -> Self {
        Self { mode: 0o600, uid: 0, gid: 0, mtime }
    }
}

/// What became of a member.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sha256: String,
    /// There was more than was taken.
    pub(crate) grew: bool,
    /// There was less than was promised.
    pub(crate) shrank: bool,
}

/// An archive that is being written.
pub(crate) struct Tarball {
    builder: tar::Builder<Packer>,
}

impl Tarball {
    pub(crate) fn new(packer: Packer) -> Self {
        Self { builder: tar::Builder::new(packer) }
    }

    /// Appends `length` bytes of `content` as `name`.
    pub(crate) fn append<R: Read>(
        &mut self,
        name: &Path,
        marks: Marks,
        length: u64,
        content: &mut R,
    ) -> io::Result<Stored> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(marks.mode & 0o777);
        header.set_uid(u64::from(marks.uid));
        header.set_gid(u64::from(marks.gid));
        header.set_mtime(marks.mtime);
        header.set_size(length);
        let mut exact = Exact { content, left: length, digest: Sha256::new(), has_ended: false };
        self.builder.append_data(&mut header, name, &mut exact)?;
        let shrank = exact.has_ended;
        let digest = exact.digest.finalize();
        let mut more = [0];
        let grew = !shrank && content.read(&mut more).is_ok_and(|count| count > 0);
        Ok(Stored { sha256: hex(&digest), grew, shrank })
    }

    /// Ends the archive and waits until it is on disk.
    pub(crate) fn finish(self) -> io::Result<Packed> {
        match self.builder.into_inner() {
            Ok(packer) => packer.finish(),
            Err(error) => Err(error),
        }
    }
}

/// Exactly so many bytes, whatever the reader has.
struct Exact<'a, R> {
    content: &'a mut R,
    left: u64,
    digest: Sha256,
    /// The rest is zeros.
    has_ended: bool,
}

impl<R: Read> Read for Exact<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..most).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        let mut count = 0;
        if !self.has_ended {
            // A file that cannot be read to its end is shorter than was said.
            count = self.content.read(into).unwrap_or(0);
        }
        if count == 0 {
            self.has_ended = true;
            into.fill(0);
            count = into.len();
        }
        self.digest.update(into.get(..count).unwrap_or_default());
        self.left -= u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}

/// The name in an archive of what is at `path`: without the first `/` and without `..`.
pub(crate) fn member(path: &Path) -> PathBuf {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => None,
        })
        .collect()
}

/// A path as a text from which it can be told again: bytes that are no UTF-8, control characters
/// and `%` as `%xx`.
pub(crate) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '%' {
                let mut bytes = [0; 4];
                letter.encode_utf8(&mut bytes).bytes().for_each(|byte| percent(byte, &mut text));
            } else {
                text.push(letter);
            }
        }
        chunk.invalid().iter().for_each(|byte| percent(*byte, &mut text));
    }
    text
}

fn percent(byte: u8, text: &mut String) {
    use std::fmt::Write as _;
    // Writing to memory cannot fail.
    write!(text, "%{byte:02X}").unwrap_or(());
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::File;

    use super::*;
    use crate::plan::Compression;

    #[test]
    fn a_member_is_as_long_as_was_promised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let packer = Packer::new(File::create(&path).unwrap(), Compression::GZIP).unwrap();
        let mut tarball = Tarball::new(packer);
        let marks = Marks { mode: 0o4755, uid: 7, gid: 8, mtime: 9 };
        let long = format!("{}/name", "folder".repeat(60));
        let grew = tarball.append(Path::new("grew"), marks, 3, &mut &b"12345"[..]).unwrap();
        let shrank = tarball.append(Path::new("shrank"), marks, 5, &mut &b"123"[..]).unwrap();
        let same = tarball.append(Path::new(&long), marks, 3, &mut &b"123"[..]).unwrap();
        assert_eq!((grew.grew, grew.shrank), (true, false));
        assert_eq!((shrank.grew, shrank.shrank), (false, true));
        assert_eq!((same.grew, same.shrank), (false, false));
        assert_eq!(grew.sha256, same.sha256);
        tarball.finish().unwrap();
        let file = flate2::read::MultiGzDecoder::new(File::open(&path).unwrap());
        let mut archive = tar::Archive::new(file);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (0o755, 7));
            found.push((entry.path().unwrap().display().to_string(), content));
        }
        let expected = [
            ("grew".to_owned(), b"123".to_vec()),
            ("shrank".to_owned(), b"123\0\0".to_vec()),
            (long, b"123".to_vec()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn names_lead_nowhere_and_can_be_told() {
        assert_eq!(member(Path::new("/var/log/../x")), Path::new("var/log/x"));
        let odd = Path::new(OsStr::from_bytes(b"/a\xff/100%\n\xc3\xa4"));
        assert_eq!(shown(odd), "/a%FF/100%25%0A\u{e4}");
    }
}

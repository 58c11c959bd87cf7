//! Reading an archive back: what is in it, and whether it is what was written.
//!
//! Nothing is unpacked: members are read as a stream, and only regular files are expected. Whoever
//! made an archive may have made it to harm, so members, bytes and the manifest have bounds.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::manifest::{FORMAT, Item, Manifest, NAME};
use crate::packer::hex;
use crate::tarball::shown;

/// The longest manifest: a million items.
const MANIFEST_BYTES_MAX: u64 = 512 << 20;
/// Members that are looked at.
const MEMBERS_MAX: usize = 2_000_000;
/// Bytes that one byte of the file may become: more is a bomb.
const RATIO_MAX: u64 = 1_100;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is no such archive.
    #[error("{path} cannot be read as an archive")]
    Io {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It has no manifest of ours.
    #[error("{path} is no archive of hearken collect: {why}")]
    Foreign {
        /// The file.
        path: String,
        /// What is missing.
        why: String,
    },
}

/// An archive, read.
#[derive(Debug)]
pub struct Shown {
    /// Its manifest.
    pub manifest: Manifest,
    /// What is not as the manifest says, in words; empty when all is well.
    pub faults: Vec<String>,
}

/// Reads the archive at `path` and compares every member with the manifest.
///
/// # Errors
/// [`Error`], when it cannot be read at all.
pub fn read(path: &Path) -> Result<Shown, Error> {
    let named = path.display().to_string();
    let failed = |source| Error::Io { path: named.clone(), source };
    let foreign = |why: &str| Error::Foreign { path: named.clone(), why: why.to_owned() };
    let (members, manifest) = members(path).map_err(failed)?;
    let manifest = manifest.ok_or_else(|| foreign("it has no manifest"))?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .map_err(|error| foreign(&format!("its manifest cannot be read: {error}")))?;
    if manifest.head.format != FORMAT {
        return Err(foreign(&format!("its form is {:?}", manifest.head.format)));
    }
    let faults = faults(&members, &manifest.items);
    Ok(Shown { manifest, faults })
}

/// What was found of a member.
struct Member {
    bytes: u64,
    sha256: String,
    is_file: bool,
    is_repeated: bool,
}

type Members = BTreeMap<String, Member>;

fn members(path: &Path) -> io::Result<(Members, Option<Vec<u8>>)> {
    let mut file = File::open(path)?;
    let most = file.metadata()?.len().saturating_mul(RATIO_MAX).max(1 << 20);
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let file = BufReader::new(file);
    let content: Box<dyn Read> = match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "neither gzip nor zstd")),
    };
    let mut archive = tar::Archive::new(content.take(most));
    let mut found = Members::new();
    let mut manifest = None;
    for entry in archive.entries()?.take(MEMBERS_MAX) {
        let mut entry = entry?;
        let name = shown(&entry.path()?);
        let is_file = entry.header().entry_type().is_file();
        let (bytes, sha256) = if name == NAME {
            let mut content = Vec::new();
            entry.by_ref().take(MANIFEST_BYTES_MAX).read_to_end(&mut content)?;
            let found = (content.len() as u64, hex(&Sha256::digest(&content)));
            manifest = Some(content);
            found
        } else {
            digest(&mut entry)?
        };
        let is_repeated = found.contains_key(&name);
        found.insert(name, Member { bytes, sha256, is_file, is_repeated });
    }
    Ok((found, manifest))
}

fn digest(content: &mut impl Read) -> io::Result<(u64, String)> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, hex(&digest.finalize())));
        }
        digest.update(buffer.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
}

fn faults(members: &Members, items: &[Item]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut told: HashSet<&str> = HashSet::from([NAME]);
    for item in items {
        let Some(name) = item.member.as_deref() else { continue };
        told.insert(name);
        let Some(member) = members.get(name) else {
            faults.push(format!("{name}: it is not in the archive"));
            continue;
        };
        if Some(member.bytes) != item.stored {
            faults.push(format!("{name}: it has {} bytes and not those stored", member.bytes));
        } else if item.sha256.as_ref() != Some(&member.sha256) {
            faults.push(format!("{name}: its content is not what was stored"));
        }
    }
    for (name, member) in members {
        if !told.contains(name.as_str()) {
            faults.push(format!("{name}: the manifest does not know it"));
        }
        if !member.is_file {
            faults.push(format!("{name}: it is no regular file"));
        }
        if member.is_repeated {
            faults.push(format!("{name}: it is there more than once"));
        }
    }
    faults
}

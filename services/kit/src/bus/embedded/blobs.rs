//! Content by digest, as files: `<data>/blobs/<digest>`.
//!
//! A blob is written beside its place, flushed, and renamed, so that a file with a digest for a
//! name is whole; it is checked against its name again whenever it is read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hearken_proto::id;

use super::Error;

fn folder(data: &Path) -> PathBuf {
    data.join("blobs")
}

fn failed(action: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Storage { action: action.into(), source }
}

/// Makes the folder.
pub(super) fn prepare(data: &Path) -> Result<(), Error> {
    let folder = folder(data);
    fs::create_dir_all(&folder).map_err(failed(format!("make the folder {}", folder.display())))
}

/// Keeps `content`; answers its digest.
pub(super) fn put(data: &Path, content: &[u8]) -> Result<String, Error> {
    let digest = id::digest(content);
    let place = folder(data).join(&digest);
    if place.exists() {
        return Ok(digest);
    }
    let beside = folder(data).join(format!(".{digest}.{}", std::process::id()));
    let write = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, &place)?;
        fs::File::open(folder(data))?.sync_all()
    };
    write().map_err(failed(format!("write {}", place.display())))?;
    Ok(digest)
}

/// The content of `digest`; `None` when it is not here.
pub(super) fn get(data: &Path, digest: &str) -> Result<Option<Bytes>, Error> {
    // Digests come from entries; a path does not pass for one.
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let place = folder(data).join(digest);
    let content = match fs::read(&place) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(format!("read {}", place.display()))(error)),
    };
    if id::digest(&content) != digest {
        let damaged = io::Error::other("its content does not have the digest it is named by");
        return Err(failed(format!("read {}", place.display()))(damaged));
    }
    Ok(Some(content.into()))
}

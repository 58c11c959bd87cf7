//! An index of packs: names, and where their repositories are.
//!
//! The form is that of StackStorm's own index: `{"packs": {NAME: {"repo_url": …, "version": …}}}`;
//! the inner mapping alone will do. It is a file, or behind a URL; none is asked unless the
//! configuration names one.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use serde_json::Value;

use super::program::Program;
use super::spec::{Source, without_password};
use super::{Error, Spec};

/// Bytes of an index: that of StackStorm has one and a half million.
const BYTES_MAX: u64 = 12 << 20;
/// How long fetching may take.
const WAIT: Duration = Duration::from_secs(60);

/// Where the pack `name` is, and its version, by the index at `index`.
pub(super) async fn look_up(index: &str, name: &str) -> Result<(String, Option<String>), Error> {
    let shown = without_password(index);
    let fail = |why: String| Error::Index { index: shown.clone(), why };
    if index.is_empty() {
        return Err(fail(format!("none is configured, so nobody knows where {name:?} is")));
    }
    let text = read(index).await.map_err(fail)?;
    let value: Value =
        serde_json::from_str(&text).map_err(|error| fail(format!("it is no JSON: {error}")))?;
    let packs = value.get("packs").unwrap_or(&value);
    let entry = packs.get(name).ok_or_else(|| fail(format!("it has no pack {name:?}")))?;
    let said = |key| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let url = said("repo_url").ok_or_else(|| fail(format!("it says no repo_url of {name:?}")))?;
    // What an index says is no more trusted than what somebody types.
    let place = Spec::parse(url).map_err(|error| fail(error.to_string()))?;
    match place.source {
        Source::Git(url) => Ok((url, said("version").map(str::to_owned))),
        // An index on this machine may name repositories on this machine.
        Source::Folder(folder) if !is_remote(index) => {
            Ok((folder.display().to_string(), said("version").map(str::to_owned)))
        }
        Source::Folder(_) | Source::Archive(_) | Source::Named(_) => {
            Err(fail(format!("it says that {name:?} is at {url:?}, which is no repository")))
        }
    }
}

fn is_remote(index: &str) -> bool {
    index.starts_with("https://") || index.starts_with("http://")
}

async fn read(index: &str) -> Result<String, String> {
    if is_remote(index) {
        return fetch(index).await;
    }
    let path = index.strip_prefix("file://").unwrap_or(index);
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!("it is larger than {} MiB", BYTES_MAX >> 20));
    }
    Ok(text)
}

/// By the system's curl, which knows the proxies and certificates of this machine.
async fn fetch(url: &str) -> Result<String, String> {
    let (bytes, seconds) = (BYTES_MAX.to_string(), WAIT.as_secs().to_string());
    let arguments = [
        "--silent",
        "--show-error",
        "--fail",
        "--location",
        "--proto",
        "=http,https",
        "--max-filesize",
        &bytes,
        "--max-time",
        &seconds,
        "--",
        url,
    ];
    let program = Program::new("fetching it", "curl", &arguments, WAIT + WAIT);
    match program.run(None).await {
        Ok(said) if said.is_cut => Err(format!("it is larger than {} MiB", BYTES_MAX >> 20)),
        Ok(said) => Ok(said.text),
        Err(error) => Err(error.to_string()),
    }
}

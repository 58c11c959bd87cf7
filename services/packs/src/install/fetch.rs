//! What a spec names, brought here.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::program::Say;
use super::spec::{Source, without_password};
use super::{Error, Spec, archive, git, index};
use crate::source::said_of_itself;

/// What was brought.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where it is now.
    pub(super) tree: PathBuf,
    /// What it may be called when it says nothing itself.
    pub(super) hint: String,
    /// Where it came from.
    pub(super) source: String,
    /// Which version was taken.
    pub(super) version: Option<String>,
    /// The commit that this was.
    pub(super) commit: Option<String>,
    /// Whether it was on this machine before.
    pub(super) is_local: bool,
}

/// What the pack that `spec` names may be called, as far as that can be known before it is fetched.
pub(super) fn names(spec: &Spec) -> Vec<String> {
    match &spec.source {
        Source::Named(name) => vec![name.clone()],
        Source::Git(url) => {
            let own = url.rsplit(['/', ':']).next().unwrap_or_default();
            let own = own.strip_suffix(".git").unwrap_or(own).to_owned();
            let short = plain(url);
            if short == own { vec![own] } else { vec![short, own] }
        }
        Source::Folder(path) | Source::Archive(path) => {
            let said = said_of_itself(path);
            let named = said.get("ref").or_else(|| said.get("name")).and_then(Value::as_str);
            vec![named.map_or_else(|| plain(&path.display().to_string()), str::to_owned)]
        }
    }
}

/// Brings what `spec` names to `staging`, or leaves a folder where it is.
pub(super) async fn fetch(
    spec: &Spec,
    index: &str,
    staging: &Path,
    say: Say<'_>,
) -> Result<Fetched, Error> {
    let version = spec.version.as_deref();
    match &spec.source {
        Source::Folder(folder) if version.is_none() && !is_bare(folder) => {
            let folder = folder.canonicalize().map_err(Error::io("read the folder", folder))?;
            let source = folder.display().to_string();
            let hint = plain(&source);
            Ok(Fetched { tree: folder, hint, source, version: None, commit: None, is_local: true })
        }
        Source::Folder(folder) => {
            let folder = folder.canonicalize().map_err(Error::io("read the folder", folder))?;
            clone(&format!("file://{}", folder.display()), version, staging, say).await
        }
        Source::Git(url) => clone(url, version, staging, say).await,
        Source::Named(name) => {
            let (url, latest) = index::look_up(index, name).await?;
            // Without a version it is what the index says, where there is such a version.
            let wanted = version.or(latest.as_deref());
            let url = if Path::new(&url).is_dir() { format!("file://{url}") } else { url };
            match clone(&url, wanted, staging, say).await {
                Err(Error::NoVersion { .. }) if version.is_none() => {
                    super::place::remove_all(&staging.join("clone"))?;
                    clone(&url, None, staging, say).await
                }
                brought => brought,
            }
        }
        Source::Archive(_) if version.is_some() => Err(Error::Spec {
            spec: version.unwrap_or_default().to_owned(),
            why: "an archive has one version only".to_owned(),
        }),
        Source::Archive(path) => {
            let tree = staging.join("unpacked");
            let (from, to) = (path.clone(), tree.clone());
            let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&from, &to)).await;
            let what = path.display().to_string();
            let unpacked = unpacked.unwrap_or_else(|error| Err(error.to_string()));
            unpacked.map_err(|why| Error::Refused { what: what.clone(), why })?;
            let hint = plain(&what);
            Ok(Fetched { tree, hint, source: what, version: None, commit: None, is_local: true })
        }
    }
}

async fn clone(
    url: &str,
    version: Option<&str>,
    staging: &Path,
    say: Say<'_>,
) -> Result<Fetched, Error> {
    let tree = staging.join("clone");
    let commit = git::clone(url, version, &tree, say).await?;
    Ok(Fetched {
        tree,
        hint: plain(url),
        source: without_password(url),
        version: version.map(str::to_owned),
        commit: Some(commit),
        is_local: url.starts_with("file://"),
    })
}

/// Whether `folder` is a repository without files beside it.
fn is_bare(folder: &Path) -> bool {
    folder.join("HEAD").is_file() && folder.join("objects").is_dir()
}

/// The last part of a path or URL, without endings, version, and what repositories of packs have
/// before the name.
fn plain(place: &str) -> String {
    let place = place.trim_end_matches('/');
    let mut name = place.rsplit(['/', ':']).next().unwrap_or_default();
    for ending in [".git", ".tar.gz", ".tgz", ".tar"] {
        name = name.strip_suffix(ending).unwrap_or(name);
    }
    if let Some((before, version)) = name.rsplit_once('-')
        && version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
        && version.contains('.')
    {
        name = before;
    }
    name.strip_prefix("stackstorm-").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_plain_names() {
        for (place, name) in [
            ("https://github.com/StackStorm-Exchange/stackstorm-csv", "csv"),
            ("git@host:packs/csv.git", "csv"),
            ("git@host:csv", "csv"),
            ("/tmp/hello-st2/", "hello-st2"),
            ("/tmp/csv-1.0.2.tar.gz", "csv"),
            ("/tmp/csv-v1.0.tgz", "csv"),
        ] {
            assert_eq!(plain(place), name, "{place}");
        }
    }

    #[test]
    fn a_repository_of_a_pack_may_be_called_after_it() {
        for (spec, expected) in [
            ("csv", &["csv"][..]),
            ("owner/stackstorm-csv", &["csv", "stackstorm-csv"]),
            ("https://host/csv.git=1.0", &["csv"]),
        ] {
            assert_eq!(names(&Spec::parse(spec).unwrap()), expected);
        }
    }
}

//! What somebody wants installed: `SPEC[=version]`.
//!
//! What a spec means is decided by its form alone, but for one thing: what is there as a file or
//! folder is that file or folder. Forms that make git run programs are refused here, so nothing
//! behind this file needs to think of them.

use std::path::PathBuf;

use hearken_proto::definition::is_pack_name;

use super::Error;

/// Longer than any URL that a person means.
const BYTES_MAX: usize = 2_000;
/// Transports that git may use.
const SCHEMES: [&str; 4] = ["https://", "http://", "ssh://", "git://"];

/// What is wanted, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Where it is.
    pub(super) source: Source,
    /// Branch, tag or commit.
    pub(super) version: Option<String>,
}

/// Where a pack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder on this machine; its repository when a version is given.
    Folder(PathBuf),
    /// A `tar.gz` or `tar` file on this machine.
    Archive(PathBuf),
    /// A repository.
    Git(String),
    /// A name of the index.
    Named(String),
}

impl Spec {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`Error::Spec`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_where(text, on_disk)
    }

    /// Reads what a pack says that it needs. Only one that is on this machine itself may name
    /// others there, and none does so by where somebody happens to stand.
    ///
    /// # Errors
    /// [`Error::Spec`] says what is wrong.
    pub(super) fn parse_dependency(text: &str, is_local: bool) -> Result<Self, Error> {
        let absolute = |text: &str| {
            let path = text.strip_prefix("file://").unwrap_or(text);
            if path.starts_with('/') { on_disk(text) } else { None }
        };
        Self::parse_where(text, if is_local { absolute } else { |_text: &str| None })
    }

    fn parse_where(text: &str, on_disk: fn(&str) -> Option<Source>) -> Result<Self, Error> {
        let fail = |why: &str| Error::Spec { spec: text.to_owned(), why: why.to_owned() };
        if text.is_empty() || text.len() > BYTES_MAX || text.contains(char::is_control) {
            return Err(fail("it is empty, too long, or has control characters"));
        }
        // A folder may have the sign in its name.
        if let Some(source) = on_disk(text) {
            return Ok(Self { source, version: None });
        }
        let (name, version) = match text.rsplit_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if let Some(version) = version
            && !is_version(version)
        {
            return Err(fail("what follows = is no branch, tag or commit"));
        }
        let source = source(name, on_disk).map_err(fail)?;
        Ok(Self { source, version: version.map(str::to_owned) })
    }
}

fn source(name: &str, on_disk: fn(&str) -> Option<Source>) -> Result<Source, &'static str> {
    if name.is_empty() || name.starts_with('-') {
        return Err("it looks like an option");
    }
    if name.contains("::") {
        return Err("it would make git run a program");
    }
    if SCHEMES.iter().any(|scheme| name.starts_with(scheme)) {
        return if is_host_harmless(name) { Ok(Source::Git(name.to_owned())) } else { Err(OPTION) };
    }
    if let Some(source) = on_disk(name) {
        return Ok(source);
    }
    if name.contains("://") {
        return Err("file, https, http, ssh and git are what can be fetched");
    }
    if name.starts_with(['.', '/', '~']) {
        return Err("there is no such file or folder");
    }
    // As ssh is told of places: user@host:path.
    if let Some((host, path)) = name.split_once(':') {
        let is_place = host.contains('@') && !host.contains('/') && !path.starts_with('-');
        let is_place = is_place && !host.contains("@-");
        return if is_place { Ok(Source::Git(name.to_owned())) } else { Err(OPTION) };
    }
    match name.split_once('/') {
        Some((owner, repository)) if is_part(owner) && is_part(repository) => {
            Ok(Source::Git(format!("https://github.com/{owner}/{repository}")))
        }
        Some(_) => Err("there is no such file or folder, and owner/repo has one slash"),
        None if is_pack_name(name) => Ok(Source::Named(name.to_owned())),
        None => Err("it is no file, no folder and no name of a pack"),
    }
}

/// Said of addresses that ssh would read as an option.
const OPTION: &str = "its host or path could be taken for an option";

/// Whether the host of a URL cannot be read as an option by ssh.
fn is_host_harmless(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    !host.is_empty() && !host.starts_with('-') && !rest.starts_with('-')
}

/// The file or folder that `text` is, if it is there.
fn on_disk(text: &str) -> Option<Source> {
    let path = PathBuf::from(text.strip_prefix("file://").unwrap_or(text));
    if path.is_dir() {
        // A name of the index is no folder that happens to be here.
        let is_meant = text.contains('/') || text.starts_with('.');
        return is_meant.then_some(Source::Folder(path));
    }
    let is_archive = [".tar.gz", ".tgz", ".tar"].iter().any(|ending| text.ends_with(ending));
    (is_archive && path.is_file()).then_some(Source::Archive(path))
}

fn is_part(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && !text.starts_with(['-', '.']) && text.bytes().all(known)
}

/// Whether git can have something of this name, and cannot read it as an option or a range.
fn is_version(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte);
    !text.is_empty()
        && !text.starts_with(['-', '.', '/'])
        && !text.contains("..")
        && text.bytes().all(known)
}

/// A URL without the password that may stand in it.
pub(super) fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            match host.rsplit_once('@') {
                Some((user, host)) if user.contains(':') || scheme.starts_with("http") => {
                    format!("{scheme}://{host}/{path}")
                }
                Some(_) | None => url.to_owned(),
            }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_told_by_its_form() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("a.tar.gz"), "").unwrap();
        std::fs::create_dir(folder.path().join("a=b")).unwrap();
        let git = |url: &str| Source::Git(url.to_owned());
        for (text, source, version) in [
            ("csv", Source::Named("csv".into()), None),
            ("csv=1.0.0", Source::Named("csv".into()), Some("1.0.0")),
            ("a/b", git("https://github.com/a/b"), None),
            ("a/b=feature/x", git("https://github.com/a/b"), Some("feature/x")),
            ("https://host/a.git=v1", git("https://host/a.git"), Some("v1")),
            ("git@host:a/b.git", git("git@host:a/b.git"), None),
            ("ssh://git@host:22/a", git("ssh://git@host:22/a"), None),
            (here, Source::Folder(here.into()), None),
            (&format!("file://{here}=1"), Source::Folder(here.into()), Some("1")),
            (&format!("{here}/a=b"), Source::Folder(format!("{here}/a=b").into()), None),
            (&format!("{here}/a.tar.gz"), Source::Archive(format!("{here}/a.tar.gz").into()), None),
        ] {
            let spec = Spec::parse(text).unwrap();
            assert_eq!((spec.source, spec.version.as_deref()), (source, version), "{text}");
        }
    }

    #[test]
    fn what_runs_programs_or_looks_like_an_option_is_refused() {
        for text in [
            "",
            "-x",
            "--upload-pack=touch",
            "ext::sh -c id",
            "ext::sh",
            "fd::7",
            "ssh://-oProxyCommand=id/x",
            "ssh://a@-oProxyCommand/x",
            "git@-oProxyCommand:x",
            "git@host:-x",
            "ftp://host/x",
            "a/b=--output",
            "a/b=x..y",
            "a/b=$(id)",
            "a b",
            "a\nb",
            "/no/such/folder",
            "../nothing",
            "a/b/c",
        ] {
            assert!(matches!(Spec::parse(text), Err(Error::Spec { .. })), "{text:?}");
        }
    }

    #[test]
    fn passwords_are_not_remembered() {
        for (url, shown) in [
            ("https://me:secret@host/a", "https://host/a"),
            ("https://token@host/a", "https://host/a"),
            ("ssh://git@host/a", "ssh://git@host/a"),
            ("git@host:a", "git@host:a"),
            ("https://host/a@b", "https://host/a@b"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}

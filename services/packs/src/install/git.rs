//! A repository of somebody, at one version, by the system's git.
//!
//! Nothing is checked out before the list of its files was counted, since a few kilobytes of
//! objects can mean a tree that fills any disk. No prompt, no hook, no submodule, no transport that
//! runs a program of the repository's choice.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::program::{Program, Say};
use super::spec::without_password;
use super::tree::{BYTES_MAX, ENTRIES_MAX};
use super::{Error, error};

/// How long fetching may take: a large repository over a slow line.
const FETCH_WAIT: Duration = Duration::from_secs(600);
/// How long looking into what was fetched may take.
const LOOK_WAIT: Duration = Duration::from_secs(60);
/// The largest file that git may write: packed objects are one.
const OBJECTS_BYTES_MAX: u64 = 1 << 30;

/// Clones `url` into `folder`, which must not exist, at `version` or else at its default branch.
/// Answers the commit.
pub(super) async fn clone(
    url: &str,
    version: Option<&str>,
    folder: &Path,
    say: Say<'_>,
) -> Result<String, error::Error> {
    let shown = without_password(url);
    (say)(&format!("fetching {shown}"));
    let mut arguments = vec!["clone", "--quiet", "--no-checkout"];
    if version.is_none() {
        arguments.extend(["--depth", "1", "--single-branch"]);
    }
    arguments.extend(["--no-recurse-submodules", "--", url]);
    let mut clone = git(format!("fetching {shown}"), &arguments, FETCH_WAIT);
    clone.arguments.push(folder.into());
    clone.file_bytes_max = Some(OBJECTS_BYTES_MAX);
    clone.run(None).await.map_err(|error| hide(error, url, &shown))?;
    let commit = match version {
        Some(version) => resolve(folder, version).await?,
        None => commit(folder, "HEAD").await?,
    };
    let Some(commit) = commit else {
        let version = version.unwrap_or("HEAD").to_owned();
        return Err(Error::NoVersion { what: shown, version });
    };
    count(folder, &commit, &shown).await?;
    let doing = format!("checking out {commit} of {shown}");
    let mut checkout =
        git(doing, &["checkout", "--quiet", "--force", "--detach", &commit], LOOK_WAIT);
    checkout.file_bytes_max = Some(BYTES_MAX);
    checkout.within(folder).run(None).await?;
    Ok(commit)
}

/// The commit that a version means: a branch, else a commit or tag, else a tag with a v before it.
async fn resolve(folder: &Path, version: &str) -> Result<Option<String>, Error> {
    let names = [
        format!("refs/remotes/origin/{version}"),
        format!("refs/tags/{version}"),
        version.to_owned(),
        format!("refs/tags/v{version}"),
    ];
    for name in names {
        if let Some(found) = commit(folder, &name).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn commit(folder: &Path, name: &str) -> Result<Option<String>, Error> {
    let name = format!("{name}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
    let asked = git("looking for a version".to_owned(), &arguments, LOOK_WAIT).within(folder);
    match asked.run(None).await {
        Ok(said) => Ok(Some(said.text.trim().to_owned()).filter(|found| is_commit(found))),
        // It says nothing when there is none.
        Err(Error::Program { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_commit(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Refuses a tree that is larger than a pack may be.
async fn count(folder: &Path, commit: &str, shown: &str) -> Result<(), Error> {
    let refused = |why: String| Error::Refused { what: shown.to_owned(), why };
    let arguments = ["ls-tree", "-r", "-l", "--full-tree", "--end-of-options", commit];
    let look = git(format!("listing {shown}"), &arguments, LOOK_WAIT).within(folder);
    let said = look.run(None).await?;
    let entries = said.text.lines().count();
    if said.is_cut || entries > ENTRIES_MAX {
        return Err(refused(format!("it has more than {ENTRIES_MAX} files")));
    }
    // mode, kind, object, size, then the path.
    let size = |line: &str| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    let bytes = said.text.lines().filter_map(size).fold(0_u64, u64::saturating_add);
    if bytes > BYTES_MAX {
        return Err(refused(format!("it is larger than {} MiB", BYTES_MAX >> 20)));
    }
    Ok(())
}

fn git(doing: String, arguments: &[&str], wait: Duration) -> Program {
    let safe = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];
    let mut program = Program::new(doing, "git", &safe, wait);
    program.arguments.extend(arguments.iter().map(OsString::from));
    program.environment = vec![
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh".to_owned()),
        ("LC_ALL", "C".to_owned()),
    ];
    if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
        program.environment.push(("GIT_SSH_COMMAND", "ssh -oBatchMode=yes".to_owned()));
    }
    program
}

/// The same error without the password that git may repeat.
fn hide(error: Error, url: &str, shown: &str) -> Error {
    let Error::Program { doing, why } = error else { return error };
    Error::Program { doing, why: why.replace(url, shown) }
}

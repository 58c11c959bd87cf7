//! Why a pack could not be installed, loaded or removed.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, in words for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused something.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What was asked for cannot be understood.
    #[error("{spec:?} names no pack: {why}")]
    Spec {
        /// What was asked for.
        spec: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was brought is hostile or broken, and nothing of it was kept.
    #[error("{what} is refused: {why}")]
    Refused {
        /// What was brought.
        what: String,
        /// Why not.
        why: String,
    },
    /// A program that is needed failed.
    #[error("{doing} failed: {why}")]
    Program {
        /// What it was for.
        doing: String,
        /// What it said.
        why: String,
    },
    /// What was brought has no such version.
    #[error("{what} has no branch, tag or commit {version:?}")]
    NoVersion {
        /// Where it was looked for.
        what: String,
        /// What was looked for.
        version: String,
    },
    /// What was brought is no pack.
    #[error("there is no pack in {what}")]
    NoPack {
        /// What was brought.
        what: String,
    },
    /// Nothing is installed under this name.
    #[error("no pack {0:?} is installed")]
    NotInstalled(String),
    /// It is not made for what runs here.
    #[error("{pack} cannot run here: {why}")]
    Unsuited {
        /// The pack.
        pack: String,
        /// What it wants in vain.
        why: String,
    },
    /// What a pack needs is there in another version.
    #[error("{pack} is wanted in version {wanted}, and {state} is {found}")]
    Conflict {
        /// The pack that is there.
        pack: String,
        /// The version that is needed.
        wanted: String,
        /// The version that is there.
        found: String,
        /// How it is there.
        state: &'static str,
    },
    /// What a pack needs cannot be had.
    #[error("cannot install what {pack} needs, {needs:?}")]
    Dependency {
        /// The pack.
        pack: String,
        /// What it needs, as its manifest has it.
        needs: String,
        /// Why it cannot be had.
        #[source]
        source: Box<Error>,
    },
    /// The index does not help.
    #[error("the index of packs {index:?} does not help: {why}")]
    Index {
        /// Where it is.
        index: String,
        /// Why not.
        why: String,
    },
    /// Somebody else works in the data folder, for long.
    #[error("another installation works in {} and does not end", .0.display())]
    Busy(PathBuf),
}

impl Error {
    /// For `map_err`: what was tried on what.
    pub(super) fn io<'path>(
        doing: &'static str,
        path: &'path Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'path> {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Spec { .. } => Some(
                "give a folder, a tar.gz file, a git URL, owner/repo, or a name of the index, \
                 each with =version if need be",
            ),
            Self::Refused { .. } => Some("nothing was installed; tell the author of the pack"),
            Self::NoPack { .. } => Some(
                "a pack has pack.yaml, actions/, rules/ or sensors/ at its top, a repository of \
                 packs has them in packs/",
            ),
            Self::NotInstalled(_) => {
                Some("packs in folders given with --packs are removed with their folder")
            }
            Self::Unsuited { .. } => Some("--force installs it all the same"),
            Self::Conflict { .. } => {
                Some("install the version that fits, or use --skip-dependencies")
            }
            Self::Dependency { source, .. } => match &**source {
                Self::Unsuited { .. } | Self::Conflict { .. } => source.hint(),
                Self::Io { .. }
                | Self::Spec { .. }
                | Self::Refused { .. }
                | Self::Program { .. }
                | Self::NoVersion { .. }
                | Self::NoPack { .. }
                | Self::NotInstalled(_)
                | Self::Dependency { .. }
                | Self::Index { .. }
                | Self::Busy(_) => Some("nothing was installed; --skip-dependencies does without"),
            },
            Self::Index { .. } => Some("[packs] index in hearken.toml names one: a file or a URL"),
            Self::Io { .. } | Self::Program { .. } | Self::NoVersion { .. } | Self::Busy(_) => None,
        }
    }
}

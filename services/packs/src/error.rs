//! What can go wrong with packs as a whole.

use std::io;
use std::path::{Path, PathBuf};

use hearken_proto::definition;

/// Why a pack, or the folder of packs, could not be used at all.
///
/// What is wrong inside a pack is a [`crate::Located`] instead: it never stops the rest.
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
    /// A folder holds more than a pack may.
    #[error("{} has more than {limit}", folder.display())]
    TooLarge {
        /// The folder.
        folder: PathBuf,
        /// The limit it exceeds.
        limit: String,
    },
    /// Pack content that is not canonical.
    #[error("the content of pack {pack} is not usable")]
    Content {
        /// The pack.
        pack: String,
        /// Why not.
        #[source]
        source: definition::Error,
    },
    /// Content that is not what its name says.
    #[error("content fetched as {expected} is {found}")]
    Digest {
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// A pack whose name cannot be one.
    #[error(
        "{} is called {name:?}, which cannot name a pack: letters, digits, _ and - can, in its ref",
        folder.display()
    )]
    Name {
        /// The folder.
        folder: PathBuf,
        /// What its manifest calls it, or else its own name.
        name: String,
    },
    /// The folder given is no pack and holds none.
    #[error("no pack in {}: a pack has pack.yaml, actions/, rules/ or sensors/", .0.display())]
    NoPack(PathBuf),
    /// The bus failed.
    #[error("the definitions cannot be exchanged over the bus")]
    Bus(#[from] hearken_kit::bus::Error),
    /// An entry that names definitions is damaged.
    #[error("cannot read {what}")]
    Unreadable {
        /// Which entry.
        what: String,
        /// Why not.
        #[source]
        source: hearken_proto::codec::Error,
    },
    /// Content in force that nobody has.
    #[error("the content {digest} of pack {pack} is nowhere to be found")]
    NoContent {
        /// The pack.
        pack: String,
        /// The content.
        digest: String,
    },
    /// A request for an action that its pack does not have.
    #[error("the pack content {digest} has no action {reference}")]
    NoAction {
        /// The action.
        reference: String,
        /// The content.
        digest: String,
    },
    /// Other pack sources kept winning.
    #[error("other pack sources keep changing what is in force")]
    Contended,
    /// A bug of ours ended the work.
    #[error("the work on packs broke")]
    Broken,
}

impl Error {
    /// The error and its causes in one line, for a list of problems.
    pub(crate) fn whole_text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            text.push_str(": ");
            text.push_str(&source.to_string());
            cause = source.source();
        }
        text
    }

    /// For `map_err`: what was tried on what.
    pub(crate) fn io<'path>(
        doing: &'static str,
        path: &'path Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'path> {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

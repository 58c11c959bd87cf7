//! Why a fact could not be told.
//!
//! A gap is data: one fact that is denied, missing or silent never ends a run, and stands in the
//! result as `{"unavailable": CODE, "detail": TEXT}`. Text that cannot be understood is such a gap
//! too, with its file and line, because a number that was made up (0.0) would be believed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// Why a fact could not be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// No fact has this name.
    #[error("no fact is called {name:?}")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// What it is read from does not exist on this machine.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// This user may not read it.
    #[error("{} may not be read by this user", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
    },
    /// The system refused for another reason.
    #[error("cannot read {what}")]
    Failed {
        /// What was asked for, mostly a file.
        what: String,
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// It says something that is not what such a file says.
    #[error("{}:{line}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// There is more of it than the bound allows.
    #[error("{what} is more than {limit} {unit}")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// The bound.
        limit: usize,
        /// What the bound counts.
        unit: &'static str,
    },
    /// It was silent for too long.
    #[error("no answer within {} ms", after.as_millis())]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// An earlier attempt to learn it has still not come back, so it is not tried again.
    #[error("an earlier attempt still hangs")]
    Stuck,
    /// This machine has no such thing.
    #[error("{why}")]
    Unsupported {
        /// What is missing.
        why: String,
    },
    /// Finding it out broke: a defect of Hearken.
    #[error("finding it out broke: this is a defect of Hearken")]
    Broken,
}

impl Unavailable {
    /// One word for programs: `denied`, `missing`, `timeout`, `malformed` and so on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Missing { .. } => "missing",
            Self::Denied { .. } => "denied",
            Self::Failed { .. } => "failed",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::TimedOut { .. } => "timeout",
            Self::Stuck => "stuck",
            Self::Unsupported { .. } => "unsupported",
            Self::Broken => "broken",
        }
    }

    /// The whole reason as one sentence, with what the system said.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Failed { cause, .. } => format!("{self}: {cause}"),
            Self::Unknown { .. }
            | Self::Missing { .. }
            | Self::Denied { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::TimedOut { .. }
            | Self::Stuck
            | Self::Unsupported { .. }
            | Self::Broken => self.to_string(),
        }
    }

    /// How a gap stands in a document: `{"unavailable": CODE, "detail": TEXT}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"unavailable": self.code(), "detail": self.reason()})
    }

    /// What the system said about this file.
    pub(crate) fn from_io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        if cause.kind() == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else if cause.kind() == io::ErrorKind::PermissionDenied {
            Self::Denied { path }
        } else {
            Self::Failed { what: path.display().to_string(), cause: Arc::new(cause) }
        }
    }

    /// This machine has no such thing.
    pub(crate) fn unsupported(why: impl Into<String>) -> Self {
        Self::Unsupported { why: why.into() }
    }
}

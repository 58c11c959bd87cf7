//! One thing that the check has to say, and how heavy it is.

use serde::Serialize;

use crate::Located;

/// How heavy a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What it speaks of cannot be in force, or can never run.
    Error,
    /// It is in force, and will not do what its author meant.
    Warning,
    /// It works, and not as everybody would expect.
    Notice,
}

impl Level {
    /// The word in front of a finding.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// One thing to say of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is; stays the same for ever, so that tools can leave kinds out.
    pub id: &'static str,
    /// How heavy it is.
    pub level: Level,
    /// The pack; empty when it is about a folder that is none.
    pub pack: String,
    /// The file inside the pack, or the path of a folder that is none.
    pub file: String,
    /// Line, from 1; 1 when it is about the whole file.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What was found.
    pub what: String,
    /// Why that matters: what follows from it.
    pub why: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// A finding at the place of `located`, in its words.
    pub(super) fn of(located: Located, id: &'static str, level: Level, why: &'static str) -> Self {
        let Located { pack, file, line, column, message, hint, .. } = located;
        Self { id, level, pack, file, line, column, what: message, why, hint }
    }

    /// Findings come in the order in which one would walk through the files.
    pub(super) fn order(&self) -> (&str, &str, u32, u32, Level, &str) {
        (&self.pack, &self.file, self.line, self.column, self.level, self.id)
    }
}

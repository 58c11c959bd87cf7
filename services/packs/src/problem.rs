//! What is wrong with a pack, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::yaml::{Notice, Place, SyntaxError};

/// One thing to say about one place in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The pack; empty when it is about a folder that is none.
    pub pack: String,
    /// The file inside the pack, or the path of a folder that is none.
    pub file: String,
    /// Line, from 1; 1 when it is about the whole file.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong, or worth knowing.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether what it speaks of is not in force because of it; a notice otherwise.
    pub fatal: bool,
}

impl Located {
    /// Something about the start of `file`, or about all of it.
    pub(crate) fn new(pack: &str, file: &str, fatal: bool, message: impl Into<String>) -> Self {
        Self {
            pack: pack.to_owned(),
            file: file.to_owned(),
            line: Place::START.line,
            column: Place::START.column,
            message: message.into(),
            hint: None,
            fatal,
        }
    }

    /// Something that keeps a definition from being in force.
    pub(crate) fn fault(pack: &str, file: &str, message: impl Into<String>) -> Self {
        Self::new(pack, file, true, message)
    }

    /// Something worth knowing.
    pub(crate) fn notice(pack: &str, file: &str, message: impl Into<String>) -> Self {
        Self::new(pack, file, false, message)
    }

    /// A file that cannot be read.
    pub(crate) fn syntax(pack: &str, file: &str, error: SyntaxError) -> Self {
        let located = Self::fault(pack, file, error.message).at(error.place);
        Self { hint: error.hint, ..located }
    }

    /// A remark of the reader.
    pub(crate) fn remark(pack: &str, file: &str, notice: Notice) -> Self {
        Self::notice(pack, file, notice.message).at(notice.place)
    }

    /// The same, said of a place inside the file.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.line = place.line;
        self.column = place.column;
        self
    }

    /// The same, with advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `pack/file:line: message`, and the hint in a line of its own.
impl fmt::Display for Located {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pack, file, line, message, .. } = self;
        let slash = if pack.is_empty() { "" } else { "/" };
        write!(formatter, "{pack}{slash}{file}:{line}: {message}")?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

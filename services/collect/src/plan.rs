//! What a run gathers: one plan, whatever it was written in.
//!
//! CaLink's INI, the JSON of its second version and our own form all end here; the rest of the
//! crate knows plans only. Reading one touches the disk for a single reason: what a key of CaLink's
//! `[files]` means depends on which folders exist.

mod calink;
mod native;
mod second;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::glob::Glob;
use crate::ini;
use crate::limits::Limits;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not written as CaLink's are.
    #[error(transparent)]
    Ini(#[from] ini::Error),
    /// A value is not what it should be.
    #[error("{at}: {why}")]
    Value {
        /// The section and key, or the JSON pointer.
        at: String,
        /// What is wrong, and what would be right.
        why: String,
    },
}

impl Error {
    pub(crate) fn at(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value { at: at.into(), why: why.into() }
    }
}

/// Everything that a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Facts by group, in order.
    pub facts: Vec<(String, Vec<String>)>,
    /// Files, in order.
    pub files: Vec<Files>,
    /// Commands, in order.
    pub commands: Vec<Command>,
    /// Where it goes.
    pub output: Output,
    /// How much it may do.
    pub limits: Limits,
    /// Whether secrets are masked.
    pub mask: bool,
    /// What is worth knowing about the configuration.
    pub notices: Vec<String>,
}

/// Files below one folder.
#[derive(Clone, Debug)]
pub struct Files {
    /// What the configuration calls it.
    pub label: String,
    /// The folder.
    pub folder: PathBuf,
    /// What of it.
    pub pick: Pick,
    /// Bytes kept of each file, where that differs from the limits.
    pub file_bytes: Option<u64>,
    /// Only files changed since so long before the run.
    pub since: Option<Duration>,
}

/// What is taken of a folder.
#[derive(Clone, Debug)]
pub enum Pick {
    /// These folders in it, with all that is in them; `.` is the folder itself.
    Folders(Vec<String>),
    /// These files in it, which may be patterns.
    Files(Vec<String>),
    /// What matches below it.
    Matching {
        /// One of these; everything when there is none.
        include: Vec<Glob>,
        /// None of these.
        exclude: Vec<Glob>,
    },
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it is called.
    pub label: String,
    /// What is run.
    pub line: Line,
    /// How long it may take, where that differs from the limits.
    pub timeout: Option<Duration>,
}

/// How a command is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

impl Line {
    /// As a person would write it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Shell(line) => line.clone(),
            Self::Program(words) => words.join(" "),
        }
    }
}

/// Where the results go. Names are without endings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The folder.
    pub folder: PathBuf,
    /// What usual names begin with.
    pub stem: &'static str,
    /// The archive; the usual name when there is none.
    pub archive: Option<String>,
    /// The document of the facts.
    pub json: Option<String>,
    /// The log of the commands.
    pub commands: Option<String>,
    /// Whether document and log stay beside the archive, as CaLink left them.
    pub keeps_plain: bool,
    /// How the archive is compressed.
    pub compression: Compression,
}

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `.tar.gz`.
    Gzip {
        /// 0 to 9.
        level: u32,
    },
    /// `.tar.zst`.
    Zstd {
        /// 1 to 19.
        level: i32,
    },
}

impl Compression {
    /// What is used unless said otherwise.
    pub const GZIP: Self = Self::Gzip { level: 6 };
    /// zstd as its own tool has it.
    pub const ZSTD: Self = Self::Zstd { level: 3 };

    /// The ending of the archive's name.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Gzip { .. } => ".tar.gz",
            Self::Zstd { .. } => ".tar.zst",
        }
    }
}

impl Plan {
    /// Reads CaLink's INI. Paths of it begin at `prefix`; results go to `folder`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_ini(text: &str, prefix: &Path, folder: &Path) -> Result<Self, Error> {
        calink::plan(&ini::Ini::parse(text)?, prefix, folder)
    }

    /// Reads a document: ours, or the JSON of CaLink's second version.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_value(value: &Value, prefix: &Path, folder: &Path) -> Result<Self, Error> {
        match value.get(second::MEMBER) {
            Some(value) => second::plan(value, prefix, folder),
            None => native::plan(value, folder),
        }
    }

    /// What is gathered when nobody says what: the facts, the kernel's words and what has failed.
    #[must_use]
    pub fn built_in(folder: &Path) -> Self {
        native::built_in(folder)
    }
}

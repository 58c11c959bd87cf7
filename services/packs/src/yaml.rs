//! Text of a metadata file into a value, with the line of everything in it.
//!
//! Packs come as YAML 1.1, as PyYAML reads it, or as JSON with the liberties people take. Both
//! give the same [`Document`]: a JSON value, and for each JSON pointer the place in the file, so
//! that whoever finds fault with `/parameters/count/type` can say in which line.
//!
//! Invariants: no input panics, and none makes more than [`VALUES_MAX`] values or
//! [`EXPANDED_BYTES_MAX`] bytes of text, however its aliases are nested. Integers stay integers,
//! floats stay floats, keys keep their order.
//!
//! Not here: what the values mean (`engine::definition`).

mod events;
mod indent;
mod json;
mod node;
mod scalar;
mod stamp;

use std::collections::BTreeMap;

use serde_json::Value;

pub use node::{DEPTH_MAX, EXPANDED_BYTES_MAX, VALUES_MAX};

/// The longest metadata file in bytes; the longest known one has 160 KiB.
pub const TEXT_BYTES_MAX: usize = 2 << 20;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.yaml`, `.yml`.
    Yaml,
    /// `.json`.
    Json,
}

impl Format {
    /// The format that a path's ending names; nothing for other files.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A place in a text, counted from 1 as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

impl Place {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        Self { line: narrow(line), column: narrow(column) }
    }
}

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {}, column {})", place.line, place.column)]
pub struct SyntaxError {
    /// Where.
    pub place: Place,
    /// What is wrong, without place.
    pub message: String,
    /// What usually helps.
    pub hint: Option<String>,
}

impl SyntaxError {
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// Something the author of a file should know, although it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

/// A file that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says; null for an empty file.
    pub value: Value,
    /// Where each value stands, by JSON pointer: the key of a member, the start of a list element.
    pub lines: BTreeMap<String, Place>,
    /// What the author should know.
    pub notices: Vec<Notice>,
}

impl Document {
    /// The place of `pointer`, or of the nearest value around it that the file has.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.lines.get(pointer) {
                return *place;
            }
            let Some((parent, _)) = pointer.rsplit_once('/') else { return Place::START };
            pointer = parent;
        }
    }
}

/// Reads bytes of a file: they must be UTF-8 and within [`TEXT_BYTES_MAX`].
pub fn read_bytes(bytes: &[u8], format: Format) -> Result<Document, SyntaxError> {
    if bytes.len() > TEXT_BYTES_MAX {
        let message = format!("longer than {} MiB", TEXT_BYTES_MAX >> 20);
        return Err(SyntaxError::at(Place::START, message));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text, format),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let place = Place::new(line, before.len() - line_start + 1);
            Err(SyntaxError::at(place, "not UTF-8 text").hint("save the file as UTF-8"))
        }
    }
}

/// Reads a text. A file may be written in the other format than its name says.
pub fn read(text: &str, format: Format) -> Result<Document, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    let (tree, fault) = match format {
        Format::Json => match json::tree(text) {
            Ok(tree) => (tree, None),
            Err(fault) => match events::tree(text) {
                Ok(tree) => (tree, Some(fault)),
                Err(_) => return Err(fault),
            },
        },
        Format::Yaml => match events::tree(text) {
            Ok(tree) => (tree, None),
            Err(fault) if looks_like_json => (json::tree(text).map_err(|_| fault)?, None),
            Err(fault) => return Err(fault),
        },
    };
    let mut document = node::document(&tree)?;
    if let Some(fault) = fault {
        let message = format!("read as YAML, because as JSON {}", fault.message);
        document.notices.push(Notice { place: fault.place, message });
    }
    Ok(document)
}

#[cfg(test)]
mod tests;

//! What goes to standard output (data) and to standard error (the rest).

mod table;
mod yaml;

use std::io::{self, IsTerminal as _};

use serde_json::Value;

use crate::args::Format;
use crate::error::Failure;

pub(crate) use table::Column;

/// Where and how to print.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    color: bool,
}

/// A word whose meaning may be shown by a color as well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    /// It went well.
    Good,
    /// It went badly.
    Bad,
    /// Of less interest.
    Dim,
}

impl Output {
    /// Colors only for eyes, and only if they want them.
    pub(crate) fn new(format: Format) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format, color: wanted && io::stdout().is_terminal() }
    }

    /// How results are printed.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Prints a line of data.
    pub(crate) fn line(&self, text: &str) {
        write(io::stdout(), text, true);
    }

    /// Prints data as it is.
    pub(crate) fn raw(&self, text: &str) {
        write(io::stdout(), text, false);
    }

    /// Prints a line beside the data.
    pub(crate) fn note(&self, text: &str) {
        write(io::stderr(), text, true);
    }

    /// Prints a part of the other standard stream as it is.
    pub(crate) fn raw_error(&self, text: &str) {
        write(io::stderr(), text, false);
    }

    /// `text` in the color of `tone`, where colors are wanted.
    pub(crate) fn toned(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints one value: JSON, YAML, or its fields one a line.
    pub(crate) fn value(&self, value: &Value) {
        match self.format {
            Format::Json => self.line(&pretty(value)),
            Format::Yaml | Format::Table => self.raw(&yaml::text(value)),
        }
    }

    /// Prints the first lines of a value for eyes, and answers whether something was left out.
    pub(crate) fn excerpt(&self, value: &Value, lines_max: usize, line_max: usize) -> bool {
        let text = yaml::text(value);
        let mut lines = text.lines();
        let mut is_cut = false;
        for line in lines.by_ref().take(lines_max) {
            let end = line.char_indices().nth(line_max).map(|(end, _)| end);
            match end.and_then(|end| line.get(..end)) {
                Some(start) => self.line(&format!("{start}…")),
                None => self.line(line),
            }
            is_cut |= end.is_some();
        }
        is_cut || lines.next().is_some()
    }

    /// Prints a list: JSON and YAML whole, or a table of `columns`.
    pub(crate) fn list(&self, rows: &[Value], columns: &[Column]) {
        match self.format {
            Format::Json => self.line(&pretty(&Value::Array(rows.to_vec()))),
            Format::Yaml => self.raw(&yaml::text(&Value::Array(rows.to_vec()))),
            Format::Table => self.raw(&table::text(rows, columns)),
        }
    }

    /// Says what went wrong, where, why, and what to do.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.note(&format!("hearken: {}", failure.what));
        if let Some(place) = &failure.place {
            self.note(&format!("at {place}"));
        }
        if let Some(hint) = &failure.hint {
            self.note(&format!("hint: {hint}"));
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A reader that has gone away has seen what it wanted: that is no failure.
fn write(mut stream: impl io::Write, text: &str, newline: bool) {
    let written = stream
        .write_all(text.as_bytes())
        .and_then(|()| if newline { stream.write_all(b"\n") } else { Ok(()) })
        .and_then(|()| stream.flush());
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(i32::from(crate::error::EXIT_OK));
    }
}

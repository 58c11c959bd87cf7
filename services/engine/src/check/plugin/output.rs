//! The exit code and the lines of a plugin.
//!
//! Two readings of lines are alive. One takes everything after the first `|` of the first line as
//! measurements, and in later lines everything after the next `|`, whole lines included. The other
//! takes a `|` of any line as the beginning of measurements only if a `=` follows. Here a `|`
//! counts if a `=` follows in its line, and a later line without a `|` belongs to the
//! measurements if they have begun in a later line and it is nothing but measurements: what is
//! prose for one of the readings stays prose.
//!
//! Only the exit code says how something is. A plugin that could not run, was ended or answers with
//! a code of its own says nothing about its target: that is `unknown`, of the tool.

use hearken_proto::check::{CheckStatus, Metric, Origin};

use super::perfdata;

/// Longest first line that is kept, in bytes.
pub const TEXT_MAX: usize = 1_024;
/// Longest text of further lines that is kept, in bytes: a record with it fits into a message.
pub const LONG_TEXT_MAX: usize = 8 * 1_024;
/// Longest output of errors that is shown, in bytes.
const ERRORS_MAX: usize = 2 * 1_024;
/// What is said when nothing is said, as engines have it for twenty years.
const NO_OUTPUT: &str = "(No output returned from plugin)";
/// What stands where a text was cut.
const CUT: &str = " …";

/// How a plugin ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, from elsewhere.
    Signaled(i32),
    /// By us, after this many seconds.
    TimedOut(u64),
    /// It could not be started, for this reason.
    NotStarted(String),
}

/// What a run of a plugin says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How its target is.
    pub status: CheckStatus,
    /// Of what that speaks.
    pub origin: Origin,
    /// Its first line.
    pub text: String,
    /// Its other lines.
    pub long_text: String,
    /// What it measured.
    pub perfdata: Vec<Metric>,
}

/// What it means that a plugin ended so and printed this.
#[must_use]
pub fn interpret(ended: &Ended, stdout: &str, stderr: &str) -> Report {
    let (text, long_text, perfdata) = split(stdout);
    let (status, said) = match ended {
        Ended::Exited(0) => (CheckStatus::Ok, None),
        Ended::Exited(1) => (CheckStatus::Warning, None),
        Ended::Exited(2) => (CheckStatus::Critical, None),
        Ended::Exited(3) => (CheckStatus::Unknown, None),
        Ended::Exited(126) => (CheckStatus::Unknown, Some("cannot be executed".to_owned())),
        Ended::Exited(127) => (CheckStatus::Unknown, Some("was not found".to_owned())),
        Ended::Exited(code) => {
            (CheckStatus::Unknown, Some(format!("exited with {code}, which means nothing")))
        }
        Ended::Signaled(signal) => {
            (CheckStatus::Unknown, Some(format!("was ended by signal {signal}")))
        }
        Ended::TimedOut(seconds) => {
            (CheckStatus::Unknown, Some(format!("did not end within {seconds} s")))
        }
        Ended::NotStarted(reason) => {
            (CheckStatus::Unknown, Some(format!("cannot be started: {}", one_line(reason))))
        }
    };
    let origin = if said.is_some() { Origin::Tool } else { Origin::Target };
    let text = match (said, text.is_empty()) {
        (None, false) => text,
        (None, true) => first_line(stderr).unwrap_or_else(|| NO_OUTPUT.to_owned()),
        (Some(said), true) => match first_line(stderr) {
            Some(error) => format!("the plugin {said}: {error}"),
            None => format!("the plugin {said}"),
        },
        (Some(said), false) => format!("the plugin {said}: {text}"),
    };
    let mut long_text = long_text;
    let errors = stderr.trim();
    if origin == Origin::Tool && !errors.is_empty() {
        if !long_text.is_empty() {
            long_text.push('\n');
        }
        long_text.push_str(&cut(errors, ERRORS_MAX));
    }
    let (text, long_text) = (cut(&text, TEXT_MAX), cut(&long_text, LONG_TEXT_MAX));
    Report { status, origin, text, long_text, perfdata }
}

/// First line, further lines, measurements.
fn split(stdout: &str) -> (String, String, Vec<Metric>) {
    let mut lines = stdout.lines().map(str::trim_end);
    let (text, first) = at_pipe(lines.next().unwrap_or_default());
    let mut measured: Vec<&str> = first.into_iter().collect();
    let mut long: Vec<&str> = Vec::new();
    let mut begun = false;
    for line in lines {
        let (text, data) = at_pipe(line);
        if let Some(data) = data {
            begun = true;
            measured.push(data);
            if !text.trim().is_empty() {
                long.push(text.trim_end());
            }
        } else if begun && perfdata::is_all(line) {
            measured.push(line);
        } else {
            long.push(line);
        }
    }
    let mut text = one_line(text);
    let mut long_text = long.join("\n").trim_end().to_owned();
    if text.is_empty() && !long_text.trim().is_empty() {
        // Nothing in the first line: the first that says something is as good.
        let all = long_text.trim_start_matches('\n').to_owned();
        let (first, rest) = all.split_once('\n').unwrap_or((&all, ""));
        text = one_line(first);
        rest.clone_into(&mut long_text);
    }
    (text, clean(&long_text), perfdata::parse(&measured.join(" ")))
}

/// The text of a line, and its measurements if there are any.
fn at_pipe(line: &str) -> (&str, Option<&str>) {
    match line.split_once('|') {
        Some((text, data)) if data.contains('=') => (text, Some(data)),
        // A bar at the very end, or one with blanks after it, announces measurements of which there
        // are none.
        Some((text, data)) if data.trim().is_empty() => (text, None),
        Some(_) | None => (line, None),
    }
}

fn first_line(text: &str) -> Option<String> {
    text.lines().map(one_line).find(|line| !line.is_empty())
}

/// The text in one line without control characters.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

/// The text without control characters but the ends of its lines and tabulators.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// At most `max` bytes of the text, which says so when it was longer.
#[must_use]
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = max.saturating_sub(CUT.len());
    let end = (0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{CUT}", text.get(..end).unwrap_or_default())
}

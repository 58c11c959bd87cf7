//! What plugins measured: `'label'=value[unit][;[warn][;[crit][;[min][;[max]]]]] …`.
//!
//! Read as generously as the engines do that take it from real plugins: a label may hold blanks
//! even without quotes, the last `=` before the value counts, exponents are numbers, a unit that
//! nobody knows is a unit. An item that is none is left out and the rest is read on.

use hearken_proto::check::Metric;

use super::range::Range;

/// Most items of one result: what has more is no result but a data base.
pub const METRICS_MAX: usize = 100;
/// Longest label, in characters.
pub const LABEL_MAX: usize = 128;
/// Longest unit, in characters: `packets` is the longest one that is known.
const UNIT_MAX: usize = 12;
/// Longest range that is kept, in characters.
const RANGE_MAX: usize = 64;

/// Reads all items of `text`, up to [`METRICS_MAX`].
#[must_use]
pub fn parse(text: &str) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = Vec::new();
    let mut prefix = String::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && metrics.len() < METRICS_MAX {
        let Some((label, value, after)) = next(rest) else { break };
        rest = after.trim_start();
        let Some(mut metric) = metric(value).filter(|_| !label.is_empty()) else { continue };
        // The form of check_multi: what follows belongs to the one that was named last.
        metric.label = match label.rsplit_once("::") {
            Some((multi, _)) => {
                multi.clone_into(&mut prefix);
                label
            }
            None if prefix.is_empty() => label,
            None => format!("{prefix}::{label}"),
        };
        metric.label = metric.label.chars().take(LABEL_MAX).collect();
        metrics.push(metric);
    }
    metrics
}

/// Whether the whole of `text` is items and nothing else.
pub(super) fn is_all(text: &str) -> bool {
    let mut rest = text.trim();
    let mut any = false;
    while !rest.is_empty() {
        let Some((label, value, after)) = next(rest) else { return false };
        // Prose has words before an equals sign, items have a label.
        let quoted = rest.starts_with('\'');
        if metric(value).is_none() || (!quoted && label.contains(char::is_whitespace)) {
            return false;
        }
        any = true;
        rest = after.trim();
    }
    any
}

/// The next label, its value with all fields, and what is left; `None` when no `=` follows.
fn next(text: &str) -> Option<(String, &str, &str)> {
    if let Some(quoted) = text.strip_prefix('\'')
        && let Some((label, after)) = unquote(quoted)
        && let Some(value) = after.strip_prefix('=')
    {
        let (value, after) = word(value);
        return Some((label, value, after));
    }
    let (label, rest) = text.split_once('=')?;
    let (value, after) = word(rest);
    let (label, value) = match value.rsplit_once('=') {
        Some((more, value)) => (format!("{label}={more}"), value),
        None => (label.to_owned(), value),
    };
    Some((label.trim().trim_matches('\'').to_owned(), value, after))
}

/// The text up to the closing quote, where two quotes stand for one, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        let Some(more) = after.strip_prefix('\'') else { return Some((label, after)) };
        label.push('\'');
        rest = more;
    }
}

/// Up to the next blank, and from there.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

fn metric(text: &str) -> Option<Metric> {
    let mut fields = text.split(';');
    let (value, unit) = match fields.next()? {
        "U" => (None, ""),
        text => {
            let (value, unit) = leading_number(text)?;
            (Some(value), unit)
        }
    };
    let sign = |c: char| c.is_alphabetic() || matches!(c, '%' | '/' | '°' | 'µ');
    if !unit.chars().all(sign) || unit.chars().count() > UNIT_MAX {
        return None;
    }
    let mut range = || {
        let text = fields.next()?;
        let known = text.len() <= RANGE_MAX && Range::parse(text).is_ok();
        known.then(|| text.to_owned())
    };
    let (warning, critical) = (range(), range());
    let mut bound = || fields.next().and_then(leading_number).map(|(value, _)| value);
    let (min, max) = (bound(), bound());
    Some(Metric { label: String::new(), value, unit: unit.to_owned(), warning, critical, min, max })
}

/// The decimal number that `text` begins with, and what follows it. `1EB` is one exabyte and
/// `1E2` is a hundred.
pub(super) fn leading_number(text: &str) -> Option<(f64, &str)> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
    };
    let begins = |at: usize, signs: &[char]| text.get(at..).is_some_and(|t| t.starts_with(signs));
    let start = usize::from(begins(0, &['+', '-']));
    let whole = digits(start);
    let mut end = whole;
    if begins(end, &['.']) {
        end = digits(end + 1);
    }
    if end == start || (end == start + 1 && whole == start) {
        // No digit at all, or a dot alone.
        return None;
    }
    if begins(end, &['e', 'E']) {
        let from = end + 1 + usize::from(begins(end + 1, &['+', '-']));
        let exponent = digits(from);
        if exponent > from {
            end = exponent;
        }
    }
    let (number, unit) = text.split_at_checked(end)?;
    let value: f64 = number.trim_start_matches('+').parse().ok()?;
    value.is_finite().then_some((value, unit))
}

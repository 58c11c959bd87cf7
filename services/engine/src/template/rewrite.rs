//! Rewrites expressions so that operators mean what they mean in Python.
//!
//! The template engine compares what Python refuses to compare, knows no `%` on texts, puts no
//! limit on the length of a text, and overlooks the variable of a slice when it lists what a
//! template needs. So each expression is read with Jinja's grammar and written again with calls of
//! the functions in `operators.rs` in place of those operators. What this reader does not
//! understand is left as it stands: the engine then says what is wrong with it.

use super::tokens::tokens;
use super::writer::Writer;

/// Rewrites all expressions of a template.
pub(super) fn rewrite(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['{']) {
        let (before, block) = rest.split_at(at);
        out.push_str(before);
        let (piece, behind) = match block.get(..2) {
            Some("{#") => split_at_end(block, "#}"),
            Some("{{") => expression_block(block),
            Some("{%") => statement_block(block),
            Some(_) | None => (block.get(..1).unwrap_or_default().to_owned(), block.get(1..)),
        };
        out.push_str(&piece);
        rest = behind.unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn split_at_end<'a>(block: &'a str, end: &str) -> (String, Option<&'a str>) {
    match block.find(end) {
        Some(at) => {
            let (piece, behind) = block.split_at(at + end.len());
            (piece.to_owned(), Some(behind))
        }
        None => (block.to_owned(), None),
    }
}

/// The inside of a block, without the signs that trim blanks, and what follows the block.
struct Block<'a> {
    open: &'a str,
    inside: &'a str,
    close: &'a str,
    behind: &'a str,
}

/// Finds the end of a block outside of quotes and brackets.
fn block<'a>(text: &'a str, end: &str) -> Option<Block<'a>> {
    let open_length = 2 + usize::from(text.get(2..3).is_some_and(|sign| "-+".contains(sign)));
    let mut quote = None;
    let mut depth = 0_usize;
    let mut chars = text.char_indices().skip(open_length);
    let end_at = loop {
        let (at, c) = chars.next()?;
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, _) if depth == 0 && text.get(at..)?.starts_with(end) => break at,
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}' | ']' | ')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    };
    let trims = text.get(..end_at)?.ends_with(['-', '+']) && end_at > open_length;
    let close_at = end_at - usize::from(trims);
    Some(Block {
        open: text.get(..open_length)?,
        inside: text.get(open_length..close_at)?,
        close: text.get(close_at..end_at + end.len())?,
        behind: text.get(end_at + end.len()..)?,
    })
}

fn expression_block(text: &str) -> (String, Option<&str>) {
    let Some(block) = block(text, "}}") else {
        return (text.to_owned(), None);
    };
    let inside = expression(block.inside).unwrap_or_else(|| block.inside.to_owned());
    (format!("{} {inside} {}", block.open, block.close), Some(block.behind))
}

fn statement_block(text: &str) -> (String, Option<&str>) {
    let Some(block) = block(text, "%}") else {
        return (text.to_owned(), None);
    };
    let inside = block.inside.trim();
    let (word, rest) = inside.split_once(|c: char| c.is_whitespace()).unwrap_or((inside, ""));
    if word == "raw" {
        return raw_block(text, block.behind);
    }
    let rewritten = match word {
        "if" | "elif" => expression(rest),
        "for" => for_loop(rest),
        "set" | "with" => assignments(rest),
        _ => None,
    };
    let piece = match rewritten {
        Some(rewritten) => format!("{} {word} {rewritten} {}", block.open, block.close),
        None => text.get(..text.len() - block.behind.len()).unwrap_or_default().to_owned(),
    };
    (piece, Some(block.behind))
}

/// What stands between raw and endraw is not looked at.
fn raw_block<'a>(text: &'a str, behind: &'a str) -> (String, Option<&'a str>) {
    let mut rest = behind;
    while let Some(at) = rest.find("{%") {
        let candidate = rest.get(at..).unwrap_or_default();
        let end = block(candidate, "%}").filter(|block| block.inside.trim() == "endraw");
        if let Some(end) = end {
            let length = text.len() - end.behind.len();
            return (text.get(..length).unwrap_or_default().to_owned(), Some(end.behind));
        }
        rest = candidate.get(2..).unwrap_or_default();
    }
    (text.to_owned(), None)
}

/// `a, b in EXPRESSION [if EXPRESSION] [recursive]`
fn for_loop(text: &str) -> Option<String> {
    let tokens = tokens(text)?;
    let at = tokens.iter().position(|token| token.text == "in")?;
    let targets: Vec<&str> = tokens.get(..at)?.iter().map(|token| token.text.as_str()).collect();
    let targets = targets.join(" ");
    let mut writer = Writer::new(tokens, at + 1);
    // The filter of a loop is no conditional expression.
    let mut out = format!("{targets} in __iterable({})", writer.or()?);
    if writer.accept("if") {
        out = format!("{out} if {}", writer.conditional()?);
    }
    if writer.accept("recursive") {
        out.push_str(" recursive");
    }
    writer.is_done().then_some(out)
}

/// `a = EXPRESSION`, `ns.a = EXPRESSION`, `a, b = …`, and several of them after `with`.
fn assignments(text: &str) -> Option<String> {
    let mut writer = Writer::new(tokens(text)?, 0);
    let mut parts = Vec::new();
    loop {
        let names = writer.targets()?;
        let value = writer.conditional()?;
        let mut values = vec![value];
        // A tuple needs no parentheses here; after `with` a comma begins the next assignment.
        while !writer.assignment_follows() && writer.accept(",") {
            values.push(writer.conditional()?);
        }
        parts.push(format!("{names} = {}", values.join(", ")));
        if writer.is_done() {
            return Some(parts.join(", "));
        }
        if !writer.accept(",") {
            return None;
        }
    }
}

fn expression(text: &str) -> Option<String> {
    let mut writer = Writer::new(tokens(text)?, 0);
    let mut parts = vec![writer.conditional()?];
    while writer.accept(",") {
        if writer.is_done() {
            break;
        }
        parts.push(writer.conditional()?);
    }
    if !writer.is_done() {
        return None;
    }
    match parts.as_slice() {
        [only] if !text.trim_end().ends_with(',') => Some(only.clone()),
        _ => Some(format!("({},)", parts.join(", "))),
    }
}

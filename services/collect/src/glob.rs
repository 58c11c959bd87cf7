//! Patterns of names: `*`, `?` and `[…]` within a name, `**` over folders.

use regex::bytes::Regex;

/// The longest pattern, in bytes.
const LENGTH_MAX: usize = 4096;

/// A pattern that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern of names: {why}")]
pub struct Error {
    /// The pattern.
    pub pattern: String,
    /// What is wrong.
    pub why: String,
}

/// A pattern, compiled.
#[derive(Clone, Debug)]
pub struct Glob {
    regex: Regex,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is too long, or a `[` is never closed.
    pub fn parse(pattern: &str) -> Result<Self, Error> {
        let failed = |why: &str| Error { pattern: pattern.to_owned(), why: why.to_owned() };
        if pattern.len() > LENGTH_MAX {
            return Err(failed("it is too long"));
        }
        let text = regex_of(pattern).ok_or_else(|| failed("a [ is not closed by ]"))?;
        let regex = Regex::new(&text).map_err(|error| failed(&error.to_string()))?;
        Ok(Self { regex })
    }

    /// Whether a path, relative and with `/` between its names, is meant.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.regex.is_match(path)
    }
}

/// Whether a text is more than a name.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn regex_of(pattern: &str) -> Option<String> {
    let mut text = String::from("(?s-u)^");
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            text.push_str("(?:[^/]*/)*");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("**") {
            text.push_str(".*");
            rest = after;
            continue;
        }
        rest = rest.get(letter.len_utf8()..)?;
        match letter {
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' => {
                let (class, after) = class(rest)?;
                text.push_str(&class);
                rest = after;
            }
            letter => text.push_str(&regex::escape(&letter.to_string())),
        }
    }
    text.push('$');
    Some(text)
}

/// A class of letters from behind its `[`, and what comes after it.
fn class(rest: &str) -> Option<(String, &str)> {
    let negated = rest.strip_prefix(['!', '^']);
    let inner = negated.unwrap_or(rest);
    // A `]` right at the beginning is itself.
    let from = usize::from(inner.starts_with(']'));
    let end = from + inner.get(from..)?.find(']')?;
    let members = inner.get(..end)?;
    let mut text = String::from(if negated.is_some() { "[^/" } else { "[" });
    for letter in members.chars() {
        if letter == '-' {
            text.push('-');
        } else {
            text.push_str(&regex::escape(&letter.to_string()).replace('^', "\\^"));
        }
    }
    text.push(']');
    Some((text, inner.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_ends_at_a_folder_and_two_do_not() {
        for (pattern, path, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a/b.log", false),
            ("**/*.log", "a/b/c.log", true),
            ("**/*.log", "c.log", true),
            ("engines/**", "engines/a/b", true),
            ("engines/**", "other", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[ab]x", "bx", true),
            ("[!ab]x", "bx", false),
            ("[a-c].[]]", "b.]", true),
            ("a.b", "aXb", false),
            ("(x)+", "(x)+", true),
        ] {
            assert_eq!(
                Glob::parse(pattern).unwrap().matches(path.as_bytes()),
                expected,
                "{pattern}"
            );
        }
        assert!(Glob::parse("*").unwrap().matches(b"\xff\xfe"));
        assert!(Glob::parse("[a").is_err());
    }
}

//! Regular expressions in Python's dialect, with a limit on the steps of one search.
//!
//! A pattern is translated (`translate.rs`) for `fancy-regex`, which gives simple patterns to a
//! linear-time engine and backtracks, counting steps, only for look-around and back references.
//! Python's `$` also matches before a final newline; that costs look-around, so a second form with
//! it exists only for texts that do end in a newline.

use std::sync::OnceLock;

use fancy_regex::RegexBuilder;

use super::replacement::Replacement;
use super::translate::{Dollar, translate};

/// Steps one search may take while backtracking: some tens of milliseconds.
const STEPS_MAX: usize = 1_000_000;
/// Longest pattern that is read, in bytes: a pattern can come out of an event.
const PATTERN_MAX: usize = 16 * 1024;
/// Instructions a pattern may grow to when it is compiled.
const PROGRAM_MAX: usize = 100_000;
/// Most matches that one `find_all` or `replace` takes.
const MATCHES_MAX: usize = 100_000;

/// Why a pattern cannot be used, or not on this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no regular expression.
    #[error("{pattern:?} is no regular expression: {reason}")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The search took more steps than it may.
    #[error("{pattern:?} takes too long on this text: {reason}")]
    Limit {
        /// The pattern.
        pattern: String,
        /// Which limit it met.
        reason: String,
    },
    /// The replacement text names a group that is not there, or has a broken escape.
    #[error("{replacement:?} is no replacement text: {reason}")]
    Replacement {
        /// The replacement text.
        replacement: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where a match may begin, and how letters compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `re.IGNORECASE`
    pub ignore_case: bool,
    /// `re.DOTALL`
    pub dot_all: bool,
    /// `re.match` instead of `re.search`: the match begins where the text begins.
    pub anchored: bool,
}

/// A regular expression, compiled once.
#[derive(Clone, Debug)]
pub struct Regex {
    source: String,
    flags: Flags,
    plain: fancy_regex::Regex,
    /// The form for texts that end in a newline, made when first needed; none when `$` is absent.
    before_newline: Option<OnceLock<Result<fancy_regex::Regex, Error>>>,
}

/// The groups of one match; a group that took no part is none.
pub(super) type Groups<'t> = Vec<Option<&'t str>>;

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// [`Error::Syntax`] when Python would not compile it, or when it grows too large.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, Error> {
        let (plain, has_dollar) = compile(pattern, flags, Dollar::End, false)?;
        let before_newline = has_dollar.then(OnceLock::new);
        Ok(Self { source: pattern.to_owned(), flags, plain, before_newline })
    }

    fn form(&self, text: &str) -> Result<&fancy_regex::Regex, Error> {
        match &self.before_newline {
            Some(cell) if text.ends_with('\n') => cell
                .get_or_init(|| {
                    compile(&self.source, self.flags, Dollar::EndOrNewline, false)
                        .map(|(regex, _)| regex)
                })
                .as_ref()
                .map_err(Clone::clone),
            Some(_) | None => Ok(&self.plain),
        }
    }

    fn limit(&self, reason: impl ToString) -> Error {
        Error::Limit { pattern: self.source.clone(), reason: reason.to_string() }
    }

    /// Whether the text has a match.
    ///
    /// # Errors
    /// [`Error::Limit`] when the search takes too many steps.
    pub fn is_match(&self, text: &str) -> Result<bool, Error> {
        self.form(text)?.is_match(text).map_err(|error| self.limit(error))
    }

    /// Every match, as `re.findall` gives them: the whole match without groups, else the groups.
    ///
    /// # Errors
    /// [`Error::Limit`] when the search takes too many steps or finds too much.
    pub fn find_all(&self, text: &str) -> Result<Vec<Vec<String>>, Error> {
        let mut all = Vec::new();
        self.each(text, |_, groups| {
            let wanted = if groups.len() > 1 { groups.get(1..) } else { Some(groups.as_slice()) };
            all.push(
                wanted
                    .unwrap_or_default()
                    .iter()
                    .map(|group| group.unwrap_or_default().to_owned())
                    .collect(),
            );
        })?;
        Ok(all)
    }

    /// `re.sub`: every match replaced by `replacement`, in which `\1` and `\g<name>` are groups.
    ///
    /// # Errors
    /// [`Error::Replacement`] for a broken replacement text, [`Error::Limit`] as above.
    pub fn replace(&self, text: &str, replacement: &str) -> Result<String, Error> {
        let names: Vec<Option<&str>> = self.plain.capture_names().collect();
        let parsed = Replacement::parse(replacement, &names)
            .map_err(|reason| Error::Replacement { replacement: replacement.to_owned(), reason })?;
        let mut out = String::new();
        let mut copied = 0;
        self.each(text, |range, groups| {
            out.push_str(text.get(copied..range.start).unwrap_or_default());
            parsed.write(&mut out, groups);
            copied = range.end;
        })?;
        out.push_str(text.get(copied..).unwrap_or_default());
        Ok(out)
    }

    fn each<'t>(
        &self,
        text: &'t str,
        mut visit: impl FnMut(std::ops::Range<usize>, &Groups<'t>),
    ) -> Result<(), Error> {
        let regex = self.form(text)?;
        let mut from = 0;
        let mut after_empty = false;
        for _ in 0..MATCHES_MAX {
            let found = if after_empty {
                self.advancing(regex, text, from)?
            } else {
                regex.captures_from_pos(text, from).map_err(|error| self.limit(error))?
            };
            let Some(captures) = found else {
                return Ok(());
            };
            let Some(whole) = captures.get(0) else {
                return Ok(());
            };
            let groups = captures.iter().map(|group| group.map(|group| group.as_str())).collect();
            visit(whole.range(), &groups);
            after_empty = whole.start() == whole.end();
            from = whole.end();
        }
        Err(self.limit(format!("more than {MATCHES_MAX} matches")))
    }

    /// The match after an empty one at `from`: one that is not empty there, or else any further on.
    fn advancing<'t>(
        &self,
        regex: &fancy_regex::Regex,
        text: &'t str,
        from: usize,
    ) -> Result<Option<fancy_regex::Captures<'t, str>>, Error> {
        let dollar = if text.ends_with('\n') { Dollar::EndOrNewline } else { Dollar::End };
        // A pattern that can only be empty does not compile so, and has no such match.
        if let Ok((not_empty, _)) = compile(&self.source, self.flags, dollar, true) {
            let here = not_empty
                .captures_from_pos(text, from)
                .map_err(|error| self.limit(error))?
                .filter(|captures| captures.get(0).is_some_and(|whole| whole.start() == from));
            if here.is_some() {
                return Ok(here);
            }
        }
        let Some(c) = text.get(from..).and_then(|rest| rest.chars().next()) else {
            return Ok(None);
        };
        regex.captures_from_pos(text, from + c.len_utf8()).map_err(|error| self.limit(error))
    }
}

fn compile(
    pattern: &str,
    flags: Flags,
    dollar: Dollar,
    not_empty: bool,
) -> Result<(fancy_regex::Regex, bool), Error> {
    let syntax = |reason: String| Error::Syntax { pattern: pattern.to_owned(), reason };
    if pattern.len() > PATTERN_MAX {
        return Err(syntax(format!("it is longer than {PATTERN_MAX} bytes")));
    }
    let translated = translate(pattern, flags, dollar).map_err(syntax)?;
    let regex = RegexBuilder::new(&translated.text)
        .backtrack_limit(STEPS_MAX)
        .max_prog_size(PROGRAM_MAX)
        .find_not_empty(not_empty)
        .build()
        .map_err(|error| syntax(error.to_string()))?;
    Ok((regex, translated.has_dollar))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str, text: &str) -> Option<bool> {
        Regex::new(pattern, Flags::default()).and_then(|regex| regex.is_match(text)).ok()
    }

    /// Checked against Python 3.11's `re.search`.
    #[test]
    fn patterns_match_as_python_matches() {
        let rows = [
            ("b", "abc", Some(true)),
            ("^b", "abc", Some(false)),
            ("c$", "abc", Some(true)),
            ("c$", "abc\n", Some(true)),
            ("c$", "abc\n\n", Some(false)),
            (r"c\Z", "abc\n", Some(false)),
            ("(?m)b$", "b\nc", Some(true)),
            ("a.c", "a\nc", Some(false)),
            ("(?s)a.c", "a\nc", Some(true)),
            ("(?i)ABC", "abc", Some(true)),
            ("(?i:A)b", "ab", Some(true)),
            ("(?i:A)b", "aB", Some(false)),
            (r"(a)\1", "aa", Some(true)),
            (r"(?P<x>a)(?P=x)", "aa", Some(true)),
            ("(?<=a)b", "ab", Some(true)),
            ("(?<!a)b", "ab", Some(false)),
            ("a(?=b)", "ac", Some(false)),
            ("a(?!b)", "ac", Some(true)),
            ("(a)?b(?(1)c|d)", "bd", Some(true)),
            ("(?x) a b # comment\n c", "abc", Some(true)),
            ("[[:alpha:]]", ":]", Some(true)),
            ("[]a]", "]", Some(true)),
            ("[a&&b]", "&", Some(true)),
            ("[a-c-e]", "-", Some(true)),
            (r"[\]\-\d]", "7", Some(true)),
            (r"\<x\>", "<x>", Some(true)),
            ("a{", "a{", Some(true)),
            ("a{,2}b", "aab", Some(true)),
            ("x{a}", "x{a}", Some(true)),
            ("a{2}$", "aa", Some(true)),
            (r"\u00e9", "é", Some(true)),
            (r"\x41\101\0", "AA\0", Some(true)),
            (r"\h", "h", None),
            ("(?<n>a)", "a", None),
            ("*a", "a", None),
            ("a**", "a", None),
            ("(a", "a", None),
            ("a)", "a", None),
            ("[a", "a", None),
            (r"\", "a", None),
            ("(?#c)a", "a", Some(true)),
            ("a++b", "aab", Some(true)),
            ("(?>a+)ab", "aab", Some(false)),
            ("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", Some(false)),
        ];
        let mut wrong = Vec::new();
        for (pattern, text, expected) in rows {
            let actual = search(pattern, text);
            if actual != expected {
                wrong.push(format!("{pattern:?} in {text:?}: {actual:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_search_that_explodes_ends_with_an_error() {
        let regex = Regex::new(r"^(a|aa)+\1$", Flags::default()).unwrap();
        let text = format!("{}b", "a".repeat(60));
        assert!(matches!(regex.is_match(&text), Err(Error::Limit { .. })));
    }

    #[test]
    fn matches_are_listed_and_replaced_as_python_does() {
        let regex = |pattern: &str| Regex::new(pattern, Flags::default()).unwrap();
        assert_eq!(regex("x*").replace("abxd", "-"), Ok("-a-b--d-".to_owned()));
        assert_eq!(
            regex("(a)(b)?").find_all("ab a"),
            Ok(vec![vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned(), String::new()],])
        );
        assert_eq!(regex(r"(?P<d>\d)").replace("a1b2", r"<\1\g<d>\\>"), Ok(r"a<11\>b<22\>".into()));
        assert_eq!(regex("a").replace("banana", ""), Ok("bnn".to_owned()));
        assert!(regex("a").replace("a", r"\2").is_err());
        assert!(regex("a").replace("a", r"\q").is_err());
    }
}

//! Shell-style wildcards as Python's `fnmatch` reads them: `*`, `?`, `[seq]`, `[!seq]`.
//!
//! Matched directly, not through a regular expression: one backtracking point (the last `*`) is
//! enough, so the cost is at most text times pattern. Case counts, as on Unix.

/// A wildcard pattern, read once.
#[derive(Clone, Debug)]
pub struct Wildcard(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// `*`
    Many,
    /// `?`
    One,
    Letter(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Wildcard {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn parse(pattern: &str) -> Self {
        let chars: Vec<char> = pattern.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(c) = chars.get(at).copied() {
            at += 1;
            let part = match c {
                '*' => Part::Many,
                '?' => Part::One,
                '[' => match class(&chars, at) {
                    Some((part, next)) => {
                        at = next;
                        part
                    }
                    // A bracket that is never closed stands for itself.
                    None => Part::Letter('['),
                },
                c => Part::Letter(c),
            };
            if part != Part::Many || parts.last() != Some(&Part::Many) {
                parts.push(part);
            }
        }
        Self(parts)
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let (mut part_at, mut text_at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            let c = chars.get(text_at).copied();
            match (self.0.get(part_at), c) {
                (Some(Part::Many), _) => {
                    star = Some((part_at, text_at));
                    part_at += 1;
                }
                (Some(part), Some(c)) if part.accepts(c) => {
                    part_at += 1;
                    text_at += 1;
                }
                (None, None) => return true,
                (_, None) => return false,
                (_, Some(_)) => match star {
                    Some((star_part, star_text)) => {
                        star = Some((star_part, star_text + 1));
                        part_at = star_part + 1;
                        text_at = star_text + 1;
                    }
                    None => return false,
                },
            }
        }
    }
}

impl Part {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Many | Self::One => true,
            Self::Letter(letter) => *letter == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| *low <= c && c <= *high) != *negated
            }
        }
    }
}

/// Reads a class whose bracket stands before `start`; gives the place behind it.
fn class(chars: &[char], start: usize) -> Option<(Part, usize)> {
    let negated = chars.get(start) == Some(&'!');
    let first = start + usize::from(negated);
    // A closing bracket that comes first is a member.
    let search_from = first + usize::from(chars.get(first) == Some(&']'));
    let end = (search_from..chars.len()).find(|at| chars.get(*at) == Some(&']'))?;
    let members = chars.get(first..end)?;
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(low) = members.get(at).copied() {
        match (members.get(at + 1), members.get(at + 2)) {
            (Some('-'), Some(high)) => {
                // An empty range such as [z-a] has no members.
                if low <= *high {
                    ranges.push((low, *high));
                }
                at += 3;
            }
            _ => {
                ranges.push((low, low));
                at += 1;
            }
        }
    }
    Some((Part::Class { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked against Python's `fnmatch.fnmatch`.
    #[test]
    fn wildcards_match_as_fnmatch_matches() {
        let rows = [
            ("*", "", true),
            ("*", "a/b\nc", true),
            ("?", "", false),
            ("v*.*.?", "v1.20.3", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("web[0-9]", "web7", true),
            ("web[!0-9]", "web7", false),
            ("web[!0-9]", "webx", true),
            ("[]x]", "]", true),
            ("[!]x]", "]", false),
            ("[a-]", "-", true),
            ("[-a]", "-", true),
            ("[z-a]", "m", false),
            ("[", "[", true),
            ("[abc", "[abc", true),
            ("A", "a", false),
            ("a.c", "abc", false),
            ("**a", "bbba", true),
            ("日?", "日本", true),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(Wildcard::parse(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}

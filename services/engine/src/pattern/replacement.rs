//! Replacement texts of `re.sub`: `\1`, `\g<1>`, `\g<name>` and escapes.

use super::regex::Groups;

/// A replacement text, read for one pattern.
#[derive(Clone, Debug)]
pub(super) struct Replacement(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads `text`; `names` are the groups of the pattern, the whole match first.
    pub(super) fn parse(text: &str, names: &[Option<&str>]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '\\' {
                literal.push(c);
                continue;
            }
            let Some(escaped) = chars.next() else {
                return Err("a backslash ends it".to_owned());
            };
            let group = match escaped {
                'g' => Some(named_group(&mut chars, names)?),
                '1'..='9' => {
                    let mut number = escaped.to_string();
                    number.extend(chars.next_if(char::is_ascii_digit));
                    Some(number.parse().map_err(|_| format!("no group {number}"))?)
                }
                other => {
                    escape(other, &mut chars, &mut literal)?;
                    None
                }
            };
            if let Some(group) = group {
                if group >= names.len() {
                    return Err(format!("the pattern has no group {group}"));
                }
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Group(group));
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    /// Appends the replacement for a match with these groups.
    pub(super) fn write(&self, out: &mut String, groups: &Groups<'_>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(group) => {
                    out.push_str(groups.get(*group).copied().flatten().unwrap_or_default());
                }
            }
        }
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn named_group(chars: &mut Chars<'_>, names: &[Option<&str>]) -> Result<usize, String> {
    if chars.next() != Some('<') {
        return Err("\\g needs a group in <>".to_owned());
    }
    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
    if let Ok(number) = name.parse::<usize>() {
        return Ok(number);
    }
    names
        .iter()
        .position(|known| *known == Some(name.as_str()))
        .ok_or_else(|| format!("the pattern has no group {name:?}"))
}

fn escape(escaped: char, chars: &mut Chars<'_>, literal: &mut String) -> Result<(), String> {
    let c = match escaped {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '0' => {
            let mut code = 0;
            for _ in 0..2 {
                if let Some(digit) = chars.next_if(|c| c.is_digit(8)) {
                    code = code * 8 + digit.to_digit(8).unwrap_or(0);
                }
            }
            char::from_u32(code).unwrap_or('\0')
        }
        other if other.is_ascii_alphabetic() => return Err(format!("bad escape \\{other}")),
        other => {
            // Any other escape keeps its backslash, as in Python.
            literal.push('\\');
            other
        }
    };
    literal.push(c);
    Ok(())
}

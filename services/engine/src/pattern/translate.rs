//! Python's regular expressions rewritten in the dialect of `fancy-regex`.
//!
//! The whole pattern is read and written anew, because the dialects differ in small things that
//! would match silently otherwise: `\Z`, `\<`, `[[:alpha:]]`, `[a&&b]`, `{,n}`, blanks inside
//! classes in verbose mode. What Python refuses is refused here with Python's words.

use std::fmt::Write;

use super::regex::Flags;

/// Deepest nesting of groups.
const DEPTH_MAX: usize = 100;
/// Times a pattern is read again because a flag in its middle holds for all of it.
const PASSES_MAX: usize = 4;

/// What `$` stands for outside multi-line mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dollar {
    /// The very end: right for texts that do not end in a newline.
    End,
    /// The end, or before a newline that ends the text.
    EndOrNewline,
}

/// A translated pattern.
pub(super) struct Translated {
    /// The pattern for `fancy-regex`.
    pub(super) text: String,
    /// Whether `$` stands in it outside multi-line mode.
    pub(super) has_dollar: bool,
}

/// The flags that a pattern can set inside itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Modes {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    verbose: bool,
    ascii: bool,
}

/// Rewrites `pattern`.
pub(super) fn translate(pattern: &str, flags: Flags, dollar: Dollar) -> Result<Translated, String> {
    let mut modes =
        Modes { ignore_case: flags.ignore_case, dot_all: flags.dot_all, ..Modes::default() };
    for _ in 0..PASSES_MAX {
        let mut translator = Translator {
            chars: pattern.chars().collect(),
            at: 0,
            out: String::new(),
            modes,
            all: modes,
            groups: 0,
            names: Vec::new(),
            dollar,
            has_dollar: false,
        };
        translator.alternatives(0)?;
        if translator.peek().is_some() {
            return Err("unbalanced parenthesis".to_owned());
        }
        if translator.all != modes {
            // A flag was found that holds from the start.
            modes = translator.all;
            continue;
        }
        let body = translator.out;
        let case = if modes.ignore_case { "(?i)" } else { "" };
        let text =
            if flags.anchored { format!("{case}\\A(?:{body})") } else { format!("{case}{body}") };
        return Ok(Translated { text, has_dollar: translator.has_dollar });
    }
    Err("its flags contradict each other".to_owned())
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    /// The flags in force here.
    modes: Modes,
    /// The flags of the whole pattern.
    all: Modes,
    groups: u32,
    /// Names of groups so far.
    names: Vec<String>,
    dollar: Dollar,
    has_dollar: bool,
}

/// What a repetition would repeat.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    /// An item that begins at this place of the output.
    Item(usize),
    Repeated,
}

type Read<T> = Result<T, String>;

impl Translator {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn accept(&mut self, wanted: &str) -> bool {
        let end = self.at + wanted.chars().count();
        let found = self
            .chars
            .get(self.at..end)
            .is_some_and(|next| next.iter().copied().eq(wanted.chars()));
        if found {
            self.at = end;
        }
        found
    }

    /// Reads up to a closing parenthesis or the end, without taking it.
    fn alternatives(&mut self, depth: usize) -> Read<usize> {
        if depth > DEPTH_MAX {
            return Err("groups are nested too deeply".to_owned());
        }
        let mut branches = 1;
        let mut last = Last::Nothing;
        while let Some(c) = self.peek() {
            if c == ')' {
                break;
            }
            self.at += 1;
            if self.modes.verbose && self.skip_blank(c) {
                continue;
            }
            let start = self.out.len();
            last = match c {
                '|' => {
                    branches += 1;
                    self.out.push('|');
                    Last::Nothing
                }
                '*' | '+' | '?' => self.repeat(last, &c.to_string())?,
                '{' => match self.bounds()? {
                    Some(bounds) => self.repeat(last, &bounds)?,
                    None => self.literal('{', start),
                },
                '(' => self.group(depth)?.map_or(last, |()| Last::Item(start)),
                '[' => {
                    self.class()?;
                    Last::Item(start)
                }
                '\\' => self.escape(start)?,
                '.' => {
                    self.out.push_str(if self.modes.dot_all { "(?s:.)" } else { "[^\\n]" });
                    Last::Item(start)
                }
                '^' => {
                    self.out.push_str(if self.modes.multi_line { "(?m:^)" } else { "\\A" });
                    Last::Nothing
                }
                '$' => {
                    self.dollar();
                    Last::Nothing
                }
                c => self.literal(c, start),
            };
        }
        Ok(branches)
    }

    fn skip_blank(&mut self, c: char) -> bool {
        if c == '#' {
            while self.peek().is_some_and(|c| c != '\n') {
                self.at += 1;
            }
            return true;
        }
        c.is_ascii_whitespace() || c == '\u{b}'
    }

    fn dollar(&mut self) {
        if self.modes.multi_line {
            self.out.push_str("(?m:$)");
            return;
        }
        self.has_dollar = true;
        self.out.push_str(match self.dollar {
            Dollar::End => "\\z",
            Dollar::EndOrNewline => "(?=\\n?\\z)",
        });
    }

    fn literal(&mut self, c: char, start: usize) -> Last {
        push_literal(&mut self.out, c);
        Last::Item(start)
    }

    fn repeat(&mut self, last: Last, bounds: &str) -> Read<Last> {
        let start = match last {
            Last::Item(start) => start,
            Last::Nothing => return Err("nothing to repeat".to_owned()),
            Last::Repeated => return Err("multiple repeat".to_owned()),
        };
        let item = self.out.get(start..).unwrap_or_default();
        if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| item.starts_with(look)) {
            // A look repeated is the look itself, or nothing where none will do.
            if bounds.starts_with(['*', '?']) || bounds.starts_with("{0") {
                self.out.truncate(start);
                self.out.push_str("(?:)");
            }
            let _lazy_or_possessive = self.accept("?") || self.accept("+");
            return Ok(Last::Repeated);
        }
        self.out.push_str(bounds);
        if self.accept("?") {
            self.out.push('?');
        } else if self.accept("+") {
            self.out.insert_str(start, "(?>");
            self.out.push(')');
        }
        Ok(Last::Repeated)
    }

    /// Reads `m,n}`; none when the brace stands for itself.
    fn bounds(&mut self) -> Read<Option<String>> {
        let start = self.at;
        let low = self.digits();
        let comma = self.accept(",");
        let high = if comma { self.digits() } else { low.clone() };
        if !self.accept("}") || (low.is_empty() && !comma) {
            self.at = start;
            return Ok(None);
        }
        let number = |digits: &str| -> Read<Option<u32>> {
            if digits.is_empty() {
                return Ok(None);
            }
            digits.parse().map(Some).map_err(|_| "the repetition number is too large".to_owned())
        };
        let low = number(&low)?.unwrap_or(0);
        Ok(Some(match number(&high)? {
            Some(high) if high < low => {
                return Err("min repeat greater than max repeat".to_owned());
            }
            Some(high) => format!("{{{low},{high}}}"),
            None => format!("{{{low},}}"),
        }))
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    /// Reads a group whose parenthesis is taken; none when it was a comment or set flags.
    fn group(&mut self, depth: usize) -> Read<Option<()>> {
        let outside = self.modes;
        if self.accept("?") {
            if self.accept("#") {
                while self.take().ok_or("missing ), unterminated comment")? != ')' {}
                return Ok(None);
            }
            if !self.extension()? {
                return Ok(None);
            }
        } else {
            self.groups += 1;
            self.out.push('(');
        }
        self.alternatives(depth + 1)?;
        if !self.accept(")") {
            return Err("missing ), unterminated subpattern".to_owned());
        }
        self.out.push(')');
        self.modes = outside;
        Ok(Some(()))
    }

    /// Reads what stands between `(?` and the body; false when there is no body.
    fn extension(&mut self) -> Read<bool> {
        for plain in [":", "=", "!", ">", "<=", "<!"] {
            if self.accept(plain) {
                self.out.push_str("(?");
                self.out.push_str(plain);
                return Ok(true);
            }
        }
        if self.accept("P<") {
            let name = self.name('>')?;
            if self.names.contains(&name) {
                return Err(format!("redefinition of group name {name:?}"));
            }
            self.names.push(name.clone());
            self.groups += 1;
            for part in ["(?P<", &name, ">"] {
                self.out.push_str(part);
            }
            return Ok(true);
        }
        if self.accept("P=") {
            let name = self.name(')')?;
            if !self.names.contains(&name) {
                return Err(format!("unknown group name {name:?}"));
            }
            for part in ["(?:(?P=", &name, "))"] {
                self.out.push_str(part);
            }
            return Ok(false);
        }
        if self.accept("(") {
            let condition = self.until(')')?;
            let numbered =
                !condition.is_empty() && condition.bytes().all(|byte| byte.is_ascii_digit());
            let (open, close) = if numbered { ("(?(", ")") } else { ("(?(<", ">)") };
            for part in [open, &condition, close] {
                self.out.push_str(part);
            }
            return Ok(true);
        }
        self.flags()
    }

    fn name(&mut self, end: char) -> Read<String> {
        let name = self.until(end)?;
        let lawful = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if lawful { Ok(name) } else { Err(format!("bad character in group name {name:?}")) }
    }

    fn until(&mut self, end: char) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.take() {
                Some(c) if c == end => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(format!("missing {end}, unterminated name")),
            }
        }
    }

    /// Reads `i)`, `i:` or `i-s:`; true when a body follows.
    fn flags(&mut self) -> Read<bool> {
        let mut modes = self.modes;
        let mut on = true;
        loop {
            match self.take() {
                Some('i') => modes.ignore_case = on,
                Some('m') => modes.multi_line = on,
                Some('s') => modes.dot_all = on,
                Some('x') => modes.verbose = on,
                Some('a') => modes.ascii = on,
                Some('u') => modes.ascii = false,
                Some('-') if on => on = false,
                Some(')') if on => {
                    self.all = modes;
                    self.modes = modes;
                    return Ok(false);
                }
                Some(':') => {
                    self.modes = modes;
                    self.out.push_str(if modes.ignore_case { "(?i:" } else { "(?-i:" });
                    return Ok(true);
                }
                Some(c) => return Err(format!("unknown extension ?{c}")),
                None => return Err("unexpected end of pattern".to_owned()),
            }
        }
    }

    fn escape(&mut self, start: usize) -> Read<Last> {
        let Some(c) = self.take() else {
            return Err("bad escape (end of pattern)".to_owned());
        };
        match c {
            'A' | 'b' | 'B' => {
                self.out.push('\\');
                self.out.push(c);
                return Ok(Last::Nothing);
            }
            'Z' => {
                self.out.push_str("\\z");
                return Ok(Last::Nothing);
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                let set = self.set(c);
                for part in ["[", &set, "]"] {
                    self.out.push_str(part);
                }
            }
            '1'..='9' => match self.octal(c) {
                Some(c) => push_literal(&mut self.out, c),
                None => {
                    let mut number = c.to_string();
                    if let Some(digit) = self.peek().filter(char::is_ascii_digit) {
                        number.push(digit);
                        self.at += 1;
                    }
                    if number.parse::<u32>().is_ok_and(|number| number > self.groups) {
                        return Err(format!("invalid group reference {number}"));
                    }
                    for part in ["(?:\\", &number, ")"] {
                        self.out.push_str(part);
                    }
                }
            },
            c => {
                let literal = self.character(c)?;
                push_literal(&mut self.out, literal);
            }
        }
        Ok(Last::Item(start))
    }

    /// A class such as `\d`, as the members of a set.
    fn set(&self, c: char) -> String {
        let members = match (self.modes.ascii, c) {
            (true, 'd') => "0-9",
            (true, 'w') => "0-9A-Za-z_",
            (true, 's') => "\\t\\n\\x0b\\x0c\\r ",
            (true, 'D') => "[^0-9]",
            (true, 'W') => "[^0-9A-Za-z_]",
            (true, 'S') => "[^\\t\\n\\x0b\\x0c\\r ]",
            (_, _) => return format!("\\{c}"),
        };
        members.to_owned()
    }

    /// `\123` is octal when three octal digits stand there.
    fn octal(&mut self, first: char) -> Option<char> {
        let digits = [Some(first), self.peek(), self.chars.get(self.at + 1).copied()];
        let mut code = 0;
        for digit in digits {
            code = code * 8 + digit?.to_digit(8)?;
        }
        self.at += 2;
        char::from_u32(code).filter(|_| code <= 0o377)
    }

    /// The character that an escape stands for, inside classes and out.
    fn character(&mut self, c: char) -> Read<char> {
        Ok(match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    if let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
                        code = code * 8 + digit;
                        self.at += 1;
                    }
                }
                char::from_u32(code).unwrap_or('\0')
            }
            c if c.is_ascii_alphanumeric() => return Err(format!("bad escape \\{c}")),
            c => c,
        })
    }

    fn code(&mut self, digits: usize) -> Read<char> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.take().and_then(|c| c.to_digit(16)).ok_or("incomplete escape")?;
            code = code * 16 + digit;
        }
        char::from_u32(code).ok_or_else(|| "an escape of no character".to_owned())
    }

    /// Reads a class whose bracket is taken.
    fn class(&mut self) -> Read<()> {
        let unterminated = || "unterminated character set".to_owned();
        self.out.push('[');
        if self.accept("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.take().ok_or_else(unterminated)?;
            if c == ']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            let low = self.member(c)?;
            let range =
                self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if !range {
                match low {
                    Member::Letter(letter) => push_literal(&mut self.out, letter),
                    Member::Set(set) => self.out.push_str(&set),
                }
                continue;
            }
            self.at += 1;
            let c = self.take().ok_or_else(unterminated)?;
            match (low, self.member(c)?) {
                (Member::Letter(low), Member::Letter(high)) if low <= high => {
                    push_literal(&mut self.out, low);
                    self.out.push('-');
                    push_literal(&mut self.out, high);
                }
                _ => return Err("bad character range".to_owned()),
            }
        }
    }

    fn member(&mut self, c: char) -> Read<Member> {
        if c != '\\' {
            return Ok(Member::Letter(c));
        }
        let c = self.take().ok_or("unterminated character set")?;
        Ok(match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => Member::Set(self.set(c)),
            'b' => Member::Letter('\u{8}'),
            '1'..='7' => Member::Letter(self.octal(c).ok_or_else(|| format!("bad escape \\{c}"))?),
            c => Member::Letter(self.character(c)?),
        })
    }
}

enum Member {
    Letter(char),
    Set(String),
}

/// Letters and digits stand for themselves; all else is written by its number.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        // Writing into a String cannot fail.
        let _ = write!(out, "\\x{{{:x}}}", u32::from(c));
    }
}

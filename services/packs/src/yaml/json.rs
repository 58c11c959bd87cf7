//! JSON as people write it: trailing commas, comments and tabs are fine.
//!
//! The first packs were written as JSON, with trailing commas that strict readers refuse. JSON has
//! its own reader although YAML is nearly a superset, because YAML reads tabs and `\ud83d\ude00`
//! differently.

use std::rc::Rc;

use super::node::{self, DEPTH_MAX, Node, VALUES_MAX};
use super::scalar::{self, Scalar};
use super::{Place, SyntaxError};

/// Reads the one value of `text`; an empty file is null.
pub(crate) fn tree(text: &str) -> Result<Rc<Node>, SyntaxError> {
    let mut reader = Reader { rest: text, line: 1, column: 1, nodes: 0 };
    reader.skip_blanks()?;
    if reader.rest.is_empty() {
        return Ok(Node::scalar(Place::START, Scalar::Null));
    }
    let node = reader.value(0)?;
    reader.skip_blanks()?;
    match reader.peek() {
        None => Ok(node),
        Some(other) => Err(reader.error(format!("expected the end of the file, found {other:?}"))),
    }
}

/// Where the reading is.
struct Reader<'text> {
    /// Not yet read.
    rest: &'text str,
    /// Line of `rest`.
    line: usize,
    /// Column of `rest`.
    column: usize,
    /// Values so far.
    nodes: usize,
}

impl<'text> Reader<'text> {
    fn value(&mut self, depth: usize) -> Result<Rc<Node>, SyntaxError> {
        let place = self.place();
        self.nodes += 1;
        if self.nodes > VALUES_MAX * 2 {
            return Err(SyntaxError::at(place, format!("more than {VALUES_MAX} values")));
        }
        if depth > DEPTH_MAX {
            return Err(node::too_deep(place));
        }
        match self.peek() {
            Some('{') => self.object(place, depth),
            Some('[') => self.array(place, depth),
            Some('"') => Ok(Node::scalar(place, Scalar::Text(self.string()?))),
            Some(_) => Ok(Node::scalar(place, self.bare()?)),
            None => Err(self.error("expected a value, found the end of the file")),
        }
    }

    fn object(&mut self, place: Place, depth: usize) -> Result<Rc<Node>, SyntaxError> {
        let mut pairs = Vec::new();
        self.advance();
        loop {
            self.skip_blanks()?;
            let key_place = self.place();
            match self.peek() {
                Some('}') => {
                    self.advance();
                    break;
                }
                Some('"') => {}
                Some(other) => {
                    return Err(
                        self.error(format!("expected a key in double quotes, found {other:?}"))
                    );
                }
                None => return Err(self.unclosed(place, '}')),
            }
            let key = Node::scalar(key_place, Scalar::Text(self.string()?));
            self.skip_blanks()?;
            if self.peek() != Some(':') {
                return Err(self.error("expected : after a key"));
            }
            self.advance();
            self.skip_blanks()?;
            let value = self.value(depth + 1)?;
            pairs.push((key, value));
            self.comma_or('}', place)?;
        }
        Node::mapping(place, pairs)
    }

    fn array(&mut self, place: Place, depth: usize) -> Result<Rc<Node>, SyntaxError> {
        let mut items = Vec::new();
        self.advance();
        loop {
            self.skip_blanks()?;
            match self.peek() {
                Some(']') => {
                    self.advance();
                    break;
                }
                Some(_) => {}
                None => return Err(self.unclosed(place, ']')),
            }
            items.push(self.value(depth + 1)?);
            self.comma_or(']', place)?;
        }
        Node::sequence(place, items)
    }

    /// Takes a comma; leaves `closing` for the caller.
    fn comma_or(&mut self, closing: char, opened: Place) -> Result<(), SyntaxError> {
        self.skip_blanks()?;
        match self.peek() {
            Some(',') => {
                self.advance();
                Ok(())
            }
            Some(found) if found == closing => Ok(()),
            Some(found) => Err(self.error(format!("expected , or {closing} before {found:?}"))),
            None => Err(self.unclosed(opened, closing)),
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let opened = self.place();
        let mut text = String::new();
        self.advance();
        loop {
            let Some(next) = self.advance() else { return Err(self.unclosed(opened, '"')) };
            match next {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                other => text.push(other),
            }
        }
    }

    /// What follows a backslash; half a surrogate pair becomes the replacement character.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        match self.advance() {
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('u') => {
                let high = self.hex()?;
                if !(0xd800..0xdc00).contains(&high) || !self.rest.starts_with("\\u") {
                    return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.advance();
                self.advance();
                let low = self.hex()?;
                let pair = 0x10000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                let whole = (0xdc00..0xe000).contains(&low).then(|| char::from_u32(pair));
                Ok(whole.flatten().unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => Err(self.error("a backslash is followed by one of \"\\/bfnrtu")),
        }
    }

    fn hex(&mut self) -> Result<u32, SyntaxError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.advance().and_then(|digit| digit.to_digit(16));
            value = value * 16 + digit.ok_or_else(|| self.error("\\u needs four hex digits"))?;
        }
        Ok(value)
    }

    /// A number or a word.
    fn bare(&mut self) -> Result<Scalar, SyntaxError> {
        let start = self.rest;
        let before = self.place();
        let belongs = |next: char| next.is_ascii_alphanumeric() || "+-._".contains(next);
        while self.peek().is_some_and(belongs) {
            self.advance();
        }
        let word = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        let read = match word {
            "null" => Some(Scalar::Null),
            "true" => Some(Scalar::Bool(true)),
            "false" => Some(Scalar::Bool(false)),
            "NaN" => scalar::finite(f64::NAN),
            "Infinity" => scalar::finite(f64::INFINITY),
            "-Infinity" => scalar::finite(f64::NEG_INFINITY),
            number => json_number(number),
        };
        read.ok_or_else(|| {
            let shown =
                if word.is_empty() { start.chars().take(1).collect() } else { word.to_owned() };
            SyntaxError::at(before, format!("{shown:?} is no JSON value"))
        })
    }

    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n' | '\u{feff}') => {
                    self.advance();
                }
                Some('#') => self.skip_line(),
                Some('/') if self.rest.starts_with("//") => self.skip_line(),
                Some('/') if self.rest.starts_with("/*") => {
                    let opened = self.place();
                    while !self.rest.starts_with("*/") {
                        if self.advance().is_none() {
                            return Err(SyntaxError::at(opened, "this comment is never closed"));
                        }
                    }
                    self.advance();
                    self.advance();
                }
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|next| next != '\n') {
            self.advance();
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        if next == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn place(&self) -> Place {
        Place::new(self.line, self.column)
    }

    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::at(self.place(), message)
    }

    fn unclosed(&self, opened: Place, closing: char) -> SyntaxError {
        SyntaxError::at(opened, format!("what opens here is never closed with {closing}"))
    }
}

/// A number as JSON spells it: a dot or an exponent makes it a float.
fn json_number(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole: usize = digits.bytes().take_while(u8::is_ascii_digit).count();
    let leading_zero = whole > 1 && digits.starts_with('0');
    if whole == 0 || leading_zero || digits.contains('_') || digits.ends_with('.') {
        return None;
    }
    if whole == digits.len() {
        return scalar::integer(text);
    }
    text.parse().ok().and_then(scalar::finite)
}

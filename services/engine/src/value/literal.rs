//! `ast.literal_eval`: Python literals read as JSON values.
//!
//! Casting a rendered parameter to a list, a map or a boolean tries JSON first and this second.
//! Tuples become lists; sets, bytes and complex numbers have no JSON and are refused.

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read; Python's own parser gives up at a similar depth.
const DEPTH_MAX: usize = 100;

/// Why a text is no Python literal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no Python literal: {reason} at character {place}")]
pub struct Error {
    /// The text.
    pub text: String,
    /// What was wrong.
    pub reason: &'static str,
    /// Where, in characters from the start.
    pub place: usize,
}

/// Reads one literal.
///
/// # Errors
/// When the text is anything but one literal.
pub fn parse(text: &str) -> Result<Value, Error> {
    let mut reader = Reader { chars: text.trim().chars().collect(), place: 0 };
    let error =
        |reader: &Reader, reason| Error { text: text.to_owned(), reason, place: reader.place };
    let value = reader.tuple_or_value().map_err(|reason| error(&reader, reason))?;
    reader.blanks();
    if reader.peek().is_some() {
        return Err(error(&reader, "more text after the literal"));
    }
    Ok(value)
}

/// Reads an integer as Python's `int()` does: blanks around, a sign, underscores between digits.
#[must_use]
pub fn integer(text: &str) -> Option<i128> {
    let digits = text.trim();
    let (sign, digits) = signed(digits);
    let plain = without_underscores(digits)?;
    if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    plain.parse::<i128>().ok().map(|number| if sign { -number } else { number })
}

/// Reads a number as Python's `float()` does: also `inf`, `nan`, `1_000`, `.5` and `5.`.
#[must_use]
pub fn float(text: &str) -> Option<f64> {
    let (sign, body) = signed(text.trim());
    let lower = body.to_ascii_lowercase();
    let magnitude = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        other => {
            let plain = without_underscores(other)?;
            let known = plain.bytes().all(|b| b.is_ascii_digit() || b".e+-".contains(&b));
            if !known || !plain.bytes().any(|b| b.is_ascii_digit()) {
                return None;
            }
            plain.parse::<f64>().ok()?
        }
    };
    Some(if sign { -magnitude } else { magnitude })
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// An underscore may stand between two digits only.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let lawful = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || (digit(at.checked_sub(1)) && digit(at.checked_add(1))));
    lawful.then(|| text.replace('_', ""))
}

struct Reader {
    /// The text, by characters.
    chars: Vec<char>,
    /// The next character.
    place: usize,
}

type Read<T> = Result<T, &'static str>;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.place).copied()
    }

    fn peek_after(&self, distance: usize) -> Option<char> {
        self.chars.get(self.place + distance).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.place += 1;
        Some(c)
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.place += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')) {
            self.place += 1;
        }
    }

    /// A tuple needs no parentheses at the top.
    fn tuple_or_value(&mut self) -> Read<Value> {
        let first = self.value(0)?;
        self.blanks();
        if self.peek() != Some(',') {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.accept(',') {
            self.blanks();
            if self.peek().is_none() {
                break;
            }
            items.push(self.value(0)?);
            self.blanks();
        }
        Ok(Value::Array(items))
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth > DEPTH_MAX {
            return Err("nested too deeply");
        }
        self.blanks();
        match self.peek() {
            None => Err("the text ends"),
            Some('[') => {
                self.place += 1;
                self.items(']', depth).map(|(items, _)| Value::Array(items))
            }
            Some('(') => {
                self.place += 1;
                let (mut items, comma) = self.items(')', depth)?;
                if items.len() == 1 && !comma {
                    return items.pop().ok_or("an item is missing");
                }
                Ok(Value::Array(items))
            }
            Some('{') => {
                self.place += 1;
                self.map(depth)
            }
            Some('\'' | '"') => self.texts(),
            Some('r' | 'R' | 'u' | 'U') if matches!(self.peek_after(1), Some('\'' | '"')) => {
                self.texts()
            }
            Some('+' | '-' | '.' | '0'..='9') => self.number(),
            Some(c) if c.is_alphabetic() => self.word(),
            Some(_) => Err("a character that starts no literal"),
        }
    }

    fn items(&mut self, end: char, depth: usize) -> Read<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.blanks();
            if self.accept(end) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err("a comma is missing");
            }
            items.push(self.value(depth + 1)?);
            self.blanks();
            comma = self.accept(',');
        }
    }

    fn map(&mut self, depth: usize) -> Read<Value> {
        let mut map = Map::new();
        let mut comma = true;
        loop {
            self.blanks();
            if self.accept('}') {
                return Ok(Value::Object(map));
            }
            if !comma {
                return Err("a comma is missing");
            }
            let key = key_text(&self.value(depth + 1)?)?;
            self.blanks();
            if !self.accept(':') {
                return Err("a colon is missing, and a set has no JSON");
            }
            let value = self.value(depth + 1)?;
            map.insert(key, value);
            self.blanks();
            comma = self.accept(',');
        }
    }

    fn word(&mut self) -> Read<Value> {
        let start = self.place;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.place += 1;
        }
        let word: String = self.chars.get(start..self.place).unwrap_or_default().iter().collect();
        match word.as_str() {
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            "None" => Ok(Value::Null),
            _ => Err("a name"),
        }
    }

    fn number(&mut self) -> Read<Value> {
        let mut negative = false;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            negative ^= sign == '-';
            self.place += 1;
            self.blanks();
        }
        let start = self.place;
        while let Some(c) = self.peek() {
            let exponent_sign = matches!(c, '+' | '-')
                && self.place > start
                && matches!(self.chars.get(self.place - 1), Some('e' | 'E'))
                && !matches!(self.chars.get(start + 1), Some('x' | 'X'));
            if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || exponent_sign) {
                break;
            }
            self.place += 1;
        }
        let text: String = self.chars.get(start..self.place).unwrap_or_default().iter().collect();
        number_value(&text, negative).ok_or("a broken number")
    }

    /// Texts that stand side by side are one.
    fn texts(&mut self) -> Read<Value> {
        let mut text = String::new();
        loop {
            let raw = matches!(self.peek(), Some('r' | 'R'));
            if matches!(self.peek(), Some('r' | 'R' | 'u' | 'U')) {
                self.place += 1;
            }
            self.one_text(raw, &mut text)?;
            self.blanks();
            let another = match self.peek() {
                Some('\'' | '"') => true,
                Some('r' | 'R' | 'u' | 'U') => matches!(self.peek_after(1), Some('\'' | '"')),
                Some(_) | None => false,
            };
            if !another {
                return Ok(Value::String(text));
            }
        }
    }

    fn one_text(&mut self, raw: bool, text: &mut String) -> Read<()> {
        let quote = self.take().ok_or("the text ends")?;
        let triple = self.peek() == Some(quote) && self.peek_after(1) == Some(quote);
        if triple {
            self.place += 2;
        }
        loop {
            let c = self.take().ok_or("the quotes are not closed")?;
            if c == quote {
                if !triple {
                    return Ok(());
                }
                if self.peek() == Some(quote) && self.peek_after(1) == Some(quote) {
                    self.place += 2;
                    return Ok(());
                }
                text.push(c);
            } else if c == '\n' && !triple {
                return Err("a line ends inside quotes");
            } else if c == '\\' {
                self.escape(raw, text)?;
            } else {
                text.push(c);
            }
        }
    }

    fn escape(&mut self, raw: bool, text: &mut String) -> Read<()> {
        let c = self.take().ok_or("the quotes are not closed")?;
        if raw {
            text.push('\\');
            text.push(c);
            return Ok(());
        }
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(c),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\u{b}'),
            'x' => text.push(self.code_point(2, 16)?),
            'u' => text.push(self.code_point(4, 16)?),
            'U' => text.push(self.code_point(8, 16)?),
            '0'..='7' => {
                self.place -= 1;
                let digits =
                    (0..3).take_while(|at| matches!(self.peek_after(*at), Some('0'..='7'))).count();
                text.push(self.code_point(digits, 8)?);
            }
            other => {
                text.push('\\');
                text.push(other);
            }
        }
        Ok(())
    }

    fn code_point(&mut self, digits: usize, radix: u32) -> Read<char> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.take().and_then(|c| c.to_digit(radix)).ok_or("a broken escape")?;
            code = code * radix + digit;
        }
        char::from_u32(code).ok_or("an escape of no character")
    }
}

/// Keys become text as `json.dumps` makes them text.
fn key_text(key: &Value) -> Read<String> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Array(_) | Value::Object(_) => Err("a key that is a list or a map"),
    }
}

fn number_value(text: &str, negative: bool) -> Option<Value> {
    let plain = without_underscores(text)?.to_ascii_lowercase();
    let radix = match plain.get(..2) {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        Some("0b") => Some(2),
        Some(_) | None => None,
    };
    let whole = match radix {
        Some(radix) => Some(i128::from_str_radix(plain.get(2..)?, radix).ok()?),
        None if plain.bytes().all(|byte| byte.is_ascii_digit()) => {
            if plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|b| b != b'0') {
                return None;
            }
            plain.parse::<i128>().ok()
        }
        None => None,
    };
    match whole {
        Some(whole) => whole_value(if negative { -whole } else { whole }),
        None => {
            let floating = float(&plain).filter(|number| number.is_finite())?;
            Number::from_f64(if negative { -floating } else { floating }).map(Value::Number)
        }
    }
}

/// A whole number as JSON; beyond 64 bits it becomes floating, as JSON readers make it.
#[must_use]
pub fn whole_value(whole: i128) -> Option<Value> {
    if let Ok(whole) = i64::try_from(whole) {
        return Some(Value::from(whole));
    }
    if let Ok(whole) = u64::try_from(whole) {
        return Some(Value::from(whole));
    }
    whole.to_string().parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn literals_read_as_python_reads_them() {
        let rows = [
            ("None", Some(json!(null))),
            (" True ", Some(json!(true))),
            ("true", None),
            ("-1_000", Some(json!(-1000))),
            ("0x1F", Some(json!(31))),
            ("012", None),
            ("1e3", Some(json!(1000.0))),
            (".5", Some(json!(0.5))),
            ("'a' \"b\"", Some(json!("ab"))),
            (r"'a\x41\u00e9\n\q'", Some(json!("aAé\n\\q"))),
            (r"r'\d'", Some(json!("\\d"))),
            ("'''a\nb'''", Some(json!("a\nb"))),
            ("['a', 'b',]", Some(json!(["a", "b"]))),
            ("(1)", Some(json!(1))),
            ("(1,)", Some(json!([1]))),
            ("1, 2", Some(json!([1, 2]))),
            ("()", Some(json!([]))),
            ("{'a': {'b': None}, 1: True}", Some(json!({"a": {"b": null}, "1": true}))),
            ("{1, 2}", None),
            ("[1 2]", None),
            ("a + b", None),
            ("__import__('os')", None),
            ("", None),
            ("b'x'", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        assert!(parse(&"[".repeat(1_000)).is_err());
    }

    #[test]
    fn numbers_read_as_python_reads_them() {
        for (text, expected) in
            [(" 7 ", Some(7)), ("1_000", Some(1000)), ("5.0", None), ("", None), ("_1", None)]
        {
            assert_eq!(integer(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1e3", Some(1000.0)),
            (" 7 ", Some(7.0)),
            ("1_000", Some(1000.0)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("abc", None),
            ("1e", None),
            ("", None),
        ] {
            assert_eq!(float(text), expected, "{text}");
        }
        assert!(float("nan").is_some_and(f64::is_nan));
    }
}
